#include "cc/common/row_codec.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "absl/strings/string_view.h"
#include "cc/common/row_codec_decoders.h"

namespace tf_hps {
namespace {

// No vectors: every element is the rest.
struct Portable {
  static constexpr int64_t kLanes = INT64_MAX / 2;
  template <RowFormat kFormat>
  static float Load(const uint8_t*, int64_t, float) {
    return 0;
  }
  template <ElementType kOut>
  static void Store(uint8_t*, int64_t, float) {}
};

template <RowFormat kIn>
void Quantize(const uint8_t* elements, uint8_t* row, int64_t embedding_dim) {
  float largest = 0;
  for (int64_t i = 0; i < embedding_dim; ++i) {
    largest = std::max(largest, std::fabs(row_codec::LoadOne<kIn>(elements, i, 1)));
  }
  const float scale = largest == 0 ? 1.0f : 127.0f / largest;
  std::memcpy(row, &scale, sizeof(scale));
  for (int64_t i = 0; i < embedding_dim; ++i) {
    const float scaled = std::rint(row_codec::LoadOne<kIn>(elements, i, 1) * scale);
    // int8 has no NaN; the default rounding mode is to nearest even.
    const float clipped = std::isnan(scaled) ? 0.0f : std::clamp(scaled, -127.0f, 127.0f);
    row[sizeof(scale) + i] = static_cast<uint8_t>(static_cast<int8_t>(clipped));
  }
}

RowFormat FormatOf(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return RowFormat::kFloat32;
    case ElementType::kFloat16:
      return RowFormat::kFloat16;
    case ElementType::kBfloat16:
      return RowFormat::kBfloat16;
  }
  return RowFormat::kFloat32;
}

}  // namespace

CpuIsa BestCpuIsa() {
  static const CpuIsa best = [] {
    __builtin_cpu_init();
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                      __builtin_cpu_supports("f16c") && __builtin_cpu_supports("bmi2");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return avx2 && avx512 ? CpuIsa::kAvx512 : avx2 ? CpuIsa::kAvx2 : CpuIsa::kPortable;
  }();
  return best;
}

CpuIsa SelectedCpuIsa() {
  static const CpuIsa selected = [] {
    const char* const limit = std::getenv("TF_HPS_CPU_ISA");
    for (CpuIsa isa : {CpuIsa::kPortable, CpuIsa::kAvx2}) {
      if (limit != nullptr && absl::string_view(limit) == CpuIsaName(isa)) {
        return std::min(isa, BestCpuIsa());
      }
    }
    return BestCpuIsa();
  }();
  return selected;
}

const char* CpuIsaName(CpuIsa isa) {
  constexpr const char* kNames[] = {"portable", "avx2", "avx512"};
  return kNames[static_cast<int>(isa)];
}

DecodeRow SelectDecodeRow(RowFormat format, ElementType out, CpuIsa isa) {
  switch (isa) {
    case CpuIsa::kAvx512:
      return SelectDecodeRowAvx512(format, out);
    case CpuIsa::kAvx2:
      return SelectDecodeRowAvx2(format, out);
    case CpuIsa::kPortable:
      break;
  }
  return row_codec::SelectFrom<Portable>(format, out);
}

EncodeRow SelectEncodeRow(ElementType in, RowFormat format) {
  switch (format) {
    // To store a plain format is to decode the elements into it.
    case RowFormat::kFloat32:
      return SelectDecodeRow(FormatOf(in), ElementType::kFloat32, SelectedCpuIsa());
    case RowFormat::kFloat16:
      return SelectDecodeRow(FormatOf(in), ElementType::kFloat16, SelectedCpuIsa());
    case RowFormat::kBfloat16:
      return SelectDecodeRow(FormatOf(in), ElementType::kBfloat16, SelectedCpuIsa());
    case RowFormat::kInt8:
      break;
  }
  switch (in) {
    case ElementType::kFloat32:
      return Quantize<RowFormat::kFloat32>;
    case ElementType::kFloat16:
      return Quantize<RowFormat::kFloat16>;
    case ElementType::kBfloat16:
      return Quantize<RowFormat::kBfloat16>;
  }
  return nullptr;
}

bool IsPlainCopy(RowFormat format, ElementType out) { return format == FormatOf(out); }

}  // namespace tf_hps
