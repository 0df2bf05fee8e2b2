#ifndef TF_HPS_CC_STORAGE_KEY_INDEX_H_
#define TF_HPS_CC_STORAGE_KEY_INDEX_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "absl/status/statusor.h"
#include "cc/storage/address_range.h"
#include "cc/storage/key_set.h"
#include "cc/storage/overflow_rows.h"

namespace tf_hps {

// Where the rows of a number of keys are. Its size is fixed: a store that outgrows one builds a
// larger. What may be done with it is KeyIndexWriter's (keys in and out) and SetProbe's (lookups).
class KeyIndex {
 public:
  // Sized for `rows`. With counters: one for each way, for eviction.
  static absl::StatusOr<std::unique_ptr<KeyIndex>> Create(int64_t rows, bool with_counters);
  // Bytes per row of a full index.
  static double BytesPerRow(bool with_counters);

  int64_t rows() const { return rows_; }
  KeySet* sets() const { return reinterpret_cast<KeySet*>(sets_.data()); }
  uint64_t num_sets() const { return num_sets_; }
  std::atomic<uint16_t>* counters() const {  // null: none
    return reinterpret_cast<std::atomic<uint16_t>*>(counters_.data());
  }
  OverflowRows& overflow() { return overflow_; }
  int64_t bytes() const { return static_cast<int64_t>(sets_.committed() + counters_.committed()); }

  uint64_t FirstHomeOf(Key key) const { return FirstHome(HashKey(key), num_sets_); }
  uint64_t SecondHomeOf(Key key) const { return SecondHome(HashKey(key), num_sets_); }
  // What a free way of the set holds: a key that has no home there.
  Key FreeKey(uint64_t set) const {
    return set == homes_of_zero_[0]   ? free_there_[0]
           : set == homes_of_zero_[1] ? free_there_[1]
                                      : 0;
  }

 private:
  KeyIndex(int64_t rows, uint64_t num_sets, AddressRange sets, AddressRange counters);

  const int64_t rows_;
  const uint64_t num_sets_;
  const AddressRange sets_;
  const AddressRange counters_;
  // Sets are zeros at first, so key 0 means free, except where key 0 has a home.
  uint64_t homes_of_zero_[2];
  Key free_there_[2];

  OverflowRows overflow_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_KEY_INDEX_H_
