#include "cc/hierarchy/store_reads.h"

#include <algorithm>
#include <utility>

namespace tf_hps {
namespace {

// A lookup of a few keys does not wait for the last one of a hundred thousand: it takes over rows
// from reads of up to so many keys, or of up to so many times its own.
constexpr size_t kAlwaysWaitedFor = 1024;
constexpr size_t kTimesItsOwn = 4;

}  // namespace

StoreReads::Part::Part(StoreReads* reads, absl::Span<const Key> keys, StampsRead stamps,
                       size_t row_bytes)
    : reads_(reads) {
  const size_t longest = std::max(kAlwaysWaitedFor, kTimesItsOwn * keys.size());
  // Built for the usual case before the lock: nobody else reads any of these keys.
  auto all = std::make_shared<StoreRead>(std::vector<Key>(keys.begin(), keys.end()),
                                         std::move(stamps), row_bytes);
  std::vector<bool> is_shared;
  MutexLock lock(&reads_->mutex_);
  for (const std::shared_ptr<StoreRead>& other : reads_->reads_) {
    if (other->keys.size() > longest) continue;
    size_t at = 0;
    for (uint32_t i = 0; i < keys.size(); ++i) {
      while (at < other->keys.size() && other->keys[at] < keys[i]) ++at;
      if (at == other->keys.size()) break;
      if (other->keys[at] != keys[i] || other->stamps.Moved(at, keys[i])) continue;
      is_shared.resize(keys.size());
      if (is_shared[i]) continue;
      is_shared[i] = true;
      shared_.push_back({i, static_cast<uint32_t>(at), other});
    }
  }
  if (shared_.empty()) {
    read_ = std::move(all);
  } else {
    reads_->keys_shared_.Add(shared_.size());
    std::vector<Key> own_keys;
    for (uint32_t i = 0; i < keys.size(); ++i) {
      if (is_shared[i]) continue;
      own_.push_back(i);
      own_keys.push_back(keys[i]);
    }
    read_ = std::make_shared<StoreRead>(std::move(own_keys), all->stamps.Select(own_), row_bytes);
  }
  if (!read_->keys.empty()) reads_->reads_.push_back(read_);
}

void StoreReads::Part::End(bool ok) {
  if (ended_) return;
  ended_ = true;
  MutexLock lock(&reads_->mutex_);
  std::vector<std::shared_ptr<StoreRead>>& present = reads_->reads_;
  const auto it = std::find(present.begin(), present.end(), read_);
  if (it != present.end()) {
    *it = std::move(present.back());
    present.pop_back();
  }
  read_->is_over = true;
  read_->is_ok = ok;
  read_->over.NotifyAll();
}

bool StoreReads::Wait(const StoreRead& read) const {
  MutexLock lock(&mutex_);
  while (!read.is_over) read.over.Wait(&mutex_);
  return read.is_ok;
}

std::optional<bool> StoreReads::WaitUntil(const StoreRead& read,
                                          std::chrono::steady_clock::time_point deadline) const {
  MutexLock lock(&mutex_);
  while (!read.is_over) {
    const auto left = deadline - std::chrono::steady_clock::now();
    if (left <= left.zero()) return std::nullopt;
    read.over.WaitFor(&mutex_, std::chrono::ceil<std::chrono::microseconds>(left));
  }
  return read.is_ok;
}

}  // namespace tf_hps
