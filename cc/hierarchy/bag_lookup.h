#ifndef TF_HPS_CC_HIERARCHY_BAG_LOOKUP_H_
#define TF_HPS_CC_HIERARCHY_BAG_LOOKUP_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "cc/common/bag_combiner.h"
#include "cc/common/key.h"
#include "cc/hierarchy/table_handle.h"

namespace tf_hps {

// A lookup of bags of ids: each bag's rows are combined into one. The rows themselves only pass
// through a block of memory that fits a core's cache.
//
// As a plain lookup it goes down once: FindInMemory for every part, in any order and in parallel,
// then, unless IsDone(), FindInStores on a thread that may wait.
class BagLookup {
 public:
  // keys: an id each, bags.splits.back() of them. Results go to bags.size() * embedding_dim
  // elements of `type`. What is pointed to must outlive this.
  BagLookup(const TableHandle& table, absl::Span<const Key> keys, const Bags& bags,
            ElementType type, uint8_t* results, CommitGate::Moment moment = {});

  size_t parts() const { return part_begins_.size() - 1; }
  absl::Status FindInMemory(size_t part);
  bool IsDone() const { return !left_over_.load(std::memory_order_acquire); }
  absl::Status FindInStores();

 private:
  // A part that memory could not answer whole: how far it came, and the rows behind.
  struct Rest {
    Rest(BagCombiner combiner, size_t first, size_t end)
        : combiner(std::move(combiner)), first(first), end(end) {}

    BagCombiner combiner;
    size_t first, end;              // ids
    std::vector<float> rows;        // of [first, end)
    std::vector<uint32_t> pending;  // counted from `first`
  };

  // The ids [first, end): their rows to `rows`, those not found to *pending.
  absl::Status Find(size_t first, size_t end, float* rows, Pending* pending) const;
  absl::Status KeepRest(size_t part, const BagCombiner& combiner, size_t first, size_t end,
                        const float* block, const Pending& pending_of_block, size_t block_ids);

  const TableHandle& table_;
  const absl::Span<const Key> keys_;
  const Bags bags_;
  const ElementType type_;
  uint8_t* const results_;
  const int64_t embedding_dim_;
  const CommitGate::Moment moment_;  // of the deployment, that is looked at
  std::optional<MissDeadline> deadline_;
  std::vector<size_t> part_begins_;           // bags
  std::vector<std::unique_ptr<Rest>> rests_;  // one a part
  std::atomic<bool> left_over_{false};
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_BAG_LOOKUP_H_
