#ifndef TF_HPS_CC_HIERARCHY_DETACHED_READS_H_
#define TF_HPS_CC_HIERARCHY_DETACHED_READS_H_

#include <functional>

#include "cc/common/mutex.h"

namespace tf_hps {

// Reads of one table's stores that may outlast the lookups that asked for them. Thread-safe.
class DetachedReads {
 public:
  DetachedReads() = default;
  ~DetachedReads();  // waits for what runs
  DetachedReads(const DetachedReads&) = delete;
  DetachedReads& operator=(const DetachedReads&) = delete;

  // Runs `read` on a thread of ours. False, and nothing runs, where as many reads of this table
  // wait as may: its store hangs, and threads are for other tables too.
  bool Start(std::function<void()> read);

 private:
  Mutex mutex_;
  CondVar over_;
  int running_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_DETACHED_READS_H_
