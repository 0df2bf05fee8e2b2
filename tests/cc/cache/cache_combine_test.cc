// Combine and CombineRows of the null cache and the CUDA cache against the CPU's BagCombiner.
#include "cc/common/bag_combiner.h"
#include "tests/cc/cache/cache_verbs.h"

namespace tf_hps {
namespace {

using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

// The second bag is empty; nobody knows key 9; the last bag's weights are 0 altogether.
const std::vector<Key> kIds = {1, 2, 3, 1, 9, 2};
const std::vector<int64_t> kSplits = {0, 2, 2, 5, 6};
const std::vector<float> kWeights = {0.5f, 2, 1.5f, -0.25f, 3, 0};
constexpr size_t kBags = 4;
constexpr float kDefaultValue = -2.5f;
constexpr uint8_t kUntouchedByte = 0xcd;

class BagsOfRows {
 public:
  BagsOfRows(int64_t dim, RowFormat format, bool on_device)
      : dim_(dim),
        format_(format),
        on_device_(on_device),
        ids_(kIds, on_device, stream_.get()),
        splits_(kSplits, on_device, stream_.get()),
        weights_(kWeights, on_device, stream_.get()),
        default_row_(DefaultRows(dim), on_device, stream_.get()) {
    CacheOptions options;
    options.table = "genre_id";
    options.embedding_dim = dim;
    options.row_format = format;
    options.capacity_rows = 30;
    if (!on_device) {
      cache_ = NewNullCache(options);
      return;
    }
    auto cache = NewCudaCache(options, &memory_, stream_.get());
    EXPECT_TRUE(cache.ok()) << cache.status();
    if (cache.ok()) cache_ = *std::move(cache);
  }

  // Key 9 as one that nobody knows.
  void Keep(const std::vector<Key>& keys) {
    const UpdateStamps stamps;
    const StampsRead read(&stamps, keys);
    const size_t row_bytes = RowBytes(format_, dim_);
    std::vector<uint8_t> rows;
    std::vector<uint8_t> found;
    for (Key key : keys) {
      const std::vector<uint8_t> row = StoredRow(key);
      rows.insert(rows.end(), row.begin(), row.end());
      found.push_back(key != 9);
    }
    CacheFill fill;
    fill.keys = keys;
    fill.rows = RowsView(rows.data(), row_bytes);
    fill.found = found;
    fill.stamps = &read;
    EXPECT_TRUE(cache_->Fill(fill, &memory_, stream_.get()).ok());
  }

  struct Combined {
    std::vector<uint8_t> bags;
    std::vector<std::pair<uint32_t, Key>> misses;
  };
  Combined Combine(Combiner combiner, bool weighted, ElementType type) {
    TestArray<uint8_t> out(Untouched(type), on_device_, stream_.get());
    auto lookup = cache_->Combine(Batch(&out, type), DeviceBags(combiner, weighted), stream_.get());
    EXPECT_TRUE(lookup.ok()) << lookup.status();
    if (!lookup.ok()) return {};
    EXPECT_TRUE((*lookup)->Wait().ok());
    Combined combined = {out.Read(), {}};
    for (size_t m = 0; m < (*lookup)->keys().size(); ++m) {
      combined.misses.emplace_back((*lookup)->positions()[m], (*lookup)->keys()[m]);
    }
    return combined;
  }
  std::vector<uint8_t> CombineRows(Combiner combiner, bool weighted, ElementType type) {
    TestArray<uint8_t> out(Untouched(type), on_device_, stream_.get());
    TestArray<float> rows(DecodedRows(), on_device_, stream_.get());
    EXPECT_TRUE(cache_
                    ->CombineRows(rows.data(), Batch(&out, type), DeviceBags(combiner, weighted),
                                  stream_.get())
                    .ok());
    return out.Read();
  }
  std::vector<uint8_t> Wanted(Combiner combiner, bool weighted, ElementType type) const {
    std::vector<uint8_t> wanted = Untouched(type);
    Bags bags;
    bags.splits = kSplits;
    bags.weights = weighted ? kWeights.data() : nullptr;
    bags.combiner = combiner;
    BagCombiner by_hand(bags, 0, kBags, dim_, type, wanted.data());
    by_hand.Add(DecodedRows().data(), kIds.size());
    by_hand.Finish();
    return wanted;
  }

 private:
  std::vector<uint8_t> StoredRow(Key key) const {
    std::vector<float> elements(dim_);
    for (int64_t e = 0; e < dim_; ++e) {
      elements[e] = static_cast<float>((key * 31 + e * 7) % 23 - 11) * 0.37f;
    }
    std::vector<uint8_t> row(RowBytes(format_, dim_));
    SelectEncodeRow(ElementType::kFloat32, format_)(
        reinterpret_cast<const uint8_t*>(elements.data()), row.data(), dim_);
    return row;
  }
  std::vector<float> DecodedRows() const {
    std::vector<float> rows(kIds.size() * dim_, kDefaultValue);
    const DecodeRow decode = SelectDecodeRow(format_, ElementType::kFloat32, CpuIsa::kPortable);
    for (size_t i = 0; i < kIds.size(); ++i) {
      if (kIds[i] == 9) continue;
      decode(StoredRow(kIds[i]).data(), reinterpret_cast<uint8_t*>(rows.data() + i * dim_), dim_);
    }
    return rows;
  }
  std::vector<uint8_t> Untouched(ElementType type) const {
    return std::vector<uint8_t>(kBags * dim_ * ElementBytes(type), kUntouchedByte);
  }
  CacheBatch Batch(TestArray<uint8_t>* out, ElementType type) {
    return {ids_.data(), kIds.size(), {out->data(), type, nullptr}, false};
  }
  // Of two buckets: id 9 is in the second one.
  static std::vector<float> DefaultRows(int64_t dim) {
    std::vector<float> rows(2 * dim, kDefaultValue);
    std::fill_n(rows.begin(), dim, -kDefaultValue);
    return rows;
  }
  CacheBags DeviceBags(Combiner combiner, bool weighted) {
    return {splits_.data(),
            kBags,
            weighted ? weights_.data() : nullptr,
            combiner,
            default_row_.data(),
            {2, BucketRule::kFloorMod}};
  }

  const int64_t dim_;
  const RowFormat format_;
  const bool on_device_;
  TestDeviceMemory memory_;
  TestStream stream_;
  TestArray<Key> ids_;
  TestArray<int64_t> splits_;
  TestArray<float> weights_;
  TestArray<float> default_row_;
  std::unique_ptr<EmbeddingCache> cache_;
};

constexpr Combiner kCombiners[] = {Combiner::kSum, Combiner::kMean, Combiner::kSqrtn};

class CacheCombine : public ::testing::TestWithParam<bool> {};

// A row of 132 takes a lane two turns.
TEST_P(CacheCombine, BagsAreAddedAsOnTheCpuBitForBit) {
  for (int64_t dim : {1, 4, 33, 132}) {
    for (int format = 0; format < 4; ++format) {
      BagsOfRows bags(dim, static_cast<RowFormat>(format), GetParam());
      bags.Keep({1, 2, 3, 9});
      for (int i = 0; i < 18; ++i) {
        const Combiner combiner = kCombiners[i % 3];
        const bool weighted = i / 3 % 2 == 1;
        const auto type = static_cast<ElementType>(i / 6);
        SCOPED_TRACE(testing::Message() << "dim " << dim << " format " << format << " combiner "
                                        << i % 3 << " weighted " << weighted << " type " << i / 6);
        const std::vector<uint8_t> wanted = bags.Wanted(combiner, weighted, type);
        EXPECT_EQ(bags.CombineRows(combiner, weighted, type), wanted);
        if (!GetParam()) continue;
        const BagsOfRows::Combined combined = bags.Combine(combiner, weighted, type);
        EXPECT_THAT(combined.misses, IsEmpty());
        EXPECT_EQ(combined.bags, wanted);
      }
    }
  }
}

TEST_P(CacheCombine, WhatIsMissingIsToldOnceAPositionAndItsBagIsLeft) {
  BagsOfRows bags(132, RowFormat::kFloat32, GetParam());
  bags.Keep({1, 9});  // complete are the empty bag alone, so 2 and 3 are asked for
  const auto combined = bags.Combine(Combiner::kSum, false, ElementType::kFloat32);
  if (!GetParam()) {
    EXPECT_EQ(combined.misses.size(), kIds.size());
    return;
  }
  EXPECT_THAT(combined.misses, UnorderedElementsAre(Pair(1, 2), Pair(2, 3), Pair(5, 2)));
  const size_t bag_bytes = 132 * sizeof(float);
  std::vector<uint8_t> wanted(kBags * bag_bytes, kUntouchedByte);
  std::fill_n(wanted.begin() + bag_bytes, bag_bytes, 0);
  EXPECT_EQ(combined.bags, wanted);
}

INSTANTIATE_TEST_SUITE_P(Null, CacheCombine, ::testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Cuda, CacheCombine, ::testing::Values(true));

}  // namespace
}  // namespace tf_hps
