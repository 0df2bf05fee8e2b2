#include "cc/kernels/prometheus_page.h"

#include <cctype>
#include <memory>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/string_view.h"
#include "tensorflow/core/lib/monitoring/collected_metrics.h"
#include "tensorflow/core/lib/monitoring/collection_registry.h"

namespace tf_hps {
namespace {

using tensorflow::monitoring::CollectionRegistry;
using tensorflow::monitoring::MetricDescriptor;
using tensorflow::monitoring::MetricKind;
using tensorflow::monitoring::Point;
using tensorflow::monitoring::PointSet;
using tensorflow::monitoring::ValueType;

// What Prometheus has no letters for becomes `other`.
std::string Cleaned(absl::string_view name, char other) {
  std::string cleaned(name);
  for (char& c : cleaned) {
    if (!absl::ascii_isalnum(c) && c != '_') c = other;
  }
  if (!cleaned.empty() && absl::ascii_isdigit(cleaned[0])) cleaned.insert(0, "_");
  return cleaned;
}

// a="1",b="2"
std::string Labels(const Point& point) {
  std::string labels;
  for (const Point::Label& label : point.labels) {
    const std::string value =
        absl::StrReplaceAll(label.value, {{"\\", "\\\\"}, {"\"", "\\\""}, {"\n", "\\n"}});
    absl::StrAppend(&labels, labels.empty() ? "" : ",", Cleaned(label.name, '_'), "=\"", value,
                    "\"");
  }
  return labels;
}

void AppendHistogram(const std::string& name, const Point& point, std::string* page) {
  const std::string labels = Labels(point);
  const tensorflow::HistogramProto& histogram = point.histogram_value;
  int64_t count = 0;
  for (int i = 0; i < histogram.bucket_size(); ++i) {
    count += static_cast<int64_t>(histogram.bucket(i));
    const std::string limit =
        i + 1 < histogram.bucket_size() ? absl::StrCat(histogram.bucket_limit(i)) : "+Inf";
    absl::StrAppend(page, name, "_bucket{", labels, labels.empty() ? "" : ",", "le=\"", limit,
                    "\"} ", count, "\n");
  }
  absl::StrAppend(page, name, "_sum{", labels, "} ", histogram.sum(), "\n");
  absl::StrAppend(page, name, "_count{", labels, "} ", count, "\n");
}

void AppendMetric(const MetricDescriptor& metric, const PointSet& points, std::string* page) {
  const bool is_histogram = metric.value_type == ValueType::kHistogram;
  if (!is_histogram && metric.value_type != ValueType::kInt64) return;
  const std::string name = Cleaned(metric.name, ':');
  absl::StrAppend(page, "# TYPE ", name, " ",
                  is_histogram                                    ? "histogram"
                  : metric.metric_kind == MetricKind::kCumulative ? "counter"
                                                                  : "gauge",
                  "\n");
  for (const std::unique_ptr<Point>& point : points.points) {
    if (is_histogram) {
      AppendHistogram(name, *point, page);
    } else {
      absl::StrAppend(page, name, "{", Labels(*point), "} ", point->int64_value, "\n");
    }
  }
}

}  // namespace

std::string PrometheusPage() {
  const auto collected = CollectionRegistry::Default()->CollectMetrics({});
  std::string page;
  for (const auto& [name, descriptor] : collected->metric_descriptor_map) {
    const auto points = collected->point_set_map.find(name);
    if (points != collected->point_set_map.end()) {
      AppendMetric(*descriptor, *points->second, &page);
    }
  }
  return page;
}

}  // namespace tf_hps
