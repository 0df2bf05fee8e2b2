#include "cc/hierarchy/key_sampler.h"

#include <algorithm>
#include <vector>

#include "cc/common/hash.h"
#include "cc/hierarchy/key_sampler_thread.h"

namespace tf_hps {
namespace {

// Keys that are looked at before those chosen are written down.
constexpr size_t kBlock = 512;
// Windows' lengths between two sparse ones. A key costs 1 to 1.6 ns while one is open, of 20 to 85
// that a lookup of it in memory takes: open all the time that were 1 to 13 in a hundred
// (benchmarks/README.md, "key_sampler").
constexpr uint64_t kSparsePause = 15;

}  // namespace

KeySampler::KeySampler(const Counter* asked)
    : asked_(*asked),
      choose_(SelectChooseKeys(SelectedCpuIsa())),
      keys_(new std::atomic<uint32_t>[kWindow]),
      random_(std::random_device()()) {
  {
    MutexLock lock(&mutex_);
    Begin();
  }
  KeySamplerThread::Get().Add(this);
}

KeySampler::~KeySampler() { KeySamplerThread::Get().Remove(this); }

void KeySampler::RecordNow(absl::Span<const Key> keys, const Pending& pending) {
  const uint64_t window = next_.load(std::memory_order_acquire);
  if (static_cast<uint32_t>(window) >= kWindow) return;
  const int log2_of = log2_of_.load(std::memory_order_relaxed);
  const KeyChoice choice(seed_.load(std::memory_order_relaxed), log2_of);
  Key chosen[2 * kBlock + kChoiceSlack];
  Key gathered[kBlock];
  size_t count = 0;
  uint32_t repeats = 0;
  for (size_t i = 0; i < pending.size(); i += kBlock) {
    const size_t n = std::min(kBlock, pending.size() - i);
    const Key* block = gathered;
    if (pending.is_range()) {
      block = keys.data() + pending[i];
    } else {
      for (size_t j = 0; j < n; ++j) gathered[j] = keys[pending[i + j]];
    }
    const size_t end = count + choose_(block, n, choice, chosen + count);
    for (size_t j = count; j < end; ++j) {
      const bool is_repeat = count != 0 && chosen[count - 1] == chosen[j];
      chosen[count] = chosen[j];
      count += is_repeat ? 0 : 1;
      repeats += is_repeat ? 1 : 0;
    }
    if (count <= kBlock) continue;
    if (!Append(window, {chosen, count}, repeats)) return;
    count = repeats = 0;
  }
  if (count != 0) Append(window, {chosen, count}, repeats);
}

bool KeySampler::Append(uint64_t window, absl::Span<const Key> keys, uint32_t repeats) {
  uint64_t at = next_.load(std::memory_order_relaxed);
  uint32_t place = 0, n = 0;
  do {
    place = static_cast<uint32_t>(at);
    if (at >> 32 != window >> 32 || place >= kWindow) return false;
    n = static_cast<uint32_t>(std::min<size_t>(keys.size(), kWindow - place));
  } while (!next_.compare_exchange_weak(at, at + n, std::memory_order_acq_rel));
  for (uint32_t i = 0; i < n; ++i) {
    const auto written = static_cast<uint32_t>(HashKey(keys[i]) >> 32);
    keys_[place + i].store(written, std::memory_order_relaxed);
  }
  if (repeats != 0) repeats_.fetch_add(repeats, std::memory_order_relaxed);
  written_.fetch_add(n, std::memory_order_release);
  return place + n < kWindow;
}

void KeySampler::Begin() {
  const uint64_t number = (next_.load(std::memory_order_relaxed) >> 32) + 1;
  written_.store(0, std::memory_order_relaxed);
  repeats_.store(0, std::memory_order_relaxed);
  seed_.store(random_(), std::memory_order_relaxed);
  log2_of_.store(level_ * kLog2Factor, std::memory_order_relaxed);
  asked_before_ = asked_.Get();
  is_open_ = true;
  next_.store(number << 32, std::memory_order_release);
}

std::vector<ReuseDepth> KeySampler::DepthsSoFar() const {
  // Places are taken before they are written: where the counts are equal, in this order, all are.
  const uint32_t written = written_.load(std::memory_order_acquire);
  const bool is_whole = written == static_cast<uint32_t>(next_.load(std::memory_order_acquire));
  if (!is_open_ || !is_whole) return {};
  std::vector<Key> keys(written);
  for (uint32_t i = 0; i < written; ++i) keys[i] = keys_[i].load(std::memory_order_relaxed);
  return ReuseDepths(keys);
}

int KeySampler::NextLevel(absl::Span<const ReuseDepth> depths) const {
  const auto size = static_cast<int64_t>(depths.size());
  // By luck a sparse window has a key that takes most of it, and is full too soon to see what it is
  // for. Once more, with other keys.
  const int64_t span = asked_.Get() - asked_before_;
  if (level_ > 0 && span * 3 < size << level_ * kLog2Factor) return level_;
  // A sparser window is worth its time where this one left something open, lookups of keys that it
  // did not have yet, and had many more keys than the next one needs.
  const auto is_first = [](const ReuseDepth& depth) { return depth.is_first; };
  const auto keys = std::count_if(depths.begin(), depths.end(), is_first);
  const auto open = std::count_if(depths.begin() + size / 2, depths.end(), is_first);
  const bool goes_on = open * 200 > size && keys >= 4 * HitRateCurve::kMinDepth;
  return goes_on && level_ + 1 < kLevels ? level_ + 1 : 0;
}

void KeySampler::AdvanceLocked() {
  if (is_open_) {
    if (written_.load(std::memory_order_acquire) != kWindow) return;
    const std::vector<ReuseDepth> depths = DepthsSoFar();
    curve_.Add(depths, repeats_.load(std::memory_order_relaxed), level_ * kLog2Factor);
    ++windows_;
    // Traffic may repeat itself, and windows should not see the same part of it again and again.
    const uint64_t span = uint64_t{kWindow} << level_ * kLog2Factor;
    const uint64_t pause = level_ > 0 && windows_ >= kFree ? span * kSparsePause : 0;
    not_before_ = asked_.Get() + static_cast<int64_t>(pause + random_() % span);
    level_ = NextLevel(depths);
    is_open_ = false;
  }
  const int64_t asked = asked_.Get();
  if (asked >= not_before_ && windows_ < kFree + asked / (int64_t{kShare} * kWindow)) Begin();
}

void KeySampler::Advance() {
  MutexLock lock(&mutex_);
  AdvanceLocked();
}

nlohmann::json KeySampler::Stats() {
  MutexLock lock(&mutex_);
  AdvanceLocked();
  const std::vector<ReuseDepth> depths = DepthsSoFar();
  const int log2_of = level_ * kLog2Factor;
  HitRateCurve curve = curve_;
  if (!depths.empty()) curve.Add(depths, repeats_.load(std::memory_order_relaxed), log2_of);
  nlohmann::json capacities = nlohmann::json::array(), hit_rates = nlohmann::json::array();
  for (const HitRateCurve::Point& point : curve.Points()) {
    capacities.push_back(point.capacity);
    hit_rates.push_back(point.hit_rate);
  }
  return {{"capacity_rows", std::move(capacities)},
          {"hit_rates", std::move(hit_rates)},
          {"windows", windows_},
          {"sampled_keys", windows_ * kWindow + static_cast<int64_t>(depths.size())},
          {"one_in", is_open_ ? int64_t{1} << log2_of : 0}};
}

}  // namespace tf_hps
