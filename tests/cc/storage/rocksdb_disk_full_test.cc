// A store on a small file system of its own, in a mount namespace of a child process.
#include <unistd.h>

#include "tests/cc/storage/rocksdb_fixture.h"
#include "tests/cc/storage/small_disk.h"
#include "tests/cc/storage/temp_dir.h"

namespace tf_hps {
namespace {

using absl::StatusCode;
using ::testing::AllOf;
using ::testing::SizeIs;

constexpr int64_t kDim = 1024;
constexpr int kRows = 16;

// 64 KiB. RocksDB reserves some space for its log ahead, so it takes many to notice a full disk.
absl::Status InsertRound(EmbeddingStore& store, int round) {
  std::vector<Key> keys;
  for (int i = 0; i < kRows; ++i) keys.push_back(round * kRows + i);
  std::vector<float> rows(kRows * kDim, round);
  return store.Insert(keys, {reinterpret_cast<const uint8_t*>(rows.data()), kDim * sizeof(float)},
                      {});
}

absl::Status InsertUntilItFails(EmbeddingStore& store) {
  absl::Status status;
  for (int round = 1; round < 10000 && status.ok(); ++round) status = InsertRound(store, round);
  return status;
}

bool HasRounds(const EmbeddingStore& store, const std::vector<int>& rounds) {
  std::vector<Key> keys;
  for (int round : rounds) keys.push_back(round * kRows);
  std::vector<float> rows(keys.size() * kDim, -1);
  RowSink sink;
  sink.destination = reinterpret_cast<uint8_t*>(rows.data());
  sink.stride = sink.out_bytes = kDim * sizeof(float);
  Pending pending = Pending::All(keys.size());
  EXPECT_TRUE(store.Find(keys, sink, &pending).ok());
  for (size_t i = 0; i < rounds.size(); ++i) EXPECT_EQ(rows[i * kDim], rounds[i]);
  return pending.empty();
}

void FillsUpAndRecovers(const std::string& disk) {
  const std::string path = disk + "/store";
  auto store = OpenTable(path, kReadWrite, "live-1", kDim);
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE(InsertRound(**store, 0).ok());
  const std::string other = disk + "/other";
  RawStore(other).LoadTable("movie_id", "aaaa", 1, 10);

  FillDisk(disk + "/ballast");
  EXPECT_THAT(InsertUntilItFails(**store),
              AllOf(HasCode(StatusCode::kResourceExhausted), Says("No space left"),
                    Says("movie_id"), Says(path)));
  EXPECT_THAT(InsertRound(**store, 1), HasCode(StatusCode::kResourceExhausted));
  EXPECT_THAT((*store)->Erase({1}), HasCode(StatusCode::kResourceExhausted));
  // What stands there is still read.
  EXPECT_TRUE(HasRounds(**store, {0}));
  // Whether what little these write fits is open; that they return is not.
  OpenTable(path, kReadWrite, "live-2").status().IgnoreError();
  OpenTable(disk + "/new", kReadWrite, "live-1").status().IgnoreError();
  OpenTable(other, kReadWrite, "aaaa").status().IgnoreError();
  {
    const auto reader = OpenTable(other, kReadOnly, "aaaa");
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_THAT(ScanAll(**reader), SizeIs(10));
  }

  unlink((disk + "/ballast").c_str());
  const absl::Status status = InsertRound(**store, 1);
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(OpenTable(path, kReadWrite, "live-2").ok());

  // Closed while the disk is full, and opened when it is not.
  FillDisk(disk + "/ballast");
  EXPECT_THAT(InsertUntilItFails(**store), HasCode(StatusCode::kResourceExhausted));
  store->reset();
  unlink((disk + "/ballast").c_str());
  store = OpenTable(path, kReadWrite, "live-1", kDim);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_TRUE(HasRounds(**store, {0, 1}));
  EXPECT_TRUE(InsertRound(**store, 2).ok());
}

TEST(RocksdbDiskFullTest, InsertsFailUntilThereIsSpace) {
  const TempDir dir;
  const int result = OnSmallDisk(dir.path(), [&] { FillsUpAndRecovers(dir.path()); });
  if (result == kNoSmallDisk) GTEST_SKIP() << "this machine lets nobody mount a file system";
  EXPECT_EQ(result, 0);
}

}  // namespace
}  // namespace tf_hps
