// Stores in a bucket, brought to this machine, shared, replaced and dropped.

#include "cc/storage/fetched_stores.h"

#include <sys/mount.h>

#include <filesystem>
#include <memory>
#include <string>

#include "tests/cc/common/fake_bucket.h"
#include "tests/cc/storage/bucket_stores.h"
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
using ::testing::IsEmpty;
using ::testing::Pair;
using json = nlohmann::json;

class FetchedStoresTest : public ::testing::Test {
 protected:
  // What is in the bucket at `name`; with the manifest.
  FileContents Put(const std::string& name, const FileContents& files) {
    WriteStore(dir_ / ("bucket/" + name), files);
    return ReadFolder(dir_ / ("bucket/" + name));
  }
  absl::StatusOr<std::shared_ptr<const FetchedStore>> Fetch(const std::string& name,
                                                            const std::string& deployment = "d") {
    return FetchStore(deployment, FakeBucket::Url(name), state_dir_);
  }
  std::shared_ptr<const FetchedStore> MustFetch(const std::string& name) {
    auto store = Fetch(name);
    EXPECT_TRUE(store.ok()) << store.status();
    return store.ok() ? *store : nullptr;
  }

  TempDir dir_;
  const std::string state_dir_ = dir_ / "state";
  FakeBucket bucket_{dir_ / "bucket"};
  const FileContents files_ = {
      {"CURRENT", "MANIFEST-5\n"}, {"000012.sst", std::string(100000, 'a')}, {"empty", ""}};
};

TEST_F(FetchedStoresTest, AStoreIsFetchedOnceAndOpenedAsItIsThere) {
  std::filesystem::create_directories(dir_ / "bucket/m");
  RawStore(dir_ / "bucket/m/hps").LoadTable("movie_id", "aaaa", 1, 10);
  WriteManifest(dir_ / "bucket/m/hps");
  const json options = {{"path", FakeBucket::Url("m/hps")},
                        {"read_only", true},
                        {"state_dir", state_dir_},
                        {"block_cache_bytes", 0}};
  const StoreBackend& rocksdb = *FindBackend("rocksdb");
  auto local = rocksdb.fetch("d", options);
  ASSERT_TRUE(local.ok()) << local.status();
  EXPECT_EQ(local->options["path"].get<std::string>().rfind(state_dir_ + "/stores/", 0), 0);
  const auto spec = rocksdb.describe("movie_id", "", local->options);
  ASSERT_TRUE(spec.ok()) << spec.status();
  const std::vector<std::string> before = Files(local->options["path"]);
  {
    auto store = rocksdb.open(*spec, local->options);
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE(Insert(**store, {3}, {RowOf(103)}).ok());  // over it
    EXPECT_THAT(FindAll(**store, {1, 3}), ElementsAre(Pair(1, RowOf(1)), Pair(3, RowOf(103))));
  }
  EXPECT_EQ(Files(local->options["path"]), before);
  bucket_.TakeBytesRead();
  const auto again = rocksdb.fetch("d", options);
  ASSERT_TRUE(again.ok()) << again.status();
  EXPECT_EQ(again->options, local->options);
  EXPECT_EQ(bucket_.TakeBytesRead().size(), 1);  // the manifest
}

TEST_F(FetchedStoresTest, AStoreOfThisMachineStaysWhereItIs) {
  const json options = {{"path", dir_ / "here"}, {"read_only", false}, {"state_dir", nullptr}};
  const auto local = FindBackend("rocksdb")->fetch("d", options);
  ASSERT_TRUE(local.ok()) << local.status();
  EXPECT_EQ(local->options, options);
}

TEST_F(FetchedStoresTest, AnotherGenerationBringsWhatIsNew) {
  Put("1", files_);
  const auto first = MustFetch("1");
  FileContents next = files_;
  next["000013.sst"] = std::string(50000, 'b');
  next["CURRENT"] = "MANIFEST-7\n";
  next["000099.sst"] = next["000012.sst"];  // under another name, too
  const FileContents expected = Put("2", next);
  bucket_.TakeBytesRead();
  const auto second = MustFetch("2/");
  EXPECT_NE(first->path, second->path);
  EXPECT_EQ(ReadFolder(second->path), expected);
  const std::map<std::string, int64_t> read = bucket_.TakeBytesRead();
  EXPECT_EQ(read.count("2/000012.sst") + read.count("2/000099.sst") + read.count("2/empty"), 0);
  EXPECT_EQ(read.at("2/000013.sst"), 50000);
  EXPECT_EQ(read.at("2/CURRENT"), 11);
}

TEST_F(FetchedStoresTest, WhatHoldsAStoreKeepsItFromBeingDropped) {
  Put("1", files_);
  Put("2", {{"CURRENT", "x"}});
  Put("3", {{"CURRENT", "y"}});
  RawStore(dir_ / "bucket/4").LoadTable("movie_id", "aaaa", 1, 10);
  WriteManifest(dir_ / "bucket/4");
  const auto held = MustFetch("1");
  const std::string kept = MustFetch("2")->path, dropped = MustFetch("3")->path;
  const std::string open = MustFetch("4")->path;
  const auto store = OpenTable(open, kReadOnly, "aaaa");
  ASSERT_TRUE(store.ok()) << store.status();
  // A user may have something there.
  std::filesystem::create_directories(state_dir_ + "/stores/ratings.partial");
  ASSERT_TRUE(DropFetchedStores(state_dir_, kept).ok());
  EXPECT_TRUE(std::filesystem::exists(held->path));
  EXPECT_TRUE(std::filesystem::exists(kept));
  EXPECT_TRUE(std::filesystem::exists(open));
  EXPECT_TRUE(std::filesystem::exists(state_dir_ + "/stores/ratings.partial"));
  EXPECT_FALSE(std::filesystem::exists(dropped));
  EXPECT_FALSE(std::filesystem::exists(dropped + ".dropped"));
  ASSERT_TRUE(DropFetchedStores(state_dir_).ok());
  EXPECT_FALSE(std::filesystem::exists(kept));
  EXPECT_EQ(ReadFolder(MustFetch("2")->path), ReadFolder(dir_ / "bucket/2"));
  EXPECT_TRUE(DropFetchedStores(dir_ / "nowhere").ok());
}

TEST_F(FetchedStoresTest, WithFormerGenerationsTheirStoresGo) {
  std::filesystem::create_directories(dir_ / "bucket");
  const StoreBackend& rocksdb = *FindBackend("rocksdb");
  json options = {{"read_only", true}, {"state_dir", state_dir_}};
  std::vector<std::string> paths;
  std::unique_ptr<EmbeddingStore> open;
  for (const char* generation : {"aaaa", "bbbb"}) {
    RawStore(dir_ / (std::string("bucket/") + generation)).LoadTable("movie_id", generation, 1, 10);
    WriteManifest(dir_ / (std::string("bucket/") + generation));
    options["path"] = FakeBucket::Url(generation);
    const auto local = rocksdb.fetch("d", options);
    ASSERT_TRUE(local.ok()) << local.status();
    paths.push_back(local->options["path"]);
    auto store = rocksdb.open(*rocksdb.describe("movie_id", "", local->options), local->options);
    ASSERT_TRUE(store.ok()) << store.status();
    open = *std::move(store);
    options = local->options;
  }
  ASSERT_TRUE(rocksdb.drop_others("movie_id", {"bbbb"}, options).ok());
  EXPECT_FALSE(std::filesystem::exists(paths[0]));
  EXPECT_THAT(FindAll(*open, {1}), ElementsAre(Pair(1, RowOf(1))));
}

TEST_F(FetchedStoresTest, TheNextFetchClearsUpAfterAKilledOne) {
  Put("1", files_);
  const std::string stores = state_dir_ + "/stores/", id(32, 'f'), other(32, '0');
  std::filesystem::create_directories(stores + id + ".dropped");
  WriteStore(stores + other + ".partial", {{"000012.sst", files_.at("000012.sst")}});
  MustFetch("1");
  EXPECT_FALSE(std::filesystem::exists(stores + id + ".dropped"));
  EXPECT_FALSE(std::filesystem::exists(stores + other + ".partial"));
  EXPECT_EQ(bucket_.TakeBytesRead().count("1/000012.sst"), 0);  // it was there already
}

TEST_F(FetchedStoresTest, FilesThatSomebodyTookAwayComeAgain) {
  const FileContents expected = Put("1", files_);
  const std::string path = MustFetch("1")->path;
  std::filesystem::remove(path + "/CURRENT");
  std::filesystem::resize_file(path + "/000012.sst", 7);
  std::filesystem::create_directories(path + ".partial");
  EXPECT_EQ(ReadFolder(MustFetch("1")->path), expected);
}

TEST_F(FetchedStoresTest, AStateDirIsNeeded) {
  Put("1", files_);
  EXPECT_THAT(FetchStore("d", FakeBucket::Url("1"), "").status(),
              AllOf(HasCode(StatusCode::kFailedPrecondition), Says("fake://bucket/1"),
                    Says("`rocksdb.state_dir`"), Says("TF_HPS_ROCKSDB_STATE_DIR")));
  EXPECT_THAT(
      FetchStore("d", FakeBucket::Url("1"), "/proc/self/nowhere").status(),
      AllOf(HasCode(StatusCode::kPermissionDenied), Says("/nowhere/stores cannot be made")));
  const auto fetch = FindBackend("rocksdb")->fetch;
  EXPECT_THAT(
      fetch("d", {{"path", "gs://b/1"}, {"read_only", true}, {"state_dir", "gs://b/s"}}).status(),
      AllOf(HasCode(StatusCode::kInvalidArgument), Says("of this machine")));
  EXPECT_THAT(fetch("d", {{"path", "gs://b/1"}, {"state_dir", state_dir_}}).status(),
              AllOf(HasCode(StatusCode::kInvalidArgument), Says("`rocksdb.read_only`")));
}

TEST_F(FetchedStoresTest, AStateDirIsOfOneDeployment) {
  Put("1", files_);
  MustFetch("1");
  bucket_.TakeBytesRead();
  EXPECT_THAT(Fetch("1", "other").status(),
              AllOf(HasCode(StatusCode::kFailedPrecondition), Says("deployment \"d\"'s"),
                    Says("\"other\""), Says("`rocksdb.state_dir`")));
  EXPECT_THAT(bucket_.TakeBytesRead(), IsEmpty());
}

TEST_F(FetchedStoresTest, AFullStateDirIsToldBeforeAnythingIsFetched) {
  Put("1", {{"a", std::string(3 << 20, 'a')}, {"b", std::string(2 << 20, 'b')}});
  std::filesystem::create_directories(state_dir_);
  if (!MountSmallDisk(state_dir_)) GTEST_SKIP() << "no file system can be mounted here";
  FillDisk(state_dir_ + "/ballast");
  std::filesystem::resize_file(state_dir_ + "/ballast",
                               std::filesystem::file_size(state_dir_ + "/ballast") - (4 << 20));
  const absl::Status status = Fetch("1").status();
  EXPECT_THAT(status, AllOf(HasCode(StatusCode::kResourceExhausted), Says("needs 5242880 bytes"),
                            Says(" are free"), Says(state_dir_)));
  EXPECT_EQ(bucket_.TakeBytesRead().size(), 1);  // the manifest
  std::filesystem::remove(state_dir_ + "/ballast");
  const auto store = MustFetch("1");
  EXPECT_EQ(ReadFolder(store->path), ReadFolder(dir_ / "bucket/1"));
  EXPECT_EQ(umount2(state_dir_.c_str(), MNT_DETACH), 0);  // its lock is held for good
}

TEST(StoreHolder, DISABLED_HoldsAStateDir) {
  const std::string dir = StorePath();
  const FakeBucket bucket(dir + "/bucket");
  const auto store = FetchStore("d", FakeBucket::Url("1"), dir + "/state");
  ASSERT_TRUE(store.ok()) << store.status();
  SayReadyAndWait();
}

TEST_F(FetchedStoresTest, ASecondServerIsToldWhoseTheStateDirIs) {
  Put("1", files_);
  OtherProcess first("HoldsAStateDir", dir_.path());
  ASSERT_TRUE(first.ready());
  const auto refused =
      AllOf(HasCode(StatusCode::kFailedPrecondition), Says(absl::StrCat("process ", first.pid())),
            Says("`rocksdb.state_dir`"));
  EXPECT_THAT(Fetch("1").status(), refused);
  EXPECT_THAT(DropFetchedStores(state_dir_), refused);
  EXPECT_TRUE(first.Finish());
  MustFetch("1");
}

TEST_F(FetchedStoresTest, WithoutAManifestThereIsNoStore) {
  Put("1", files_);
  std::filesystem::remove(dir_ / "bucket/1/tf_hps_manifest.json");
  EXPECT_THAT(Fetch("1").status(),
              AllOf(HasCode(StatusCode::kFailedPrecondition), Says("fake://bucket/1 has no"),
                    Says("tf-hps manifest --store DIR")));
}

TEST(StoreManifestTest, WhatIsNoneIsRefused) {
  const std::string sha256(64, 'a');
  const auto refusal = [&](const std::string& name, const json& bytes, const std::string& digest) {
    const json file = {{"name", name}, {"bytes", bytes}, {"sha256", digest}};
    return ParseStoreManifest(json({{"format_version", 1}, {"files", {file}}}).dump(), "M")
        .status();
  };
  EXPECT_TRUE(refusal("000012.sst", 7, sha256).ok());
  for (const char* name :
       {"", ".", "..", "../x", "/etc/x", "a/b", "x.partial", "tf_hps_manifest.json"}) {
    EXPECT_THAT(refusal(name, 7, sha256), AllOf(HasCode(StatusCode::kDataLoss), Says("M: ")))
        << name;
  }
  EXPECT_THAT(refusal("x", -1, sha256), HasCode(StatusCode::kDataLoss));
  EXPECT_THAT(refusal("x", "7", sha256), HasCode(StatusCode::kDataLoss));
  EXPECT_THAT(refusal("x", 7, "abc"), HasCode(StatusCode::kDataLoss));
  for (const char* text :
       {"", "[]", "{}", R"({"format_version": 1})", R"({"format_version": "1"})",
        R"({"format_version": 1, "files": []})", R"({"format_version": 1, "files": [7]})"}) {
    EXPECT_THAT(ParseStoreManifest(text, "M").status(), HasCode(StatusCode::kDataLoss)) << text;
  }
  EXPECT_THAT(ParseStoreManifest(R"({"format_version": 2})", "M").status(),
              AllOf(HasCode(StatusCode::kFailedPrecondition), Says("reads version 1")));
  const json file = {{"name", "x"}, {"bytes", 7}, {"sha256", sha256}};
  EXPECT_THAT(ParseStoreManifest(json({{"format_version", 1}, {"files", {file, file}}}).dump(), "M")
                  .status(),
              AllOf(HasCode(StatusCode::kDataLoss), Says("\"x\" stands twice")));
}

}  // namespace
}  // namespace tf_hps
