#include "cc/hierarchy/device_cache_options.h"

#include <algorithm>
#include <string>

#include "cc/common/option_value.h"

namespace tf_hps {
namespace {

constexpr int64_t kDefaultBytes = int64_t{1} << 30;

const bool registered = [] {
  RegisterConfigSection(
      "gpu_cache",
      {{"capacity_rows",
        FieldType::kInt,
        nullptr,
        "rows kept on each GPU; 1.1 times a table's rows keep every row",
        {},
        1},
       {"capacity_bytes",
        FieldType::kInt,
        nullptr,
        "bytes of each GPU's memory; with both the smaller counts; none: 1 GiB, or all rows",
        {},
        1},
       {"policy",
        FieldType::kString,
        "lfu",
        "who leaves a full cache: the least frequently or the least recently used row",
        {"lfu", "lru"}},
       {"hit_rate_threshold",
        FieldType::kNumber,
        1,
        "from this rate of hits on, of a batch's ids, misses get the default row and come later",
        {},
        0,
        1}});
  return true;
}();

}  // namespace

DeviceCacheOptions ReadDeviceCacheOptions(const TableSpec& spec, const TableConfig& config,
                                          int64_t rows) {
  const auto section = config.sections.find("gpu_cache");
  const nlohmann::json options =
      section == config.sections.end() ? nlohmann::json::object() : section->second;
  DeviceCacheOptions read;
  read.cache.table = spec.name;
  read.cache.embedding_dim = spec.embedding_dim;
  read.cache.row_format = spec.row_format;
  read.cache.policy = OptionOr<std::string>(options, "policy", "lfu") == "lru" ? CachePolicy::kLru
                                                                               : CachePolicy::kLfu;
  read.hit_rate_threshold = OptionOr<double>(options, "hit_rate_threshold", 1);

  int64_t& capacity = read.cache.capacity_rows;
  capacity = OptionOr<int64_t>(options, "capacity_rows", 0);
  int64_t bytes = OptionOr<int64_t>(options, "capacity_bytes", 0);
  if (capacity == 0 && bytes == 0) {
    // Room for every row, without the misses of a nearly full cache, up to a bound.
    if (rows > 0) capacity = rows + rows / 10 + 1;
    bytes = kDefaultBytes;
  }
  const auto row_bytes = static_cast<int64_t>(CacheBytesPerRow(spec.row_bytes()));
  if (capacity != 0 && bytes != 0) {
    capacity = std::min(capacity, std::max<int64_t>(1, bytes / row_bytes));
  } else {
    read.cache.capacity_bytes = bytes;
  }
  return read;
}

}  // namespace tf_hps
