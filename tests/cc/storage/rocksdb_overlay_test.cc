// A store that nobody writes to, with a server's own changes over it.
#include <sys/mount.h>

#include <filesystem>
#include <memory>
#include <string>

#include "tests/cc/storage/other_process.h"
#include "tests/cc/storage/rocksdb_fixture.h"
#include "tests/cc/storage/small_disk.h"
#include "tests/cc/storage/store_kinds.h"
#include "tests/cc/storage/temp_dir.h"

namespace tf_hps {
namespace {

using absl::StatusCode;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Pair;
using ::testing::SizeIs;
using json = nlohmann::json;

constexpr char kLoaded[] = "aaaa";

class RocksdbOverlayTest : public ::testing::Test {
 protected:
  void SetUp() override { RawStore(base_).LoadTable("movie_id", kLoaded, 1, 10); }

  json Options(const std::string& state_dir = "state") const {
    return {{"path", base_}, {"read_only", true}, {"state_dir", dir_ / state_dir}};
  }
  absl::StatusOr<std::unique_ptr<EmbeddingStore>> Open(const json& options,
                                                       const std::string& deployment = "d") const {
    TableSpec spec;
    spec.deployment = deployment;
    spec.name = "movie_id";
    spec.generation = kLoaded;
    spec.embedding_dim = 4;
    return FindBackend("rocksdb")->open(spec, options);
  }
  std::unique_ptr<EmbeddingStore> MustOpen(const std::string& state_dir = "state") const {
    auto store = Open(Options(state_dir));
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  TableSpec MustDescribe(const std::string& state_dir = "state") const {
    auto spec = FindBackend("rocksdb")->describe("movie_id", "", Options(state_dir));
    EXPECT_TRUE(spec.ok()) << spec.status();
    return *spec;
  }
  static void Commit(EmbeddingStore* store, uint64_t number, const std::vector<Key>& keys,
                     const std::vector<Row>& rows, const std::vector<Key>& erased) {
    const auto commit = store->NewCommit();
    ASSERT_TRUE(store->AddTo(commit.get(),
                             {keys, ViewOf(rows), erased, absl::StrCat(number), {"s", number}}));
    ASSERT_TRUE(commit->Write().ok());
  }

  TempDir dir_;
  const std::string base_ = dir_ / "base";
};

TEST_F(RocksdbOverlayTest, ChangesLieOverRowsThatStayAsTheyWere) {
  const std::vector<std::string> before = Files(base_);
  EXPECT_FALSE(MustDescribe().is_updated);
  {
    const auto store = MustOpen();
    EXPECT_EQ(store->Stats().rows, 10);
    EXPECT_TRUE(store->Stats().rows_exact);
    EXPECT_EQ(*store->StreamRecord(), "");
    Commit(store.get(), 1, {1, 20}, {RowOf(100), RowOf(120)}, {2, 30});
    ASSERT_TRUE(Insert(*store, {3}, {RowOf(103)}).ok());
  }
  const auto store = MustOpen();
  EXPECT_THAT(FindAll(*store, {30, 20, 3, 2, 1, 0, 2}),
              ElementsAre(Pair(0, RowOf(0)), Pair(1, RowOf(100)), Pair(3, RowOf(103)),
                          Pair(20, RowOf(120))));
  EXPECT_THAT(ScanAll(*store), SizeIs(10));
  EXPECT_THAT(ScanAll(*store, 1, 4),
              ElementsAre(Pair(1, RowOf(100)), Pair(3, RowOf(103)), Pair(4, RowOf(4))));
  EXPECT_EQ(*store->StreamRecord(), "1");
  EXPECT_FALSE(store->Stats().rows_exact);
  // What was erased above comes back above.
  ASSERT_TRUE(Insert(*store, {2, 4}, {RowOf(102), RowOf(-4)}, {OnExisting::kKeep}).ok());
  EXPECT_THAT(FindAll(*store, {2, 4}), ElementsAre(Pair(2, RowOf(102)), Pair(4, RowOf(4))));
  EXPECT_EQ(Files(base_), before);
}

TEST_F(RocksdbOverlayTest, ServersOfOneBaseHaveTheirOwn) {
  const auto first = MustOpen("first");
  const auto second = MustOpen("second");
  Commit(first.get(), 7, {1}, {RowOf(100)}, {});
  EXPECT_THAT(FindAll(*first, {1}), ElementsAre(Pair(1, RowOf(100))));
  EXPECT_THAT(FindAll(*second, {1}), ElementsAre(Pair(1, RowOf(1))));
  EXPECT_EQ(MustDescribe("first").applied, (UpdatePosition{"s", 7}));
  EXPECT_FALSE(MustDescribe("second").is_updated);
}

TEST_F(RocksdbOverlayTest, AStateDirIsOfOneDeployment) {
  MustOpen();
  EXPECT_THAT(Open(Options(), "other").status(),
              AllOf(HasCode(StatusCode::kFailedPrecondition), Says("deployment \"d\"'s"),
                    Says("\"other\""), Says("`rocksdb.state_dir`")));
}

TEST_F(RocksdbOverlayTest, ABaseThatWasChangedIsRefused) {
  Commit(MustOpen().get(), 1, {1}, {RowOf(100)}, {});
  ASSERT_TRUE(Insert(**OpenTable(base_, kReadWrite, kLoaded), {1}, {RowOf(7)}).ok());
  EXPECT_THAT(Open(Options()).status(),
              AllOf(HasCode(StatusCode::kFailedPrecondition), Says("was changed"),
                    Says((dir_ / "state") + "/overlay"), Says("Delete that folder")));
}

TEST_F(RocksdbOverlayTest, AStateDirThatCannotBeMadeIsNamed) {
  json options = Options();
  options["state_dir"] = "/proc/self/nowhere";
  EXPECT_THAT(Open(options).status(), AllOf(HasCode(StatusCode::kPermissionDenied),
                                            Says("/nowhere/overlay\" cannot be made")));
}

TEST_F(RocksdbOverlayTest, TheBaseMayBeOnAFileSystemThatIsReadOnly) {
  const std::string disk = dir_ / "disk";
  std::filesystem::create_directories(disk);
  if (!MountSmallDisk(disk)) GTEST_SKIP() << "no file system can be mounted here";
  std::filesystem::copy(base_, disk + "/base", std::filesystem::copy_options::recursive);
  ASSERT_EQ(mount(nullptr, disk.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  json options = Options();
  options["path"] = disk + "/base";
  {
    auto store = Open(options);
    ASSERT_TRUE(store.ok()) << store.status();
    Commit(store->get(), 1, {1}, {RowOf(100)}, {2});
    EXPECT_THAT(FindAll(**store, {0, 1, 2}), ElementsAre(Pair(0, RowOf(0)), Pair(1, RowOf(100))));
  }
  EXPECT_EQ(umount(disk.c_str()), 0);
}

TEST(OverlayHolder, DISABLED_HoldsAnOverlay) {
  TableSpec spec;
  spec.deployment = "d";
  spec.name = "movie_id";
  spec.generation = kLoaded;
  spec.embedding_dim = 4;
  const std::string dir = StorePath();
  const auto store = FindBackend("rocksdb")->open(
      spec, {{"path", dir + "/base"}, {"read_only", true}, {"state_dir", dir + "/state"}});
  ASSERT_TRUE(store.ok()) << store.status();
  SayReadyAndWait();
}

TEST_F(RocksdbOverlayTest, ASecondWriterIsToldWhoTheFirstIs) {
  OtherProcess first("HoldsAnOverlay", dir_.path());
  ASSERT_TRUE(first.ready());
  EXPECT_THAT(Open(Options()).status(),
              AllOf(HasCode(StatusCode::kFailedPrecondition),
                    Says(absl::StrCat("process ", first.pid())), Says("`rocksdb.state_dir`")));
  EXPECT_TRUE(first.Finish());
  EXPECT_TRUE(Open(Options()).ok());
}

}  // namespace
}  // namespace tf_hps
