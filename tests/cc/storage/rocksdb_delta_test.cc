// Generations of which a store has only what differs from another one.
#include <memory>
#include <string>

#include "cc/storage/row_ages.h"
#include "tests/cc/storage/rocksdb_fixture.h"
#include "tests/cc/storage/store_verbs.h"
#include "tests/cc/storage/temp_dir.h"

namespace tf_hps {
namespace {

using absl::StatusCode;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Not;
using ::testing::Pair;
using ::testing::SizeIs;

constexpr char kRoot[] = "aaaa";
constexpr char kOver[] = "bbbb";

// Keys 0 to 9 below; 1 is another row, 2 and 30 are erased, and both ends of all keys are new.
class RocksdbDeltaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    RawStore raw(path_);
    raw.LoadTable("movie_id", kRoot, 1, 10);
    raw.LoadDelta(kOver, kRoot, 2, 11,
                  {{kMinKey, StoredRow(RowOf(-1))},
                   {1, StoredRow(RowOf(100))},
                   {2, ""},
                   {30, ""},
                   {kMaxKey, StoredRow(RowOf(1000))}});
  }

  std::unique_ptr<EmbeddingStore> MustOpen(const std::string& generation,
                                           bool read_only = kReadWrite) const {
    auto store = OpenTable(path_, read_only, generation);
    EXPECT_TRUE(store.ok()) << store.status();
    return *std::move(store);
  }
  static void ExpectRows(const EmbeddingStore& store) {
    const auto ends = AllOf(Contains(Pair(kMinKey, RowOf(-1))), Contains(Pair(1, RowOf(100))),
                            Contains(Pair(kMaxKey, RowOf(1000))), Contains(Pair(9, RowOf(9))));
    const std::map<Key, Row> all = ScanAll(store);
    EXPECT_THAT(all, AllOf(SizeIs(11), ends, Not(Contains(::testing::Key(2)))));
    EXPECT_EQ(FindAll(store, {kMaxKey, 30, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 2, kMinKey}), all);
    EXPECT_EQ(store.Stats().rows, 11);
    EXPECT_TRUE(store.Stats().rows_exact);
  }

  TempDir dir_;
  const std::string path_ = dir_ / "store";
};

TEST_F(RocksdbDeltaTest, RowsThatDifferLieOverTheBases) {
  ExpectRows(*MustOpen(kOver));
  ExpectRows(*MustOpen(kOver, kReadOnly));
  EXPECT_EQ(DescribeTable(path_, kReadOnly, "movie_id")->generation, kOver);
  EXPECT_EQ(DescribeTable(path_, kReadOnly, "movie_id")->rows, 11);
  const auto base = MustOpen(kRoot, kReadOnly);
  EXPECT_THAT(FindAll(*base, {1, 2, 30}), ElementsAre(Pair(1, RowOf(1)), Pair(2, RowOf(2))));
  EXPECT_EQ(base->Stats().rows, 10);
}

TEST_F(RocksdbDeltaTest, UpdatesOfADeltaStayAndItsBaseIsAsItWas) {
  {
    const auto store = MustOpen(kOver);
    ASSERT_TRUE(Insert(*store, {2, 3}, {RowOf(200), RowOf(300)}).ok());
    ASSERT_TRUE(store->Erase({4, 1}).ok());
    const auto commit = store->NewCommit();
    const std::vector<Key> keys = {5};
    const std::vector<Row> rows = {RowOf(500)};
    const std::vector<Key> erased = {6};
    ASSERT_TRUE(store->AddTo(commit.get(), {keys, ViewOf(rows), erased, "7", {"s", 7}}));
    ASSERT_TRUE(commit->Write().ok());
  }
  const auto store = MustOpen(kOver);
  EXPECT_THAT(ScanAll(*store, 0, 7),
              ElementsAre(Pair(0, RowOf(0)), Pair(2, RowOf(200)), Pair(3, RowOf(300)),
                          Pair(5, RowOf(500)), Pair(7, RowOf(7))));
  EXPECT_FALSE(store->Stats().rows_exact);
  EXPECT_EQ(*store->StreamRecord(), "7");
  EXPECT_EQ(ScanAll(*MustOpen(kRoot)).at(4), RowOf(4));
}

TEST_F(RocksdbDeltaTest, ABaseTakesNoRows) {
  const auto base = MustOpen(kRoot);
  const auto refused = AllOf(HasCode(StatusCode::kFailedPrecondition),
                             Says("generation aaaa, takes no rows: bbbb is a delta over it"));
  EXPECT_THAT(Insert(*base, {1}, {RowOf(7)}), refused);
  EXPECT_THAT(base->Erase({1}), refused);
  EXPECT_THAT(base->Erase({}), refused);
  EXPECT_THAT(base->OpenRowAges().status(), refused);
  EXPECT_TRUE(MustOpen(kOver)->Erase({}).ok());
}

TEST_F(RocksdbDeltaTest, ABaseThatWasChangedOrIsGoneIsAnError) {
  RawStore(path_).PutRecord("tf_hps/modified/movie_id/aaaa", "1");
  EXPECT_THAT(OpenTable(path_, kReadOnly, kOver).status(),
              AllOf(HasCode(StatusCode::kFailedPrecondition),
                    Says("differs from generation aaaa, whose rows were changed since"),
                    Says("Load the table in full")));
  RawStore(path_).LoadDelta("cccc", kOver, 3, 11, {{1, ""}});
  EXPECT_THAT(OpenTable(path_, kReadOnly, "cccc").status(),
              AllOf(HasCode(StatusCode::kDataLoss), Says("cannot lie over generation bbbb")));
  RawStore(path_).LoadDelta("dddd", "none", 4, 11, {{1, ""}});
  EXPECT_THAT(OpenTable(path_, kReadOnly, "dddd").status(),
              AllOf(HasCode(StatusCode::kDataLoss), Says("generation none, which is gone")));
}

TEST_F(RocksdbDeltaTest, AnErasedKeyMayBeAnEnd) {
  RawStore(path_).LoadDelta("cccc", kRoot, 3, 9, {{3, ""}, {5, StoredRow(RowOf(50))}});
  ExpectRows(*MustOpen(kOver));
  EXPECT_THAT(ScanAll(*MustOpen("cccc"), 3, 5), ElementsAre(Pair(4, RowOf(4)), Pair(5, RowOf(50))));
}

TEST_F(RocksdbDeltaTest, AServersOverlayLiesOverBoth) {
  TableSpec spec;
  spec.deployment = "d";
  spec.name = "movie_id";
  spec.generation = kOver;
  spec.embedding_dim = 4;
  const auto open = [&] {
    for (const StoreBackend& backend : StoreBackends()) {
      if (backend.kind != "rocksdb") continue;
      return backend.open(spec,
                          {{"path", path_}, {"read_only", true}, {"state_dir", dir_ / "state"}});
    }
    return absl::StatusOr<std::unique_ptr<EmbeddingStore>>();
  };
  {
    auto store = open();
    ASSERT_TRUE(store.ok()) << store.status();
    ExpectRows(**store);
    ASSERT_TRUE(Insert(**store, {2, 7}, {RowOf(200), RowOf(700)}).ok());
    ASSERT_TRUE((*store)->Erase({1, 8}).ok());
  }
  const auto store = open();
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_THAT(
      ScanAll(**store, 0, 8),
      ElementsAre(Pair(0, RowOf(0)), Pair(2, RowOf(200)), Pair(3, RowOf(3)), Pair(4, RowOf(4)),
                  Pair(5, RowOf(5)), Pair(6, RowOf(6)), Pair(7, RowOf(700))));
  EXPECT_THAT(FindAll(**store, {1, 2, 8, 9}), ElementsAre(Pair(2, RowOf(200)), Pair(9, RowOf(9))));
}

TEST_F(RocksdbDeltaTest, TheAgesOfADeltaAreOfAllItsRows) {
  const auto store = MustOpen(kOver);
  auto ages = store->OpenRowAges();
  ASSERT_TRUE(ages.ok()) << ages.status();
  EXPECT_EQ((*ages)->loaded_rows(), 11);
  std::vector<Key> keys;
  ASSERT_TRUE((*ages)
                  ->VisitFrom({RowAge::kLoaded, kMinKey},
                              [&](const RowAge& age) {
                                keys.push_back(age.key);
                                return true;
                              })
                  .ok());
  EXPECT_THAT(keys, ElementsAre(kMinKey, 0, 1, 3, 4, 5, 6, 7, 8, 9, kMaxKey));
}

}  // namespace
}  // namespace tf_hps
