#include "cc/common/reuse_depths.h"

#include <cstddef>

#include "cc/common/hash.h"

namespace tf_hps {
namespace {

// Where each key was last, as a place from 1 on. Open addressing, at most half full.
class LastPlaces {
 public:
  explicit LastPlaces(size_t keys) : slots_(2 * keys + 1) {}

  // 0 for a key that is new.
  uint32_t& Of(Key key) {
    size_t at = ReduceHash(HashKey(key), slots_.size());
    while (slots_[at].place != 0 && slots_[at].key != key) {
      if (++at == slots_.size()) at = 0;
    }
    slots_[at].key = key;
    return slots_[at].place;
  }

 private:
  struct Slot {
    Key key = 0;
    uint32_t place = 0;
  };
  std::vector<Slot> slots_;
};

// Marks at places from 1 on, and how many there are up to one (a Fenwick tree).
class Marks {
 public:
  explicit Marks(size_t places) : tree_(places + 1) {}

  void Add(size_t place, uint32_t n) {
    for (; place < tree_.size(); place += place & -place) tree_[place] += n;
  }
  uint32_t UpTo(size_t place) const {
    uint32_t sum = 0;
    for (; place != 0; place &= place - 1) sum += tree_[place];
    return sum;
  }

 private:
  std::vector<uint32_t> tree_;
};

}  // namespace

std::vector<ReuseDepth> ReuseDepths(absl::Span<const Key> keys) {
  LastPlaces last(keys.size());
  Marks marks(keys.size());  // at the last place of each key so far
  uint32_t distinct = 0;
  std::vector<ReuseDepth> depths;
  depths.reserve(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    uint32_t& place = last.Of(keys[i]);
    if (place == 0) {
      depths.push_back({distinct++, true});
    } else {
      depths.push_back({distinct - marks.UpTo(place), false});
      marks.Add(place, ~uint32_t{0});  // one less
    }
    place = static_cast<uint32_t>(i + 1);
    marks.Add(place, 1);
  }
  return depths;
}

}  // namespace tf_hps
