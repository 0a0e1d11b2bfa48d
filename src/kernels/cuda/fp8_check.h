#pragma once
// Scales of rows in FP8 products are new in cuBLASLt (12.9) and for few devices: one small product is
// compared with its definition before the library is trusted with any.

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/library_gemm.h"

namespace pagoda::kernels::cuda {

// False too where the library or the device has no such product.
bool fp8_products_are_right(LibraryGemm& gemm, const Launcher& launch);

}  // namespace pagoda::kernels::cuda
