#include "cc/hierarchy/detached_reads.h"

#include <utility>

#include "cc/common/thread_pool.h"

namespace tf_hps {
namespace {

// A table has as many at most as lookups wait at once: two tables whose stores hang leave threads
// to the others.
ThreadPool& ReadPool() {
  static auto* const pool = new ThreadPool("hps-read", 3 * ThreadPool::LookupThreads());
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
    if (running_ == ThreadPool::LookupThreads()) return false;
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
