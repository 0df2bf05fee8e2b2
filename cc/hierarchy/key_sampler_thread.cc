#include "cc/hierarchy/key_sampler_thread.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>

#include "cc/hierarchy/key_sampler.h"

namespace tf_hps {
namespace {

// A full window waits so long to be reckoned; lookups go on unseen meanwhile.
constexpr std::chrono::milliseconds kPause(250);

}  // namespace

KeySamplerThread& KeySamplerThread::Get() {
  static auto* const thread = new KeySamplerThread;
  return *thread;
}

KeySamplerThread::KeySamplerThread() : thread_([this] { Run(); }) {}

void KeySamplerThread::Add(KeySampler* sampler) {
  {
    MutexLock lock(&mutex_);
    samplers_.push_back(sampler);
  }
  added_.NotifyOne();
}

void KeySamplerThread::Remove(KeySampler* sampler) {
  MutexLock lock(&mutex_);
  samplers_.erase(std::find(samplers_.begin(), samplers_.end(), sampler));
}

// One at a time: who ends a table waits for one at the most.
bool KeySamplerThread::AdvanceAt(size_t i) {
  MutexLock lock(&mutex_);
  if (i >= samplers_.size()) return false;
  samplers_[i]->Advance();
  return true;
}

void KeySamplerThread::Run() {
  pthread_setname_np(pthread_self(), "hps-sampler");
  for (;;) {
    {
      MutexLock lock(&mutex_);
      while (samplers_.empty()) added_.Wait(&mutex_);
    }
    for (size_t i = 0; AdvanceAt(i); ++i) {
    }
    std::this_thread::sleep_for(kPause);
  }
}

}  // namespace tf_hps
