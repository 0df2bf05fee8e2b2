#include "cc/common/row_sum_loop.h"

namespace tf_hps {

#if defined(__AVX512F__)
AddRows AddRowsAvx512() {
  using SixteenFloats = float __attribute__((vector_size(64)));
  return &AddRowsWith<SixteenFloats>;
}
#else  // Another architecture than x86.
AddRows AddRowsAvx512() { return AddRowsPortable(); }
#endif

}  // namespace tf_hps
