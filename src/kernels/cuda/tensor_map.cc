#include "kernels/cuda/tensor_map.h"

#include <cuda.h>

#include <cstdint>

#include "base/check.h"
#include "kernels/cuda/check.cuh"

namespace pagoda::kernels::cuda {
namespace {

using Encode = decltype(&cuTensorMapEncodeTiled);

Encode encode() {
  static const Encode function = [] {
    void* found = nullptr;
    cudaDriverEntryPointQueryResult result{};
    if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault,
                                         &result) != cudaSuccess ||
        result != cudaDriverEntryPointSuccess)
      found = nullptr;
    return reinterpret_cast<Encode>(found);
  }();
  return function;
}

}  // namespace

bool can_describe() { return encode() != nullptr; }

void describe_rows(const RowsInMemory& matrix, bool pairs, int box_rows, std::byte* map) {
  const auto row = static_cast<cuuint64_t>(matrix.stride * matrix.element_bytes);
  const auto count = static_cast<cuuint64_t>(matrix.rows);
  // As [rows / 16][2][8][columns] with pairs; strides of all but the last.
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(matrix.columns), pairs ? 8 : count, 2, count / 16};
  const cuuint64_t strides[] = {row, count / 2 * row, 8 * row};
  const auto box_count = static_cast<cuuint32_t>(box_rows);
  const cuuint32_t box[] = {128u / matrix.element_bytes, pairs ? 8 : box_count, 2, box_count / 16},
                   steps[] = {1, 1, 1, 1};
  const CUresult result =
      encode()(reinterpret_cast<CUtensorMap*>(map),
               matrix.element_bytes == 2 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_UINT8,
               pairs ? 4 : 2, const_cast<std::byte*>(matrix.data), sizes, strides, box, steps,
               CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
               CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  CHECK(result == CUDA_SUCCESS);
}

}  // namespace pagoda::kernels::cuda
