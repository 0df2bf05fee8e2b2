#ifndef TF_HPS_TESTS_CC_HIERARCHY_MODEL_STORE_H_
#define TF_HPS_TESTS_CC_HIERARCHY_MODEL_STORE_H_

#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "cc/common/mutex.h"
#include "cc/storage/embedding_store.h"
#include "cc/storage/store_backend.h"

namespace tf_hps {

// What a test sees of, and does to, one ModelStore. Shared by the test and the store.
struct ModelState {
  std::function<void()> before_find;  // runs before anything is read
  std::function<void()> after_find;   // runs when rows were read and before Find returns
  std::function<void()> before_insert;
  std::function<void()> before_scan;
  absl::Status find_status;
  absl::Status insert_status;
  int64_t capacity_rows = 0;

  Mutex mutex;
  std::map<Key, std::vector<uint8_t>> rows ABSL_GUARDED_BY(mutex);
  std::set<Key> absent ABSL_GUARDED_BY(mutex);
  std::vector<std::vector<Key>> asked ABSL_GUARDED_BY(mutex);  // the keys of each Find
  int64_t evictions ABSL_GUARDED_BY(mutex) = 0;
  bool complete ABSL_GUARDED_BY(mutex) = false;
};

// The contract of EmbeddingStore by std::map and one lock: what the hierarchy's tests put in a tier
// when they must decide what happens between two steps of a lookup.
class ModelStore : public EmbeddingStore {
 public:
  ModelStore(std::shared_ptr<ModelState> state, size_t row_bytes, bool in_memory)
      : state_(std::move(state)), row_bytes_(row_bytes), in_memory_(in_memory) {}

  absl::Status Find(absl::Span<const Key> keys, const RowSink& sink,
                    Pending* pending) const override {
    if (state_->before_find) state_->before_find();
    {
      MutexLock lock(&state_->mutex);
      std::vector<Key> asked;
      for (size_t i = 0; i < pending->size(); ++i) asked.push_back(keys[(*pending)[i]]);
      state_->asked.push_back(std::move(asked));
      // Not a second reference to one status: ThreadSanitizer does not see absl count them.
      const absl::Status& status = state_->find_status;
      if (!status.ok()) return absl::Status(status.code(), status.message());
      std::vector<uint32_t> left;
      for (size_t i = 0; i < pending->size(); ++i) {
        const uint32_t p = (*pending)[i];
        if (const auto row = state_->rows.find(keys[p]); row != state_->rows.end()) {
          sink.Put(p, row->second.data());
        } else if (state_->absent.count(keys[p]) != 0) {
          sink.PutDefault(p, keys[p]);
          pending->CountAbsent(1);
        } else {
          left.push_back(p);
        }
      }
      pending->Assign(std::move(left));
    }
    if (state_->after_find) state_->after_find();
    return absl::OkStatus();
  }

  absl::Status Insert(absl::Span<const Key> keys, const RowsView& rows,
                      const InsertOptions& options) override {
    if (state_->before_insert) state_->before_insert();
    MutexLock lock(&state_->mutex);
    if (!state_->insert_status.ok()) return state_->insert_status;
    for (size_t i = 0; i < keys.size(); ++i) {
      if (options.stamps != nullptr && options.stamps->Moved(i, keys[i])) {
        if (options.refused != nullptr) options.refused->push_back(i);
        continue;
      }
      state_->absent.erase(keys[i]);
      if (options.existing == OnExisting::kKeep && state_->rows.count(keys[i]) != 0) continue;
      state_->rows[keys[i]].assign(rows.row(i), rows.row(i) + row_bytes_);
      if (state_->capacity_rows != 0 &&
          static_cast<int64_t>(state_->rows.size()) > state_->capacity_rows) {
        state_->complete = false;
        ++state_->evictions;
        auto victim = state_->rows.begin();
        if (victim->first == keys[i]) ++victim;
        state_->rows.erase(victim);
      }
    }
    return absl::OkStatus();
  }

  absl::Status Erase(absl::Span<const Key> keys) override {
    MutexLock lock(&state_->mutex);
    for (Key key : keys) state_->rows.erase(key);
    return absl::OkStatus();
  }

  void MarkAbsent(absl::Span<const Key> keys, const StampsRead& stamps) override {
    if (!in_memory_) return;
    MutexLock lock(&state_->mutex);
    for (size_t i = 0; i < keys.size(); ++i) {
      if (state_->rows.count(keys[i]) == 0 && !stamps.Moved(i, keys[i])) {
        state_->absent.insert(keys[i]);
      }
    }
  }

  absl::StatusOr<std::unique_ptr<RowScanner>> NewScanner(Key first, Key last) const override {
    if (state_->before_scan) state_->before_scan();
    MutexLock lock(&state_->mutex);
    auto scanner = std::make_unique<Scanner>();
    for (auto row = state_->rows.lower_bound(first);
         row != state_->rows.end() && row->first <= last; ++row) {
      scanner->rows.push_back(*row);
    }
    return scanner;
  }

  bool AnswersFromMemory() const override { return in_memory_; }
  bool IsComplete() const override {
    MutexLock lock(&state_->mutex);
    return state_->complete;
  }
  void MarkComplete(int64_t losses) override {
    MutexLock lock(&state_->mutex);
    state_->complete = state_->evictions == losses;
  }
  int64_t Losses() const override {
    MutexLock lock(&state_->mutex);
    return state_->evictions;
  }
  void MarkIncomplete() override {
    MutexLock lock(&state_->mutex);
    state_->complete = false;
  }
  StoreStats Stats() const override {
    MutexLock lock(&state_->mutex);
    StoreStats stats;
    stats.rows = state_->rows.size();
    stats.rows_exact = true;
    stats.capacity_rows = state_->capacity_rows;
    stats.evictions = state_->evictions;
    stats.absent = state_->absent.size();
    return stats;
  }
  absl::string_view kind() const override { return in_memory_ ? "model_memory" : "model_disk"; }

 private:
  struct Scanner : RowScanner {
    absl::Status Next(size_t max_rows, RowBlock* block) override {
      block->Clear();
      for (; next < rows.size() && block->size() < max_rows; ++next) {
        block->keys.push_back(rows[next].first);
        block->rows.insert(block->rows.end(), rows[next].second.begin(), rows[next].second.end());
      }
      return absl::OkStatus();
    }
    std::vector<std::pair<Key, std::vector<uint8_t>>> rows;
    size_t next = 0;
  };

  const std::shared_ptr<ModelState> state_;
  const size_t row_bytes_;
  const bool in_memory_;
};

// The states that the next tables' stores will use, by backend kind.
inline std::map<std::string, std::shared_ptr<ModelState>>& ModelStates() {
  static std::map<std::string, std::shared_ptr<ModelState>> states;
  return states;
}

// Backends "model_memory", "model_shared" and "model_disk", one of each rank.
inline void RegisterModelBackends() {
  static const bool registered = [] {
    const auto open_memory =
        [](const TableSpec& spec,
           const nlohmann::json&) -> absl::StatusOr<std::unique_ptr<EmbeddingStore>> {
      return std::make_unique<ModelStore>(ModelStates()["model_memory"], spec.row_bytes(), true);
    };
    const auto open_shared =
        [](const TableSpec& spec,
           const nlohmann::json&) -> absl::StatusOr<std::unique_ptr<EmbeddingStore>> {
      return std::make_unique<ModelStore>(ModelStates()["model_shared"], spec.row_bytes(), false);
    };
    const auto open_disk =
        [](const TableSpec& spec,
           const nlohmann::json&) -> absl::StatusOr<std::unique_ptr<EmbeddingStore>> {
      return std::make_unique<ModelStore>(ModelStates()["model_disk"], spec.row_bytes(), false);
    };
    RegisterStoreBackend({"model_memory", StoreRank::kProcessMemory, {}, open_memory, nullptr});
    RegisterStoreBackend({"model_shared", StoreRank::kSharedMemory, {}, open_shared, nullptr});
    RegisterStoreBackend({"model_disk", StoreRank::kPersistent, {}, open_disk, nullptr});
    return true;
  }();
  (void)registered;
}

}  // namespace tf_hps

#endif  // TF_HPS_TESTS_CC_HIERARCHY_MODEL_STORE_H_
