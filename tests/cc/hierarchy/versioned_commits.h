#ifndef TF_HPS_TESTS_CC_HIERARCHY_VERSIONED_COMMITS_H_
#define TF_HPS_TESTS_CC_HIERARCHY_VERSIONED_COMMITS_H_

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/cc/hierarchy/following_tables.h"

namespace tf_hps {

// Commits to both tables, and readers who look whether they see all of one or nothing of it. A
// key's row is the number of the commit that was the last one to write it; commit v writes all keys
// whose remainder is v % 3.
class VersionedCommits {
 public:
  static constexpr int kKeys = 300;

  explicit VersionedCommits(FollowingTables* tables) : tables_(tables) {}

  // `look_up(r, keys)`: what reader r finds, the first element of the keys' rows in "movies", then
  // in "users".
  template <class LookUp>
  void Run(int commits, int readers, int keys_a_lookup, int enough, const LookUp& look_up) {
    std::atomic<bool> stop{false};
    std::atomic<int64_t> lookups{0};
    std::vector<std::thread> threads;
    for (int r = 0; r < readers; ++r) {
      threads.emplace_back([&, r] {
        std::mt19937 random(r);
        std::vector<float> newest(3);
        while (!stop && !testing::Test::HasFatalFailure()) {
          std::vector<Key> keys(keys_a_lookup);
          for (Key& key : keys) key = random() % kKeys;
          Check(keys, look_up(r, keys), &newest);
          ++lookups;
        }
      });
    }
    Write(commits);
    while (lookups < enough && !testing::Test::HasFatalFailure()) std::this_thread::yield();
    stop = true;
    for (std::thread& thread : threads) thread.join();
  }

 private:
  static void Check(const std::vector<Key>& keys, const std::vector<float>& versions,
                    std::vector<float>* newest) {
    ASSERT_EQ(versions.size(), 2 * keys.size());
    // All keys of a remainder are of one commit, in both tables; and the remainders' commits follow
    // each other: the newest has one right before it, and one before that.
    float of[3] = {-1, -1, -1};
    for (size_t i = 0; i < versions.size(); ++i) {
      const int remainder = static_cast<int>(keys[i % keys.size()] % 3);
      if (of[remainder] < 0) of[remainder] = versions[i];
      ASSERT_EQ(versions[i], of[remainder]) << "a part of a commit, key " << keys[i % keys.size()];
    }
    float least = -1, most = -1;
    for (int remainder = 0; remainder < 3; ++remainder) {
      if (of[remainder] < 0) continue;
      ASSERT_GE(of[remainder], (*newest)[remainder]) << "an older commit after a newer one";
      (*newest)[remainder] = of[remainder];
      most = std::max(most, of[remainder]);
      least = least < 0 ? of[remainder] : std::min(least, of[remainder]);
    }
    ASSERT_LE(most - least, 2) << "commits " << least << " and " << most << " at once";
  }

  void Write(int commits) {
    const std::string movies = tables_->Generation("movies");
    const std::string users = tables_->Generation("users");
    SegmentWriter writer = tables_->Writer();
    std::vector<Key> keys_of[3];
    for (Key key = 0; key < kKeys; ++key) keys_of[key % 3].push_back(key);
    std::string last;
    for (int version = 1; version <= commits; ++version) {
      for (int part = 0; part < 2; ++part) {  // in two frames each
        std::vector<Key> keys;
        for (Key key : keys_of[version % 3]) {
          if (key % 2 == part) keys.push_back(key);
        }
        writer.Rows("movies", movies, FollowingTables::kDim, keys, version);
        writer.Rows("users", users, FollowingTables::kDim, keys, version);
      }
      last = writer.Commit();
      if (version % 8 == 0) tables_->WaitUntil("users", last);
    }
    tables_->WaitUntil("users", last);
    for (Key key = 0; key < 3; ++key) {
      int version = commits;
      while (version % 3 != key) --version;
      EXPECT_EQ(tables_->Value("movies", key), version);
      EXPECT_EQ(tables_->Value("users", key + 3), version);
    }
  }

  FollowingTables* const tables_;
};

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_HIERARCHY_VERSIONED_COMMITS_H_
