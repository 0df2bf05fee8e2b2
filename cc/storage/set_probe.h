#ifndef TF_HPS_CC_STORAGE_SET_PROBE_H_
#define TF_HPS_CC_STORAGE_SET_PROBE_H_

#include <cstddef>
#include <cstdint>

#include "cc/common/default_rows.h"
#include "cc/common/key.h"
#include "cc/common/row_codec.h"
#include "cc/storage/key_set.h"

namespace tf_hps {

// A part of a batch to be looked up in one home of each key. Plain data: the code behind it is
// compiled once per instruction set, and shares no inline function with the rest.
struct SetProbe {
  static constexpr size_t kMaxKeys = 1024;

  // The store's.
  const KeySet* sets = nullptr;
  uint64_t num_sets = 0;
  const uint8_t* slab = nullptr;
  size_t slab_stride = 0;

  // The batch's: RowSink, see there.
  const Key* keys = nullptr;
  uint8_t* destination = nullptr;
  size_t destination_stride = 0;
  size_t out_bytes = 0;
  DecodeRow decode = nullptr;
  int64_t embedding_dim = 0;
  const uint8_t* default_row = nullptr;
  DefaultBuckets default_buckets;

  // The part's: n positions (kMaxKeys at most), from `positions`, or first_position + i where that
  // is null.
  const uint32_t* positions = nullptr;
  uint32_t first_position = 0;
  size_t n = 0;

  // Not null: ways[i] gets set * KeySet::kWays + way where the part's position i was found,
  // otherwise stays. For eviction counters.
  uint64_t* ways = nullptr;
};

// What a probe leaves over.
struct SetProbeLeft {
  struct List {
    uint32_t* positions = nullptr;  // room for one more than the part has
    size_t size = 0;
  };
  List missing;       // keys that are stored nowhere
  List elsewhere;     // to be looked for in another home, or again
  size_t absent = 0;  // positions answered by a mark
};

// Answers the positions whose key is in its first or second home: puts the row, or the default row
// for a key marked absent. A probe of the second home leaves nothing in `missing`.
struct SetProbeFunctions {
  void (*first_home)(const SetProbe& probe, SetProbeLeft* left);
  void (*second_home)(const SetProbe& probe, SetProbeLeft* left);
};

SetProbeFunctions SelectSetProbe(CpuIsa isa);

SetProbeFunctions SetProbePortable();
SetProbeFunctions SetProbeAvx2();
SetProbeFunctions SetProbeAvx512();

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_SET_PROBE_H_
