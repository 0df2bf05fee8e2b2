#include "cc/hierarchy/commit_gate.h"

#include <map>
#include <memory>
#include <thread>

namespace tf_hps {
namespace {

// Showing a commit of some thousand rows takes less than a sleep and a wake-up do.
constexpr int kLooksBeforeSleep = 200;

}  // namespace

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

uint64_t CommitGate::WaitUntilShown() const {
  for (int looks = 0; looks < kLooksBeforeSleep; ++looks) {
    const uint64_t commits = commits_.load(std::memory_order_acquire);
    if ((commits & 1) == 0) return commits;
    std::this_thread::yield();
  }
  MutexLock lock(&mutex_);
  while ((commits_.load(std::memory_order_acquire) & 1) != 0) changed_.Wait(&mutex_);
  return commits_.load(std::memory_order_acquire);
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

CommitGate::Show::Show(CommitGate* gate) : gate_(gate) {
  MutexLock lock(&gate_->mutex_);
  while (gate_->pins_ != 0) gate_->changed_.Wait(&gate_->mutex_);
  gate_->commits_.fetch_add(1);  // before any row is written
}

CommitGate::Show::~Show() {
  MutexLock lock(&gate_->mutex_);
  gate_->commits_.fetch_add(1);
  gate_->changed_.NotifyAll();
}

}  // namespace tf_hps
