#include "cc/storage/eviction_policy.h"

#include <algorithm>

namespace tf_hps {
namespace {

// Counts are halved after so many uses for each row of the store. Longer ones tell rows apart that
// are asked for seldom, shorter ones follow a hot set that moves: benchmarks/README.md, "hit_rate".
constexpr int64_t kUsesPerRowAndEpoch = 16;
constexpr uint32_t kMaxUses = FrequencySketch::kMax;

int TickShift(int64_t capacity_rows) {
  int shift = 0;
  while ((capacity_rows >> (shift + 1)) >= 64) ++shift;
  return shift;
}

}  // namespace

EvictionPolicy::EvictionPolicy(Kind kind, int64_t capacity_rows)
    : kind_(kind),
      capacity_rows_(capacity_rows),
      tick_shift_(TickShift(capacity_rows)),
      epoch_uses_(std::max<int64_t>(1, capacity_rows) * kUsesPerRowAndEpoch) {}

FrequencySketch& EvictionPolicy::Sketch() {
  std::call_once(sketch_made_, [this] {
    owned_sketch_ = std::make_unique<FrequencySketch>(capacity_rows_);
    sketch_.store(owned_sketch_.get(), std::memory_order_release);
  });
  return *owned_sketch_;
}

int64_t EvictionPolicy::bytes() const {
  const FrequencySketch* const sketch = sketch_.load(std::memory_order_acquire);
  return sketch == nullptr ? 0 : static_cast<int64_t>(sketch->bytes());
}

uint8_t EvictionPolicy::Epoch() const {
  return static_cast<uint8_t>(uses_.load(std::memory_order_relaxed) / epoch_uses_);
}

uint32_t EvictionPolicy::Uses(uint16_t counter, uint8_t epoch) {
  const uint8_t epochs = static_cast<uint8_t>(epoch - (counter >> 8));
  return epochs > 7 ? 0 : (counter & kMaxUses) >> epochs;
}

// The sketch is aged a little with every batch, all of it once an epoch.
void EvictionPolicy::PassTime(int64_t uses) const {
  const int64_t before = uses_.fetch_add(uses, std::memory_order_relaxed);
  FrequencySketch* const sketch = sketch_.load(std::memory_order_acquire);
  if (sketch == nullptr) return;
  const int64_t uses_per_line =
      std::max<int64_t>(1, epoch_uses_ / static_cast<int64_t>(sketch->lines()));
  const int64_t lines = (before + uses) / uses_per_line - before / uses_per_line;
  if (lines > 0) sketch->Age(static_cast<uint64_t>(lines));
}

uint32_t EvictionPolicy::CountMiss(Key key) {
  if (kind_ == Kind::kLru) return 1;
  PassTime(1);
  return Sketch().Count(key);
}

uint16_t EvictionPolicy::New(uint32_t uses) const {
  return kind_ == Kind::kLru ? Tick()
                             : static_cast<uint16_t>(Epoch() << 8 | std::min(uses, kMaxUses));
}

void EvictionPolicy::Touch(std::atomic<uint16_t>* counters, const uint64_t* ways, size_t n) const {
  constexpr size_t kAhead = 8;
  const bool is_lru = kind_ == Kind::kLru;
  const uint8_t epoch = Epoch();  // once a batch: it is a division
  const uint16_t now = is_lru ? Tick() : static_cast<uint16_t>(epoch << 8);
  int64_t uses = 0;
  for (size_t i = 0; i < n; ++i) {
    if (i + kAhead < n && ways[i + kAhead] != kNoWay) {
      __builtin_prefetch(&counters[ways[i + kAhead]], 1);
    }
    if (ways[i] == kNoWay) continue;
    ++uses;
    std::atomic<uint16_t>& counter = counters[ways[i]];
    const uint16_t before = counter.load(std::memory_order_relaxed);
    const uint16_t after =
        is_lru ? now : static_cast<uint16_t>(now | std::min(Uses(before, epoch) + 1, kMaxUses));
    // Only where it changes: a line that all cores read must stay shared.
    if (after != before) counter.store(after, std::memory_order_relaxed);
  }
  if (!is_lru) PassTime(uses);
}

uint32_t EvictionPolicy::Coldness(uint16_t counter, uint16_t moment) const {
  if (kind_ == Kind::kLfu) return kMaxUses - Uses(counter, Epoch());
  const uint16_t tick = Tick();
  const uint16_t age = tick - counter, passed = tick - moment;
  return age > passed ? age - passed : 0;
}

bool EvictionPolicy::Admits(uint32_t uses, uint16_t counter) const {
  return kind_ == Kind::kLru || uses > Uses(counter, Epoch());
}

void EvictionPolicy::Evict(Key key, uint16_t counter) {
  evictions_.fetch_add(1, std::memory_order_relaxed);
  if (kind_ == Kind::kLfu) Sketch().Raise(key, Uses(counter, Epoch()));
}

}  // namespace tf_hps
