#ifndef TF_HPS_CC_COMMON_KEY_H_
#define TF_HPS_CC_COMMON_KEY_H_

#include <cstdint>

namespace tf_hps {

// Every 64-bit value is a legal key, INT64_MIN and INT64_MAX too: no value can mean "empty".
using Key = int64_t;

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_KEY_H_
