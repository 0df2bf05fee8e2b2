#ifndef TF_HPS_CC_HIERARCHY_KEY_SAMPLER_THREAD_H_
#define TF_HPS_CC_HIERARCHY_KEY_SAMPLER_THREAD_H_

#include <thread>
#include <vector>

#include "cc/common/mutex.h"

namespace tf_hps {

class KeySampler;

// Advances the samplers of all tables a few times a second: lookups have no time for it. One
// thread, asleep while there is no table.
class KeySamplerThread {
 public:
  static KeySamplerThread& Get();  // never destroyed

  void Add(KeySampler* sampler);
  // When it returns, nobody advances the sampler any longer.
  void Remove(KeySampler* sampler);

 private:
  KeySamplerThread();
  void Run();
  bool AdvanceAt(size_t i);

  Mutex mutex_;
  CondVar added_;
  std::vector<KeySampler*> samplers_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_KEY_SAMPLER_THREAD_H_
