#ifndef TF_HPS_CC_KERNELS_PROMETHEUS_PAGE_H_
#define TF_HPS_CC_KERNELS_PROMETHEUS_PAGE_H_

#include <string>

namespace tf_hps {

// TensorFlow's monitoring registry in Prometheus' text format, with the names, labels and buckets
// that TF Serving's /monitoring/prometheus/metrics has, for servers that have no such page. Metrics
// that are neither int64 nor histograms, which TF Serving prints with a wrong value, are left out.
std::string PrometheusPage();

}  // namespace tf_hps

#endif  // TF_HPS_CC_KERNELS_PROMETHEUS_PAGE_H_
