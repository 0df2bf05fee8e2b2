#ifndef TF_HPS_CC_HIERARCHY_TABLE_UPDATE_H_
#define TF_HPS_CC_HIERARCHY_TABLE_UPDATE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "cc/common/update_position.h"
#include "cc/common/update_stamps.h"
#include "cc/hierarchy/commit_gate.h"
#include "cc/hierarchy/embedding_table.h"
#include "cc/storage/row_ages.h"
#include "cc/storage/store_commit.h"
#include "cc/update/update_batch.h"

namespace tf_hps {

// One update on its way through a table's tiers, lowest first, so that no tier holds a row that a
// restart would lose. A lookup may have missed above already and be about to read the new rows
// below; it must not find the old ones above afterwards (update_stamps.h). So tiers above that are
// not complete let go of the keys first. Nobody goes below a complete tier.
//
// Holds the table's apply lock. Steps in the order of the declarations.
class TableUpdate {
 public:
  // `position`: where the table is in a stream after it; null for an update that no stream brought.
  TableUpdate(EmbeddingTable* table, const UpdateBatch& batch,
              const UpdatePosition* position = nullptr);
  ~TableUpdate();
  TableUpdate(const TableUpdate&) = delete;
  TableUpdate& operator=(const TableUpdate&) = delete;

  void TakeOutOfSharedTiers();  // those that may wait: Redis
  void TakeOutOfMemory();       // and out of the devices' caches
  absl::Status WriteLowest();
  // An error means that a tier above has no rows where it may have had old ones.
  absl::Status WriteMemory();
  absl::Status WriteSharedTiers();

 private:
  size_t lowest() const { return table_->tiers_.size() - 1; }
  size_t memory_end() const;  // of the memory tiers above the lowest

  EmbeddingTable* const table_;
  const UpdateBatch& batch_;
  const UpdatePosition* const position_;
  std::optional<UpdateStamps::Update> stamps_;
};

// A part of a commit: what one table gets.
struct TableChange {
  EmbeddingTable* table = nullptr;
  UpdateBatch batch{{}, RowsView(nullptr, 0), {}};
  // The table's place in the stream from then on, kept with its rows.
  std::string record;

  // The same, for tiers that several servers share; no stream where the text is none of a commit.
  UpdatePosition position;

  // Of a table whose growth is bounded: what the change does to the ages of its rows.
  const AgesChange* ages = nullptr;

  bool has_rows() const { return !batch.keys.empty() || !batch.erased.empty(); }
};

// Applies the changes of one commit, each of another table of one deployment. Lookups over memory
// and stores that can write together (RocksDB) see all of them or none. After an error nothing
// counts, or, where tables live in several databases, a part that may be applied again.
absl::Status ApplyTogether(std::vector<TableChange> changes, CommitGate* gate);

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_TABLE_UPDATE_H_
