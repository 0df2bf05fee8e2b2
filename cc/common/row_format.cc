#include "cc/common/row_format.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace tf_hps {
namespace {

constexpr absl::string_view kNames[] = {"float32", "float16", "bfloat16", "int8"};

}  // namespace

absl::string_view RowFormatName(RowFormat format) { return kNames[static_cast<int>(format)]; }

absl::StatusOr<RowFormat> ParseRowFormat(absl::string_view name) {
  for (int i = 0; i < 4; ++i) {
    if (name == kNames[i]) return static_cast<RowFormat>(i);
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "`row_format` is one of float32, float16, bfloat16, int8. Received: \"", name, "\""));
}

size_t RowBytes(RowFormat format, int64_t embedding_dim) {
  const size_t dim = static_cast<size_t>(embedding_dim);
  switch (format) {
    case RowFormat::kFloat32:
      return 4 * dim;
    case RowFormat::kFloat16:
    case RowFormat::kBfloat16:
      return 2 * dim;
    case RowFormat::kInt8:
      return 4 + dim;
  }
  return 0;
}

size_t ElementBytes(ElementType type) { return type == ElementType::kFloat32 ? 4 : 2; }

}  // namespace tf_hps
