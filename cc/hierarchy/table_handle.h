#ifndef TF_HPS_CC_HIERARCHY_TABLE_HANDLE_H_
#define TF_HPS_CC_HIERARCHY_TABLE_HANDLE_H_

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "cc/common/config.h"
#include "cc/common/default_rows.h"
#include "cc/common/rows.h"
#include "cc/hierarchy/embedding_table.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

class FollowedTable;

// One holder's view of a table. The rows are shared by all who opened the same content; what an id
// without a row gets, and which ids are an error, is each holder's own, as its configuration says.
// Thread-safe.
class TableHandle {
 public:
  static absl::StatusOr<std::shared_ptr<TableHandle>> Create(std::shared_ptr<EmbeddingTable> table,
                                                             const TableConfig& config);
  // `followed`: null, or the table's, which ends with the handle.
  static absl::StatusOr<std::shared_ptr<TableHandle>> Create(
      std::shared_ptr<EmbeddingTable> table, const TableConfig& config,
      std::unique_ptr<FollowedTable> followed);
  ~TableHandle();

  EmbeddingTable& table() const { return *table_; }
  const TableSpec& spec() const { return table_->spec(); }
  // Everything counted: see docs/operations.md.
  nlohmann::json Stats() const;
  // What every tier has under `key`, with the table's generation and place in its stream: see
  // InspectRow.
  nlohmann::json Inspect(Key key) const;
  // Until the table has the updates up to `position`: OK, DeadlineExceeded, or FailedPrecondition
  // for a table that follows no stream.
  absl::Status WaitUntil(const std::string& position, std::chrono::milliseconds timeout) const;

  // A sink that writes rows of `type` densely from `destination` on: position p at p * dim
  // elements. Not longer than this handle.
  RowSink SinkFor(ElementType type, void* destination) const;

  // What ids without a row get, embedding_dim elements of `type` for each bucket.
  absl::Span<const uint8_t> default_row(ElementType type) const {
    return default_rows_[static_cast<int>(type)];
  }
  DefaultBuckets default_buckets() const { return default_buckets_; }

  // Of a lookup that begins now; none where it waits as long as the stores take.
  std::optional<MissDeadline> NewMissDeadline() const {
    if (miss_deadline_.count() == 0) return std::nullopt;
    return MissDeadline{std::chrono::steady_clock::now() + miss_deadline_, {}};
  }

  // Applies `out_of_range` to a batch's ids: may rewrite them in place (kWrapNegatives), fails with
  // InvalidArgument that names the id, its position and the range. Free for the default policy.
  bool ChecksRange() const { return out_of_range_ != OutOfRange::kDefaultRow; }
  absl::Status CheckRange(absl::Span<Key> keys) const;
  // For who checks ids elsewhere.
  int64_t vocabulary_size() const { return ChecksRange() ? vocabulary_size_ : 0; }
  bool WrapsNegatives() const { return out_of_range_ == OutOfRange::kWrapNegatives; }
  absl::Status OutOfRangeError(size_t position, Key id) const;

 private:
  TableHandle(std::shared_ptr<EmbeddingTable> table, const TableConfig& config,
              std::unique_ptr<FollowedTable> followed);
  absl::Status ResolveDefaultRow(const nlohmann::json& wanted);

  // Constant after Create.
  const std::shared_ptr<EmbeddingTable> table_;
  const std::unique_ptr<FollowedTable> followed_;  // null: follows no stream
  const OutOfRange out_of_range_;
  const int64_t vocabulary_size_;
  const std::chrono::microseconds miss_deadline_;  // 0: none
  const DefaultBuckets default_buckets_;
  std::vector<uint8_t> default_rows_[3];  // decoded, by ElementType
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_TABLE_HANDLE_H_
