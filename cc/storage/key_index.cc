#include "cc/storage/key_index.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace tf_hps {
namespace {

// 0.9 would save 2 bytes a row, and send twice as many keys to their second home.
constexpr double kLoad = 0.8;
// A key that has no home in some set must exist.
constexpr uint64_t kMinSets = 4;

absl::StatusOr<AddressRange> Zeros(size_t bytes) {
  absl::StatusOr<AddressRange> range = AddressRange::Reserve(bytes, bytes);
  if (!range.ok()) return range.status();
  absl::Status status = range->Commit(bytes);
  if (!status.ok()) return status;
  return range;
}

}  // namespace

double KeyIndex::BytesPerRow(bool with_counters) {
  return (sizeof(KeySet) + (with_counters ? 2.0 * KeySet::kWays : 0.0)) / (KeySet::kWays * kLoad);
}

absl::StatusOr<std::unique_ptr<KeyIndex>> KeyIndex::Create(int64_t rows, bool with_counters) {
  const uint64_t num_sets = std::max(
      kMinSets,
      static_cast<uint64_t>(std::ceil(static_cast<double>(rows) / (KeySet::kWays * kLoad))));
  absl::StatusOr<AddressRange> sets = Zeros(num_sets * sizeof(KeySet));
  if (!sets.ok()) return sets.status();
  AddressRange counters;
  if (with_counters) {
    absl::StatusOr<AddressRange> zeros = Zeros(num_sets * KeySet::kWays * sizeof(uint16_t));
    if (!zeros.ok()) return zeros.status();
    counters = *std::move(zeros);
  }
  return std::unique_ptr<KeyIndex>(
      new KeyIndex(rows, num_sets, *std::move(sets), std::move(counters)));
}

KeyIndex::KeyIndex(int64_t rows, uint64_t num_sets, AddressRange sets, AddressRange counters)
    : rows_(rows), num_sets_(num_sets), sets_(std::move(sets)), counters_(std::move(counters)) {
  homes_of_zero_[0] = FirstHomeOf(0);
  homes_of_zero_[1] = SecondHomeOf(0);
  for (int i = 0; i < 2; ++i) {
    const uint64_t set = homes_of_zero_[i];
    Key key = 1;
    while (FirstHomeOf(key) == set || SecondHomeOf(key) == set) ++key;
    free_there_[i] = key;
    for (std::atomic<Key>& way : this->sets()[set].keys) way.store(key, std::memory_order_relaxed);
  }
}

}  // namespace tf_hps
