// No torn row in very many reads, with a writer that replaces rows all the time: every row carries
// a checksum. TF_HPS_SOAK_READS says how many reads; `./run soak` sets it to a thousand million.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

#include "cc/storage/memory_store.h"
#include "gtest/gtest.h"

namespace tf_hps {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int64_t kDefaultReads = 200'000;
#else
constexpr int64_t kDefaultReads = 10'000'000;
#endif
constexpr int kReaders = 8;
constexpr Key kKeys = 200'000;
constexpr size_t kBatch = 256;
constexpr size_t kWords = 32;  // of 64 bits: 64 floats
constexpr size_t kRowBytes = kWords * sizeof(uint64_t);
constexpr int64_t kWritesPerSecond = 100'000;

// The key, the version, words made of both, and their sum.
void MakeRow(Key key, uint64_t version, uint64_t* row) {
  row[0] = static_cast<uint64_t>(key);
  row[1] = version;
  uint64_t sum = row[0] + row[1];
  for (size_t w = 2; w + 1 < kWords; ++w) {
    row[w] = (row[0] * 0x9e3779b97f4a7c15 + version) * (2 * w + 1);
    sum += row[w];
  }
  row[kWords - 1] = sum;
}

bool IsWhole(Key key, const uint64_t* row) {
  uint64_t sum = 0;
  for (size_t w = 0; w + 1 < kWords; ++w) sum += row[w];
  return sum == row[kWords - 1] && row[0] == static_cast<uint64_t>(key);
}

class Writer {
 public:
  explicit Writer(EmbeddingStore* store) : store_(*store) {}

  absl::Status Write(const std::vector<Key>& keys) {
    std::vector<uint64_t> rows(keys.size() * kWords);
    ++version_;
    for (size_t i = 0; i < keys.size(); ++i) MakeRow(keys[i], version_, &rows[i * kWords]);
    return store_.Insert(keys, RowsView(reinterpret_cast<const uint8_t*>(rows.data()), kRowBytes),
                         {});
  }
  // At a steady rate; how many rows.
  int64_t WriteUntil(const std::atomic<bool>& over) {
    std::mt19937_64 random(99);
    std::vector<Key> keys(kWritesPerSecond / 1000);
    int64_t written = 0;
    const auto start = std::chrono::steady_clock::now();
    for (int64_t millisecond = 0; !over; ++millisecond) {
      std::this_thread::sleep_until(start + std::chrono::milliseconds(millisecond));
      for (Key& key : keys) key = static_cast<Key>(random() % kKeys);
      EXPECT_TRUE(Write(keys).ok());
      written += static_cast<int64_t>(keys.size());
    }
    return written;
  }

 private:
  EmbeddingStore& store_;
  uint64_t version_ = 0;
};

TEST(MemoryStoreSoakTest, NoRowIsTorn) {
  const char* const wanted = std::getenv("TF_HPS_SOAK_READS");
  const int64_t reads = wanted == nullptr ? kDefaultReads : std::atoll(wanted);
  TableSpec spec;
  spec.embedding_dim = kRowBytes / sizeof(float);
  auto store = OpenMemoryStore(spec, {});
  ASSERT_TRUE(store.ok()) << store.status();
  Writer writer(store->get());
  std::vector<Key> all(kKeys);
  for (Key key = 0; key < kKeys; ++key) all[key] = key;
  ASSERT_TRUE(writer.Write(all).ok());

  std::atomic<bool> over{false};
  std::atomic<int64_t> left{reads}, torn{0}, missing{0};
  int64_t written = 0;
  const auto start = std::chrono::steady_clock::now();
  std::thread writing([&] { written = writer.WriteUntil(over); });
  std::vector<std::thread> readers;
  for (int r = 0; r < kReaders; ++r) {
    readers.emplace_back([&, r] {
      std::mt19937_64 random(r);
      std::vector<Key> keys(kBatch);
      std::vector<uint64_t> rows(kBatch * kWords);
      RowSink sink;
      sink.destination = reinterpret_cast<uint8_t*>(rows.data());
      sink.stride = sink.out_bytes = kRowBytes;
      while (left.fetch_sub(kBatch) > 0) {
        for (Key& key : keys) key = static_cast<Key>(random() % kKeys);
        Pending pending = Pending::All(kBatch);
        EXPECT_TRUE((*store)->Find(keys, sink, &pending).ok());
        missing += static_cast<int64_t>(pending.size());
        int64_t bad = 0;
        for (size_t i = 0; i < kBatch; ++i) bad += IsWhole(keys[i], &rows[i * kWords]) ? 0 : 1;
        torn += bad;
      }
    });
  }
  for (std::thread& reader : readers) reader.join();
  over = true;
  writing.join();
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  std::printf("%lld reads and %lld writes in %.1f s\n", static_cast<long long>(reads),
              static_cast<long long>(written), seconds);
  EXPECT_EQ(torn, 0);
  EXPECT_EQ(missing, 0);
  EXPECT_GT(written, 0);
}

}  // namespace
}  // namespace tf_hps
