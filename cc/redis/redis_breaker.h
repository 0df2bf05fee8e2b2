#ifndef TF_HPS_CC_REDIS_REDIS_BREAKER_H_
#define TF_HPS_CC_REDIS_REDIS_BREAKER_H_

#include <chrono>
#include <cstdint>

#include "cc/common/mutex.h"

namespace tf_hps {

// Keeps lookups from waiting for a server that does not answer. After `failures` in a row it opens:
// nobody is let through until `open_for` has passed and one probe came back well. The probe runs in
// the background, so that not even one lookup waits for it. Thread-safe.
class RedisBreaker {
 public:
  using Time = std::chrono::steady_clock::time_point;
  enum class State { kClosed, kOpen, kProbing };

  RedisBreaker(int failures, std::chrono::milliseconds open_for)
      : failures_(failures), open_for_(open_for) {}

  bool LetsThrough() const {
    MutexLock lock(&mutex_);
    return state_ == State::kClosed;
  }
  // True for one caller when a probe is due: it must end in Succeeded or Failed.
  bool StartProbe(Time now) {
    MutexLock lock(&mutex_);
    if (state_ != State::kOpen || now < probe_at_) return false;
    state_ = State::kProbing;
    return true;
  }
  void Succeeded() {
    MutexLock lock(&mutex_);
    // What was under way when it opened says nothing: a server may answer one and hang at the next.
    if (state_ == State::kOpen) return;
    state_ = State::kClosed;
    in_a_row_ = 0;
  }
  void Failed(Time now) {
    MutexLock lock(&mutex_);
    if (state_ == State::kClosed && ++in_a_row_ < failures_) return;
    if (state_ == State::kClosed) ++opened_;
    if (state_ != State::kOpen) probe_at_ = now + open_for_;
    state_ = State::kOpen;
  }

  State state() const {
    MutexLock lock(&mutex_);
    return state_;
  }
  int64_t opened() const {
    MutexLock lock(&mutex_);
    return opened_;
  }

 private:
  const int failures_;
  const std::chrono::milliseconds open_for_;
  mutable Mutex mutex_;
  State state_ ABSL_GUARDED_BY(mutex_) = State::kClosed;
  int in_a_row_ ABSL_GUARDED_BY(mutex_) = 0;
  Time probe_at_ ABSL_GUARDED_BY(mutex_);
  int64_t opened_ ABSL_GUARDED_BY(mutex_) = 0;  // how often
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_REDIS_REDIS_BREAKER_H_
