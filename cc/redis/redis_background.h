#ifndef TF_HPS_CC_REDIS_REDIS_BACKGROUND_H_
#define TF_HPS_CC_REDIS_REDIS_BACKGROUND_H_

#include "cc/common/thread_pool.h"

namespace tf_hps {

// Where servers are probed and a cluster's map is read again: no lookup waits for either.
inline ThreadPool& RedisBackground() {
  static auto* const pool = new ThreadPool("hps-redis", 2);
  return *pool;
}

}  // namespace tf_hps

#endif  // TF_HPS_CC_REDIS_REDIS_BACKGROUND_H_
