// What lookups on devices see while updates, evictions and background fills go on, on emulated
// CUDA: only rows that were published, whole, and never an older one after a newer one.

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "tests/cc/device/device_table.h"

namespace tf_hps {
namespace {

constexpr int kKeys = 60;

class DeviceVisibilityTest : public ::testing::TestWithParam<double> {};

TEST_P(DeviceVisibilityTest, RowsAreWholeAndNeverGoBack) {
  const bool exact = GetParam() == 1;
  const TestStream own;  // streams outlive the caches
  // Less room than rows: they are evicted and come again.
  DeviceTable table({{"capacity_rows", 30}, {"hit_rate_threshold", GetParam()}}, /*devices=*/2);
  for (int d : {0, 1}) ASSERT_TRUE(table.Cache(d).ok());
  std::vector<std::atomic<int>> published(kKeys);  // the newest version whose update has begun
  std::atomic<bool> stop{false};
  std::atomic<int> lookups{0};

  std::vector<std::thread> readers;
  for (int r = 0; r < 3; ++r) {
    readers.emplace_back([&, r] {
      std::mt19937 random(r);
      // Seen by this reader, on whatever device.
      std::vector<float> newest(kKeys, DeviceTable::kDefault);
      for (int n = 0; !stop; ++n) {
        std::vector<Key> keys(12);
        for (Key& key : keys) key = random() % kKeys;
        std::sort(keys.begin(), keys.end());
        keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
        const int d = n % 2;
        // Two readers share the devices' streams, one has its own.
        const std::vector<float> found =
            table.Find(keys, d, r == 0 && d == 0 ? own.get() : nullptr);
        ASSERT_EQ(found.size(), keys.size());
        for (size_t i = 0; i < keys.size(); ++i) {
          ASSERT_LE(found[i], published[keys[i]].load()) << "never published, key " << keys[i];
          if (exact) ASSERT_GE(found[i], newest[keys[i]]) << "older after newer, key " << keys[i];
          newest[keys[i]] = found[i];
        }
        ++lookups;
      }
    });
  }

  std::mt19937 random(99);
  for (int round = 1; round <= 60; ++round) {
    std::vector<Key> keys(1 + random() % 10);
    for (Key& key : keys) key = random() % kKeys;
    for (Key key : keys) published[key] = round;
    table.Insert(keys, static_cast<float>(round));
    const int enough = lookups + 1;
    while (lookups < enough && !HasFatalFailure()) std::this_thread::yield();
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();

  // What stands at the end is the last version of every key, whatever came in the background.
  for (int round = 0; round < 3; ++round) {
    for (int d : {0, 1}) (*table.Cache(d))->background()->Wait();
    for (int d : {0, 1}) {
      for (Key key = 0; key < kKeys; ++key) {
        const float found = table.Find({key}, d)[0];
        const int wanted = published[key];
        if (wanted == 0 || (!exact && found == DeviceTable::kDefault)) {
          EXPECT_EQ(found, DeviceTable::kDefault);
        } else {
          EXPECT_EQ(found, wanted) << "key " << key << " on device " << d;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Thresholds, DeviceVisibilityTest, ::testing::Values(1.0, 0.5, 0.0),
                         [](const auto& info) {
                           return info.param == 1   ? "exact"
                                  : info.param == 0 ? "never_waits"
                                                    : "half";
                         });

}  // namespace
}  // namespace tf_hps
