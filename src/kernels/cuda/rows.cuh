#pragma once
// Operators on rows of activations, and weights back to bf16 for the library GEMM.

#include "kernels/cuda/linear_args.cuh"
#include "kernels/weight.h"

namespace pagoda::kernels::cuda {

// Rows in e4m3, one after another, and a scale each: x = data * scale, nearly. Columns are a multiple of 16
// (pack.cc).
struct Fp8Rows {
  std::byte* data = nullptr;
  float* scales = nullptr;
};

// out [count, hidden] float = rows of the embedding.
void launch_embed(const Launcher& launch, WeightFormat format, const WeightView& embedding,
                  const std::int32_t* tokens, int count, float* out, std::int64_t out_stride);
// out = rms_norm(x) * weight, in bf16, or in fp8 alone if that is given. Columns are a multiple of 8.
void launch_rms_norm(const Launcher& launch, const float* x, std::int64_t x_stride, const float* weight,
                     float eps, int rows, int columns, __nv_bfloat16* out, std::int64_t out_stride,
                     const Fp8Rows& fp8);
// gate_up [rows, 2 * columns] bf16: gate, then up. Columns are a multiple of 8; fp8 as above.
void launch_swiglu(const Launcher& launch, const __nv_bfloat16* gate_up, std::int64_t gate_up_stride,
                   int rows, int columns, __nv_bfloat16* out, std::int64_t out_stride, const Fp8Rows& fp8);
void launch_gather(const Launcher& launch, const float* x, std::int64_t x_stride, const std::int32_t* rows,
                   int count, int columns, float* out, std::int64_t out_stride);
void launch_quantize_rows(const Launcher& launch, const __nv_bfloat16* x, std::int64_t x_stride, int rows,
                          int columns, const DeferredNorm& norm, const Fp8Rows& out);
// out[r, j] = x[r, order[j]]
void launch_permute(const Launcher& launch, const __nv_bfloat16* x, std::int64_t x_stride,
                    const std::int32_t* order, int rows, int columns, __nv_bfloat16* out,
                    std::int64_t out_stride);
// Rows [first_row, first_row + rows) of the weight as bf16 [rows, in_features].
void launch_dequantize(const Launcher& launch, WeightFormat format, const WeightView& weight, int first_row,
                       int rows, __nv_bfloat16* out);

}  // namespace pagoda::kernels::cuda
