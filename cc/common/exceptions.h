#ifndef TF_HPS_CC_COMMON_EXCEPTIONS_H_
#define TF_HPS_CC_COMMON_EXCEPTIONS_H_

#include <exception>
#include <new>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace tf_hps {

// Runs `work`, which returns an absl::Status, and turns what it throws into one. Ours throws
// nothing by design; the standard library does when memory is out, and a JSON value of the wrong
// type does. Neither TensorFlow's threads nor callers of the C door survive an exception.
template <typename Work>
absl::Status CatchExceptions(Work&& work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("out of memory");
  } catch (const std::exception& e) {
    return absl::InternalError(absl::StrCat("unexpected: ", e.what()));
  }
}

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_EXCEPTIONS_H_
