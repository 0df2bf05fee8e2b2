#ifndef TF_HPS_CC_HIERARCHY_DEVICE_CACHE_OPTIONS_H_
#define TF_HPS_CC_HIERARCHY_DEVICE_CACHE_OPTIONS_H_

#include "cc/cache/embedding_cache.h"
#include "cc/common/config.h"
#include "cc/common/table_spec.h"

namespace tf_hps {

// The section "gpu_cache": what a table keeps on each device that looks it up. A deployment without
// the section has the defaults.
struct DeviceCacheOptions {
  CacheOptions cache;
  // Of a batch's positions. From this rate of hits on, misses get the default row and are inserted
  // in the background. 1: never, 0: always, without a look at the rate.
  double hit_rate_threshold = 1;

  bool IsExact() const { return hit_rate_threshold >= 1; }
  bool NeverWaits() const { return hit_rate_threshold <= 0; }
};

// `rows`: how many the table has now, 0 for not known; where no capacity is given it bounds it.
DeviceCacheOptions ReadDeviceCacheOptions(const TableSpec& spec, const TableConfig& config,
                                          int64_t rows);

}  // namespace tf_hps

#endif  // TF_HPS_CC_HIERARCHY_DEVICE_CACHE_OPTIONS_H_
