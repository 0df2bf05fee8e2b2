#include "cc/storage/store_backend.h"

#include <algorithm>
#include <tuple>
#include <utility>

namespace tf_hps {
namespace {

// A function's static: backends register from static initializers of other files, in any order.
std::vector<StoreBackend>& MutableBackends() {
  static auto* const backends = new std::vector<StoreBackend>;
  return *backends;
}

}  // namespace

bool RegisterStoreBackend(StoreBackend backend) {
  RegisterConfigSection(backend.kind, backend.fields);
  std::vector<StoreBackend>& backends = MutableBackends();
  backends.push_back(std::move(backend));
  std::sort(backends.begin(), backends.end(), [](const StoreBackend& a, const StoreBackend& b) {
    return std::tie(a.rank, a.kind) < std::tie(b.rank, b.kind);
  });
  return true;
}

const std::vector<StoreBackend>& StoreBackends() { return MutableBackends(); }

}  // namespace tf_hps
