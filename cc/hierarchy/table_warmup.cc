#include <algorithm>
#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/log/log.h"
#include "absl/strings/string_view.h"
#include "cc/hierarchy/embedding_table.h"
#include "cc/hierarchy/hot_keys.h"

namespace tf_hps {
namespace {

constexpr size_t kKeysPerRead = 4096;

}  // namespace

// Nothing here keeps a table from opening: without its hot rows it is slower for a while.
void EmbeddingTable::WarmUp(const nlohmann::json& memory_options) {
  const auto folder = memory_options.find("hot_keys_path");
  if (memory_tiers_ == 0 || folder == memory_options.end() || !folder->is_string()) return;
  const std::string path = HotKeysPath(folder->get<std::string>(), spec_);
  if (memory_tiers_ < tiers_.size()) {
    absl::StatusOr<std::vector<Key>> keys = ReadHotKeys(path);
    absl::Status status = keys.ok() ? LoadRows(*std::move(keys)) : keys.status();
    if (!status.ok() && !absl::IsNotFound(status)) {
      LOG(WARNING) << "table \"" << spec_.name << "\" begins without its hot rows: " << status;
    }
  }
  if (const int64_t seconds = memory_options.value("save_hot_keys_s", int64_t{0}); seconds > 0) {
    const int64_t capacity = tiers_[0]->store->Stats().capacity_rows;
    const size_t most = capacity > 0 ? capacity : spec_.rows;
    hot_key_saver_ =
        std::make_unique<HotKeySaver>(path, std::chrono::seconds(seconds),
                                      [this, most] { return tiers_[0]->store->HotKeys(most); });
  }
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
