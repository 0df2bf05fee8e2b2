#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "cc/common/counter.h"
#include "cc/redis/redis_client.h"
#include "cc/redis/redis_options.h"
#include "cc/storage/redis_find.h"
#include "cc/storage/redis_scanner.h"
#include "cc/storage/redis_table.h"
#include "cc/storage/redis_update.h"
#include "cc/storage/store_backend.h"

namespace tf_hps {
namespace {

// Of the lookups' batches, one after the other, so that the replies of one fit the caches.
constexpr size_t kKeysPerFind = 16384;
// What Redis takes for a row beside its bytes: the key's text and the two objects, as jemalloc
// rounds them.
constexpr int64_t kBytesBesideRow = 120;

class RedisStore : public EmbeddingStore {
 public:
  RedisStore(TableSpec spec, std::shared_ptr<RedisClient> client)
      : table_(std::move(spec), std::move(client)) {}

  absl::Status Attach() {
    return Counted(
        table_.Attach(table_.client().NewDeadline() + table_.client().options().connect_timeout));
  }

  absl::Status Find(absl::Span<const Key> keys, const RowSink& sink,
                    Pending* pending) const override {
    if (pending->empty()) return absl::OkStatus();
    const RedisDeadline deadline = table_.client().NewDeadline();
    if (absl::Status status = Ready(deadline); !status.ok()) return Counted(status);
    std::vector<uint32_t> left;
    absl::Status first_error;
    for (size_t begin = 0; begin < pending->size(); begin += kKeysPerFind) {
      const size_t end = std::min(begin + kKeysPerFind, pending->size());
      RedisFind find(&table_, keys, sink);
      for (size_t i = begin; i < end; ++i) find.Add((*pending)[i]);
      first_error.Update(find.Run(deadline));
      find.AppendLeft(&left);
      not_used_.Add(find.heads_not_usable());
    }
    pending->Assign(std::move(left));
    return Counted(first_error);
  }

  absl::Status Insert(absl::Span<const Key> keys, const RowsView& rows,
                      const InsertOptions& options) override {
    if (keys.empty()) return absl::OkStatus();
    if (rows.row_bytes() != table_.spec().row_bytes()) {
      return absl::InvalidArgumentError(absl::StrCat(
          table_.spec().Described(), ": a row has ", rows.row_bytes(),
          " bytes, the table's rows have ", table_.spec().row_bytes(), " (embedding_dim ",
          table_.spec().embedding_dim, ", ", RowFormatName(table_.spec().row_format), ")"));
    }
    return Write(keys, rows, {}, options);
  }

  absl::Status Erase(absl::Span<const Key> keys) override {
    if (keys.empty()) return absl::OkStatus();
    return Write({}, RowsView(nullptr, 0), keys, {});
  }

  // Nothing has to be erased: what is in Redis is of a state that is ours no longer.
  absl::Status BeginUpdate(absl::Span<const Key>, absl::Span<const Key>,
                           const UpdatePosition* position) override {
    MutexLock lock(&update_mutex_);
    table_.BeginUpdate(position);
    return absl::OkStatus();
  }
  absl::Status Update(absl::Span<const Key> keys, const RowsView& rows,
                      absl::Span<const Key> erased, const UpdatePosition* position) override {
    return Write(keys, rows, erased, {}, position);
  }

  absl::StatusOr<std::unique_ptr<RowScanner>> NewScanner(Key first, Key last) const override {
    if (absl::Status status = table_.Attach(table_.client().NewDeadline()); !status.ok()) {
      return Counted(status);
    }
    return NewRedisScanner(&table_, this, first, last);
  }

  bool AnswersFromMemory() const override { return false; }
  bool IsComplete() const override { return false; }

  StoreStats Stats() const override {
    StoreStats stats;
    stats.rows = std::max<int64_t>(0, rows_written_.Get());
    stats.bytes = stats.rows * (static_cast<int64_t>(table_.spec().row_bytes()) + kBytesBesideRow);
    return stats;
  }

  nlohmann::json Health() const override {
    nlohmann::json health = table_.client().Stats();
    health["errors"] = errors_.Get();
    health["timeouts"] = timeouts_.Get();
    health["partitions_not_used"] = not_used_.Get();
    health["promotions_refused"] = refused_.Get();
    health["attached"] = table_.attached();
    health["maxmemory_policy"] = table_.maxmemory_policy();
    return health;
  }
  absl::string_view kind() const override { return "redis"; }

 private:
  absl::Status Write(absl::Span<const Key> keys, const RowsView& rows, absl::Span<const Key> erased,
                     const InsertOptions& options, const UpdatePosition* position = nullptr) {
    const bool is_promotion = options.existing == OnExisting::kKeep;
    RedisUpdate update(&table_, keys, rows, erased, options, position);
    absl::Status status;
    if (is_promotion) {
      status = Ready(table_.client().NewDeadline());
      if (status.ok()) status = update.Promote();
    } else {
      // One after the other: each moves its partitions on by one.
      MutexLock lock(&update_mutex_);
      status = Ready(table_.client().NewDeadline());
      if (status.ok()) {
        status = update.Apply();
      } else {
        // Redis missed it, which its partitions show.
        table_.CurrentUpdate(position);
        table_.EndUpdate();
      }
    }
    rows_written_.Add(update.rows_written() - static_cast<int64_t>(erased.size()));
    refused_.Add(update.rows_refused());
    return Counted(status);
  }

  // Before a request is made up: a server that is left alone costs no work.
  absl::Status Ready(RedisDeadline deadline) const {
    if (absl::Status status = table_.client().CheckLetsThrough(); !status.ok()) return status;
    return table_.Attach(deadline);
  }

  absl::Status Counted(const absl::Status& status) const {
    if (absl::IsDeadlineExceeded(status)) timeouts_.Add(1);
    if (status.ok()) return status;
    errors_.Add(1);
    return absl::Status(
        absl::IsDeadlineExceeded(status) ? absl::StatusCode::kUnavailable : status.code(),
        absl::StrCat("tier redis: ", status.message()));
  }

  mutable RedisTable table_;
  mutable Counter errors_, timeouts_, not_used_;
  Counter refused_, rows_written_;
  Mutex update_mutex_;
};

absl::StatusOr<std::unique_ptr<EmbeddingStore>> OpenRedisStore(const TableSpec& spec,
                                                               const nlohmann::json& options) {
  const absl::StatusOr<RedisOptions> parsed = ParseRedisOptions(options);
  if (!parsed.ok()) return parsed.status();
  auto store = std::make_unique<RedisStore>(spec, RedisClient::Get(*parsed));
  // What only time can heal is waited for, where another tier has the rows meanwhile.
  const absl::Status attached = store->Attach();
  if (!attached.ok() && !(spec.is_kept && absl::IsUnavailable(attached))) return attached;
  return store;
}

const bool redis_is_registered =
    RegisterStoreBackend({"redis", StoreRank::kSharedMemory, RedisConfigFields(), &OpenRedisStore});

}  // namespace
}  // namespace tf_hps
