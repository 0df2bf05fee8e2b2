#include "cc/hierarchy/commit_gate.h"

#include <map>
#include <memory>

namespace tf_hps {

CommitGate& CommitGate::Of(const std::string& deployment) {
  struct Gates {
    Mutex mutex;
    std::map<std::string, std::unique_ptr<CommitGate>> by_deployment ABSL_GUARDED_BY(mutex);
  };
  static auto* const gates = new Gates;
  MutexLock lock(&gates->mutex);
  std::unique_ptr<CommitGate>& gate = gates->by_deployment[deployment];
  if (gate == nullptr) gate = std::make_unique<CommitGate>();
  return *gate;
}

CommitGate::Moment CommitGate::BeginInShow() const {
  MutexLock lock(&mutex_);
  while (true) {
    const uint64_t commits = commits_.load(std::memory_order_acquire);
    if ((commits & 1) == 0) return {commits, nullptr};
    if (overlay_ != nullptr) return {commits, overlay_};
    changed_.Wait(&mutex_);
  }
}

CommitGate::Moment CommitGate::BeginBetweenCommits() const {
  MutexLock lock(&mutex_);
  while ((commits_.load(std::memory_order_acquire) & 1) != 0) changed_.Wait(&mutex_);
  return {commits_.load(std::memory_order_acquire), nullptr};
}

CommitGate::Pin::Pin(const CommitGate* gate) : gate_(gate) {
  MutexLock lock(&gate_->mutex_);
  while ((gate_->commits_.load(std::memory_order_acquire) & 1) != 0) {
    gate_->changed_.Wait(&gate_->mutex_);
  }
  ++gate_->pins_;
}

CommitGate::Pin::~Pin() {
  MutexLock lock(&gate_->mutex_);
  if (--gate_->pins_ == 0) gate_->changed_.NotifyAll();
}

CommitGate::Show::Show(CommitGate* gate, std::shared_ptr<const CommitOverlay> overlay)
    : gate_(gate) {
  MutexLock lock(&gate_->mutex_);
  while (gate_->pins_ != 0) gate_->changed_.Wait(&gate_->mutex_);
  gate_->overlay_ = std::move(overlay);
  gate_->commits_.fetch_add(1);  // before any row is written
}

CommitGate::Show::~Show() {
  std::shared_ptr<const CommitOverlay> overlay;  // goes outside the lock
  MutexLock lock(&gate_->mutex_);
  gate_->commits_.fetch_add(1);
  overlay.swap(gate_->overlay_);
  gate_->changed_.NotifyAll();
}

}  // namespace tf_hps
