// The lookup pipeline, included by set_probe_<isa>.cc only: everything here has internal linkage,
// so that each file keeps its own copy, compiled with its own vector flags.
#ifndef TF_HPS_CC_STORAGE_SET_PROBE_PIPELINE_H_
#define TF_HPS_CC_STORAGE_SET_PROBE_PIPELINE_H_

#include "cc/storage/set_probe.h"

namespace tf_hps {
namespace {

// Of a longer row the hardware's stream prefetcher gets the rest.
constexpr size_t kMaxPrefetchedBytes = 8 * 64;

// Isa: Match(set, key) gives the ways that hold the key as a bit mask; Copy(from, to, bytes) copies
// a row without calling memcpy (which ThreadSanitizer would see). kBytes: of a row in slab and
// output, a multiple of 64, when rows are plain copies of such a size; else 0.
//
// Hardly a branch here depends on the keys: which of them are in their first home is a coin that no
// predictor learns.
template <class Isa, bool kSecondHome, size_t kBytes>
class Pipeline {
 public:
  Pipeline(const SetProbe& probe, SetProbeLeft* left) : probe_(probe), left_(left) {}

  // Three groups are on their way at any time: one's sets are fetched while another's rows are, and
  // a third one's rows are copied.
  void Run() {
    const size_t groups = (probe_.n + kGroup - 1) / kGroup;
    for (size_t g = 0; g < groups + 2; ++g) {
      if (g < groups) FetchSets(g);
      if (g >= 1 && g - 1 < groups) FetchRows(g - 1);
      if (g >= 2) CopyRows(ring_[(g - 2) % 3]);
    }
  }

 private:
  // Keys whose lines are fetched at once. 4 to 32 were equally good for rows of 256 bytes; of 512
  // those of two groups of 16 no longer fit the first cache: 76 and 105 ns a key (zipf, 1024 and
  // 131072) with 8 were 87 and 120.
  static constexpr size_t kGroup = kBytes == 512 ? 8 : 16;

  struct ProbedKey {
    const KeySet* set;
    const uint8_t* row;  // to be copied
    uint32_t head;       // as it stood when the way was read
    uint32_t position;
    uint32_t index;  // in the part
    uint8_t way;
    bool absent;
  };
  struct Group {
    size_t n;
    ProbedKey keys[kGroup];
  };

  void FetchSets(size_t g) {
    Group& group = ring_[g % 3];
    const size_t left = probe_.n - g * kGroup;
    group.n = left < kGroup ? left : kGroup;
    for (size_t i = 0; i < group.n; ++i) {
      const size_t index = g * kGroup + i;
      const uint32_t position = probe_.positions == nullptr
                                    ? probe_.first_position + static_cast<uint32_t>(index)
                                    : probe_.positions[index];
      const uint64_t hash = HashKey(probe_.keys[position]);
      const uint64_t home =
          kSecondHome ? SecondHome(hash, probe_.num_sets) : FirstHome(hash, probe_.num_sets);
      ProbedKey& key = group.keys[i];
      key.set = probe_.sets + home;
      key.position = position;
      key.index = static_cast<uint32_t>(index);
      __builtin_prefetch(key.set);
    }
  }

  // Keeps the keys that were found in the group, and fetches their rows.
  void FetchRows(size_t g) {
    Group& group = ring_[g % 3];
    size_t found = 0;
    for (size_t i = 0; i < group.n; ++i) {
      const KeySet* const set = group.keys[i].set;
      const uint32_t position = group.keys[i].position;
      const uint32_t head = set->head.load(std::memory_order_acquire);
      const uint32_t match = Isa::Match(set, probe_.keys[position]);
      // A last bit, for keys that are not here.
      const uint32_t way = static_cast<uint32_t>(__builtin_ctz(match | 1u << (KeySet::kWays - 1)));
      const uint32_t code = set->rows[way].load(std::memory_order_relaxed);
      __atomic_thread_fence(__ATOMIC_ACQUIRE);
      // A free way that matches is a set that is being written.
      // Without a default row marks are no answer.
      const bool here = match != 0 && (code >= KeySet::kFirstRow ||
                                       (code == KeySet::kAbsent && probe_.default_row != nullptr));
      const bool nowhere = !kSecondHome && match == 0 &&
                           (head & (KeySet::kLocked | KeySet::kSpilledMask)) == 0 &&
                           set->head.load(std::memory_order_relaxed) == head;
      SetProbeLeft::List& list = nowhere ? left_->missing : left_->elsewhere;
      list.positions[list.size] = position;
      list.size += here ? 0 : 1;

      const bool stored = here && code >= KeySet::kFirstRow;
      ProbedKey& key = group.keys[found];
      key.set = set;
      // By a branch that all keys take alike, and not by whether this one is stored.
      const uint8_t* const default_row = probe_.default_buckets.count == 1
                                             ? probe_.default_row
                                             : DefaultRowOf(probe_.keys[position]);
      key.row =
          stored ? probe_.slab + (code - KeySet::kFirstRow) * probe_.slab_stride : default_row;
      key.head = head;
      key.position = position;
      key.index = group.keys[i].index;
      key.way = static_cast<uint8_t>(way);
      key.absent = !stored;
      Prefetch(key.row, probe_.slab_stride);
      // The output, too: while the next group's rows are on their way the stores would wait for its
      // lines. 91 instead of 144 ns a key where the output is larger than the cache.
      Prefetch(probe_.destination + position * probe_.destination_stride, probe_.out_bytes);
      found += here ? 1 : 0;
    }
    group.n = found;
  }

  // Apart: tables with several default rows are rare, and the loop is short without it.
  __attribute__((noinline, cold)) const uint8_t* DefaultRowOf(Key key) const {
    return probe_.default_row + probe_.default_buckets.Of(key) * probe_.out_bytes;
  }

  static void Prefetch(const uint8_t* row, size_t bytes) {
    if (kBytes != 0) {
#pragma GCC unroll 8
      for (size_t i = 0; i < kBytes; i += 64) __builtin_prefetch(row + i);
    } else {
      if (bytes > kMaxPrefetchedBytes) bytes = kMaxPrefetchedBytes;
      for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch(row + i);
    }
  }

  void CopyRows(const Group& group) {
    for (size_t i = 0; i < group.n; ++i) {
      const ProbedKey& key = group.keys[i];
      uint8_t* const out = probe_.destination + key.position * probe_.destination_stride;
      if (kBytes != 0) {
        Isa::Copy(key.row, out, kBytes);
      } else if (probe_.decode == nullptr || key.absent) {
        Isa::Copy(key.row, out, probe_.out_bytes);
      } else {
        probe_.decode(key.row, out, probe_.embedding_dim);
      }
      __atomic_thread_fence(__ATOMIC_ACQUIRE);
      const uint32_t head = key.set->head.load(std::memory_order_relaxed);
      if (__builtin_expect(head != key.head || (head & KeySet::kLocked) != 0, 0)) {
        left_->elsewhere.positions[left_->elsewhere.size++] = key.position;
        continue;
      }
      left_->absent += key.absent ? 1 : 0;
      if (probe_.ways != nullptr) {
        probe_.ways[key.index] =
            static_cast<uint64_t>(key.set - probe_.sets) * KeySet::kWays + key.way;
      }
    }
  }

  const SetProbe probe_;
  SetProbeLeft* const left_;
  Group ring_[3];
};

template <class Isa, bool kSecondHome>
void Probe(const SetProbe& probe, SetProbeLeft* left) {
  const bool plain = probe.decode == nullptr && probe.out_bytes == probe.slab_stride;
  if (plain && probe.out_bytes == 256) {
    Pipeline<Isa, kSecondHome, 256>(probe, left).Run();
  } else if (plain && probe.out_bytes == 512) {
    Pipeline<Isa, kSecondHome, 512>(probe, left).Run();
  } else if (plain && probe.out_bytes == 128) {
    Pipeline<Isa, kSecondHome, 128>(probe, left).Run();
  } else if (plain && probe.out_bytes == 64) {
    Pipeline<Isa, kSecondHome, 64>(probe, left).Run();
  } else {
    Pipeline<Isa, kSecondHome, 0>(probe, left).Run();
  }
}

template <class Isa>
SetProbeFunctions ProbesOf() {
  return {&Probe<Isa, false>, &Probe<Isa, true>};
}

}  // namespace
}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_SET_PROBE_PIPELINE_H_
