// Fetches over a network that cuts, alters and refuses, and in processes that are killed.

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <thread>

#include "cc/common/mutex.h"
#include "cc/storage/fetched_stores.h"
#include "tests/cc/common/fake_bucket.h"
#include "tests/cc/storage/bucket_stores.h"
#include "tests/cc/storage/rocksdb_fixture.h"
#include "tests/cc/storage/temp_dir.h"

namespace tf_hps {
namespace {

using absl::StatusCode;
using ::testing::AllOf;
using ::testing::AnyOf;

constexpr size_t kRange = 4096;

FetchOptions InSmallRanges() {
  FetchOptions options;
  options.threads = 3;
  options.range_bytes = kRange;
  options.pause = std::chrono::milliseconds(0);
  options.log_every = std::chrono::milliseconds(20);
  return options;
}

class FetchFaultsTest : public ::testing::Test {
 protected:
  FileContents Put(const std::string& name, const FileContents& files) {
    WriteStore(dir_ / ("bucket/" + name), files);
    return ReadFolder(dir_ / ("bucket/" + name));
  }
  absl::StatusOr<std::shared_ptr<const FetchedStore>> Fetch(const std::string& name) {
    return FetchStore("d", FakeBucket::Url(name), dir_ / "state", InSmallRanges());
  }
  // The folders of stores, whole or not.
  std::vector<std::string> StoreFolders() const {
    std::vector<std::string> paths;
    for (const auto& entry : std::filesystem::directory_iterator(dir_ / "state/stores")) {
      if (entry.is_directory()) paths.push_back(entry.path().string());
    }
    return paths;
  }
  // Whatever stands under a name that is not NAME.partial is what the bucket has, and a folder
  // under an id has all of it.
  void ExpectNothingHalf(const FileContents& expected) const {
    for (const std::string& folder : StoreFolders()) {
      const FileContents files = ReadFolder(folder);
      if (folder.find(".partial") == std::string::npos) EXPECT_EQ(files, expected);
      for (const auto& [name, text] : files) {
        if (name.find(".partial") != std::string::npos) continue;
        EXPECT_EQ(text, expected.at(name)) << folder << " " << name;
      }
    }
  }
  // `times` reads of this file from `offset` on go wrong.
  void Spoil(const std::string& file, int times,
             std::function<absl::Status(uint64_t offset, std::string* bytes)> how) {
    const auto left = std::make_shared<int>(times);
    bucket_.SetFault([this, file, left, how = std::move(how)](const std::string& name,
                                                              uint64_t offset, std::string* bytes) {
      MutexLock lock(&mutex_);
      if (name != file || *left == 0) return absl::OkStatus();
      const std::string before = *bytes;
      absl::Status status = how(offset, bytes);
      if (!status.ok() || *bytes != before) --*left;
      return status;
    });
  }

  Mutex mutex_;
  TempDir dir_;
  FakeBucket bucket_{dir_ / "bucket"};
  std::mt19937 random_{7};
  const FileContents files_ = {{"CURRENT", "MANIFEST-5\n"},
                               {"a.sst", RandomText(10 * kRange, &random_)},
                               {"b.sst", RandomText(3 * kRange + 17, &random_)}};
};

absl::Status Alter(uint64_t offset, std::string* bytes) {
  if (offset == 2 * kRange) (*bytes)[100] ^= 1;
  return absl::OkStatus();
}

TEST_F(FetchFaultsTest, AnAlteredFileIsRefusedByItsName) {
  const FileContents expected = Put("1", files_);
  Spoil("1/b.sst", -1, Alter);
  EXPECT_THAT(Fetch("1").status(),
              AllOf(HasCode(StatusCode::kDataLoss), Says("fake://bucket/1/b.sst is altered"),
                    Says(Sha256Of(files_.at("b.sst")))));
  ExpectNothingHalf(expected);
  bucket_.SetFault(nullptr);
  bucket_.TakeBytesRead();
  const auto store = Fetch("1");
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(ReadFolder((*store)->path), expected);
}

TEST_F(FetchFaultsTest, ATruncatedFileIsRefusedByItsName) {
  const FileContents expected = Put("1", files_);
  Spoil("1/a.sst", -1, [](uint64_t offset, std::string* bytes) {
    if (offset == 2 * kRange) bytes->resize(5);
    return absl::OkStatus();
  });
  EXPECT_THAT(Fetch("1").status(), AllOf(HasCode(StatusCode::kDataLoss),
                                         Says("1/a.sst ends after 8197 of the 40960 bytes"),
                                         Says("tf_hps_manifest.json")));
  ExpectNothingHalf(expected);
}

TEST_F(FetchFaultsTest, AFileThatIsLongerOrGoneIsRefusedByItsName) {
  Put("1", files_);
  std::ofstream(dir_ / "bucket/1/a.sst", std::ios::app) << "x";
  EXPECT_THAT(Fetch("1").status(), AllOf(HasCode(StatusCode::kDataLoss),
                                         Says("1/a.sst is longer than the 40960 bytes")));
  std::filesystem::remove(dir_ / "bucket/1/a.sst");
  EXPECT_THAT(Fetch("1").status(),
              AllOf(HasCode(StatusCode::kDataLoss), Says("1/a.sst is not there")));
}

TEST_F(FetchFaultsTest, WhatIsAlteredOnceComesAgain) {
  const FileContents expected = Put("1", files_);
  Spoil("1/b.sst", 1, Alter);
  const auto store = Fetch("1");
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(ReadFolder((*store)->path), expected);
}

TEST_F(FetchFaultsTest, AfterAnErrorItGoesOnWhereItStood) {
  const FileContents expected = Put("1", files_);
  const auto refuse = [](uint64_t offset, std::string*) {
    return offset == 6 * kRange ? absl::UnavailableError("try later") : absl::OkStatus();
  };
  Spoil("1/a.sst", 2, refuse);
  auto store = Fetch("1");
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(ReadFolder((*store)->path), expected);
  EXPECT_EQ(bucket_.TakeBytesRead().at("1/a.sst"), 10 * kRange);
  store = nullptr;
  ASSERT_TRUE(DropFetchedStores(dir_ / "state").ok());

  Spoil("1/a.sst", -1, refuse);
  EXPECT_THAT(Fetch("1").status(),
              AllOf(HasCode(StatusCode::kUnavailable), Says("fake://bucket/1/a.sst: try later")));
  ExpectNothingHalf(expected);
  // So does another fetch, which has the other files already.
  bucket_.SetFault(nullptr);
  bucket_.TakeBytesRead();
  store = Fetch("1");
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(ReadFolder((*store)->path), expected);
  EXPECT_EQ(bucket_.TakeBytesRead().at("1/a.sst"), 4 * kRange);
}

TEST_F(FetchFaultsTest, ABeginningThatIsWrongCostsAnotherAttempt) {
  const FileContents expected = Put("1", files_);
  Spoil("1/a.sst", -1, [](uint64_t offset, std::string*) {
    return offset > 0 ? absl::UnavailableError("no") : absl::OkStatus();
  });
  ASSERT_FALSE(Fetch("1").ok());
  bucket_.SetFault(nullptr);
  // As after a crash of the machine: the length is there, the bytes are not.
  std::ofstream(StoreFolders().at(0) + "/a.sst.partial") << std::string(2 * kRange, '\0');
  const auto store = Fetch("1");
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(ReadFolder((*store)->path), expected);
}

TEST_F(FetchFaultsTest, WhateverTheNetworkDoesAStoreIsWholeOrNotThere) {
  const char* const given = std::getenv("TF_HPS_TEST_SEED");
  const unsigned seed = given == nullptr ? getpid() : std::atoi(given);
  SCOPED_TRACE("TF_HPS_TEST_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  FileContents files;
  int refused = 0;
  for (int generation = 0; generation < 12; ++generation) {
    // Some files of the former generation stay, some are new.
    for (int i = 0; i < 4; ++i) {
      const size_t bytes = random() % 3 == 0 ? kRange * (random() % 4) : random() % (4 * kRange);
      files[std::to_string(random() % 8)] = RandomText(bytes, &random);
    }
    const std::string name = std::to_string(generation);
    const FileContents expected = Put(name, files);
    const unsigned one_in =
        2 + generation % 4;  // of reads fails: at a half of them no fetch gets through
    Mutex mutex;
    bucket_.SetFault([&](const std::string& object, uint64_t, std::string* bytes) {
      MutexLock lock(&mutex);
      if (random() % one_in > 0 || object.find("manifest") != std::string::npos) {
        return absl::OkStatus();
      }
      const unsigned kind = random() % 3;
      if (kind == 0) return absl::UnavailableError("try later");
      if (kind == 1) bytes->resize(random() % (bytes->size() + 1));
      if (kind == 2 && !bytes->empty()) (*bytes)[random() % bytes->size()] ^= 1 << random() % 8;
      return absl::OkStatus();
    });
    for (;;) {
      const auto store = Fetch(name);
      if (store.ok()) {
        ASSERT_EQ(ReadFolder((*store)->path), expected);
        break;
      }
      ++refused;
      ASSERT_THAT(store.status(),
                  AllOf(AnyOf(HasCode(StatusCode::kDataLoss), HasCode(StatusCode::kUnavailable)),
                        Says(FakeBucket::Url(name) + "/")));
    }
    bucket_.SetFault(nullptr);
    if (generation % 4 == 3) ASSERT_TRUE(DropFetchedStores(dir_ / "state").ok());
  }
  EXPECT_GT(refused, 0);
}

// The process that is killed: this program again, with one test.
TEST(FetchVictim, DISABLED_Fetches) {
  const std::string dir = std::getenv("TF_HPS_TEST_STORE");
  FakeBucket bucket(dir + "/bucket");
  bucket.SetFault([](const std::string&, uint64_t, std::string*) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return absl::OkStatus();
  });
  ASSERT_EQ(write(3, "r", 1), 1);
  ASSERT_TRUE(FetchStore("d", FakeBucket::Url("1"), dir + "/state", InSmallRanges()).ok());
  ASSERT_EQ(write(3, "d", 1), 1);
  while (true) pause();
}

TEST_F(FetchFaultsTest, AfterAKillTheNextOneGoesOn) {
  const unsigned seed = getpid();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  FileContents files;
  for (int i = 0; i < 20; ++i) {
    files[std::to_string(i)] = RandomText(random() % (20 * kRange), &random);
  }
  const FileContents expected = Put("1", files);
  setenv("TF_HPS_TEST_STORE", dir_.path().c_str(), 1);
  bool is_fetched = false;
  int in_the_middle = 0;
  // Files that are whole, of what was fetched so far.
  const auto whole = [&] {
    std::vector<std::string> names;
    for (const std::string& folder : StoreFolders()) {
      for (const auto& [name, text] : ReadFolder(folder)) {
        if (files.count(name) > 0) names.push_back("1/" + name);
      }
    }
    return names;
  };
  // Each has more time than the one before it, up to where something is whole.
  for (int kills = 0; !is_fetched && (kills < 15 || (whole().empty() && kills < 200)); ++kills) {
    int from_child[2];
    ASSERT_EQ(pipe2(from_child, O_CLOEXEC), 0);
    const pid_t child = fork();
    if (child == 0) {
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      dup2(from_child[1], 3);
      execl("/proc/self/exe", "test", "--gtest_filter=FetchVictim.*", "--gtest_brief=1",
            "--gtest_also_run_disabled_tests", nullptr);
      _exit(127);
    }
    close(from_child[1]);
    char said = 0;
    ASSERT_EQ(read(from_child[0], &said, 1), 1);
    usleep(random() % (10000 * (kills + 1)));
    kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);
    is_fetched = read(from_child[0], &said, 1) == 1;
    close(from_child[0]);
    if (!std::filesystem::exists(dir_ / "state/stores")) continue;
    ExpectNothingHalf(expected);
    const std::vector<std::string> folders = StoreFolders();
    ASSERT_LE(folders.size(), 1);
    in_the_middle += !is_fetched && !folders.empty();
  }
  EXPECT_GT(in_the_middle, 0) << "no kill came in the middle of a fetch";
  // What was whole does not come again.
  const std::vector<std::string> there = whole();
  const auto store = Fetch("1");
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(ReadFolder((*store)->path), expected);
  const std::map<std::string, int64_t> read = bucket_.TakeBytesRead();
  EXPECT_FALSE(there.empty());
  for (const std::string& name : there) EXPECT_EQ(read.count(name), 0) << name;
}

}  // namespace
}  // namespace tf_hps
