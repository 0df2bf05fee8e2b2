#ifndef TF_HPS_CC_KERNELS_TABLE_INPUT_H_
#define TF_HPS_CC_KERNELS_TABLE_INPUT_H_

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "cc/common/mutex.h"
#include "cc/hierarchy/table_handle.h"
#include "cc/kernels/table_resource.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/resource_mgr.h"

namespace tf_hps {

// A kernel's input that is a table's handle. Remembers which table it was: TensorFlow's resource
// manager finds it by two strings under a lock, at 0.3 us a table, and a kernel sees the same
// handle all its life. Thread-safe.
class TableInput {
 public:
  explicit TableInput(int input) : input_(input) {}

  // FailedPrecondition before HpsTableInitialize, and after the table was destroyed.
  absl::StatusOr<std::shared_ptr<TableHandle>> Table(tensorflow::OpKernelContext* ctx) const;

 private:
  struct Seen {
    const tensorflow::ResourceMgr* manager;
    std::string container, name;
    std::weak_ptr<const OpenTable> table;
  };

  // The handle's table as it was seen last; null when that was another handle, or the table is
  // gone.
  std::shared_ptr<TableHandle> Remembered(const tensorflow::ResourceMgr* manager,
                                          const tensorflow::ResourceHandle& handle) const;
  void Remember(const tensorflow::ResourceMgr* manager, const tensorflow::ResourceHandle& handle,
                const std::shared_ptr<const OpenTable>& table) const;

  const int input_;
  mutable std::atomic<const Seen*> last_{nullptr};

  mutable Mutex mutex_;
  // Readers take no lock, so what they may be reading stays.
  mutable std::vector<std::unique_ptr<const Seen>> seen_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace tf_hps

#endif  // TF_HPS_CC_KERNELS_TABLE_INPUT_H_
