#include "cc/storage/eviction_policy.h"

namespace tf_hps {
namespace {

// Redis' defaults: a new row is worth a few uses, or it would leave before its second one; above
// that a use counts with probability 1 / (10 * uses).
constexpr uint32_t kNewUses = 5;
constexpr uint32_t kLogFactor = 10;
constexpr uint32_t kMaxUses = 255;

int TickShift(int64_t capacity_rows) {
  int shift = 0;
  while ((capacity_rows >> (shift + 1)) >= 64) ++shift;
  return shift;
}

uint32_t NextRandom() {  // xorshift
  thread_local uint32_t state = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(&state)) | 1;
  state ^= state << 13;
  state ^= state >> 17;
  state ^= state << 5;
  return state;
}

uint16_t LfuCounter(uint16_t now, uint32_t uses) { return static_cast<uint16_t>(now << 8 | uses); }

}  // namespace

EvictionPolicy::EvictionPolicy(Kind kind, int64_t capacity_rows)
    : kind_(kind), tick_shift_(TickShift(capacity_rows)) {}

uint16_t EvictionPolicy::New() const {
  return kind_ == Kind::kLru ? Now() : LfuCounter(Now(), kNewUses);
}

uint8_t EvictionPolicy::DecayedUses(uint16_t counter) const {
  const uint8_t ticks = static_cast<uint8_t>(Now() - (counter >> 8));
  const uint8_t uses = static_cast<uint8_t>(counter);
  return uses > ticks ? static_cast<uint8_t>(uses - ticks) : 0;
}

void EvictionPolicy::Touch(std::atomic<uint16_t>* counters, const uint64_t* ways, size_t n) const {
  constexpr size_t kAhead = 8;
  const uint16_t now = Now();
  for (size_t i = 0; i < n; ++i) {
    if (i + kAhead < n && ways[i + kAhead] != kNoWay) {
      __builtin_prefetch(&counters[ways[i + kAhead]], 1);
    }
    if (ways[i] == kNoWay) continue;
    std::atomic<uint16_t>& counter = counters[ways[i]];
    const uint16_t before = counter.load(std::memory_order_relaxed);
    uint16_t after = now;
    if (kind_ == Kind::kLfu) {
      uint32_t uses = DecayedUses(before);
      const uint32_t above = uses > kNewUses ? uses - kNewUses : 0;
      if (uses < kMaxUses && NextRandom() % (above * kLogFactor + 1) == 0) ++uses;
      after = LfuCounter(now, uses);
    }
    // Only where it changes: a line that all cores read must stay shared.
    if (after != before) counter.store(after, std::memory_order_relaxed);
  }
}

uint32_t EvictionPolicy::Coldness(uint16_t counter) const {
  if (kind_ == Kind::kLru) return static_cast<uint16_t>(Now() - counter);
  return kMaxUses - DecayedUses(counter);
}

}  // namespace tf_hps
