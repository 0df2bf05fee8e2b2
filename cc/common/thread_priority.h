#ifndef TF_HPS_CC_COMMON_THREAD_PRIORITY_H_
#define TF_HPS_CC_COMMON_THREAD_PRIORITY_H_

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace tf_hps {

// For threads that work beside lookups: where all cores are busy the calling thread gets a quarter
// of what another one does. It cannot be taken back without privileges.
inline void YieldToLookups() {
  constexpr int kNice = 6;
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNice);
}

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_THREAD_PRIORITY_H_
