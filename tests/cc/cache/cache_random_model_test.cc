// Random use of the CUDA cache on emulated CUDA, against a std::map: several streams, lookups that
// are answered late, updates that pass them, a cache that is too small. TF_HPS_CUDA_SEEDS raises
// the number of seeds.
#include <cstdlib>
#include <random>
#include <set>

#include "tests/cc/cache/cache_verbs.h"

namespace tf_hps {
namespace {

int Seeds() {
  const char* const seeds = std::getenv("TF_HPS_CUDA_SEEDS");
  return seeds == nullptr ? 60 : std::atoi(seeds);
}

class RandomUse {
 public:
  explicit RandomUse(uint64_t seed) : random_(seed) {
#ifdef TF_HPS_CUDA_EMULATION
    cuda_emulation::Seed(seed);
#endif
    CacheOptions options;
    options.table = "movie_id";
    options.embedding_dim = 1 + Below(6);
    options.capacity_rows = 15 * (1 + Below(4));
    options.policy = Below(2) == 0 ? CachePolicy::kLru : CachePolicy::kLfu;
    table_ = std::make_unique<CachedTable>(options, true);
    streams_.push_back(table_->home());
    for (const TestStream& stream : more_streams_) streams_.push_back(stream.get());
  }
  ~RandomUse() { late_.clear(); }

  void Step() {
    const cudaStream_t stream = streams_[Below(streams_.size())];
    switch (Below(8)) {
      case 0:
      case 1: {
        const std::vector<Key> keys = Keys();
        std::vector<float> firsts;
        for (size_t i = 0; i < keys.size(); ++i) firsts.push_back(++next_value_);
        table_->Write(keys, firsts, stream);
        break;
      }
      case 2:
        table_->Remove(Keys(), stream);
        break;
      case 3:
        AskForLater(stream);
        break;
      case 4:
        FillLate();
        break;
      default: {
        const std::vector<Key> keys = Keys();
        EXPECT_EQ(table_->Find(keys, stream), table_->Wanted(keys));
      }
    }
  }

  void CheckResident() {
    while (!late_.empty()) FillLate();
    auto resident = table_->cache()->ResidentKeys(0, 1, table_->home());
    ASSERT_TRUE(resident.ok());
    const CacheStats stats = table_->Stats(table_->home());
    EXPECT_EQ(static_cast<size_t>(stats.rows + stats.absent), resident->size());
    EXPECT_EQ(std::set<Key>(resident->begin(), resident->end()).size(), resident->size());
    EXPECT_EQ(table_->Find(*resident, table_->home()), table_->Wanted(*resident));
    EXPECT_EQ(table_->misses(), 0u);
  }

 private:
  struct Late {
    cudaStream_t stream;
    CachedTable::Asked asked;
    CachedTable::Answer answer;
    std::vector<float> wanted;
  };

  size_t Below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }
  std::vector<Key> Keys() {
    std::vector<Key> keys(Below(24));
    for (Key& key : keys) key = static_cast<Key>(Below(90)) * 0x123456789abcdef - 7;
    return keys;
  }
  // The store is asked now; the fill comes after whatever happens meanwhile.
  void AskForLater(cudaStream_t stream) {
    const std::vector<Key> keys = Keys();
    Late late = {stream, table_->Ask(keys, stream), {}, table_->Wanted(keys)};
    ASSERT_TRUE(late.asked.lookup->Wait().ok());
    late.answer = table_->AskStore(late.asked.lookup->keys());
    late_.push_back(std::move(late));
  }
  void FillLate() {
    if (late_.empty()) return;
    const size_t at = Below(late_.size());
    Late& late = late_[at];
    table_->Fill(late.answer, &late.asked, late.stream);
    EXPECT_EQ(table_->Firsts(&late.asked), late.wanted);
    late_.erase(late_.begin() + static_cast<std::ptrdiff_t>(at));
  }

  std::mt19937_64 random_;
  TestStream more_streams_[2];
  std::unique_ptr<CachedTable> table_;
  std::vector<cudaStream_t> streams_;
  std::vector<Late> late_;
  float next_value_ = 0;
};

TEST(CacheRandomModelTest, AnyUseGivesTheRowsOfTheModel) {
  for (int seed = 1; seed <= Seeds() && !HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    RandomUse use(seed);
    for (int step = 0; step < 40 && !HasFailure(); ++step) use.Step();
    use.CheckResident();
  }
}

}  // namespace
}  // namespace tf_hps
