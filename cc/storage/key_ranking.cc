#include "cc/storage/key_ranking.h"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <utility>

namespace tf_hps {
namespace {

// visit(key, coldness) for every key that has a row.
template <class Visit>
void ForEachKey(KeyIndex* index, const EvictionPolicy& eviction, uint16_t now, const Visit& visit) {
  const std::atomic<uint16_t>* const counters = index->counters();
  for (uint64_t s = 0; s < index->num_sets(); ++s) {
    const KeySet& set = index->sets()[s];
    for (int way = 0; way < KeySet::kWays; ++way) {
      if (set.rows[way].load(std::memory_order_acquire) < KeySet::kFirstRow) continue;
      const Key key = set.keys[way].load(std::memory_order_relaxed);
      if (key == index->FreeKey(s)) continue;
      uint32_t coldness = 0;
      if (counters != nullptr) {
        const uint64_t at = s * KeySet::kWays + static_cast<uint64_t>(way);
        coldness = eviction.Coldness(counters[at].load(std::memory_order_relaxed), now);
      }
      visit(key, coldness);
    }
  }
  const uint32_t of_new = counters == nullptr ? 0 : eviction.Coldness(eviction.New(), now);
  for (const auto& [key, row] : index->overflow().All()) visit(key, of_new);
}

}  // namespace

// By counting, in two passes: a sorted list of all keys with their counters took 16 bytes a row.
std::vector<Key> HottestKeys(KeyIndex* index, const EvictionPolicy& eviction, size_t n) {
  const uint16_t now = eviction.Now();
  std::vector<size_t> next(EvictionPolicy::kMaxColdness + 1);
  ForEachKey(index, eviction, now, [&](Key, uint32_t coldness) { ++next[coldness]; });
  size_t total = 0;
  for (size_t& count : next) total += std::exchange(count, total);

  std::vector<Key> keys(std::min(n, total));
  std::vector<bool> has_key(keys.size());
  ForEachKey(index, eviction, now, [&](Key key, uint32_t coldness) {
    const size_t place = next[coldness]++;
    if (place >= keys.size()) return;
    keys[place] = key;
    has_key[place] = true;
  });
  size_t kept = 0;
  for (size_t i = 0; i < keys.size(); ++i) {
    if (has_key[i]) keys[kept++] = keys[i];
  }
  keys.resize(kept);
  return keys;
}

}  // namespace tf_hps
