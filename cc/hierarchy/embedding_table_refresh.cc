// Reading rows again that tiers above the store hold.
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "cc/hierarchy/device_caches.h"
#include "cc/hierarchy/embedding_table.h"
#include "cc/hierarchy/table_update.h"

namespace tf_hps {

absl::Status EmbeddingTable::RefreshKeys(absl::Span<const Key> keys) {
  const size_t row_bytes = spec_.row_bytes();
  std::vector<uint8_t> rows(keys.size() * row_bytes);
  const auto found = std::make_unique<bool[]>(keys.size());
  std::vector<Key> stored, unknown;
  // Filled in under the update's lock: none comes between the read and what is done with it.
  UpdateBatch batch{{}, RowsView(rows.data(), row_bytes), {}};
  TableUpdate update(this, batch);
  absl::Status status = FindRaw(keys, rows.data(), found.get());
  if (!status.ok()) return status;
  for (size_t i = 0; i < keys.size(); ++i) {
    (found[i] ? stored : unknown).push_back(keys[i]);
    if (found[i])
      std::memmove(&rows[(stored.size() - 1) * row_bytes], &rows[i * row_bytes], row_bytes);
  }
  batch.keys = stored;
  batch.erased = unknown;
  update.TakeOutOfSharedTiers();
  update.TakeOutOfMemory();
  status = update.WriteSharedTiers();
  status.Update(update.WriteMemory());
  return status;
}

absl::Status EmbeddingTable::Refresh() {
  constexpr size_t kKeys = 4096;
  for (size_t t = 0; t < memory_tiers_ && t + 1 < tiers_.size(); ++t) {
    auto scanner = tiers_[t]->store->NewScanner(std::numeric_limits<Key>::min(),
                                                std::numeric_limits<Key>::max());
    if (!scanner.ok()) return scanner.status();
    RowBlock block;
    do {
      absl::Status status = (*scanner)->Next(kKeys, &block);
      if (status.ok()) status = RefreshKeys(block.keys);
      if (!status.ok()) return status;
    } while (block.size() != 0);
  }
  for (DeviceCache* device : device_caches_->All()) {
    absl::Status status = device->ForEachSlice(
        kKeys, [this](absl::Span<const Key> keys) { return RefreshKeys(keys); });
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

}  // namespace tf_hps
