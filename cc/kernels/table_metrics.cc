#include <array>
#include <cfloat>
#include <cmath>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "cc/common/latency_histogram.h"
#include "cc/common/mutex.h"
#include "cc/hierarchy/table_health.h"
#include "cc/hierarchy/table_registry.h"
#include "nlohmann/json.hpp"
#include "tensorflow/core/framework/summary.pb.h"
#include "tensorflow/core/lib/monitoring/collection_registry.h"
#include "tensorflow/core/lib/monitoring/metric_def.h"

// The tables' counters in TensorFlow's monitoring registry, which TF Serving's exporter reads. They
// are read when somebody collects, from TableHandle::Stats; a lookup knows nothing of it. Of
// TensorFlow's kinds the exporter prints int64 counters and gauges, and histograms.

namespace tf_hps {
namespace {

using nlohmann::json;
using tensorflow::HistogramProto;
using tensorflow::monitoring::CollectionRegistry;
using tensorflow::monitoring::MetricCollectorGetter;
using tensorflow::monitoring::MetricDef;
using tensorflow::monitoring::MetricKind;

// What all open tables counted, for one collection. The registry asks metric by metric; the first
// that asks a second time begins the next collection.
class Snapshot {
 public:
  std::vector<json> TablesFor(const std::string& metric) {
    MutexLock lock(&mutex_);
    if (tables_.empty() || !asked_.insert(metric).second) {
      asked_ = {metric};
      tables_ = TableRegistry::Get().Stats();
    }
    return tables_;
  }

 private:
  Mutex mutex_;
  std::set<std::string> asked_ ABSL_GUARDED_BY(mutex_);
  std::vector<json> tables_ ABSL_GUARDED_BY(mutex_);
};

Snapshot& TheSnapshot() {
  static auto* const snapshot = new Snapshot;
  return *snapshot;
}

// A metric's value in the stats of a table or of a tier; null where it has none.
using Read = std::function<json(const json&)>;

Read Field(const std::string& pointer) {
  return [path = json::json_pointer(pointer)](const json& stats) {
    return stats.contains(path) ? stats[path] : json();
  };
}

json OpenBreakers(const json& tier) {
  if (!tier.contains("servers")) return json();
  int64_t open = 0;
  for (const json& server : tier["servers"]) open += server.value("breaker", "closed") != "closed";
  return open;
}

json BreakerOpenings(const json& tier) {
  if (!tier.contains("servers")) return json();
  int64_t opened = 0;
  for (const json& server : tier["servers"]) opened += server.value("breaker_opened", int64_t{0});
  return opened;
}

json Health(const json& stats) { return static_cast<int64_t>(HealthOf(stats)); }

template <class Value>
Value ValueOf(const json& read);

template <>
int64_t ValueOf(const json& read) {
  return read.is_boolean() ? int64_t{read.get<bool>()} : read.get<int64_t>();
}

template <>
HistogramProto ValueOf(const json& read) {
  HistogramProto histogram;
  const json& buckets = read.at("buckets");
  double count = 0;
  for (int i = 0; i < LatencyHistogram::kBuckets; ++i) {
    histogram.add_bucket_limit(
        i + 1 < LatencyHistogram::kBuckets ? LatencyHistogram::LimitMicroseconds(i) : DBL_MAX);
    histogram.add_bucket(buckets.at(i).get<double>());
    count += histogram.bucket(i);
  }
  histogram.set_num(count);
  histogram.set_sum(read.at("sum_us").get<double>());
  return histogram;
}

std::array<std::string, 3> TableLabels(const json& stats) {
  return {stats.at("deployment"), stats.at("table"), stats.at("generation")};
}

// Registered for as long as the process lives.
template <MetricKind kind, class Value>
void AddTableMetric(const char* name, const char* description, const Read& read) {
  auto* const def =
      new MetricDef<kind, Value, 3>(name, description, "deployment", "table", "generation");
  const auto collect = [def, read](MetricCollectorGetter getter) {
    auto collector = getter.Get(def);
    for (const json& table : TheSnapshot().TablesFor(std::string(def->name()))) {
      const json value = read(table);
      if (!value.is_null()) collector.CollectValue(TableLabels(table), ValueOf<Value>(value));
    }
  };
  CollectionRegistry::Default()->Register(def, collect).release();
}

template <MetricKind kind, class Value>
void AddTierMetric(const char* name, const char* description, const Read& read) {
  auto* const def =
      new MetricDef<kind, Value, 4>(name, description, "deployment", "table", "generation", "tier");
  const auto collect = [def, read](MetricCollectorGetter getter) {
    auto collector = getter.Get(def);
    for (const json& table : TheSnapshot().TablesFor(std::string(def->name()))) {
      const std::array<std::string, 3> labels = TableLabels(table);
      for (const json& tier : table.at("tiers")) {
        const json value = read(tier);
        if (value.is_null()) continue;
        collector.CollectValue({labels[0], labels[1], labels[2], tier.at("kind")},
                               ValueOf<Value>(value));
      }
    }
  };
  CollectionRegistry::Default()->Register(def, collect).release();
}

// How many of a million lookups an LRU cache would answer, a point for each capacity.
void AddCurveMetric(const char* name, const char* description) {
  auto* const def = new MetricDef<MetricKind::kGauge, int64_t, 4>(
      name, description, "deployment", "table", "generation", "capacity_rows");
  const auto collect = [def](MetricCollectorGetter getter) {
    auto collector = getter.Get(def);
    for (const json& table : TheSnapshot().TablesFor(std::string(def->name()))) {
      const std::array<std::string, 3> labels = TableLabels(table);
      const json& curve = table.at("hit_rate_curve");
      for (size_t i = 0; i < curve.at("capacity_rows").size(); ++i) {
        collector.CollectValue({labels[0], labels[1], labels[2], curve["capacity_rows"][i].dump()},
                               std::llround(1e6 * curve.at("hit_rates").at(i).get<double>()));
      }
    }
  };
  CollectionRegistry::Default()->Register(def, collect).release();
}

constexpr MetricKind kCounter = MetricKind::kCumulative;
constexpr MetricKind kGauge = MetricKind::kGauge;

// What docs/operations.md lists. A table whose stats lack a field has no point.
bool RegisterMetrics() {
  AddTableMetric<kGauge, int64_t>("/tf_hps/health", "0 ok, 1 degraded, 2 failing", &Health);
  AddTableMetric<kCounter, int64_t>("/tf_hps/lookups", "calls", Field("/lookups"));
  AddTableMetric<kCounter, int64_t>("/tf_hps/keys", "ids that were asked for", Field("/keys"));
  AddTableMetric<kCounter, int64_t>("/tf_hps/default_rows", "ids answered with the default row",
                                    Field("/default_rows"));
  AddTableMetric<kCounter, int64_t>("/tf_hps/degraded_rows",
                                    "ids that got the default row because the stores took longer "
                                    "than miss_deadline_us",
                                    Field("/degraded_rows"));
  AddTableMetric<kCounter, int64_t>("/tf_hps/shared_reads", "keys another lookup was reading",
                                    Field("/shared_reads"));
  AddTableMetric<kGauge, int64_t>("/tf_hps/rows", "rows of the table", Field("/rows"));
  AddTableMetric<kGauge, int64_t>("/tf_hps/row_bytes", "bytes of a stored row",
                                  Field("/row_bytes"));
  AddCurveMetric("/tf_hps/hits_per_million",
                 "lookups that an LRU cache would answer, by its capacity");
  AddTableMetric<kCounter, int64_t>("/tf_hps/promoted_rows", "rows carried to a tier above",
                                    Field("/promotion/rows"));
  AddTableMetric<kCounter, int64_t>("/tf_hps/dropped_promotions", "rows not carried up",
                                    Field("/promotion/dropped"));
  AddTableMetric<kGauge, int64_t>("/tf_hps/promotion_queue_bytes", "waiting to be carried up",
                                  Field("/promotion/queued_bytes"));
  AddTableMetric<kGauge, int64_t>("/tf_hps/preloaded_rows", "rows preloaded so far",
                                  Field("/preload/rows"));
  AddTableMetric<kGauge, int64_t>("/tf_hps/update_lag_ms",
                                  "age of the last commit applied, while more is to come",
                                  Field("/updates/lag_ms"));
  AddTableMetric<kGauge, int64_t>("/tf_hps/update_lag_commits", "commits still to come",
                                  Field("/updates/lag_commits"));
  AddTableMetric<kCounter, int64_t>("/tf_hps/applied_commits", "commits the table moved over",
                                    Field("/updates/commits"));
  AddTableMetric<kCounter, int64_t>("/tf_hps/quarantined_updates", "commits kept aside",
                                    Field("/updates/quarantined_commits"));
  AddTableMetric<kCounter, int64_t>("/tf_hps/expired_rows", "left because of their age",
                                    Field("/updates/growth/expired"));
  AddTableMetric<kCounter, int64_t>("/tf_hps/evicted_rows", "left for new ids at max_rows",
                                    Field("/updates/growth/evicted"));
  AddTableMetric<kCounter, int64_t>("/tf_hps/rejected_ids", "did not come in at max_rows",
                                    Field("/updates/growth/rejected"));
  AddTableMetric<kCounter, HistogramProto>("/tf_hps/stores_latency_usecs",
                                           "the part of lookups that waits, a call",
                                           Field("/stores_latency"));

  AddTierMetric<kCounter, int64_t>("/tf_hps/tier/hits", "ids it answered", Field("/hits"));
  AddTierMetric<kCounter, int64_t>("/tf_hps/tier/misses", "ids it passed on", Field("/misses"));
  AddTierMetric<kCounter, int64_t>("/tf_hps/tier/find_errors", "calls it failed",
                                   Field("/find_errors"));
  AddTierMetric<kGauge, int64_t>("/tf_hps/tier/failing", "1: its last call failed",
                                 Field("/failing"));
  AddTierMetric<kGauge, int64_t>("/tf_hps/tier/rows", "rows it holds", Field("/rows"));
  AddTierMetric<kGauge, int64_t>("/tf_hps/tier/bytes", "bytes it takes", Field("/bytes"));
  AddTierMetric<kGauge, int64_t>("/tf_hps/tier/capacity_rows", "its bound; 0: none",
                                 Field("/capacity_rows"));
  AddTierMetric<kCounter, int64_t>("/tf_hps/tier/evictions", "rows dropped for room",
                                   Field("/evictions"));
  AddTierMetric<kGauge, int64_t>("/tf_hps/tier/absent", "unknown keys it remembers",
                                 Field("/absent"));
  AddTierMetric<kGauge, int64_t>("/tf_hps/tier/complete", "1: nobody asks below it",
                                 Field("/complete"));
  AddTierMetric<kGauge, int64_t>("/tf_hps/tier/open_breakers", "servers that are left alone",
                                 &OpenBreakers);
  AddTierMetric<kCounter, int64_t>("/tf_hps/tier/breaker_openings", "how often a breaker opened",
                                   &BreakerOpenings);
  AddTierMetric<kCounter, HistogramProto>(
      "/tf_hps/tier/latency_usecs", "a call; of memory one in 16 is measured", Field("/latency"));
  return true;
}

const bool table_metrics_is_registered = RegisterMetrics();

}  // namespace
}  // namespace tf_hps
