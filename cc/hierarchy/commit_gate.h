#ifndef TF_HPS_CC_HIERARCHY_COMMIT_GATE_H_
#define TF_HPS_CC_HIERARCHY_COMMIT_GATE_H_

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "cc/common/counter.h"
#include "cc/common/mutex.h"
#include "cc/hierarchy/commit_overlay.h"

namespace tf_hps {

// Lets lookups see all of a commit of a deployment's tables, or none of it. Thread-safe.
//
// Commits are written below first, where nobody looks yet, and then shown, which is short: the
// memory tiers get their rows. A lookup notes the count of commits when it begins and asks at its
// end whether it is still the same; where it is not, it begins again. One that begins while a
// commit is shown puts the commit's rows over what it finds, and waits only for a commit that is
// too large for that. After some attempts it pins the commit, and the next one waits for it.
// Without commits that is two loads a lookup.
class CommitGate {
 public:
  static constexpr int kAttempts = 3;

  // One for each deployment, never destroyed.
  static CommitGate& Of(const std::string& deployment);

  // What a lookup sees.
  struct Moment {
    uint64_t commits = 0;
    std::shared_ptr<const CommitOverlay> overlay;  // null: what the tiers say is all

    // Over what the tiers say: see CommitOverlay::Put.
    void Put(const EmbeddingTable* table, absl::Span<const Key> keys, const RowSink& sink) const {
      if (overlay != nullptr) overlay->Put(table, keys, sink);
    }
  };
  Moment Begin() const {
    const uint64_t commits = commits_.load(std::memory_order_acquire);
    return (commits & 1) == 0 ? Moment{commits, nullptr} : BeginInShow();
  }
  // For who cannot put an overlay over what it finds: waits while a commit is shown.
  Moment BeginBetweenCommits() const;
  // The same, but does not wait: nothing while one is shown.
  std::optional<Moment> TryBeginBetweenCommits() const {
    const uint64_t commits = commits_.load(std::memory_order_acquire);
    return (commits & 1) == 0 ? std::make_optional(Moment{commits, nullptr}) : std::nullopt;
  }
  bool IsStill(const Moment& begun) const {
    // What was read before is read before the count is.
    std::atomic_thread_fence(std::memory_order_acquire);
    const uint64_t commits = commits_.load(std::memory_order_relaxed);
    // One that is all shown meanwhile is the one that the overlay has.
    return commits == begun.commits || (begun.overlay != nullptr && commits == begun.commits + 1);
  }
  // Commits shown so far.
  int64_t commits() const { return static_cast<int64_t>(commits_.load() / 2); }

  // Keeps the next commit from being shown.
  class Pin {
   public:
    explicit Pin(const CommitGate* gate);
    ~Pin();
    Pin(const Pin&) = delete;
    Pin& operator=(const Pin&) = delete;

   private:
    const CommitGate* const gate_;
  };

  // While one lives, a commit is shown. One at a time. `overlay`: all its rows, or null.
  class Show {
   public:
    explicit Show(CommitGate* gate, std::shared_ptr<const CommitOverlay> overlay = nullptr);
    ~Show();
    Show(const Show&) = delete;
    Show& operator=(const Show&) = delete;

   private:
    CommitGate* const gate_;
  };

  void CountRetry() const { retries_.Add(1); }
  int64_t retries() const { return retries_.Get(); }

 private:
  Moment BeginInShow() const;

  std::atomic<uint64_t> commits_{0};  // twice; odd while one is shown
  mutable Counter retries_;
  mutable Mutex mutex_;
  mutable CondVar changed_;
  mutable int pins_ ABSL_GUARDED_BY(mutex_) = 0;
  std::shared_ptr<const CommitOverlay> overlay_ ABSL_GUARDED_BY(mutex_);
};

// Runs `read`, which gives an absl::Status, so that it sees one state of the deployment of `gate`.
// It gets the moment, to put over what it finds.
template <class Read>
auto ReadOneCommit(const CommitGate& gate, Read&& read) {
  for (int attempt = 0; attempt < CommitGate::kAttempts; ++attempt) {
    const CommitGate::Moment begun = gate.Begin();
    auto status = read(begun);
    if (!status.ok() || gate.IsStill(begun)) return status;
    gate.CountRetry();
  }
  const CommitGate::Pin pin(&gate);
  return read(CommitGate::Moment());
}

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_COMMIT_GATE_H_
