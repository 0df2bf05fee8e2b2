#ifndef TF_HPS_CC_COMMON_CGROUP_H_
#define TF_HPS_CC_COMMON_CGROUP_H_

#include <cstdint>
#include <string>

namespace tf_hps {

// What this process may use, as its container says: control groups of version 2 or 1, else the
// machine. The tightest of the group and its parents counts.
struct ResourceLimits {
  int64_t memory_bytes = 0;  // 0: not known
  int64_t memory_used = 0;   // what cannot be given back: without the page cache's idle part
  std::string memory_from;   // the file that says so
  double cpus = 0;           // 0: no quota

  int64_t memory_free() const {
    return memory_used < memory_bytes ? memory_bytes - memory_used : 0;
  }
};

// `root` is where the control groups are mounted, `proc` /proc: tests have their own.
ResourceLimits ReadResourceLimits(const std::string& root, const std::string& proc);
// Of this process. TF_HPS_TEST_CGROUP_ROOT names a folder with `cgroup` and `proc` in it instead.
ResourceLimits CurrentResourceLimits();

// Threads that can run at once here: the cores, or the container's quota of them, at least one.
int AvailableCpus();

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_CGROUP_H_
