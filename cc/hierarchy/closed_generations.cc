#include "cc/hierarchy/closed_generations.h"

#include <malloc.h>
#include <pthread.h>

#include <algorithm>
#include <vector>

namespace tf_hps {
namespace {

// Rolling back within this time finds everything as it was.
constexpr std::chrono::seconds kAfterClose(20);
// Versions that a server starts with are loaded one after the other, large ones for minutes.
constexpr std::chrono::minutes kAfterOpen(10);

// glibc keeps what a generation and its preload had in the arenas of their threads: 60 to 90 MB of
// a process of 1.4 GB after a switch of 512 MB.
void GiveBackFreedMemory() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

}  // namespace

ClosedGenerations::ClosedGenerations(std::function<void(const Name&)> share,
                                     std::function<bool(const Name&, const TableConfig&)> drop)
    : share_(std::move(share)),
      drop_(std::move(drop)),
      after_close_(kAfterClose),
      after_open_(kAfterOpen) {}

ClosedGenerations::~ClosedGenerations() {
  std::thread thread;
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
    changed_.NotifyAll();
    thread.swap(thread_);
  }
  if (thread.joinable()) thread.join();
}

void ClosedGenerations::SetDelays(std::chrono::milliseconds after_close,
                                  std::chrono::milliseconds after_open) {
  MutexLock lock(&mutex_);
  after_close_ = after_close;
  after_open_ = after_open;
}

ClosedGenerations::Entry& ClosedGenerations::EntryOf(const Name& name, const TableConfig& config) {
  if (!thread_.joinable()) {
    thread_ = std::thread([this] { Run(); });
    pthread_setname_np(thread_.native_handle(), "hps-generations");
  }
  Entry& entry = entries_[name];
  entry.config = config;
  changed_.NotifyAll();
  return entry;
}

void ClosedGenerations::Closed(const Name& name, const TableConfig& config) {
  MutexLock lock(&mutex_);
  Entry& entry = EntryOf(name, config);
  entry.to_share = true;
  entry.was_closed = true;
  entry.drop_at = Clock::now() + after_close_;
}

void ClosedGenerations::Opened(const Name& name, const TableConfig& config) {
  MutexLock lock(&mutex_);
  Entry& entry = EntryOf(name, config);
  entry.drop_at = Clock::now() + (entry.was_closed ? after_close_ : after_open_);
}

void ClosedGenerations::Run() {
  MutexLock lock(&mutex_);
  while (!stopping_) {
    const auto now = Clock::now();
    auto next = now + std::chrono::hours(1);
    std::map<Name, Entry> due;
    for (auto& [name, entry] : entries_) {
      const bool drops = entry.drop_at <= now;
      if (entry.to_share || drops) due.emplace(name, entry);
      if (!drops) next = std::min(next, entry.drop_at);
      entry.to_share = false;
      // Where nothing is open the entry stays, for the generation that comes.
      if (drops) entry.drop_at = Clock::time_point::max();
    }
    if (due.empty()) {
      changed_.WaitFor(&mutex_, std::chrono::duration_cast<std::chrono::microseconds>(
                                    std::max(Clock::duration::zero(), next - Clock::now())));
      continue;
    }
    mutex_.Unlock();
    std::vector<Name> done;
    for (const auto& [name, entry] : due) {
      if (entry.to_share) share_(name);
      if (entry.drop_at <= now && drop_(name, entry.config)) done.push_back(name);
    }
    GiveBackFreedMemory();
    mutex_.Lock();
    for (const Name& name : done) {
      const auto entry = entries_.find(name);
      if (entry != entries_.end() && entry->second.drop_at == Clock::time_point::max()) {
        entries_.erase(entry);
      }
    }
  }
}

}  // namespace tf_hps
