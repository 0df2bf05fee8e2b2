// Random use of the memory store against std::unordered_map, with each instruction set.
#include <algorithm>
#include <random>
#include <unordered_map>

#include "cc/common/update_stamps.h"
#include "tests/cc/storage/memory_store_verbs.h"

namespace tf_hps {
namespace {

struct Use {
  CpuIsa isa;
  int64_t capacity_rows;
  EvictionPolicy::Kind eviction;
};

class MemoryStoreModelTest : public ::testing::TestWithParam<Use> {};

// What the store should hold. With evictions a row may be missing; one that is there is the newest.
TEST_P(MemoryStoreModelTest, RandomUseGivesWhatAMapGives) {
  const uint64_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  MemoryStoreOptions options;
  options.isa = GetParam().isa;
  options.capacity_rows = GetParam().capacity_rows;
  options.eviction = GetParam().eviction;
  const bool evicts = options.capacity_rows > 0;
  int64_t limit = options.capacity_rows;
  const WordStore store(options);
  UpdateStamps stamps;
  std::unordered_map<Key, uint64_t> rows;
  std::unordered_map<Key, bool> marked;
  std::unique_ptr<RowScanner> scanner;

  for (int step = 0; step < 2000; ++step) {
    std::vector<Key> keys(1 + random() % 40);
    // Now all over the place, now close together, and the key that zeroed memory holds.
    for (Key& key : keys) key = static_cast<Key>(random() % 8 == 0 ? 0 : random() % 3000 - 1500);
    std::vector<uint64_t> values(keys.size());
    for (uint64_t& value : values) value = random() >> 1;
    switch (random() % 9) {
      case 0:
      case 1:
      case 2: {
        ASSERT_TRUE(store.Insert(keys, values).ok());
        for (size_t i = 0; i < keys.size(); ++i) rows[keys[i]] = values[i];
        break;
      }
      case 3: {
        if (evicts) break;  // which of the two stands there is not known
        InsertOptions keep;
        keep.existing = OnExisting::kKeep;
        ASSERT_TRUE(store.Insert(keys, values, keep).ok());
        for (size_t i = 0; i < keys.size(); ++i) rows.emplace(keys[i], values[i]);
        break;
      }
      case 4: {
        ASSERT_TRUE(store.store().Erase(keys).ok());
        for (Key key : keys) rows.erase(key);
        break;
      }
      case 5: {
        std::vector<Key> unknown;
        for (Key key : keys) {
          if (rows.count(key) == 0) unknown.push_back(key);
        }
        store.store().MarkAbsent(unknown, StampsRead(&stamps, unknown));
        for (Key key : unknown) marked[key] = true;
        break;
      }
      case 6: {  // opens, or closes, a scanner: keys overflow or move
        if (scanner == nullptr) {
          scanner = *store.store().NewScanner(-100, 100);
        } else {
          scanner.reset();
        }
        break;
      }
      case 7: {
        limit = 1 + static_cast<int64_t>(random() % std::max<int64_t>(1, options.capacity_rows));
        ASSERT_TRUE(store.store().LimitRows(limit).ok());
        if (random() % 4 == 0) store.store().CountUses();
        break;
      }
      default: {
        const std::vector<uint64_t> found = store.Find(keys);
        for (size_t i = 0; i < keys.size(); ++i) {
          const auto row = rows.find(keys[i]);
          if (row == rows.end()) {
            ASSERT_TRUE(found[i] == WordStore::kNotFound ||
                        (found[i] == WordStore::kDefault && marked[keys[i]]))
                << "step " << step << " key " << keys[i] << " is not stored, found " << found[i];
          } else {
            ASSERT_TRUE(found[i] == row->second || (evicts && found[i] == WordStore::kNotFound))
                << "step " << step << " key " << keys[i] << ": " << found[i];
          }
        }
      }
    }
    if (evicts) {
      ASSERT_LE(store.store().Stats().rows, limit);
      ASSERT_EQ(store.store().Stats().capacity_rows, limit);
    } else {
      ASSERT_EQ(store.store().Stats().rows, rows.size()) << "step " << step;
    }
  }
}

std::vector<Use> Uses() {
  std::vector<Use> uses;
  for (CpuIsa isa : CpuIsas()) {
    for (int64_t capacity : {0, 1, 3, 20, 500}) {
      uses.push_back({isa, capacity, EvictionPolicy::Kind::kLru});
    }
    uses.push_back({isa, 500, EvictionPolicy::Kind::kLfu});
  }
  return uses;
}

INSTANTIATE_TEST_SUITE_P(Uses, MemoryStoreModelTest, ::testing::ValuesIn(Uses()),
                         [](const ::testing::TestParamInfo<Use>& info) {
                           return std::string(CpuIsaName(info.param.isa)) + "_" +
                                  std::to_string(info.param.capacity_rows) +
                                  (info.param.eviction == EvictionPolicy::Kind::kLfu ? "_lfu" : "");
                         });

}  // namespace
}  // namespace tf_hps
