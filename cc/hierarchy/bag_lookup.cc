#include "cc/hierarchy/bag_lookup.h"

#include <algorithm>
#include <utility>

#include "cc/hierarchy/embedding_table.h"

namespace tf_hps {
namespace {

// A part is made of whole bags, and at least so many ids: some 50 us of work.
constexpr int64_t kMinIdsPerPart = 1024;
// Rows that wait for being added up: they stay in a core's L2 cache.
constexpr int64_t kBlockBytes = 64 << 10;
constexpr int64_t kMaxBlockIds = 256;
constexpr int64_t kMinBlockIds = 16;

// Kept from part to part: memory that comes fresh from the system costs a page fault for each 4 KB,
// as long as looking up dozens of rows.
float* BlockOfThread(size_t floats) {
  thread_local std::vector<float> block;
  if (block.size() < floats) block.resize(floats);
  return block.data();
}

}  // namespace

BagLookup::BagLookup(const TableHandle& table, absl::Span<const Key> keys, const Bags& bags,
                     ElementType type, uint8_t* results, CommitGate::Moment moment)
    : table_(table),
      keys_(keys),
      bags_(bags),
      type_(type),
      results_(results),
      embedding_dim_(table.spec().embedding_dim),
      moment_(std::move(moment)),
      deadline_(table.NewMissDeadline()) {
  part_begins_.push_back(0);
  for (size_t bag = 1; bag < bags.size(); ++bag) {
    if (bags.splits[bag] - bags.splits[part_begins_.back()] >= kMinIdsPerPart) {
      part_begins_.push_back(bag);
    }
  }
  part_begins_.push_back(bags.size());
  rests_.resize(parts());
}

absl::Status BagLookup::Find(size_t first, size_t end, float* rows, Pending* pending) const {
  *pending = Pending::All(end - first);
  const absl::Span<const Key> keys = keys_.subspan(first, end - first);
  const RowSink sink = table_.SinkFor(ElementType::kFloat32, rows);
  absl::Status status = table_.table().FindInMemory(keys, sink, pending);
  moment_.Put(&table_.table(), keys, sink);
  return status;
}

absl::Status BagLookup::FindInMemory(size_t part) {
  const size_t first_bag = part_begins_[part], last_bag = part_begins_[part + 1];
  if (first_bag == last_bag) return absl::OkStatus();
  BagCombiner combiner(bags_, first_bag, last_bag, embedding_dim_, type_, results_);
  const size_t begin = bags_.splits[first_bag], end = bags_.splits[last_bag];
  const size_t fits =
      std::clamp<int64_t>(kBlockBytes / static_cast<int64_t>(embedding_dim_ * sizeof(float)),
                          kMinBlockIds, kMaxBlockIds);
  float* const block = BlockOfThread(fits * embedding_dim_);
  for (size_t id = begin; id < end;) {
    const size_t n = std::min(fits, end - id);
    Pending pending;
    if (absl::Status status = Find(id, id + n, block, &pending); !status.ok()) return status;
    if (!pending.empty()) return KeepRest(part, combiner, id, end, block, pending, n);
    combiner.Add(block, n);
    id += n;
  }
  combiner.Finish();
  return absl::OkStatus();
}

absl::Status BagLookup::KeepRest(size_t part, const BagCombiner& combiner, size_t first, size_t end,
                                 const float* block, const Pending& pending_of_block,
                                 size_t block_ids) {
  auto rest = std::make_unique<Rest>(combiner, first, end);
  rest->rows.resize((end - first) * embedding_dim_);
  std::copy_n(block, block_ids * embedding_dim_, rest->rows.data());
  for (size_t i = 0; i < pending_of_block.size(); ++i) {
    rest->pending.push_back(pending_of_block[i]);
  }
  Pending pending;
  absl::Status status =
      Find(first + block_ids, end, rest->rows.data() + block_ids * embedding_dim_, &pending);
  if (!status.ok()) return status;
  for (size_t i = 0; i < pending.size(); ++i) {
    rest->pending.push_back(static_cast<uint32_t>(block_ids) + pending[i]);
  }
  rests_[part] = std::move(rest);
  left_over_.store(true, std::memory_order_release);
  return absl::OkStatus();
}

// All parts' keys go down together: stores sort a batch, and ask for each key once.
absl::Status BagLookup::FindInStores() {
  std::vector<Key> keys;
  for (const auto& rest : rests_) {
    if (rest == nullptr) continue;
    for (uint32_t i : rest->pending) keys.push_back(keys_[rest->first + i]);
  }
  std::vector<float> rows(keys.size() * embedding_dim_);
  Pending pending = Pending::All(keys.size());
  const RowSink sink = table_.SinkFor(ElementType::kFloat32, rows.data());
  absl::Status status =
      table_.table().FindInStores(keys, sink, &pending, deadline_ ? &*deadline_ : nullptr);
  if (!status.ok()) return status;
  moment_.Put(&table_.table(), keys, sink);

  const float* found = rows.data();
  for (const auto& rest : rests_) {
    if (rest == nullptr) continue;
    for (uint32_t i : rest->pending) {
      std::copy_n(found, embedding_dim_, rest->rows.data() + i * embedding_dim_);
      found += embedding_dim_;
    }
    rest->combiner.Add(rest->rows.data(), rest->end - rest->first);
    rest->combiner.Finish();
  }
  return absl::OkStatus();
}

}  // namespace tf_hps
