// Every kind of store against a std::map, in random operations. Repeat a failure with its seed:
//   TF_HPS_TEST_SEED=17 random_model_test
#include <cstdlib>
#include <random>

#include "tests/cc/repetitions.h"
#include "tests/cc/storage/store_kinds.h"
#include "tests/cc/storage/store_verbs.h"
#include "tests/cc/storage/temp_dir.h"

namespace tf_hps {
namespace {

class RandomModel : public ::testing::TestWithParam<StoreKind> {
 protected:
  void Open() {
    store_.reset();
    auto store = OpenStore(GetParam(), dir_.path());
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  int Random(int n) { return static_cast<int>(random_() % n); }

  // A few keys that meet often, the ends of the range among them.
  Key RandomKey() {
    const int n = Random(400);
    if (n == 0) return kMinKey;
    if (n == 1) return kMaxKey;
    return (n - 200) * (n % 3 == 0 ? 1LL << 33 : 1);
  }

  std::vector<Key> RandomKeys() {
    std::vector<Key> keys(Random(4) == 0 ? Random(2000) : Random(20));
    for (Key& key : keys) key = RandomKey();
    return keys;
  }

  void InsertSome() {
    InsertOptions options;
    if (Random(3) == 0) options.existing = OnExisting::kKeep;
    std::vector<Key> keys = RandomKeys();
    std::vector<Row> rows;
    for (size_t i = 0; i < keys.size(); ++i) rows.push_back(RowOf(version_++));
    if (options.existing == OnExisting::kKeep) {
      // Which of equal keys a promotion keeps is open: promoters send each once.
      std::sort(keys.begin(), keys.end());
      keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
      rows.resize(keys.size());
    }
    ASSERT_TRUE(Insert(*store_, keys, rows, options).ok());
    for (size_t i = 0; i < keys.size(); ++i) {
      if (options.existing == OnExisting::kKeep) {
        model_.emplace(keys[i], rows[i]);
      } else {
        model_[keys[i]] = rows[i];
      }
    }
  }

  void EraseSome() {
    const std::vector<Key> keys = RandomKeys();
    ASSERT_TRUE(store_->Erase(keys).ok());
    for (const Key key : keys) model_.erase(key);
  }

  void FindSome() {
    const std::vector<Key> keys = RandomKeys();
    std::map<Key, Row> expected;
    for (const Key key : keys) {
      if (const auto it = model_.find(key); it != model_.end()) expected.insert(*it);
    }
    ASSERT_EQ(FindAll(*store_, keys), expected);
  }

  void ScanSome() {
    Key first = RandomKey();
    Key last = RandomKey();
    if (first > last) std::swap(first, last);
    const std::map<Key, Row> expected(model_.lower_bound(first), model_.upper_bound(last));
    ASSERT_EQ(ScanAll(*store_, first, last, 1 + Random(100)), expected);
  }

  TempDir dir_;
  std::mt19937_64 random_;
  std::unique_ptr<EmbeddingStore> store_;
  std::map<Key, Row> model_;
  int version_ = 0;
};

TEST_P(RandomModel, AgreesWithAMap) {
  const char* const given = std::getenv("TF_HPS_TEST_SEED");
  const uint64_t seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  SCOPED_TRACE("TF_HPS_TEST_SEED=" + std::to_string(seed));
  random_.seed(seed);
  Open();
  // A scan of Redis is many round trips.
  const int steps = Repetitions(GetParam().kind == "redis" ? 200 : 2000);
  for (int step = 0; step < steps && !HasFailure(); ++step) {
    SCOPED_TRACE("step " + std::to_string(step));
    const int operation = Random(1000);
    if (operation < 300) {
      InsertSome();
    } else if (operation < 400) {
      EraseSome();
    } else if (operation < 900) {
      FindSome();
    } else if (operation < 990) {
      ScanSome();
    } else if (GetParam().keeps_rows) {
      Open();
    }
  }
  EXPECT_EQ(ScanAll(*store_), model_);
}

INSTANTIATE_TEST_SUITE_P(Kinds, RandomModel, ::testing::ValuesIn(LinkedStoreKinds()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace tf_hps
