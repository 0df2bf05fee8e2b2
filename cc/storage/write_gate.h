#ifndef TF_HPS_CC_STORAGE_WRITE_GATE_H_
#define TF_HPS_CC_STORAGE_WRITE_GATE_H_

#include "cc/common/mutex.h"

namespace tf_hps {

// Many writers beside each other, or one that is alone. Who wants to be alone goes first: a stream
// of updates must not keep the index from growing.
class WriteGate {
 public:
  class Shared {
   public:
    explicit Shared(WriteGate* gate) : gate_(gate) {
      MutexLock lock(&gate_->mutex_);
      while (gate_->alone_ > 0) gate_->changed_.Wait(&gate_->mutex_);
      ++gate_->shared_;
    }
    ~Shared() {
      MutexLock lock(&gate_->mutex_);
      if (--gate_->shared_ == 0 && gate_->alone_ > 0) gate_->changed_.NotifyAll();
    }
    Shared(const Shared&) = delete;
    Shared& operator=(const Shared&) = delete;

   private:
    WriteGate* const gate_;
  };

  class Alone {
   public:
    explicit Alone(WriteGate* gate) : gate_(gate) {
      MutexLock lock(&gate_->mutex_);
      ++gate_->alone_;
      while (gate_->shared_ > 0 || gate_->inside_) gate_->changed_.Wait(&gate_->mutex_);
      gate_->inside_ = true;
    }
    ~Alone() {
      MutexLock lock(&gate_->mutex_);
      gate_->inside_ = false;
      --gate_->alone_;
      gate_->changed_.NotifyAll();
    }
    Alone(const Alone&) = delete;
    Alone& operator=(const Alone&) = delete;

   private:
    WriteGate* const gate_;
  };

 private:
  Mutex mutex_;
  CondVar changed_;
  int shared_ ABSL_GUARDED_BY(mutex_) = 0;
  int alone_ ABSL_GUARDED_BY(mutex_) = 0;  // waiting or inside
  bool inside_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_STORAGE_WRITE_GATE_H_
