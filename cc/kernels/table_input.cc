#include "cc/kernels/table_input.h"

#include <utility>

namespace tf_hps {
namespace {

// A handle that changes more often is looked up by name, each time.
constexpr size_t kMaxSeen = 8;

}  // namespace

absl::StatusOr<std::shared_ptr<TableHandle>> TableInput::Table(
    tensorflow::OpKernelContext* ctx) const {
  const tensorflow::ResourceHandle& handle = tensorflow::HandleFromInput(ctx, input_);
  const tensorflow::ResourceMgr* const manager = ctx->resource_manager();
  if (auto table = Remembered(manager, handle)) return table;

  auto found = TableOfHandle(ctx, handle);
  if (!found.ok()) return found.status();
  Remember(manager, handle, *found);
  return (*found)->table;
}

std::shared_ptr<TableHandle> TableInput::Remembered(
    const tensorflow::ResourceMgr* manager, const tensorflow::ResourceHandle& handle) const {
  const Seen* const last = last_.load(std::memory_order_acquire);
  if (last == nullptr || last->manager != manager || last->name != handle.name() ||
      last->container != handle.container()) {
    return nullptr;
  }
  const std::shared_ptr<const OpenTable> table = last->table.lock();
  return table == nullptr ? nullptr : table->table;
}

void TableInput::Remember(const tensorflow::ResourceMgr* manager,
                          const tensorflow::ResourceHandle& handle,
                          const std::shared_ptr<const OpenTable>& table) const {
  MutexLock lock(&mutex_);
  if (seen_.size() == kMaxSeen) return;
  seen_.push_back(std::make_unique<Seen>(Seen{manager, handle.container(), handle.name(), table}));
  last_.store(seen_.back().get(), std::memory_order_release);
}

}  // namespace tf_hps
