#include "cc/common/thread_pool.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cc/common/cgroup.h"

namespace tf_hps {

ThreadPool::ThreadPool(std::string name, int threads) : name_(std::move(name)) {
  threads_.reserve(threads);
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this, i] { Run(i); });
}

ThreadPool::~ThreadPool() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  work_arrived_.NotifyAll();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadPool::Schedule(std::function<void()> work) {
  {
    MutexLock lock(&mutex_);
    queue_.push_back(std::move(work));
  }
  work_arrived_.NotifyOne();
}

ThreadPool& ThreadPool::ForLookups() {
  static auto* const pool = new ThreadPool("hps-lookup", LookupThreads());
  return *pool;
}

int ThreadPool::LookupThreads() {
  // Twice the cores: these threads wait for the disk most of their time.
  static const int threads = std::clamp(2 * AvailableCpus(), 4, 64);
  return threads;
}

void ThreadPool::Run(int number) {
  pthread_setname_np(pthread_self(),
                     absl::StrCat(name_.substr(0, 12), number).substr(0, 15).c_str());
  while (true) {
    std::function<void()> work;
    {
      MutexLock lock(&mutex_);
      while (queue_.empty() && !stopping_) work_arrived_.Wait(&mutex_);
      if (queue_.empty()) return;
      work = std::move(queue_.front());
      queue_.pop_front();
    }
    work();
  }
}

}  // namespace tf_hps
