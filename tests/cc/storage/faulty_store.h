#ifndef TF_HPS_TESTS_CC_STORAGE_FAULTY_STORE_H_
#define TF_HPS_TESTS_CC_STORAGE_FAULTY_STORE_H_

#include <array>
#include <chrono>
#include <limits>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "cc/common/mutex.h"
#include "cc/storage/embedding_store.h"

namespace tf_hps {

// A store that does what `base` does, until it is told to fail, to be slow or to stand still.
// Thread-safe; a test keeps a pointer to it after it gave it away.
class FaultyStore : public EmbeddingStore {
 public:
  enum Operation { kFind, kInsert, kErase, kScan, kNext, kOperations };
  static constexpr int kForever = std::numeric_limits<int>::max();

  explicit FaultyStore(std::shared_ptr<EmbeddingStore> base) : base_(std::move(base)) {}

  // The next `times` calls fail with `status`, and do nothing. A Find answers its first `answered`
  // pending positions from the base before: an error in the middle of a batch.
  void Fail(Operation operation, absl::Status status, int times = kForever, size_t answered = 0) {
    MutexLock lock(&mutex_);
    faults_[operation].status = std::move(status);
    faults_[operation].times = times;
    faults_[operation].answered = answered;
  }
  void Heal() {
    MutexLock lock(&mutex_);
    for (Fault& fault : faults_) fault.times = 0;
  }
  void Delay(Operation operation, std::chrono::milliseconds delay) {
    MutexLock lock(&mutex_);
    faults_[operation].delay = delay;
  }
  // From here on calls wait until Release, before they reach the base.
  void Hold(Operation operation) {
    MutexLock lock(&mutex_);
    faults_[operation].held = true;
  }
  void Release(Operation operation) {
    MutexLock lock(&mutex_);
    faults_[operation].held = false;
    changed_.NotifyAll();
  }
  // Waits until so many calls in all have arrived, those held among them.
  void WaitForCalls(Operation operation, int calls) const {
    MutexLock lock(&mutex_);
    while (faults_[operation].calls < calls) changed_.Wait(&mutex_);
  }
  int Calls(Operation operation) const {
    MutexLock lock(&mutex_);
    return faults_[operation].calls;
  }

  absl::Status Find(absl::Span<const Key> keys, const RowSink& sink,
                    Pending* pending) const override {
    size_t answered = 0;
    const absl::Status status = Arrive(kFind, &answered);
    if (status.ok()) return base_->Find(keys, sink, pending);
    std::vector<uint32_t> first, rest;
    for (size_t i = 0; i < pending->size(); ++i) {
      (i < answered ? first : rest).push_back((*pending)[i]);
    }
    if (!first.empty()) {
      Pending some;
      some.Assign(std::move(first));
      if (absl::Status found = base_->Find(keys, sink, &some); !found.ok()) return found;
      for (size_t i = some.size(); i > 0; --i) rest.insert(rest.begin(), some[i - 1]);
    }
    pending->Assign(std::move(rest));
    return status;
  }
  absl::Status Insert(absl::Span<const Key> keys, const RowsView& rows,
                      const InsertOptions& options) override {
    if (absl::Status status = Arrive(kInsert); !status.ok()) return status;
    return base_->Insert(keys, rows, options);
  }
  absl::Status Erase(absl::Span<const Key> keys) override {
    if (absl::Status status = Arrive(kErase); !status.ok()) return status;
    return base_->Erase(keys);
  }
  absl::StatusOr<std::unique_ptr<RowScanner>> NewScanner(Key first, Key last) const override {
    if (absl::Status status = Arrive(kScan); !status.ok()) return status;
    absl::StatusOr<std::unique_ptr<RowScanner>> scanner = base_->NewScanner(first, last);
    if (!scanner.ok()) return scanner.status();
    return std::make_unique<Scanner>(this, *std::move(scanner));
  }
  void MarkAbsent(absl::Span<const Key> keys, const StampsRead& stamps) override {
    base_->MarkAbsent(keys, stamps);
  }
  bool AnswersFromMemory() const override { return base_->AnswersFromMemory(); }
  bool IsComplete() const override { return base_->IsComplete(); }
  void MarkComplete(int64_t losses) override { base_->MarkComplete(losses); }
  int64_t Losses() const override { return base_->Losses(); }
  void MarkIncomplete() override { base_->MarkIncomplete(); }
  std::vector<Key> HotKeys(size_t n) const override { return base_->HotKeys(n); }
  absl::Status LimitRows(int64_t rows) override { return base_->LimitRows(rows); }
  void CountUses() override { base_->CountUses(); }
  StoreStats Stats() const override { return base_->Stats(); }
  absl::string_view kind() const override { return base_->kind(); }

 private:
  struct Fault {
    absl::Status status;
    int times = 0;
    size_t answered = 0;
    std::chrono::milliseconds delay{0};
    bool held = false;
    int calls = 0;
  };

  class Scanner : public RowScanner {
   public:
    Scanner(const FaultyStore* store, std::unique_ptr<RowScanner> base)
        : store_(store), base_(std::move(base)) {}
    absl::Status Next(size_t max_rows, RowBlock* block) override {
      if (absl::Status status = store_->Arrive(kNext); !status.ok()) return status;
      return base_->Next(max_rows, block);
    }

   private:
    const FaultyStore* const store_;
    const std::unique_ptr<RowScanner> base_;
  };

  absl::Status Arrive(Operation operation, size_t* answered = nullptr) const {
    std::chrono::milliseconds delay;
    absl::Status status;
    {
      MutexLock lock(&mutex_);
      Fault& fault = faults_[operation];
      ++fault.calls;
      changed_.NotifyAll();
      while (fault.held) changed_.Wait(&mutex_);
      delay = fault.delay;
      if (fault.times > 0) {
        if (fault.times != kForever) --fault.times;
        status = fault.status;
        if (answered != nullptr) *answered = fault.answered;
      }
    }
    std::this_thread::sleep_for(delay);
    return status;
  }

  const std::shared_ptr<EmbeddingStore> base_;
  mutable Mutex mutex_;
  mutable CondVar changed_;
  mutable std::array<Fault, kOperations> faults_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_STORAGE_FAULTY_STORE_H_
