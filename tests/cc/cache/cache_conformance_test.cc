// What embedding_cache.h promises, asked of the null cache and the CUDA cache: on emulated CUDA, or
// on a device where it is compiled for one.
#include <limits>

#include "tests/cc/cache/cache_verbs.h"

namespace tf_hps {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr Key kMinKey = std::numeric_limits<Key>::min();
constexpr Key kMaxKey = std::numeric_limits<Key>::max();
constexpr float kDefault = CachedTable::kDefault;
constexpr float kUntouched = CachedTable::kUntouched;

CacheOptions Options(int64_t dim = 4, int64_t rows = 64) {
  CacheOptions options;
  options.table = "movie_id";
  options.embedding_dim = dim;
  options.capacity_rows = rows;
  return options;
}

class CacheConformance : public ::testing::TestWithParam<bool> {
 protected:
  size_t Cold(size_t n) const { return GetParam() ? 0 : n; }  // misses of keys seen before
};

TEST_P(CacheConformance, RowsAreFoundColdAndWarm) {
  CachedTable table(Options(), GetParam());
  table.stored() = {{kMinKey, 1}, {0, 2}, {kMaxKey, 3}, {-1, 4}};
  const std::vector<Key> keys = {0, kMaxKey, kMinKey, 0, -1};
  EXPECT_THAT(table.Find(keys, table.home()), ElementsAre(2, 3, 1, 2, 4));
  EXPECT_EQ(table.misses(), 5);
  EXPECT_THAT(table.Find(keys, table.home()), ElementsAre(2, 3, 1, 2, 4));
  EXPECT_EQ(table.misses(), Cold(5));
}

TEST_P(CacheConformance, EmptyBatchHasNoMisses) {
  CachedTable table(Options(), GetParam());
  EXPECT_THAT(table.Find({}, table.home()), IsEmpty());
}

TEST_P(CacheConformance, MissesGetTheDefaultRowWhereTheBatchSaysSo) {
  CachedTable table(Options(), GetParam());
  table.stored() = {{1, 1}, {2, 2}};
  table.Find({1}, table.home());
  auto asked = table.Ask({1, 2}, table.home(), true);
  const float warm = GetParam() ? 1 : kDefault;
  EXPECT_THAT(table.Firsts(&asked), ElementsAre(warm, kDefault));
  auto untouched = table.Ask({2}, table.home(), false);
  EXPECT_THAT(table.Firsts(&untouched), ElementsAre(kUntouched));
}

TEST_P(CacheConformance, UnknownKeysGetTheDefaultRowsOfTheirBuckets) {
  CachedTable table(Options(), GetParam());
  table.stored() = {{6, 6}};
  table.default_buckets = {3, BucketRule::kFloorMod};
  const std::vector<Key> keys = {6, 7, 8, 9, -4, kMinKey};
  auto cold = table.Ask(keys, table.home(), true);
  const auto wanted = [](float stored) {
    return ElementsAre(stored, kDefault - 10, kDefault - 20, kDefault, kDefault - 20,
                       kDefault - 10);
  };
  EXPECT_THAT(table.Firsts(&cold), wanted(kDefault));
  EXPECT_THAT(table.Find(keys, table.home()), wanted(6));
  EXPECT_THAT(table.Find(keys, table.home()), wanted(6)) << "marked as unknown";
  table.default_buckets.rule = BucketRule::kFingerprint;
  EXPECT_THAT(table.Find({-1, -2}, table.home()), ElementsAre(kDefault, kDefault - 20));
}

TEST_P(CacheConformance, AbsenceIsRememberedUntilARowComes) {
  CachedTable table(Options(), GetParam());
  EXPECT_THAT(table.Find({7, 8}, table.home()), ElementsAre(kDefault, kDefault));
  EXPECT_THAT(table.Find({7, 8}, table.home()), ElementsAre(kDefault, kDefault));
  EXPECT_EQ(table.misses(), Cold(2));
  EXPECT_EQ(table.Stats(table.home()).absent, GetParam() ? 2 : 0);
  table.Write({7}, {70}, table.home());
  EXPECT_THAT(table.Find({7, 8}, table.home()), ElementsAre(70, kDefault));
  EXPECT_EQ(table.Stats(table.home()).rows, GetParam() ? 1 : 0);
}

TEST_P(CacheConformance, UpdatesAndErasesReachResidentRows) {
  CachedTable table(Options(), GetParam());
  table.stored() = {{1, 1}, {2, 2}, {3, 3}};
  table.Find({1, 2, 3}, table.home());
  table.Write({1, 1, 9}, {10, 11, 90}, table.home());
  table.Remove({2}, table.home());
  EXPECT_EQ(table.Stats(table.home()).rows, GetParam() ? 2 : 0);
  EXPECT_THAT(table.Find({1, 2, 3, 9}, table.home()), ElementsAre(11, kDefault, 3, 90));
}

TEST_P(CacheConformance, AFillDoesNotUndoAnUpdate) {
  CachedTable table(Options(), GetParam());
  table.stored() = {{1, 1}, {2, 2}};
  auto asked = table.Ask({1, 2}, table.home());
  ASSERT_TRUE(asked.lookup->Wait().ok());
  const auto answer = table.AskStore(asked.lookup->keys());
  table.Write({1}, {10}, table.home());
  table.Fill(answer, &asked, table.home());
  EXPECT_THAT(table.Firsts(&asked), ElementsAre(1, 2));
  EXPECT_THAT(table.Find({1, 2}, table.home()), ElementsAre(10, 2));
  EXPECT_EQ(table.Stats(table.home()).refused, GetParam() ? 1 : 0);
}

TEST_P(CacheConformance, ResidentKeysComeInSlices) {
  CachedTable table(Options(4, 150), GetParam());
  std::vector<Key> keys;
  for (Key key = 0; key < 40; ++key) {
    table.stored()[key] = static_cast<float>(key);
    keys.push_back(key);
  }
  table.Find(keys, table.home());
  std::vector<Key> resident;
  for (size_t slice = 0; slice < 3; ++slice) {
    auto part = table.cache()->ResidentKeys(slice, 3, table.home());
    ASSERT_TRUE(part.ok()) << part.status();
    resident.insert(resident.end(), part->begin(), part->end());
  }
  if (!GetParam()) keys.clear();
  EXPECT_THAT(resident, ::testing::UnorderedElementsAreArray(keys));
}

TEST_P(CacheConformance, ATooSmallCacheGivesRightRows) {
  CachedTable table(Options(4, 15), GetParam());
  std::vector<Key> keys;
  for (Key key = 0; key < 100; ++key) {
    table.stored()[key] = static_cast<float>(key);
    keys.push_back(key);
  }
  for (int turn = 0; turn < 3; ++turn) {
    EXPECT_EQ(table.Find(keys, table.home()), table.Wanted(keys));
  }
  const CacheStats stats = table.Stats(table.home());
  EXPECT_EQ(stats.rows, GetParam() ? 15 : 0);
  EXPECT_EQ(stats.evictions > 0, GetParam());
}

TEST_P(CacheConformance, ElevenTenthsOfTheRowsKeepEveryRow) {
  CachedTable table(Options(1, 3300), GetParam());
  std::vector<Key> keys;
  for (Key key = 0; key < 3000; ++key) {
    table.stored()[key] = static_cast<float>(key);
    keys.push_back(key);
  }
  for (size_t at = 0; at < keys.size(); at += 500) {
    table.Find({keys.begin() + at, keys.begin() + at + 500}, table.home());
  }
  EXPECT_EQ(table.Find(keys, table.home()), table.Wanted(keys));
  EXPECT_EQ(table.misses(), Cold(3000));
  EXPECT_EQ(table.Stats(table.home()).evictions, 0);
}

// Every format to every type, dimensions that are and are not multiples of 4, against the CPU's
// codec, bit for bit.
TEST_P(CacheConformance, RowsAreDecodedAsOnTheCpu) {
  for (int64_t dim : {1, 3, 4, 8, 33, 132}) {
    for (int format = 0; format < 4; ++format) {
      for (int type = 0; type < 3; ++type) {
        SCOPED_TRACE(testing::Message()
                     << "dim " << dim << " format " << format << " type " << type);
        CacheOptions options = Options(dim);
        options.row_format = static_cast<RowFormat>(format);
        const auto out_type = static_cast<ElementType>(type);
        CachedTable table(options, GetParam());
        const size_t row_bytes = RowBytes(options.row_format, dim);
        const size_t out_bytes = dim * ElementBytes(out_type);
        std::vector<float> elements(dim);
        for (int64_t e = 0; e < dim; ++e)
          elements[e] = (e % 7 - 3) * 0.37f * (e % 5 == 4 ? 1e-6f : 1);
        std::vector<uint8_t> row(row_bytes);
        SelectEncodeRow(ElementType::kFloat32, options.row_format)(
            reinterpret_cast<const uint8_t*>(elements.data()), row.data(), dim);
        std::vector<uint8_t> wanted(2 * out_bytes);
        for (int p = 0; p < 2; ++p) {
          SelectDecodeRow(options.row_format, out_type, CpuIsa::kPortable)(
              row.data(), wanted.data() + p * out_bytes, dim);
        }
        const std::vector<Key> keys = {5, 5};
        TestArray<Key> device_keys(keys, GetParam(), table.home());
        UpdateStamps stamps;
        const StampsRead read(&stamps, {Key{5}});
        for (int turn = 0; turn < 2; ++turn) {
          TestArray<uint8_t> out(std::vector<uint8_t>(2 * out_bytes), GetParam(), table.home());
          const CacheRows rows = {out.data(), out_type, nullptr};
          const CacheBatch batch = {device_keys.data(), 2, rows, false};
          auto lookup = table.cache()->Lookup(batch, table.home());
          ASSERT_TRUE(lookup.ok()) << lookup.status();
          ASSERT_TRUE((*lookup)->Wait().ok());
          EXPECT_EQ((*lookup)->keys().size(), turn == 0 || !GetParam() ? 2 : 0);
          if (!(*lookup)->keys().empty()) {
            const std::vector<Key> unique = {5};
            const std::vector<uint32_t> key_of_miss = {0, 0};
            CacheFill fill;
            fill.keys = unique;
            fill.rows = RowsView(row.data(), row_bytes);
            fill.out = &rows;
            fill.positions = (*lookup)->positions();
            fill.key_of_miss = key_of_miss;
            fill.stamps = &read;
            ASSERT_TRUE(table.cache()->Fill(fill, table.memory(), table.home()).ok());
          }
          EXPECT_EQ(out.Read(), wanted);
        }
      }
    }
  }
}

template <class Id>
void CheckPreparedKeys(CachedTable* table) {
  const std::vector<Id> ids = {0, 4, -1, -5, 5, -6};
  TestArray<Id> on_device(ids, table->on_device(), table->home());
  TestArray<Key> keys(std::vector<Key>(ids.size()), table->on_device(), table->home());
  CacheIds raw = {on_device.data(), sizeof(Id) == 4, ids.size()};
  auto bad = table->cache()->PrepareKeys(raw, keys.data(), table->home());
  ASSERT_TRUE(bad.ok()) << bad.status();
  EXPECT_EQ(*bad, nullptr) << "every id is a key";
  EXPECT_THAT(keys.Read(), ElementsAre(0, 4, -1, -5, 5, -6));

  raw.vocabulary_size = 5;
  raw.wraps_negatives = true;
  bad = table->cache()->PrepareKeys(raw, keys.data(), table->home());
  ASSERT_TRUE(bad.ok()) << bad.status();
  ASSERT_TRUE((*bad)->Wait().ok());
  EXPECT_THAT(keys.Read(), ElementsAre(0, 4, 4, 0, 5, -6));
  EXPECT_THAT((*bad)->keys(), UnorderedElementsAre(5, -6));
  EXPECT_THAT((*bad)->positions(), UnorderedElementsAre(4, 5));
}

TEST_P(CacheConformance, IdsBecomeKeysAndThoseOutOfRangeAreTold) {
  CachedTable table(Options(), GetParam());
  CheckPreparedKeys<int32_t>(&table);
  CheckPreparedKeys<int64_t>(&table);
}

TEST_P(CacheConformance, StreamsAreOrderedByTheCache) {
  TestStream reader;
  TestStream writer;
  CachedTable table(Options(), GetParam());
  table.stored() = {{1, 1}, {2, 2}};
  EXPECT_THAT(table.Find({1, 2}, reader.get()), ElementsAre(1, 2));
  for (float value = 10; value < 20; ++value) {
    auto before = table.Ask({1, 2}, reader.get());
    table.Write({1, 2}, {value, -value}, writer.get());
    auto after = table.Ask({1, 2}, reader.get());
    if (!GetParam()) continue;
    const float was = value == 10 ? 1 : value - 1;
    EXPECT_THAT(table.Firsts(&before), ElementsAre(was, value == 10 ? 2 : -was));
    EXPECT_THAT(table.Firsts(&after), ElementsAre(value, -value));
  }
}

INSTANTIATE_TEST_SUITE_P(Null, CacheConformance, ::testing::Values(false));
INSTANTIATE_TEST_SUITE_P(Cuda, CacheConformance, ::testing::Values(true));

TEST(CudaCacheTest, HostWaitsOnceForALookup) {
  CachedTable table(Options(), true);
  table.stored() = {{1, 1}};
  const int64_t before = table.Stats(table.home()).host_waits;
  table.Find({1, 2}, table.home());  // misses
  table.Find({1, 2}, table.home());  // hits
  auto asked = table.Ask({1, 2, 3}, table.home(), true);
  // Three waits are two lookups' and one of Stats itself; the asynchronous one has none.
  EXPECT_EQ(table.Stats(table.home()).host_waits, before + 3);
}

TEST(CudaCacheTest, ALookupIsCapturedAndReplayed) {
  CachedTable table(Options(), true);
  table.stored() = {{1, 1}, {2, 2}};
  table.Find({1}, table.home());
  TestArray<Key> keys({1, 2}, true, table.home());
  TestArray<float> out(std::vector<float>(8), true, table.home());
  TestArray<float> default_row(std::vector<float>(4, kDefault), true, table.home());
  const CacheBatch batch = {
      keys.data(), 2, {out.data(), ElementType::kFloat32, default_row.data()}, true};
  // What is captured allocates nothing, though no lookup was as long before.
  ASSERT_EQ(cudaStreamBeginCapture(table.home(), cudaStreamCaptureModeGlobal), cudaSuccess);
  auto lookup = table.cache()->Lookup(batch, table.home());
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaStreamEndCapture(table.home(), &graph), cudaSuccess);
  ASSERT_TRUE(lookup.ok()) << lookup.status();
  cudaGraphExec_t executable = nullptr;
  ASSERT_EQ(cudaGraphInstantiate(&executable, graph, 0), cudaSuccess);
  ASSERT_EQ(cudaGraphLaunch(executable, table.home()), cudaSuccess);
  EXPECT_EQ(out.Read()[0], 1);
  EXPECT_EQ(out.Read()[4], kDefault);
  EXPECT_THAT((*lookup)->keys(), ElementsAre(2));
  table.Fill(table.AskStore((*lookup)->keys()), nullptr, table.home());
  ASSERT_EQ(cudaGraphLaunch(executable, table.home()), cudaSuccess);
  EXPECT_EQ(out.Read()[4], 2);
  EXPECT_THAT((*lookup)->keys(), IsEmpty());
  (void)cudaGraphExecDestroy(executable);
  (void)cudaGraphDestroy(graph);
}

TEST(CudaCacheTest, ANewStreamIsNotCapturedAtOnce) {
  TestStream stream;
  CachedTable table(Options(), true);
  TestArray<Key> keys({1}, true, table.home());
  const CacheBatch batch = {keys.data(), 1, {}, false};
  ASSERT_EQ(cudaStreamBeginCapture(stream.get(), cudaStreamCaptureModeRelaxed), cudaSuccess);
  EXPECT_EQ(table.cache()->Lookup(batch, stream.get()).status().code(),
            absl::StatusCode::kFailedPrecondition);
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaStreamEndCapture(stream.get(), &graph), cudaSuccess);
  (void)cudaGraphDestroy(graph);
}

TEST(CudaCacheTest, BadOptionsAreErrorsThatSayWhatCame) {
  TestDeviceMemory memory;
  TestStream stream;
  const auto message = [&](CacheOptions options) {
    return std::string(NewCudaCache(options, &memory, stream.get()).status().message());
  };
  EXPECT_THAT(message(Options(0)), HasSubstr("embedding_dim is 1 to 2^24. Received: 0"));
  EXPECT_THAT(message(Options(4, 0)), HasSubstr("one of capacity_rows and capacity_bytes"));
  EXPECT_THAT(message(Options(4, -5)), HasSubstr("capacity_rows is negative. Received: -5"));
  CacheOptions bytes = Options(4, 0);
  bytes.capacity_bytes = 100;
  EXPECT_THAT(message(bytes), HasSubstr("capacity_bytes is at least 368"));
  const std::string huge = message(Options(4, int64_t{1} << 45));
  EXPECT_THAT(huge, HasSubstr("\"movie_id\" needs 863189928581968 bytes"));
  EXPECT_THAT(huge, HasSubstr("; free: "));
}

#ifdef TF_HPS_CUDA_EMULATION
TEST(CudaCacheTest, AnOldDriverIsNamed) {
  TestDeviceMemory memory;
  cuda_emulation::SetDriverVersion(12050);
  const absl::Status status = NewCudaCache(Options(), &memory, nullptr).status();
  cuda_emulation::SetDriverVersion(13000);
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("knows CUDA 12.5"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("built with CUDA 13.0"));
}
#endif

}  // namespace
}  // namespace tf_hps
