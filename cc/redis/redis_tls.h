#ifndef TF_HPS_CC_REDIS_REDIS_TLS_H_
#define TF_HPS_CC_REDIS_REDIS_TLS_H_

#include <string>

#include "absl/status/status.h"
#include "cc/redis/redis_options.h"
#include "hiredis/hiredis.h"

namespace tf_hps {

// Makes a fresh connection one over TLS 1.2 or later. The server's certificate must be valid, and
// for this host. FailedPrecondition: files that cannot be used, or a certificate that is not right.
absl::Status StartRedisTls(const RedisTlsOptions& options, const std::string& host,
                           const std::string& name, redisContext* context);

}  // namespace tf_hps

#endif  // TF_HPS_CC_REDIS_REDIS_TLS_H_
