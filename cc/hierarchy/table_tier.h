#ifndef TF_HPS_CC_HIERARCHY_TABLE_TIER_H_
#define TF_HPS_CC_HIERARCHY_TABLE_TIER_H_

#include <atomic>
#include <memory>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "cc/common/counter.h"
#include "cc/common/latency_histogram.h"
#include "cc/common/stage_timer.h"
#include "cc/storage/embedding_store.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

// A store of one table, and what was seen of it. Thread-safe.
struct TableTier {
  std::shared_ptr<EmbeddingStore> store;
  mutable Counter hits;
  mutable Counter misses;

  // The store's Find, timed and its failures counted.
  absl::Status Find(absl::Span<const Key> keys, const RowSink& sink, const std::string& table,
                    StageTimer::Measure measure, Pending* pending) const {
    const StageTimer timer(store->kind(), table, measure, &latency_);
    absl::Status status = store->Find(keys, sink, pending);
    if (!status.ok()) find_errors_.Add(1);
    // Written only where it changes: all lookups share the line it is in.
    if (failing_.load(std::memory_order_relaxed) == status.ok()) failing_.store(!status.ok());
    return status;
  }

  nlohmann::json Stats() const {
    const StoreStats stats = store->Stats();
    nlohmann::json all = {{"kind", store->kind()},
                          {"hits", hits.Get()},
                          {"misses", misses.Get()},
                          {"find_errors", find_errors_.Get()},
                          {"failing", failing_.load()},
                          {"latency", latency_.ToJson()},
                          {"rows", stats.rows},
                          {"rows_exact", stats.rows_exact},
                          {"bytes", stats.bytes},
                          {"capacity_rows", stats.capacity_rows},
                          {"evictions", stats.evictions},
                          {"absent", stats.absent},
                          {"complete", store->IsComplete()}};
    all.update(store->Health());
    return all;
  }

 private:
  mutable Counter find_errors_;
  mutable std::atomic<bool> failing_{false};  // the last Find did
  mutable LatencyHistogram latency_;
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_TABLE_TIER_H_
