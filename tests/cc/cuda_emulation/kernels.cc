// The kernels' own source, compiled as C++.
#include "cc/cache/combine_kernel.cu"
#include "cc/cache/fill_kernels.cu"
#include "cc/cache/key_kernel.cu"
#include "cc/cache/lookup_kernel.cu"
