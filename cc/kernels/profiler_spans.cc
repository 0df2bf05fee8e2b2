#include <string>

#include "absl/strings/string_view.h"
#include "cc/common/stage_timer.h"
#include "tensorflow/core/profiler/lib/traceme.h"

namespace tf_hps {
namespace {

using tensorflow::profiler::TraceMe;
using tensorflow::profiler::TraceMeEncode;

// "HpsLookup:memory" with the table as an argument: inside of the op's own span on its thread.
const Profiler profiler = {
    [](absl::string_view stage, const std::string& table) {
      return TraceMe::ActivityStart([&] {
        return TraceMeEncode(absl::StrCat("HpsLookup:", stage), {{"table", table}});
      });
    },
    [](int64_t id) { TraceMe::ActivityEnd(id); },
};

const bool profiler_spans_is_registered = [] {
  TheProfiler().store(&profiler, std::memory_order_release);
  return true;
}();

}  // namespace
}  // namespace tf_hps
