#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/log.h"
#include "absl/strings/string_view.h"
#include "cc/common/remote_files.h"
#include "cc/hierarchy/embedding_table.h"
#include "cc/hierarchy/hot_keys.h"
#include "cc/hierarchy/store_preloader.h"

namespace tf_hps {
namespace {

constexpr size_t kKeysPerRead = 4096;

}  // namespace

// Nothing here keeps a table from opening: without its hot rows it is slower for a while.
void EmbeddingTable::WarmUp(const nlohmann::json& memory_options, bool has_rows) {
  const auto folder = memory_options.find("hot_keys_path");
  if (memory_tiers_ == 0 || folder == memory_options.end() || !folder->is_string()) return;
  const std::string path = HotKeysPath(folder->get<std::string>(), spec_);
  if (memory_tiers_ < tiers_.size() && !has_rows) {
    absl::StatusOr<std::vector<Key>> keys = ReadHotKeys(path);
    absl::Status status = keys.ok() ? LoadRows(*std::move(keys)) : keys.status();
    if (!status.ok() && !absl::IsNotFound(status)) {
      LOG(WARNING) << "table \"" << spec_.name << "\" begins without its hot rows: " << status;
    }
  }
  const int64_t seconds = memory_options.value("save_hot_keys_s", int64_t{0});
  if (seconds > 0 && IsRemotePath(path)) {
    LOG(WARNING) << "table \"" << spec_.name << "\" does not save its hot keys: " << path
                 << " is not on this machine";
  } else if (seconds > 0) {
    const int64_t capacity = tiers_[0]->store->Stats().capacity_rows;
    const size_t most = capacity > 0 ? capacity : spec_.rows;
    hot_key_saver_ =
        std::make_unique<HotKeySaver>(path, std::chrono::seconds(seconds),
                                      [this, most] { return tiers_[0]->store->HotKeys(most); });
  }
}

void EmbeddingTable::FillMemory(bool yields) {
  if (!preloads_ || memory_tiers_ == 0 || memory_tiers_ == tiers_.size()) return;
  if (tiers_[memory_tiers_ - 1]->store->IsComplete()) return;
  auto preloader = std::make_shared<StorePreloader>(spec_, tiers_.back()->store,
                                                    tiers_[memory_tiers_ - 1]->store, &stamps_,
                                                    &apply_mutex_, yields);
  MutexLock lock(&memory_mutex_);
  was_completed_ = was_completed_ || (preloader_ != nullptr && preloader_->was_completed());
  preloader_.swap(preloader);  // the former one ends outside of the lock
}

bool EmbeddingTable::WasCompleted() const {
  MutexLock lock(&memory_mutex_);
  return was_completed_ || (preloader_ != nullptr && preloader_->was_completed());
}

int64_t EmbeddingTable::MemoryShare(size_t generations) const {
  const auto n = static_cast<int64_t>(generations);
  const int64_t rows = memory_capacity_ - (n - 1) * memory_fixed_bytes_ / spec_.row_bytes();
  // Where rows are hardly longer than what an index says of them, a tier of nothing but an index
  // would be no help.
  return std::max(rows, memory_capacity_ / 2) / n;
}

int64_t EmbeddingTable::memory_limit() const {
  return tiers_[memory_tiers_ - 1]->store->Stats().capacity_rows;
}

absl::Status EmbeddingTable::LimitMemory(int64_t rows) {
  if (rows == memory_capacity_) {
    MutexLock lock(&memory_mutex_);
    counting_since_.reset();  // a tier that has all rows counts no longer
  }
  return tiers_[memory_tiers_ - 1]->store->LimitRows(std::max<int64_t>(1, rows));
}

std::chrono::steady_clock::time_point EmbeddingTable::CountUses() {
  MutexLock lock(&memory_mutex_);
  if (!counting_since_.has_value()) {
    tiers_[memory_tiers_ - 1]->store->CountUses();
    counting_since_ = std::chrono::steady_clock::now();
  }
  return *counting_since_;
}

absl::Status EmbeddingTable::LoadRows(std::vector<Key> keys) {
  EmbeddingStore& memory = *tiers_[memory_tiers_ - 1]->store;
  if (const int64_t capacity = memory.Stats().capacity_rows; capacity > 0) {
    keys.resize(std::min<size_t>(keys.size(), capacity));
  }
  const size_t row_bytes = spec_.row_bytes();
  for (size_t begin = 0; begin < keys.size(); begin += kKeysPerRead) {
    const auto first = keys.begin() + begin;
    std::vector<Key> block(first, first + std::min(kKeysPerRead, keys.size() - begin));
    std::sort(block.begin(), block.end());
    block.erase(std::unique(block.begin(), block.end()), block.end());
    StampsRead stamps(&stamps_, block);
    StoreRead read(std::move(block), std::move(stamps), row_bytes);
    if (absl::Status status = ReadStores(&read); !status.ok()) return status;
    std::vector<uint32_t> positions;
    RowBlock found;
    for (uint32_t i = 0; i < read.keys.size(); ++i) {
      if (read.found_by[i] == StoreRead::kNobody) continue;
      positions.push_back(i);
      found.keys.push_back(read.keys[i]);
      const uint8_t* const row = read.rows.data() + i * row_bytes;
      found.rows.insert(found.rows.end(), row, row + row_bytes);
    }
    const StampsRead found_stamps = read.stamps.Select(positions);
    InsertOptions options;
    options.existing = OnExisting::kKeep;
    options.stamps = &found_stamps;
    absl::Status status =
        memory.Insert(found.keys, RowsView(found.rows.data(), row_bytes), options);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace tf_hps
