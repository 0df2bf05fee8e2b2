// What is at a store's path may be anything. Each case: the message, nothing changed, and the next
// good call works.
#include <fstream>

#include "tests/cc/storage/rocksdb_fixture.h"
#include "tests/cc/storage/temp_dir.h"

namespace tf_hps {
namespace {

using absl::StatusCode;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr char kA[] = "aaaa";
namespace fs = std::filesystem;

class RocksdbBadInputTest : public ::testing::Test {
 protected:
  absl::Status Open(bool read_only) { return OpenTable(path_, read_only, kA).status(); }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(path_ + "/" + name) << text;
  }
  std::vector<fs::path> FilesLike(const std::string& part) {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(path_)) {
      if (entry.path().filename().string().find(part) != std::string::npos) {
        found.push_back(entry.path());
      }
    }
    return found;
  }
  // Afterwards another store opens as ever.
  void TearDown() override {
    const std::string good = dir_ / "good";
    RawStore(good).LoadTable("movie_id", kA, 1, 2);
    const auto store = OpenTable(good, kReadWrite, kA);
    ASSERT_TRUE(store.ok()) << store.status();
    EXPECT_THAT(ScanAll(**store), SizeIs(2));
  }

  TempDir dir_;
  const std::string path_ = dir_ / "store";
};

TEST_F(RocksdbBadInputTest, AMissingPathIsNotFound) {
  EXPECT_THAT(Open(kReadOnly),
              AllOf(HasCode(StatusCode::kNotFound), Says("does not exist"), Says(path_)));
  EXPECT_THAT(DescribeTable(path_, kReadOnly, "movie_id").status(),
              AllOf(HasCode(StatusCode::kNotFound), Says(path_)));
  EXPECT_FALSE(fs::exists(path_));
}

TEST_F(RocksdbBadInputTest, APathIsNeeded) {
  EXPECT_THAT(OpenTable("", kReadOnly, kA).status(),
              AllOf(HasCode(StatusCode::kInvalidArgument), Says("`rocksdb.path` is needed")));
}

TEST_F(RocksdbBadInputTest, AFileIsNoStore) {
  std::ofstream(path_) << "rows";
  for (const bool read_only : {kReadOnly, kReadWrite}) {
    EXPECT_THAT(Open(read_only),
                AllOf(HasCode(StatusCode::kInvalidArgument), Says("is a file"), Says(path_)));
    EXPECT_THAT(DescribeTable(path_, read_only, "movie_id").status(), Says("is a file"));
  }
  EXPECT_EQ(fs::file_size(path_), 4);
}

TEST_F(RocksdbBadInputTest, AnEmptyDirectoryIsNoStoreToAReader) {
  fs::create_directory(path_);
  EXPECT_THAT(Open(kReadOnly), AllOf(HasCode(StatusCode::kFailedPrecondition),
                                     Says("empty directory"), Says(path_)));
  EXPECT_THAT(Files(path_), IsEmpty());
  EXPECT_TRUE(OpenTable(path_, kReadWrite, "live-1").ok());
}

TEST_F(RocksdbBadInputTest, ADirectoryOfOtherFilesIsLeftAlone) {
  fs::create_directory(path_);
  Write("photo.jpg", "x");
  const std::vector<std::string> before = Files(path_);
  for (const bool read_only : {kReadOnly, kReadWrite}) {
    EXPECT_THAT(Open(read_only), AllOf(HasCode(StatusCode::kInvalidArgument), Says("photo.jpg"),
                                       Says("no RocksDB database"), Says(path_)));
  }
  EXPECT_THAT(OpenTable(path_, kReadWrite, "live-1").status(), Says("photo.jpg"));
  EXPECT_EQ(Files(path_), before);
}

TEST_F(RocksdbBadInputTest, AnotherProgramsDatabaseIsLeftAlone) {
  RawStore(path_).WriteRows("messages", {{1, "hello"}});
  const std::vector<std::string> before = Files(path_);
  for (const bool read_only : {kReadOnly, kReadWrite}) {
    EXPECT_THAT(Open(read_only),
                AllOf(HasCode(StatusCode::kFailedPrecondition), Says("no tf_hps store"),
                      Says("tf_hps/format_version"), Says(path_)));
  }
  EXPECT_EQ(Files(path_), before);
}

TEST_F(RocksdbBadInputTest, ANewerFormatNamesBothVersions) {
  {
    RawStore store(path_);
    store.LoadTable("movie_id", kA, 1, 1);
    store.PutRecord("tf_hps/format_version", "3");
  }
  const std::vector<std::string> before = Files(path_);
  for (const bool read_only : {kReadOnly, kReadWrite}) {
    EXPECT_THAT(Open(read_only),
                AllOf(HasCode(StatusCode::kFailedPrecondition), Says("has format version 3"),
                      Says("reads versions 1 to 2"), Says(path_)));
  }
  EXPECT_EQ(Files(path_), before);
}

TEST_F(RocksdbBadInputTest, ADamagedRecordIsNamed) {
  const std::string key = "tf_hps/table/movie_id/aaaa";
  for (const auto& [value, what] : std::vector<std::pair<std::string, std::string>>{
           {"not JSON", "no JSON object"},
           {R"({"rows": 1})", "no \"embedding_dim\""},
           {R"({"rows": -1, "embedding_dim": 4, "sequence": 1})", "no \"rows\""},
           {R"({"rows": 1, "embedding_dim": 4, "sequence": 1, "column_family": "x",
               "row_format": "float8"})",
            "float8"}}) {
    RawStore(path_).PutRecord("tf_hps/format_version", "1");
    RawStore(path_).PutRecord(key, value);
    EXPECT_THAT(Open(kReadOnly), AllOf(HasCode(StatusCode::kDataLoss), Says(what), Says(key)));
  }
}

TEST_F(RocksdbBadInputTest, ATableOfAnotherDimensionNamesBoth) {
  RawStore(path_).LoadTable("movie_id", kA, 1, 1);
  for (const StoreBackend& backend : StoreBackends()) {
    if (backend.kind != "rocksdb") continue;
    TableSpec spec;
    spec.name = "movie_id";
    spec.generation = kA;
    spec.embedding_dim = 8;
    EXPECT_THAT(backend.open(spec, {{"path", path_}, {"read_only", true}}).status(),
                AllOf(HasCode(StatusCode::kInvalidArgument), Says("has embedding_dim 4"),
                      Says("Asked for: embedding_dim 8"), Says("movie_id")));
  }
}

TEST_F(RocksdbBadInputTest, ARowOfAnotherLengthIsDataLoss) {
  {
    RawStore store(path_);
    store.LoadTable("movie_id", kA, 1, 1);
    store.WriteRows("rows/movie_id/b",
                    {{1, std::string(16, 'a')}, {2, "short"}, {3, "long enough one"}});
    store.PutRecord("tf_hps/table/movie_id/b", R"({"column_family": "rows/movie_id/b",
        "embedding_dim": 4, "row_format": "float32", "rows": 3, "sequence": 2})");
  }
  const auto store = OpenTable(path_, kReadOnly, "b");
  ASSERT_TRUE(store.ok()) << store.status();
  Batch batch({3, 7, 2, 1});
  Pending pending = Pending::All(4);
  EXPECT_THAT((*store)->Find(batch.keys, batch.sink, &pending),
              AllOf(HasCode(StatusCode::kDataLoss), Says("table \"movie_id\""), Says("key 2"),
                    Says("5 bytes"), Says("16"), Says(path_)));
  EXPECT_THAT(Positions(pending), ElementsAre(0, 1, 2));  // 1 was answered
  EXPECT_EQ(batch.rows[2], Batch::kUntouched);
  auto scanner = (*store)->NewScanner(kMinKey, kMaxKey);
  RowBlock block;
  EXPECT_THAT((*scanner)->Next(10, &block), AllOf(HasCode(StatusCode::kDataLoss), Says("key 2")));
  EXPECT_EQ(FindAll(**store, {1}).size(), 1);
}

TEST_F(RocksdbBadInputTest, RowsOfAnotherLengthAreNotInserted) {
  const auto store = OpenTable(path_, kReadWrite, "live-1");
  const std::vector<float> row(8);
  const RowsView rows(reinterpret_cast<const uint8_t*>(row.data()), 32);
  EXPECT_THAT((*store)->Insert({1}, rows, {}),
              AllOf(HasCode(StatusCode::kInvalidArgument), Says("32 bytes"), Says("have 16")));
  EXPECT_THAT(ScanAll(**store), IsEmpty());
  EXPECT_TRUE(Insert(**store, {1}, {RowOf(1)}).ok());
}

// Whatever file is cut short, emptied, garbled or gone: an error, or all rows as they were. Never
// an end of the process, never a row that is not the stored one. A log may lose its unsynced tail,
// as it would in a crash of the machine, so the log here holds no rows.
TEST_F(RocksdbBadInputTest, DamagedFilesAreDataLoss) {
  const std::string original = dir_ / "original";
  RawStore(original).LoadTable("movie_id", kA, 1, 20000);
  OpenTable(original, kReadWrite, kA).status().IgnoreError();  // the records into a file too
  enum class Damage { kHalf, kEmpty, kGarbled, kGone };
  int refused = 0;
  for (const auto& entry : fs::directory_iterator(original)) {
    const std::string name = entry.path().filename().string();
    if (name == "LOCK" || name.rfind("LOG", 0) == 0 || name.rfind("OPTIONS", 0) == 0 ||
        name == "IDENTITY" || entry.path().extension() == ".log") {
      continue;
    }
    for (const Damage damage : {Damage::kHalf, Damage::kEmpty, Damage::kGarbled, Damage::kGone}) {
      for (const bool read_only : {kReadOnly, kReadWrite}) {
        SCOPED_TRACE(
            absl::StrCat(name, " damage ", static_cast<int>(damage), " read_only ", read_only));
        fs::remove_all(path_);
        fs::copy(original, path_);
        const fs::path file = fs::path(path_) / name;
        const auto size = fs::file_size(file);
        if (damage == Damage::kHalf) fs::resize_file(file, size / 2);
        if (damage == Damage::kEmpty) fs::resize_file(file, 0);
        if (damage == Damage::kGone) fs::remove(file);
        if (damage == Damage::kGarbled) {
          std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
          out.seekp(size / 3);
          out << std::string(std::max<size_t>(1, size / 3), '\x5a');
        }
        const auto store = OpenTable(path_, read_only, kA);
        absl::Status status = store.status();
        std::vector<Key> keys;
        for (Key key = 0; key < 20000; ++key) keys.push_back(key);
        if (status.ok()) {
          Batch batch(keys);
          Pending pending = Pending::All(keys.size());
          status = (*store)->Find(batch.keys, batch.sink, &pending);
          if (status.ok()) EXPECT_TRUE(pending.empty());
          const std::vector<uint32_t> left = Positions(pending);
          for (uint32_t p = 0; p < keys.size(); ++p) {
            if (std::binary_search(left.begin(), left.end(), p)) continue;
            ASSERT_EQ(batch.rows[p], RowOf(keys[p])) << p;
          }
        }
        if (status.ok()) continue;
        ++refused;
        EXPECT_THAT(status, AllOf(AnyOf(HasCode(StatusCode::kDataLoss),
                                        HasCode(StatusCode::kFailedPrecondition),
                                        HasCode(StatusCode::kInvalidArgument)),
                                  Says(path_)));
        if (name.find(".sst") != std::string::npos) {
          EXPECT_THAT(status, HasCode(StatusCode::kDataLoss));
        }
      }
    }
  }
  EXPECT_GE(refused, 20);
}

TEST_F(RocksdbBadInputTest, AWriterDoesNotCleanUpWhatAManifestForgot) {
  const std::string original = dir_ / "original";
  RawStore(original).LoadTable("movie_id", kA, 1, 1000);
  RawStore(original).LoadTable("movie_id", "bbbb", 2, 1000);
  std::string manifest;
  std::ifstream(original + "/CURRENT") >> manifest;
  const auto size = fs::file_size(original + "/" + manifest);
  int refused = 0;
  // A sanitizer looks at the code, which is the same for each of some hundred lengths.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  constexpr size_t kStep = 61;
#else
  constexpr size_t kStep = 11;
#endif
  for (size_t keep = 0; keep < size; keep += kStep) {
    SCOPED_TRACE(absl::StrCat(keep, " of ", size, " bytes"));
    fs::remove_all(path_);
    fs::copy(original, path_);
    fs::resize_file(path_ + "/" + manifest, keep);
    const size_t files = FilesLike(".sst").size();
    const auto store = OpenTable(path_, kReadWrite, "bbbb");
    if (store.ok()) {  // what the MANIFEST lost, the log had
      ASSERT_THAT(ScanAll(**store, kMinKey, kMaxKey, 5000), SizeIs(1000));
      continue;
    }
    ++refused;
    ASSERT_THAT(store.status(),
                AnyOf(HasCode(StatusCode::kDataLoss), HasCode(StatusCode::kFailedPrecondition)));
    ASSERT_EQ(FilesLike(".sst").size(), files);
  }
  EXPECT_GE(refused, 10);
}

}  // namespace
}  // namespace tf_hps
