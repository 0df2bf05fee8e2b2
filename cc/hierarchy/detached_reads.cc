#include "cc/hierarchy/detached_reads.h"

#include <algorithm>
#include <utility>

#include "cc/common/cgroup.h"
#include "cc/common/thread_pool.h"

namespace tf_hps {
namespace {

// As many as lookups wait on at once (ThreadPool::ForLookups).
int MaxOfTable() {
  static const int max = std::clamp(2 * AvailableCpus(), 4, 64);
  return max;
}

// Two tables whose stores hang leave threads to the others.
ThreadPool& ReadPool() {
  static auto* const pool = new ThreadPool("hps-read", 3 * MaxOfTable());
  return *pool;
}

}  // namespace

DetachedReads::~DetachedReads() {
  MutexLock lock(&mutex_);
  while (running_ != 0) over_.Wait(&mutex_);
}

bool DetachedReads::Start(std::function<void()> read) {
  {
    MutexLock lock(&mutex_);
    if (running_ == MaxOfTable()) {
      refused_.Add(1);
      return false;
    }
    ++running_;
  }
  ReadPool().Schedule([this, read = std::move(read)]() mutable {
    read();
    read = nullptr;  // before the table may go
    MutexLock lock(&mutex_);
    --running_;
    over_.NotifyAll();
  });
  return true;
}

}  // namespace tf_hps
