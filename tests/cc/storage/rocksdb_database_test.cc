#include <thread>

#include "cc/storage/rocksdb_commit.h"
#include "tests/cc/storage/rocksdb_fixture.h"
#include "tests/cc/storage/temp_dir.h"

namespace tf_hps {
namespace {

using absl::StatusCode;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr char kFirst[] = "aaaa";
constexpr char kSecond[] = "bbbb";

class RocksdbDatabaseTest : public ::testing::Test {
 protected:
  std::unique_ptr<EmbeddingStore> MustOpen(bool read_only, const std::string& generation) {
    auto store = OpenTable(path_, read_only, generation);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *std::move(store) : nullptr;
  }

  TempDir dir_;
  const std::string path_ = dir_ / "store";
};

TEST_F(RocksdbDatabaseTest, ALoadedTableIsDescribedAndRead) {
  RawStore(path_).LoadTable("movie_id", kFirst, 1, 100);
  const auto spec = DescribeTable(path_, kReadOnly, "movie_id");
  ASSERT_TRUE(spec.ok()) << spec.status();
  EXPECT_EQ(spec->generation, kFirst);
  EXPECT_EQ(spec->embedding_dim, 4);
  EXPECT_EQ(spec->row_format, RowFormat::kFloat32);
  EXPECT_EQ(spec->rows, 100);

  const auto store = MustOpen(kReadOnly, kFirst);
  EXPECT_THAT(FindAll(*store, {99, 100, 3}), ElementsAre(Pair(3, RowOf(3)), Pair(99, RowOf(99))));
  EXPECT_THAT(ScanAll(*store), SizeIs(100));
  EXPECT_EQ(store->Stats().rows, 100);
  EXPECT_TRUE(store->Stats().rows_exact);
}

TEST_F(RocksdbDatabaseTest, TheNewestGenerationIsTheOneLoadedLast) {
  RawStore(path_).LoadTable("movie_id", kSecond, 1, 1);
  RawStore(path_).LoadTable("movie_id", kFirst, 2, 1, 100);
  EXPECT_EQ(DescribeTable(path_, kReadOnly, "movie_id")->generation, kFirst);
  EXPECT_EQ(DescribeTable(path_, kReadOnly, "movie_id", kSecond)->generation, kSecond);
  // Both at once, each with its own rows.
  const auto a = MustOpen(kReadOnly, kFirst);
  const auto b = MustOpen(kReadOnly, kSecond);
  EXPECT_THAT(FindAll(*a, {0}), ElementsAre(Pair(0, RowOf(100))));
  EXPECT_THAT(FindAll(*b, {0}), ElementsAre(Pair(0, RowOf(0))));
}

TEST_F(RocksdbDatabaseTest, UnknownTablesAreNotFoundAndTheKnownAreListed) {
  RawStore(path_).LoadTable("movie_id", kFirst, 1, 1);
  for (const bool read_only : {kReadOnly, kReadWrite}) {
    EXPECT_THAT(DescribeTable(path_, read_only, "user_id").status(),
                AllOf(HasCode(StatusCode::kNotFound), Says("no table \"user_id\""),
                      Says("movie_id (generation aaaa, embedding_dim 4, float32)"), Says(path_)));
    EXPECT_THAT(OpenTable(path_, read_only, kSecond).status(),
                AllOf(HasCode(StatusCode::kNotFound), Says("of generation bbbb")));
  }
}

TEST_F(RocksdbDatabaseTest, ReadOnlyChangesNoFile) {
  RawStore(path_).LoadTable("movie_id", kFirst, 1, 10);
  RawStore(path_).WriteRows("rows/movie_id/half", {{1, "half loaded"}});
  const std::vector<std::string> before = Files(path_);
  {
    const auto store = MustOpen(kReadOnly, kFirst);
    EXPECT_THAT(ScanAll(*store), SizeIs(10));
    EXPECT_THAT(Insert(*store, {1}, {RowOf(1)}),
                AllOf(HasCode(StatusCode::kFailedPrecondition), Says("read-only"), Says(path_)));
    EXPECT_THAT(store->Erase({1}), HasCode(StatusCode::kFailedPrecondition));
    EXPECT_THAT(FindAll(*store, {1}), ElementsAre(Pair(1, RowOf(1))));
  }
  EXPECT_TRUE(DescribeTable(path_, kReadWrite, "movie_id").ok());
  EXPECT_EQ(Files(path_), before);
}

TEST_F(RocksdbDatabaseTest, AWriterDropsHalfLoadedTablesOnly) {
  RawStore(path_).LoadTable("movie_id", kFirst, 1, 10);
  RawStore(path_).WriteRows("rows/movie_id/half", {{1, "half loaded"}});
  RawStore(path_).WriteRows("somebody's", {{1, "else"}});
  MustOpen(kReadWrite, kFirst);
  const auto contents = LookIntoRocksdb(path_);
  ASSERT_TRUE(contents.ok()) << contents.status();
  EXPECT_THAT(contents->column_families,
              ElementsAre("default", "rows/movie_id/aaaa", "somebody's"));
  EXPECT_THAT(ScanAll(*MustOpen(kReadOnly, kFirst)), SizeIs(10));
}

TEST_F(RocksdbDatabaseTest, TheRowCountIsAnEstimateFromTheFirstUpdateOn) {
  RawStore(path_).LoadTable("movie_id", kFirst, 1, 10);
  {
    const auto store = MustOpen(kReadWrite, kFirst);
    EXPECT_TRUE(store->Stats().rows_exact);
    ASSERT_TRUE(Insert(*store, {}, {}).ok());
    EXPECT_TRUE(store->Stats().rows_exact);
    ASSERT_TRUE(Insert(*store, {50}, {RowOf(50)}).ok());
    EXPECT_FALSE(store->Stats().rows_exact);
    EXPECT_EQ(store->Stats().rows, 11);
  }
  const auto store = MustOpen(kReadOnly, kFirst);
  EXPECT_FALSE(store->Stats().rows_exact);
  EXPECT_EQ(store->Stats().rows, 11);
}

TEST_F(RocksdbDatabaseTest, APathIsOpenedOnceAndClosedByItsLastHolder) {
  RawStore(path_).LoadTable("movie_id", kFirst, 1, 1);
  EXPECT_THAT(OpenRocksdbDatabases(), IsEmpty());
  {
    const auto first = OpenRocksdb(path_, {false});
    ASSERT_TRUE(first.ok()) << first.status();
    const auto second = OpenRocksdb(dir_ / "../" + dir_.path().substr(5) + "/store/", {false});
    ASSERT_TRUE(second.ok()) << second.status();
    EXPECT_EQ(first->get(), second->get());
    ASSERT_THAT(OpenRocksdbDatabases(), SizeIs(1));
    EXPECT_EQ(OpenRocksdbDatabases()[0].path, path_);
    EXPECT_FALSE(OpenRocksdbDatabases()[0].read_only);
    EXPECT_EQ(FindOpenRocksdb(path_)->get(), first->get());
  }
  EXPECT_THAT(OpenRocksdbDatabases(), IsEmpty());
  EXPECT_THAT(FindOpenRocksdb(path_).status(), HasCode(StatusCode::kNotFound));
}

TEST_F(RocksdbDatabaseTest, AWriterWaitsForNoReaderOfItsProcess) {
  RawStore(path_).LoadTable("movie_id", kFirst, 1, 1);
  auto reader = MustOpen(kReadOnly, kFirst);
  EXPECT_THAT(OpenTable(path_, kReadWrite, kFirst).status(),
              AllOf(HasCode(StatusCode::kFailedPrecondition),
                    Says("open read-only in this process"), Says(path_)));
  reader.reset();
  EXPECT_NE(MustOpen(kReadWrite, kFirst), nullptr);
}

TEST_F(RocksdbDatabaseTest, AReaderSharesTheWritersDatabaseAndDoesNotWrite) {
  RawStore(path_).LoadTable("movie_id", kFirst, 1, 1);
  const auto writer = MustOpen(kReadWrite, kFirst);
  const auto reader = MustOpen(kReadOnly, kFirst);
  ASSERT_TRUE(Insert(*writer, {7}, {RowOf(7)}).ok());
  EXPECT_THAT(FindAll(*reader, {7}), ElementsAre(Pair(7, RowOf(7))));
  EXPECT_THAT(Insert(*reader, {8}, {RowOf(8)}), HasCode(StatusCode::kFailedPrecondition));
}

TEST_F(RocksdbDatabaseTest, AReaderFindsGenerationsLoadedSinceItWasOpened) {
  RawStore(path_).LoadTable("movie_id", kFirst, 1, 5);
  const auto old = MustOpen(kReadOnly, kFirst);
  RawStore(path_).LoadTable("movie_id", kSecond, 2, 5, 100);
  EXPECT_EQ(DescribeTable(path_, kReadOnly, "movie_id")->generation, kSecond);
  const auto fresh = MustOpen(kReadOnly, kSecond);
  ASSERT_NE(fresh, nullptr);
  EXPECT_THAT(FindAll(*fresh, {4}), ElementsAre(Pair(4, RowOf(104))));
  EXPECT_THAT(FindAll(*old, {4}), ElementsAre(Pair(4, RowOf(4))));
  EXPECT_THAT(OpenRocksdbDatabases(), SizeIs(1));
}

TEST_F(RocksdbDatabaseTest, ALiveTableIsMadeByAWriterAndStays) {
  EXPECT_THAT(DescribeTable(path_, kReadWrite, "movie_id").status(),
              HasCode(StatusCode::kNotFound));
  EXPECT_FALSE(std::filesystem::exists(path_));
  {
    const auto store = MustOpen(kReadWrite, "live-1");
    EXPECT_EQ(store->Stats().rows, 0);
    EXPECT_TRUE(store->Stats().rows_exact);
    ASSERT_TRUE(Insert(*store, {-1}, {RowOf(1)}).ok());
    EXPECT_EQ(DescribeTable(path_, kReadWrite, "movie_id")->generation, "live-1");
  }
  RawStore(path_).LoadTable("movie_id", kFirst, 5, 1);
  MustOpen(kReadWrite, "live-2");
  EXPECT_EQ(DescribeTable(path_, kReadOnly, "movie_id")->generation, "live-2");
  EXPECT_THAT(ScanAll(*MustOpen(kReadOnly, "live-1")), ElementsAre(Pair(-1, RowOf(1))));
}

TEST_F(RocksdbDatabaseTest, OnlyLiveGenerationsAreMade) {
  EXPECT_THAT(OpenTable(path_, kReadWrite, kFirst).status(), HasCode(StatusCode::kNotFound));
}

TEST_F(RocksdbDatabaseTest, ACheckpointIsAStoreOfItsOwn) {
  RawStore(path_).LoadTable("movie_id", kFirst, 1, 10);
  for (const bool read_only : {kReadOnly, kReadWrite}) {
    const std::string copy = dir_ / (read_only ? "copy1" : "copy2");
    {
      const auto store = MustOpen(read_only, kFirst);
      if (!read_only) ASSERT_TRUE(Insert(*store, {3}, {RowOf(33)}).ok());
      const auto database = FindOpenRocksdb(path_);
      ASSERT_TRUE((*database)->Checkpoint(copy).ok()) << (*database)->Checkpoint(copy);
      EXPECT_THAT((*database)->Checkpoint(copy), Says(copy));  // stands there already
    }
    const auto store = OpenTable(copy, kReadOnly, kFirst);
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_THAT(ScanAll(**store), SizeIs(10));
    EXPECT_EQ(FindAll(**store, {3}).at(3), RowOf(read_only ? 3 : 33));
  }
}

TEST_F(RocksdbDatabaseTest, ACommitOfTwoTablesIsSeenFromShowOn) {
  const auto a = MustOpen(kReadWrite, "live-1");
  const auto b = MustOpen(kReadWrite, "live-2");
  ASSERT_TRUE(Insert(*a, {1, 2}, {RowOf(1), RowOf(2)}).ok());
  EXPECT_EQ(*a->StreamRecord(), "");
  auto commit = a->NewCommit();
  const std::vector<Row> rows = {RowOf(10), RowOf(30)};
  ASSERT_TRUE(a->AddTo(commit.get(), {{1, 3}, ViewOf(rows), {2}, "place 1"}));
  ASSERT_TRUE(b->AddTo(commit.get(), {{1, 3}, ViewOf(rows), {}, "place 1"}));
  ASSERT_TRUE(commit->Write().ok());
  EXPECT_THAT(FindAll(*a, {1, 2, 3}), ElementsAre(Pair(1, RowOf(1)), Pair(2, RowOf(2))));
  EXPECT_THAT(ScanAll(*a), ElementsAre(Pair(1, RowOf(1)), Pair(2, RowOf(2))));
  EXPECT_THAT(ScanAll(*b), IsEmpty());
  EXPECT_EQ(*a->StreamRecord(), "place 1") << "what a restart would find";

  commit->Show();
  EXPECT_THAT(FindAll(*a, {1, 2, 3}), ElementsAre(Pair(1, RowOf(10)), Pair(3, RowOf(30))));
  EXPECT_THAT(ScanAll(*a), ElementsAre(Pair(1, RowOf(10)), Pair(3, RowOf(30))));
  EXPECT_THAT(ScanAll(*b), ElementsAre(Pair(1, RowOf(10)), Pair(3, RowOf(30))));
  ASSERT_TRUE(Insert(*a, {4}, {RowOf(4)}).ok());
  EXPECT_THAT(FindAll(*a, {4}), ElementsAre(Pair(4, RowOf(4))));
}

TEST_F(RocksdbDatabaseTest, ACommitThatIsLetGoOfShowsWhatWasWritten) {
  const auto a = MustOpen(kReadWrite, "live-1");
  {
    auto commit = a->NewCommit();
    const std::vector<Row> rows = {RowOf(10)};
    ASSERT_TRUE(a->AddTo(commit.get(), {{1}, ViewOf(rows), {}, "place 1"}));
    ASSERT_TRUE(commit->Write().ok());
  }
  EXPECT_THAT(ScanAll(*a), ElementsAre(Pair(1, RowOf(10))));
  a->NewCommit();  // nothing was added, nothing was written
  EXPECT_THAT(ScanAll(*a), SizeIs(1));
}

TEST_F(RocksdbDatabaseTest, ACommitIsOfOneDatabase) {
  const auto a = MustOpen(kReadWrite, "live-1");
  const TempDir elsewhere;
  RocksdbOptions options;
  const auto database = OpenRocksdb(elsewhere.path() + "/store", options);
  ASSERT_TRUE(database.ok()) << database.status();
  RocksdbCommit other(*database);
  EXPECT_FALSE(a->AddTo(&other, {{}, ViewOf({}), {}, "place 1"}));
}

TEST_F(RocksdbDatabaseTest, ManyThreadsOpenAndCloseOnePath) {
  RawStore(path_).LoadTable("movie_id", kFirst, 1, 3);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 5; ++round) {
        const auto store = MustOpen(kReadWrite, kFirst);
        EXPECT_THAT(ScanAll(*store), SizeIs(3));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(OpenRocksdbDatabases(), IsEmpty());
}

}  // namespace
}  // namespace tf_hps
