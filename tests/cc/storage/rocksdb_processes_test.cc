// One store, several processes: this program starts itself again for the others.

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>

#include "tests/cc/repetitions.h"
#include "tests/cc/storage/other_process.h"
#include "tests/cc/storage/rocksdb_fixture.h"
#include "tests/cc/storage/temp_dir.h"

namespace tf_hps {
namespace {

using absl::StatusCode;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr char kGeneration[] = "aaaa";

TEST(OtherProcess, DISABLED_WritesAndHoldsTheStore) {
  const auto store = OpenTable(StorePath(), kReadWrite, kGeneration);
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE(Insert(**store, {2}, {RowOf(22)}).ok());
  SayReadyAndWait();
}

TEST(OtherProcess, DISABLED_ReadsTheStore) {
  const auto store = OpenTable(StorePath(), kReadOnly, kGeneration);
  ASSERT_TRUE(store.ok()) << store.status();
  SayReadyAndWait();
  EXPECT_THAT(ScanAll(**store), SizeIs(1000));
}

TEST(OtherProcess, DISABLED_ReplacesFilesForAWhile) {
  const auto store = OpenTable(StorePath(), kReadWrite, kGeneration);
  ASSERT_TRUE(store.ok()) << store.status();
  const auto database = FindOpenRocksdb(StorePath());
  std::atomic<bool> stop{false};
  std::thread compactions([&] {
    for (int round = 0; !stop; ++round) {
      ASSERT_TRUE(Insert(**store, {round % 1000}, {RowOf(round)}).ok());
      rocksdb_compact_range_cf((*database)->db(),
                               (*(*database)->FindTable("movie_id", kGeneration))->rows.get(),
                               nullptr, 0, nullptr, 0);
      // Longer than a reader takes to open under ThreadSanitizer: against a writer that replaces
      // every file 250 times a second no reader gets in.
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  });
  SayReadyAndWait();
  stop = true;
  compactions.join();
}

TEST(OtherProcess, DISABLED_EndsWhileAThreadLetsGoOfTheStore) {
  auto store = OpenTable(StorePath(), kReadWrite, kGeneration);
  ASSERT_TRUE(store.ok()) << store.status();
  ASSERT_TRUE(Insert(**store, {1}, {RowOf(11)}).ok());
  SayReadyAndWait();
  std::thread([&store] {
    std::this_thread::sleep_for(std::chrono::microseconds(std::random_device()() % 3000));
    store->reset();
  }).detach();
  std::exit(0);
}

class RocksdbProcessesTest : public ::testing::Test {
 protected:
  void SetUp() override { RawStore(path_).LoadTable("movie_id", kGeneration, 1, 1000); }

  TempDir dir_;
  const std::string path_ = dir_ / "store";
};

TEST_F(RocksdbProcessesTest, OneProcessWritesAndTheErrorOfASecondNamesTheCure) {
  OtherProcess writer("WritesAndHoldsTheStore", path_);
  ASSERT_TRUE(writer.ready());
  EXPECT_THAT(OpenTable(path_, kReadWrite, kGeneration).status(),
              AllOf(HasCode(StatusCode::kFailedPrecondition), Says(path_), Says("`read_only`"),
                    Says("TF_HPS_ROCKSDB_READ_ONLY=1")));
  // The cure. The writer's rows are there, those in its log too.
  {
    const auto reader = OpenTable(path_, kReadOnly, kGeneration);
    ASSERT_TRUE(reader.ok()) << reader.status();
    EXPECT_THAT(FindAll(**reader, {1, 2}), ElementsAre(Pair(1, RowOf(1)), Pair(2, RowOf(22))));
  }
  EXPECT_TRUE(DescribeTable(path_, kReadWrite, "movie_id").ok());
  EXPECT_TRUE(writer.Finish());
  EXPECT_TRUE(OpenTable(path_, kReadWrite, kGeneration).ok());
}

TEST_F(RocksdbProcessesTest, UpdatesOfAProcessThatWasKilledAreThere) {
  OtherProcess writer("WritesAndHoldsTheStore", path_);
  ASSERT_TRUE(writer.ready());
  writer.Kill();
  const auto store = OpenTable(path_, kReadWrite, kGeneration);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_THAT(FindAll(**store, {2}), ElementsAre(Pair(2, RowOf(22))));
  EXPECT_FALSE((*store)->Stats().rows_exact);
}

// RocksDB ends a process in which a database is closed after its static objects are gone.
TEST_F(RocksdbProcessesTest, AProcessEndsAtAnyTimeOfAnotherThreadsClosing) {
  for (int round = 0; round < Repetitions(12); ++round) {
    OtherProcess process("EndsWhileAThreadLetsGoOfTheStore", path_);
    ASSERT_TRUE(process.ready());
    ASSERT_TRUE(process.Finish()) << "round " << round;
  }
  const auto store = OpenTable(path_, kReadOnly, kGeneration);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_THAT(FindAll(**store, {1}), ElementsAre(Pair(1, RowOf(11))));
}

TEST_F(RocksdbProcessesTest, ManyProcessesReadWhileOneWritesAndCompacts) {
  OtherProcess first("ReadsTheStore", path_);
  OtherProcess second("ReadsTheStore", path_);
  ASSERT_TRUE(first.ready() && second.ready());
  {
    const auto writer = OpenTable(path_, kReadWrite, kGeneration);
    ASSERT_TRUE(writer.ok()) << writer.status();
    std::vector<Key> keys;
    for (Key key = 0; key < 1000; ++key) keys.push_back(key);
    ASSERT_TRUE((*writer)->Erase(keys).ok());
    const auto database = FindOpenRocksdb(path_);
    rocksdb_compact_range_cf((*database)->db(),
                             (*(*database)->FindTable("movie_id", kGeneration))->rows.get(),
                             nullptr, 0, nullptr, 0);
    EXPECT_TRUE(ScanAll(**writer).empty());
  }
  // The readers' files are deleted by now; they see the store as they opened it.
  EXPECT_TRUE(first.Finish());
  EXPECT_TRUE(second.Finish());
}

TEST_F(RocksdbProcessesTest, ReadersOpenWhileAWriterReplacesFiles) {
  OtherProcess writer("ReplacesFilesForAWhile", path_);
  ASSERT_TRUE(writer.ready());
  for (int i = 0; i < 30; ++i) {
    const auto reader = OpenTable(path_, kReadOnly, kGeneration);
    ASSERT_TRUE(reader.ok()) << reader.status();
    ASSERT_THAT(ScanAll(**reader, kMinKey, kMaxKey, 5000), SizeIs(1000));
  }
  EXPECT_TRUE(writer.Finish());
}

}  // namespace
}  // namespace tf_hps
