#ifndef TF_HPS_CC_COMMON_ROW_FORMAT_H_
#define TF_HPS_CC_COMMON_ROW_FORMAT_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "cc/common/row_types.h"

namespace tf_hps {

absl::string_view RowFormatName(RowFormat format);  // "float32", "float16", "bfloat16", "int8"
absl::StatusOr<RowFormat> ParseRowFormat(absl::string_view name);

size_t RowBytes(RowFormat format, int64_t embedding_dim);
size_t ElementBytes(ElementType type);

}  // namespace tf_hps

#endif  // TF_HPS_CC_COMMON_ROW_FORMAT_H_
