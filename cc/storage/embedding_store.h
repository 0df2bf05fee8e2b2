#ifndef TF_HPS_CC_STORAGE_EMBEDDING_STORE_H_
#define TF_HPS_CC_STORAGE_EMBEDDING_STORE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "cc/common/key.h"
#include "cc/common/rows.h"
#include "cc/common/update_position.h"
#include "cc/common/update_stamps.h"
#include "cc/storage/row_ages.h"
#include "cc/storage/store_commit.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

enum class OnExisting {
  kReplace,  // an update: the new row counts
  kKeep,     // a promotion: what stands there is at least as new
};

struct InsertOptions {
  OnExisting existing = OnExisting::kReplace;
  // Not null for rows that were read from another tier: keys[i] is refused where stamps->Moved(i).
  // Checked in one critical section with the write.
  const StampsRead* stamps = nullptr;
  // Not null: gets the indices of the keys that were refused.
  std::vector<uint32_t>* refused = nullptr;
};

struct StoreStats {
  int64_t rows = 0;
  bool rows_exact = false;
  int64_t bytes = 0;          // memory or disk that the rows and their index take
  int64_t capacity_rows = 0;  // 0: not bounded
  int64_t fixed_bytes = 0;    // of a bounded store: beside rows, whatever LimitRows says
  int64_t evictions = 0;      // rows dropped to make room since the store was opened
  int64_t absent = 0;         // keys remembered as unknown
};

// Hands out all rows of a key range, in blocks. Rows that are inserted or erased meanwhile may be
// seen or not, and one that was erased and inserted again may be seen twice. Not thread-safe; any
// number of scanners may run beside lookups and updates.
class RowScanner {
 public:
  virtual ~RowScanner() = default;
  // Replaces *block by up to max_rows more rows; an empty block is the end.
  virtual absl::Status Next(size_t max_rows, RowBlock* block) = 0;
};

// Rows of one table, by key. Thread-safe. Implementations live in a .cc each, behind a factory.
class EmbeddingStore {
 public:
  virtual ~EmbeddingStore() = default;

  // For each position p in *pending whose key is stored: sink.Put(p, row) with a whole row, never a
  // torn one, and p leaves *pending. A position whose key is remembered as unknown gets
  // sink.PutDefault(p, keys[p]) and leaves too. Positions left in *pending were not found, which is
  // no error; their destination may have been written and is undefined. On error *pending holds
  // every position that was not answered.
  virtual absl::Status Find(absl::Span<const Key> keys, const RowSink& sink,
                            Pending* pending) const = 0;

  // Stores rows.row(i) under keys[i]. With equal keys in one call the last one counts (kReplace).
  virtual absl::Status Insert(absl::Span<const Key> keys, const RowsView& rows,
                              const InsertOptions& options) = 0;

  // Unknown keys are no error.
  virtual absl::Status Erase(absl::Span<const Key> keys) = 0;

  // An update in two steps, for a store above the one that keeps the rows: BeginUpdate before that
  // one is written, after which nobody finds here what stood under these keys, and Update when it
  // is. Where the update below fails, BeginUpdate may be called again. `position` is where the
  // table is in the stream after it, which tells stores that several servers share that they write
  // the same; null for an update that no stream brought.
  virtual absl::Status BeginUpdate(absl::Span<const Key> keys, absl::Span<const Key> erased,
                                   const UpdatePosition* position) {
    absl::Status status = Erase(keys);
    status.Update(Erase(erased));
    return status;
  }
  virtual absl::Status Update(absl::Span<const Key> keys, const RowsView& rows,
                              absl::Span<const Key> erased, const UpdatePosition* position) {
    absl::Status status;
    if (!keys.empty()) status = Insert(keys, rows, {});
    if (status.ok() && !erased.empty()) status = Erase(erased);
    if (status.ok()) return status;
    // What is below is new already: better no row here than the old one.
    MarkIncomplete();
    BeginUpdate(keys, erased, position).IgnoreError();
    return status;
  }

  // Remembers that nobody below knows keys[i], unless it is stored, stamps moved, or there is no
  // spare room. Any insert replaces the mark. Stores that do not remember absence do nothing.
  virtual void MarkAbsent(absl::Span<const Key> keys, const StampsRead& stamps) {}

  // Rows that become visible together with those of other tables. NewCommit: null for stores that
  // cannot; AddTo: false for a commit of another store; nothing of `change` is looked at
  // afterwards. StreamRecord: the record of the last change; empty before the first.
  virtual std::unique_ptr<StoreCommit> NewCommit() { return nullptr; }
  virtual bool AddTo(StoreCommit* commit, const StoreChange& change) { return false; }
  virtual absl::StatusOr<std::string> StreamRecord() const { return std::string(); }
  // For a table whose growth is bounded: how old each row is. Once, before the first commit. Then
  // each commit with rows brings the change of the ages; one that does not makes them worthless.
  virtual absl::StatusOr<std::unique_ptr<RowAges>> OpenRowAges() {
    return absl::FailedPreconditionError(
        absl::StrCat("rows in ", kind(), " alone have no age that is known"));
  }

  // Scans keys in [first, last]. Order is the store's own.
  virtual absl::StatusOr<std::unique_ptr<RowScanner>> NewScanner(Key first, Key last) const = 0;

  // True for a store that answers from this process's memory: lookups ask it on their own thread.
  virtual bool AnswersFromMemory() const = 0;

  // Whether a key not found here is nowhere below. MarkComplete is called once every row of the
  // tier below was inserted, with what Losses() was before the first one: a row that was lost since
  // then, or is lost later, makes the store incomplete before the row is gone. MarkIncomplete:
  // somebody else dropped a row. Losses: how often a row went, or did not come in, for want of
  // room.
  virtual bool IsComplete() const = 0;
  virtual void MarkComplete(int64_t losses) {}
  virtual void MarkIncomplete() {}
  virtual int64_t Losses() const { return 0; }

  // Up to `n` of the keys that are asked for most, the hottest first, where the store counts that.
  virtual std::vector<Key> HotKeys(size_t n) const { return {}; }

  // Of a store with a bound (StoreStats::capacity_rows > 0); nothing happens elsewhere.
  // From now on at most so many rows may be here, and at most those the store was opened for. Are
  // there more, the coldest go, and their memory is the system's again when this returns; lookups
  // and writes go on meanwhile. No other row goes. Calls wait for each other. InvalidArgument: less
  // than one row. FailedPrecondition: the limit holds, but the system did not take the memory.
  virtual absl::Status LimitRows(int64_t rows) { return absl::OkStatus(); }
  // From now on lookups count uses, which a bounded store does by itself only once it was full, so
  // that HotKeys and LimitRows know what is hot. With "lru" that is what was used since the last
  // such call, until rows are evicted.
  virtual void CountUses() {}

  virtual StoreStats Stats() const = 0;
  // What only this kind of store can tell, as an object; its fields stand beside those of Stats().
  virtual nlohmann::json Health() const { return nlohmann::json::object(); }
  virtual absl::string_view kind() const = 0;  // "memory", "redis", "rocksdb"
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_EMBEDDING_STORE_H_
