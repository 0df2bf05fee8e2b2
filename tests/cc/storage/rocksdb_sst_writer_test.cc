#include "cc/storage/rocksdb_sst_writer.h"

#include <unistd.h>

#include <thread>

#include "tests/cc/storage/rocksdb_fixture.h"
#include "tests/cc/storage/small_disk.h"
#include "tests/cc/storage/temp_dir.h"

namespace tf_hps {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

// RowOf(key) under each of `rows` keys from `first` on.
std::string AddRows(RocksdbSstWriter& writer, Key first, int rows) {
  std::vector<Key> keys;
  std::vector<Row> values;
  for (Key key = first; key < first + rows; ++key) {
    keys.push_back(key);
    values.push_back(RowOf(key));
  }
  return writer.Add(keys, reinterpret_cast<const uint8_t*>(values.data()), sizeof(Row));
}

TEST(RocksdbSstWriterTest, FilesOfSeveralThreadsBecomeATable) {
  constexpr int kFiles = 4, kSteps = 10, kStepRows = 100;
  const TempDir dir;
  std::vector<std::string> files, errors(kFiles);
  for (int i = 0; i < kFiles; ++i) files.push_back(dir / absl::StrCat(i, ".sst"));
  std::vector<std::thread> threads;
  for (int i = 0; i < kFiles; ++i) {
    threads.emplace_back([&files, &errors, i] {
      RocksdbSstWriter writer(i % 2 == 0 ? rocksdb_no_compression : rocksdb_lz4_compression);
      errors[i] = writer.Open(files[i]);
      for (int step = i * kSteps; step < (i + 1) * kSteps; ++step) {
        errors[i] += AddRows(writer, step * kStepRows, kStepRows);
      }
      errors[i] += writer.Finish();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(errors, std::vector<std::string>(kFiles));

  constexpr int kRows = kFiles * kSteps * kStepRows;
  const std::string path = dir / "store";
  {
    RawStore store(path);
    store.IngestRows("rows/movie_id/aaaa", files);
    store.PutTable("movie_id", "aaaa", 1, kRows);
  }
  const auto store = OpenTable(path, kReadOnly, "aaaa");
  ASSERT_TRUE(store.ok()) << store.status();
  const std::map<Key, Row> found = ScanAll(**store, kMinKey, kMaxKey, 1000);
  EXPECT_THAT(found, SizeIs(kRows));
  for (const auto& [key, row] : found) EXPECT_EQ(row, RowOf(key));
  EXPECT_EQ(FindAll(**store, {-1, 1999, kRows}), (std::map<Key, Row>{{1999, RowOf(1999)}}));
}

TEST(RocksdbSstWriterTest, ErrorsAreRocksdbsWords) {
  const TempDir dir;
  RocksdbSstWriter nowhere(rocksdb_no_compression);
  EXPECT_THAT(nowhere.Open(dir / "none/a.sst"), HasSubstr("No such file or directory"));
  EXPECT_THAT(AddRows(nowhere, 0, 1), HasSubstr("not opened"));

  RocksdbSstWriter empty(rocksdb_no_compression);
  EXPECT_EQ(empty.Open(dir / "empty.sst"), "");
  EXPECT_THAT(empty.Finish(), HasSubstr("no entries"));

  RocksdbSstWriter writer(rocksdb_no_compression);
  EXPECT_EQ(writer.Open(dir / "a.sst"), "");
  EXPECT_EQ(AddRows(writer, 7, 1), "");
  EXPECT_THAT(AddRows(writer, 7, 1), HasSubstr("ascending"));
  EXPECT_THAT(AddRows(writer, kMinKey, 1), HasSubstr("ascending"));
}

TEST(RocksdbSstWriterTest, AFileThatIsNotFinishedCloses) {
  const TempDir dir;
  RocksdbSstWriter writer(rocksdb_no_compression);
  EXPECT_EQ(writer.Open(dir / "a.sst"), "");
  EXPECT_EQ(AddRows(writer, 0, 100000), "");
}

TEST(RocksdbSstWriterTest, AFullDiskIsAnErrorAtTheLatestInFinish) {
  const TempDir dir;
  const int result = OnSmallDisk(dir.path(), [&] {
    RocksdbSstWriter writer(rocksdb_no_compression);
    EXPECT_EQ(writer.Open(dir / "a.sst"), "");
    FillDisk(dir / "ballast");
    std::string error;
    for (int i = 0; i < 50 && error.empty(); ++i) error = AddRows(writer, i * 10000, 10000);
    EXPECT_THAT(error.empty() ? writer.Finish() : error, HasSubstr("No space left"));
  });
  if (result == kNoSmallDisk) GTEST_SKIP() << "this machine lets nobody mount a file system";
  EXPECT_EQ(result, 0);
}

}  // namespace
}  // namespace tf_hps
