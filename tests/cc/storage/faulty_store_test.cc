#include "tests/cc/storage/faulty_store.h"

#include "tests/cc/storage/rocksdb_fixture.h"
#include "tests/cc/storage/temp_dir.h"

namespace tf_hps {
namespace {

using ::testing::ElementsAre;

class FaultyStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto base = OpenTable(dir_ / "store", kReadWrite, "live-1");
    ASSERT_TRUE(base.ok()) << base.status();
    store_ = std::make_unique<FaultyStore>(*std::move(base));
    ASSERT_TRUE(Insert(*store_, {1, 2}, {RowOf(1), RowOf(2)}).ok());
  }

  TempDir dir_;
  std::unique_ptr<FaultyStore> store_;
};

TEST_F(FaultyStoreTest, FailsAsOftenAsItIsTold) {
  store_->Fail(FaultyStore::kInsert, absl::UnavailableError("gone"), 2);
  EXPECT_TRUE(absl::IsUnavailable(Insert(*store_, {1}, {RowOf(9)})));
  EXPECT_TRUE(absl::IsUnavailable(Insert(*store_, {1}, {RowOf(9)})));
  EXPECT_EQ(FindAll(*store_, {1}).at(1), RowOf(1));
  EXPECT_TRUE(Insert(*store_, {1}, {RowOf(9)}).ok());
  EXPECT_EQ(store_->Calls(FaultyStore::kInsert), 4);
}

TEST_F(FaultyStoreTest, AFindThatFailsHalfwayLeavesWhatItDidNotAnswer) {
  store_->Fail(FaultyStore::kFind, absl::UnavailableError("gone"), 1, /*answered=*/2);
  Batch batch({1, 7, 2});
  Pending pending = Pending::All(3);
  EXPECT_TRUE(absl::IsUnavailable(store_->Find(batch.keys, batch.sink, &pending)));
  EXPECT_THAT(Positions(pending), ElementsAre(1, 2));
  EXPECT_EQ(batch.rows[0], RowOf(1));
  EXPECT_EQ(batch.rows[2], Batch::kUntouched);
}

TEST_F(FaultyStoreTest, HoldsCallsUntilTheyAreReleased) {
  store_->Hold(FaultyStore::kErase);
  std::thread eraser([&] { EXPECT_TRUE(store_->Erase({1}).ok()); });
  store_->WaitForCalls(FaultyStore::kErase, 1);
  EXPECT_EQ(FindAll(*store_, {1}).size(), 1);
  store_->Release(FaultyStore::kErase);
  eraser.join();
  EXPECT_TRUE(FindAll(*store_, {1}).empty());
}

}  // namespace
}  // namespace tf_hps
