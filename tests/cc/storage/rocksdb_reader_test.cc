#include "cc/storage/rocksdb_reader.h"

#include <filesystem>
#include <thread>

#include "tests/cc/storage/rocksdb_fixture.h"
#include "tests/cc/storage/temp_dir.h"

namespace tf_hps {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Files = RocksdbReader::Files;
using Presence = RocksdbReader::Presence;

constexpr char kFamily[] = "rows/movie_id/aaaa";

class RocksdbReaderTest : public ::testing::Test {
 protected:
  // Rows under 0 to kRows - 1, every third of them erased.
  void SetUp() override {
    RawStore store(path_);
    store.PutTable("movie_id", "aaaa", 1, kRows);
    std::vector<std::pair<Key, std::string>> rows;
    for (Key key = 0; key < kRows; ++key) {
      const Row row = RowOf(key);
      const std::string bytes(reinterpret_cast<const char*>(&row), sizeof(row));
      rows.emplace_back(key, key % 3 == 2 ? "" : bytes);
    }
    store.WriteRows(kFamily, rows);
  }

  std::shared_ptr<const RocksdbReader> Open(Files files = Files::kAll) {
    std::unique_ptr<RocksdbReader> reader;
    EXPECT_EQ(RocksdbReader::Open(path_, files, &reader), "");
    return reader;
  }

  static constexpr Key kRows = 3000;

  const TempDir dir_;
  const std::string path_ = dir_ / "store";
};

TEST_F(RocksdbReaderTest, ThreadsLookUpAndScanWhileTheDatabaseIsLetGo) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      auto reader = Open();
      RocksdbRowCursor cursor(reader, kFamily, sizeof(Row), 10 * t, kMaxKey);
      std::vector<Key> asked;
      for (Key key = -50; key < kRows + 50; ++key) asked.push_back(key * (t % 2 == 0 ? 1 : -1));
      std::vector<Row> rows(asked.size());
      std::vector<Presence> presence(asked.size());
      EXPECT_EQ(reader->GetRows(kFamily, asked, sizeof(Row),
                                reinterpret_cast<uint8_t*>(rows.data()), presence.data()),
                "");
      for (size_t i = 0; i < asked.size(); ++i) {
        const bool there = asked[i] >= 0 && asked[i] < kRows;
        const Presence is = asked[i] % 3 == 2 ? Presence::kErased : Presence::kStored;
        EXPECT_EQ(presence[i], there ? is : Presence::kAbsent) << asked[i];
        if (presence[i] == Presence::kStored) EXPECT_EQ(rows[i], RowOf(asked[i]));
      }
      reader = nullptr;
      Key key = 10 * t;
      for (size_t count = 1; count > 0;) {
        std::array<Key, 7> keys;
        std::array<Row, 7> found;
        std::array<bool, 7> erased;
        ASSERT_EQ(cursor.Next(keys.size(), keys.data(), reinterpret_cast<uint8_t*>(found.data()),
                              erased.data(), &count),
                  "");
        for (size_t i = 0; i < count; ++i, ++key) {
          EXPECT_EQ(keys[i], key);
          EXPECT_EQ(erased[i], key % 3 == 2);
          EXPECT_EQ(found[i], erased[i] ? Row{} : RowOf(key));
        }
      }
      EXPECT_EQ(key, kRows);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_F(RocksdbReaderTest, RecordsAreReadWithoutTheRows) {
  const auto reader = Open(Files::kNone);
  EXPECT_THAT(reader->families(), ElementsAre(kFamily));
  EXPECT_EQ(reader->family(kFamily), nullptr);
  RocksdbReader::Items items;
  EXPECT_EQ(reader->GetItems("tf_hps/table/", 10, &items), "");
  ASSERT_EQ(items.size(), 1);
  EXPECT_EQ(items[0].first, "tf_hps/table/movie_id/aaaa");
  std::optional<std::string> value;
  EXPECT_EQ(reader->Get(items[0].first, &value), "");
  EXPECT_EQ(value, items[0].second);
  EXPECT_EQ(reader->Get("none", &value), "");
  EXPECT_EQ(value, std::nullopt);
}

TEST_F(RocksdbReaderTest, OpenFilesAreReadWhenTheyAreGone) {
  std::vector<std::string> families;
  {
    RawStore store(path_);
    for (int i = 0; i < 30; ++i) {
      families.push_back("rows/table" + std::to_string(i) + "/aaaa");
      store.WriteRows(families.back(), {{i, std::string(sizeof(Row), 'x')}});
    }
  }
  const auto all = Open(Files::kAll);
  const auto when_read = Open(Files::kWhenRead);
  for (const auto& file : std::filesystem::directory_iterator(path_)) {
    if (file.path().extension() == ".sst") std::filesystem::remove(file);
  }
  int gone = 0;
  for (int i = 0; i < 30; ++i) {
    Row row;
    Presence presence;
    auto* const bytes = reinterpret_cast<uint8_t*>(&row);
    EXPECT_EQ(all->GetRows(families[i], {Key{i}}, sizeof(Row), bytes, &presence), "");
    EXPECT_EQ(presence, Presence::kStored);
    const std::string error =
        when_read->GetRows(families[i], {Key{i}}, sizeof(Row), bytes, &presence);
    if (!error.empty()) EXPECT_THAT(error, HasSubstr("No such file or directory"));
    gone += !error.empty();
  }
  EXPECT_GE(gone, 30 - 16);
}

TEST_F(RocksdbReaderTest, ErrorsAreRocksdbsWords) {
  std::unique_ptr<RocksdbReader> nothing;
  EXPECT_THAT(RocksdbReader::Open(dir_ / "none", Files::kAll, &nothing),
              HasSubstr("No such file or directory"));
  const auto reader = Open();
  Row row;
  Presence presence;
  auto* const bytes = reinterpret_cast<uint8_t*>(&row);
  EXPECT_THAT(reader->GetRows("rows/none", {Key{1}}, sizeof(Row), bytes, &presence),
              HasSubstr("not found: rows/none"));
  EXPECT_THAT(reader->GetRows(kFamily, {Key{1}}, sizeof(Row) - 1, bytes, &presence),
              HasSubstr("that of key 1 has"));
  Key key;
  bool erased;
  size_t count;
  RocksdbRowCursor cursor(reader, kFamily, sizeof(Row) - 1, kMinKey, kMaxKey);
  EXPECT_THAT(cursor.Next(1, &key, bytes, &erased, &count), HasSubstr("that of key 0 has"));
}

}  // namespace
}  // namespace tf_hps
