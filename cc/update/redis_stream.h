#ifndef TF_HPS_CC_UPDATE_REDIS_STREAM_H_
#define TF_HPS_CC_UPDATE_REDIS_STREAM_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "cc/common/config.h"
#include "cc/update/update_source.h"
#include "nlohmann/json.hpp"

namespace tf_hps {

// Of the section "updates", beside `url`.
std::vector<ConfigField> RedisStreamConfigFields();

// A stream in Redis (docs/formats.md). Opens without its server too: After says Unavailable until
// there is one. FailedPrecondition when Redis may evict the stream, or refuses who we are.
absl::StatusOr<std::unique_ptr<UpdateSource>> OpenRedisStreamSource(const nlohmann::json& options);

}  // namespace tf_hps

#endif  // TF_HPS_CC_UPDATE_REDIS_STREAM_H_
