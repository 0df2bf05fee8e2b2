// Lookups over two tables while commits that change both come in: each sees all of a commit or
// nothing of it, and never an older one after a newer one.

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "cc/hierarchy/commit_gate.h"
#include "cc/hierarchy/table_update.h"
#include "gtest/gtest.h"
#include "tests/cc/hierarchy/versioned_commits.h"

namespace tf_hps {
namespace {

struct AtomicTiers {
  std::string name;
  nlohmann::json memory;
  bool rocksdb;
};

class CommitAtomicityTest : public testing::TestWithParam<AtomicTiers> {
 protected:
  void SetUp() override {
    tables_.config()["memory"] = GetParam().memory;
    if (GetParam().memory.is_null()) tables_.config().erase("memory");
    if (!GetParam().rocksdb) tables_.config().erase("rocksdb");
    for (auto& table : tables_.config()["tables"]) {
      if (!GetParam().rocksdb) table["generation"] = "g1";
    }
  }

  // The versions of the rows of these keys in both tables, as one lookup of a group sees them.
  std::vector<float> Versions(const std::vector<Key>& keys) {
    std::vector<float> rows(2 * keys.size() * FollowingTables::kDim);
    const auto find = [&](const CommitGate::Moment& moment) -> absl::Status {
      float* to = rows.data();
      for (const char* name : {"movies", "users"}) {
        TableHandle& handle = tables_[name];
        EmbeddingTable& table = handle.table();
        const RowSink sink = handle.SinkFor(ElementType::kFloat32, to);
        Pending pending = Pending::All(keys.size());
        absl::Status status = table.FindInMemory(keys, sink, &pending);
        if (status.ok()) status = table.FindInStores(keys, sink, &pending);
        if (!status.ok()) return status;
        moment.Put(&table, keys, sink);
        to += keys.size() * FollowingTables::kDim;
      }
      return absl::OkStatus();
    };
    const absl::Status status = ReadOneCommit(tables_["movies"].table().gate(), find);
    EXPECT_TRUE(status.ok()) << status;
    std::vector<float> versions;
    for (size_t i = 0; i < rows.size(); ++i) {
      if (i % FollowingTables::kDim == 0) versions.push_back(rows[i]);
      EXPECT_EQ(rows[i], versions.back()) << "a torn row";
    }
    return versions;
  }

  FollowingTables tables_;
};

TEST_P(CommitAtomicityTest, ALookupSeesAllOfACommitOrNothing) {
  const char* commits_text = std::getenv("TF_HPS_TEST_ATOMICITY_COMMITS");
  const int commits = commits_text == nullptr ? 150 : std::atoi(commits_text);
  tables_.Open();
  VersionedCommits(&tables_).Run(commits, /*readers=*/3, /*keys_a_lookup=*/24, /*enough=*/200,
                                 [&](int, const std::vector<Key>& keys) { return Versions(keys); });
}

INSTANTIATE_TEST_SUITE_P(
    AtomicTiers, CommitAtomicityTest,
    testing::Values(AtomicTiers{"memory", nlohmann::json::object(), false},
                    AtomicTiers{"rocksdb", nullptr, true},
                    AtomicTiers{"preloaded", nlohmann::json::object(), true},
                    AtomicTiers{"evicting", {{"capacity_rows", 40}, {"eviction", "lru"}}, true}),
    [](const auto& info) { return info.param.name; });

TEST(CommitGateTest, APinnedCommitStays) {
  CommitGate gate;
  const CommitGate::Moment begun = gate.Begin();
  std::atomic<bool> shown{false};
  std::thread commit;
  {
    const CommitGate::Pin pin(&gate);
    const CommitGate::Pin another(&gate);
    commit = std::thread([&] {
      const CommitGate::Show show(&gate);
      shown = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    EXPECT_FALSE(shown);
    EXPECT_TRUE(gate.IsStill(begun));
  }
  commit.join();
  EXPECT_TRUE(shown);
  EXPECT_FALSE(gate.IsStill(begun));
  EXPECT_EQ(gate.commits(), 1);
}

TEST(CommitGateTest, WhoBeginsWhileACommitIsShownDoesNotWaitForIt) {
  CommitGate gate;
  const auto rows = std::make_shared<const CommitOverlay>();
  const CommitGate::Moment before = gate.Begin();
  CommitGate::Moment during;
  {
    const CommitGate::Show show(&gate, rows);
    EXPECT_FALSE(gate.IsStill(before));
    during = gate.Begin();
    EXPECT_EQ(during.overlay, rows);
    EXPECT_TRUE(gate.IsStill(during));
  }
  EXPECT_TRUE(gate.IsStill(during)) << "it has all of the commit";
  EXPECT_EQ(gate.Begin().overlay, nullptr);
  const CommitGate::Show next(&gate, rows);
  EXPECT_FALSE(gate.IsStill(during)) << "and nothing of the next one";
}

TEST(CommitGateTest, WhoBeginsWhileALargeCommitIsShownWaits) {
  CommitGate gate;
  std::atomic<bool> is_shown{false};
  std::thread lookup;
  {
    const CommitGate::Show show(&gate);
    lookup = std::thread([&] {
      EXPECT_EQ(gate.Begin().commits, 2u);
      EXPECT_TRUE(is_shown);
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    is_shown = true;
  }
  lookup.join();
}

TEST(CommitGateTest, WhoNeverGetsThroughPinsACommit) {
  CommitGate gate;
  int reads = 0;
  const absl::Status status = ReadOneCommit(gate, [&](const CommitGate::Moment& moment) {
    EXPECT_EQ(moment.overlay, nullptr);
    ++reads;
    if (reads <= CommitGate::kAttempts) const CommitGate::Show show(&gate);
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(reads, CommitGate::kAttempts + 1);
  EXPECT_EQ(gate.retries(), CommitGate::kAttempts);
}

}  // namespace
}  // namespace tf_hps
