#include "cc/kernels/table_kernels.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "cc/common/exceptions.h"
#include "cc/common/row_codec.h"
#include "cc/hierarchy/table_registry.h"
#include "cc/kernels/table_resource.h"
#include "cc/update/update_batch.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/resource_mgr.h"
#include "tensorflow/core/framework/tensor.h"
#include "tensorflow/core/framework/types.h"

namespace tf_hps {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

class TableInitializeOp : public OpKernel {
 public:
  explicit TableInitializeOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ctx->GetAttr("table", &name_));
    OP_REQUIRES(ctx, !name_.empty(), absl::InvalidArgumentError("`table` is empty"));
  }

  void Compute(OpKernelContext* ctx) override {
    const Tensor& path = ctx->input(1);
    OP_REQUIRES(ctx, tensorflow::TensorShapeUtils::IsScalar(path.shape()),
                absl::InvalidArgumentError(absl::StrCat(
                    "`config_path` is a scalar. Received: shape ", path.shape().DebugString())));
    std::shared_ptr<TableHandle> table;
    OP_REQUIRES_OK(ctx, CatchExceptions([&] {
                     auto opened =
                         TableRegistry::Get().Open(path.scalar<tensorflow::tstring>()(), name_);
                     if (opened.ok()) table = *std::move(opened);
                     return opened.status();
                   }));
    // Opened first and put under its name then: the resource manager's lock is held meanwhile.
    tensorflow::core::RefCountPtr<TableResource> resource;
    OP_REQUIRES_OK(
        ctx, tensorflow::LookupOrCreateResource<TableResource>(
                 ctx, tensorflow::HandleFromInput(ctx, 0), &resource, [&](TableResource** created) {
                   *created = new TableResource(table);
                   return absl::OkStatus();
                 }));
    OP_REQUIRES(
        ctx, &resource->table()->table() == &table->table(),
        absl::FailedPreconditionError(absl::StrCat(
            "the table handle \"", tensorflow::HandleFromInput(ctx, 0).name(), "\" holds the ",
            resource->DebugString(), " and cannot take the ", Describe(*table))));
  }

 private:
  std::string name_;
};

class TableInsertOp : public OpKernel {
 public:
  explicit TableInsertOp(OpKernelConstruction* ctx) : OpKernel(ctx) {
    OP_REQUIRES_OK(ctx, ElementTypeAttr(ctx, "T", &type_));
  }

  void Compute(OpKernelContext* ctx) override {
    auto table = TableOfInput(ctx);
    OP_REQUIRES_OK(ctx, table.status());
    const TableSpec& spec = (*table)->spec();
    const TensorShape& keys = ctx->input(1).shape();
    const TensorShape& rows = ctx->input(2).shape();
    OP_REQUIRES(ctx,
                keys.dims() == 1 && rows.dims() == 2 && rows.dim_size(0) == keys.dim_size(0) &&
                    rows.dim_size(1) == spec.embedding_dim,
                absl::InvalidArgumentError(absl::StrCat(
                    spec.Described(), ": keys have shape [n], rows [n, ", spec.embedding_dim,
                    "]. Received: keys ", keys.DebugString(), ", rows ", rows.DebugString())));
    OP_REQUIRES_OK(ctx, CatchExceptions([&] { return Insert(ctx, &(*table)->table()); }));
  }

 private:
  absl::Status Insert(OpKernelContext* ctx, EmbeddingTable* table) const {
    const TableSpec& spec = table->spec();
    const auto keys = ctx->input(1).flat<int64_t>();
    const auto* elements = reinterpret_cast<const uint8_t*>(ctx->input(2).tensor_data().data());
    const size_t n = keys.size();
    const size_t element_bytes = spec.embedding_dim * ElementBytes(type_);
    const uint8_t* stored = elements;
    std::vector<uint8_t> encoded;
    if (!IsPlainCopy(spec.row_format, type_)) {
      const EncodeRow encode = SelectEncodeRow(type_, spec.row_format);
      encoded.resize(n * spec.row_bytes());
      for (size_t i = 0; i < n; ++i) {
        encode(elements + i * element_bytes, &encoded[i * spec.row_bytes()], spec.embedding_dim);
      }
      stored = encoded.data();
    }
    return table->Apply({{keys.data(), n}, RowsView(stored, spec.row_bytes()), {}});
  }

  ElementType type_;
};

class TableEraseOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    auto table = TableOfInput(ctx);
    OP_REQUIRES_OK(ctx, table.status());
    const Tensor& keys = ctx->input(1);
    OP_REQUIRES(ctx, keys.dims() == 1,
                absl::InvalidArgumentError(absl::StrCat(
                    "table \"", (*table)->spec().name,
                    "\": keys have shape [n]. Received: ", keys.shape().DebugString())));
    const auto erased = keys.flat<int64_t>();
    OP_REQUIRES_OK(
        ctx, CatchExceptions([&] {
          return (*table)->table().Apply({{},
                                          RowsView(nullptr, (*table)->spec().row_bytes()),
                                          {erased.data(), static_cast<size_t>(erased.size())}});
        }));
  }
};

class TableStatsOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* ctx) override {
    auto table = TableOfInput(ctx);
    OP_REQUIRES_OK(ctx, table.status());
    Tensor* stats = nullptr;
    OP_REQUIRES_OK(ctx, ctx->allocate_output(0, TensorShape({}), &stats));
    OP_REQUIRES_OK(ctx, CatchExceptions([&] {
                     stats->scalar<tensorflow::tstring>()() = (*table)->Stats().dump();
                     return absl::OkStatus();
                   }));
  }
};

template <class Kernel>
OpKernel* New(OpKernelConstruction* ctx) {
  return new Kernel(ctx);
}

const TableKernelsRegistrar table_kernels_is_registered(tensorflow::DEVICE_CPU);

}  // namespace

TableKernelsRegistrar::TableKernelsRegistrar(const char* device) {
  using tensorflow::register_kernel::Name;
  const auto add = [&](const char* op, tensorflow::KernelDefBuilder& kernel,
                       OpKernel* (*create)(OpKernelConstruction*)) {
    registrars_.push_back(std::make_unique<tensorflow::kernel_factory::OpKernelRegistrar>(
        kernel.Device(device).Build(), op, create));
  };
  add("HpsTableHandle", Name("HpsTableHandle").HostMemory("table_handle"),
      &New<tensorflow::ResourceHandleOp<TableResource>>);
  add("HpsTableInitialize",
      Name("HpsTableInitialize").HostMemory("table_handle").HostMemory("config_path"),
      &New<TableInitializeOp>);
  add("HpsTableInsert",
      Name("HpsTableInsert").HostMemory("table_handle").HostMemory("keys").HostMemory("rows"),
      &New<TableInsertOp>);
  add("HpsTableErase", Name("HpsTableErase").HostMemory("table_handle").HostMemory("keys"),
      &New<TableEraseOp>);
  add("HpsTableStats", Name("HpsTableStats").HostMemory("table_handle").HostMemory("stats"),
      &New<TableStatsOp>);
}

}  // namespace tf_hps
