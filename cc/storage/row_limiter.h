#ifndef TF_HPS_CC_STORAGE_ROW_LIMITER_H_
#define TF_HPS_CC_STORAGE_ROW_LIMITER_H_

#include <cstdint>
#include <memory>

#include "absl/status/status.h"
#include "cc/common/mutex.h"
#include "cc/storage/key_index.h"
#include "cc/storage/key_index_writer.h"
#include "cc/storage/write_gate.h"

namespace tf_hps {

// Makes a memory store smaller, or larger again, while it is read and written: sends the coldest
// rows away, moves those at the end of the slab into the gaps, and gives the end back. All of that
// goes set by set, beside other writers.
class RowLimiter {
 public:
  // *index is replaced by who is alone in the gate. All of them outlive this.
  RowLimiter(const KeyIndexWriter::Store& store, WriteGate* gate,
             const std::shared_ptr<KeyIndex>* index)
      : store_(store), gate_(gate), index_(index) {}

  // See EmbeddingStore::LimitRows. Thread-safe.
  absl::Status Limit(int64_t rows);

 private:
  bool HasTooMany() const { return store_.slab->rows() > store_.slab->limit(); }
  void EvictColdest(bool any);
  // visit(writer, index, set) for every set, and then overflow(writer, index), beside others that
  // write; from the beginning where the index was replaced meanwhile.
  template <class Visit, class Overflow>
  void GoOver(const Visit& visit, const Overflow& overflow);

  const KeyIndexWriter::Store& store_;
  WriteGate* const gate_;
  const std::shared_ptr<KeyIndex>* const index_;

  Mutex mutex_;  // held by the one call that works
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_ROW_LIMITER_H_
