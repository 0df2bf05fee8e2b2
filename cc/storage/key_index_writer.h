#ifndef TF_HPS_CC_STORAGE_KEY_INDEX_WRITER_H_
#define TF_HPS_CC_STORAGE_KEY_INDEX_WRITER_H_

#include <atomic>
#include <cstdint>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "cc/storage/embedding_store.h"
#include "cc/storage/eviction_policy.h"
#include "cc/storage/key_index.h"
#include "cc/storage/row_slab.h"
#include "cc/storage/set_lock.h"

namespace tf_hps {

// Puts keys and their rows into an index and takes them out, one key a call. Any number of writers
// may work on one index, beside readers.
//
// Whoever changes where a key is, or whether, holds the lock of its first home: that is a key's
// critical section. Locks of two homes are taken in the order of the sets; any further one is only
// tried.
class KeyIndexWriter {
 public:
  // What all writers of a store share.
  struct Store {
    RowSlab* slab;
    EvictionPolicy* eviction;
    std::atomic<int64_t>* losses;  // see EmbeddingStore::Losses
    std::atomic<int64_t>* absent;
    // While not 0, keys stay where they are: a scanner would miss one that moves.
    const std::atomic<int>* scanners;
  };
  KeyIndexWriter(KeyIndex* index, const Store& store) : index_(*index), store_(store) {}

  // kNotAdmitted: the rows that could go for it are worth more (see EvictionPolicy). kNoVictim:
  // there is no row for the key, and none to be had from its homes; Insert never returns it.
  enum class Outcome { kStored, kKept, kRefused, kNotAdmitted, kNoVictim };
  using Refuses = absl::FunctionRef<bool()>;

  // `refuses` is asked in the key's critical section. ResourceExhausted: no memory for the row, or
  // the slab is full and may not evict (`may_evict`).
  absl::StatusOr<Outcome> Insert(Key key, const uint8_t* row, OnExisting existing, bool may_evict,
                                 Refuses refuses);
  void Erase(Key key);
  void MarkAbsent(Key key, Refuses refuses);
  // Takes over a row from an index that this one is to replace; `key` is in neither home.
  void Adopt(Key key, uint32_t row, uint16_t counter);

  // For a store that is made smaller. Those of its rows go for which goes(counter) says so.
  void EvictFrom(uint64_t set, absl::FunctionRef<bool(uint16_t)> goes);
  void EvictFromOverflow(absl::FunctionRef<bool(uint16_t)> goes);
  // Rows of the set beyond the slab's limit get a number below it (see RowSlab::Lower). While these
  // go over all sets, whatever else writes puts no row beyond the limit anywhere.
  void LowerRows(uint64_t set);
  void LowerOverflow();
  void PrefetchToLower(uint64_t set) const;

  void Prefetch(Key key) const { __builtin_prefetch(Set(index_.FirstHomeOf(key)), 1); }
  // The row of a key that stands in its first home, when that is there.
  void PrefetchRow(Key key, size_t row_bytes) const {
    const Way at = FindKey(index_.FirstHomeOf(key), key);
    if (!at || CodeAt(at) < KeySet::kFirstRow) return;
    const uint8_t* const row = store_.slab->row(CodeAt(at) - KeySet::kFirstRow);
    for (size_t line = 0; line < row_bytes; line += 64) __builtin_prefetch(row + line, 1);
  }

 private:
  struct Way {
    uint64_t set = 0;
    int way = -1;  // -1: none
    explicit operator bool() const { return way >= 0; }
  };
  // Both homes of a key, locked.
  struct Homes;

  KeySet* Set(uint64_t set) const { return index_.sets() + set; }
  uint32_t CodeAt(Way at) const {
    return Set(at.set)->rows[at.way].load(std::memory_order_relaxed);
  }
  Key KeyAt(Way at) const { return Set(at.set)->keys[at.way].load(std::memory_order_relaxed); }
  std::atomic<uint16_t>* CounterOf(Way at) const {
    return index_.counters() + at.set * KeySet::kWays + static_cast<uint64_t>(at.way);
  }
  uint32_t Coldness(Way at) const {
    return store_.eviction->Coldness(CounterOf(at)->load(std::memory_order_relaxed));
  }
  static uint32_t Spilled(const KeySet* set) {
    return set->head.load(std::memory_order_relaxed) & KeySet::kSpilledMask;
  }

  // All of these need the locks of the sets they are about.
  Way FindKey(uint64_t set, Key key) const;
  Way FindKey(const Homes& homes, Key key) const;
  Way FindCode(uint64_t set, uint32_t code) const;
  Way FindSpare(uint64_t set) const;  // a free way, else one that is marked absent
  Way FindColdest(uint64_t set, Key key) const;
  Way FindColdest(const Homes& homes, Key key) const;
  void Occupy(Way at, Key key, uint32_t code, uint16_t counter);
  void Vacate(Way at);
  Way MakeRoom(const Homes& homes);
  Way MoveAway(uint64_t from, const Homes& homes);
  void Place(const Homes& homes, Key key, uint32_t code, uint16_t counter);
  uint32_t Evict(Way at);

  // With the locks of both homes. *evicted_row: one to use, or kNoRow; kNoRow after it was used.
  absl::StatusOr<Outcome> InsertUnderHomes(Key key, const uint8_t* row, OnExisting existing,
                                           bool may_evict, Refuses refuses, uint32_t* evicted_row);
  // A row of a set from `start` on, or of the overflow; RowSlab::kNoRow: there is none.
  uint32_t EvictAnywhere(uint64_t start);
  uint32_t EvictOverflowed(Key key);
  bool IsBeyondLimit(Way at) const {
    const uint32_t code = CodeAt(at);
    return code >= KeySet::kFirstRow && code - KeySet::kFirstRow >= store_.slab->limit();
  }
  uint32_t LoweredCode(uint32_t code) const {
    return code < KeySet::kFirstRow
               ? code
               : store_.slab->Lower(code - KeySet::kFirstRow) + KeySet::kFirstRow;
  }
  uint16_t NewCounter(uint32_t uses) const {
    return index_.counters() == nullptr ? 0 : store_.eviction->New(uses);
  }

  KeyIndex& index_;
  const Store& store_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_KEY_INDEX_WRITER_H_
