#ifndef TF_HPS_CC_COMMON_THREAD_POOL_H_
#define TF_HPS_CC_COMMON_THREAD_POOL_H_

#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "cc/common/mutex.h"

namespace tf_hps {

// Threads for work that waits for a disk or a network, which TensorFlow's threads must not.
class ThreadPool {
 public:
  // `name` shows in top and gdb, with a number; 15 characters at most.
  ThreadPool(std::string name, int threads);
  ~ThreadPool();  // runs what is queued, then joins

  void Schedule(std::function<void()> work);

  // The one that lookups wait on: never destroyed, started by its first use.
  static ThreadPool& ForLookups();
  static int LookupThreads();  // how many it has

 private:
  void Run(int number);

  const std::string name_;
  Mutex mutex_;
  CondVar work_arrived_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_THREAD_POOL_H_
