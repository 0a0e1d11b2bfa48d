#pragma once
// The end of a linear kernel: what becomes of an element of x W^T once its sum is there (Epilogue in
// linear_args.cuh). Sixteen neighbouring threads hold the 16 rows of a tile of W for one row of x.

#include "kernels/cuda/linear_args.cuh"
#include "kernels/cuda/mma.cuh"

namespace pagoda::kernels::cuda {

// What an element needs beside its sum; it is fetched while that is not there yet.
struct ElementInputs {
  bool adds;
  const float* from;  // what the sum is added to, if it is
  float previous;     // the same, or 0
  float norm;         // of the next rms_norm
  float scale;        // of the row of W

  // Row n of x, row n_out of W. What comes with the weights, and before the kernel before has ended.
  __device__ __forceinline__ void prepare(const LinearArgs& p, int n, int n_out, bool valid) {
    adds = valid && (p.epilogue == Epilogue::kAdd || p.epilogue == Epilogue::kAddNorm);
    from = p.out + static_cast<std::int64_t>(n) * p.out_stride + n_out;
    norm = adds && p.epilogue == Epilogue::kAddNorm ? p.norm[n_out] : 1.0f;
    scale = valid ? p.weight.row_scale(n_out) : 1.0f;
    work_out(from);
  }
  __device__ __forceinline__ void fetch() { previous = adds ? *from : 0.0f; }
};

__device__ __forceinline__ float sum_of_16(float value) {
  for (int offset = 8; offset > 0; offset /= 2) value += __shfl_xor_sync(0xffffffffu, value, offset);
  return value;
}

// y: the scaled sum of row r of a tile, which is row n_out of W. kImages: `next` may be one. Every thread of
// a warp takes part: there are shuffles.
template <bool kImages>
__device__ __forceinline__ void finish_element(const LinearArgs& p, int n, int tile, int r, int n_out,
                                               bool valid, float y, const ElementInputs& inputs) {
  const auto leave = [&](float value) {
    *(kImages ? p.next.at(n, n_out) : p.next.row(n) + n_out) = __float2bfloat16(value);
  };
  if (p.epilogue == Epilogue::kSwiglu) {
    // Gate rows are the first 8 of a tile; their up rows come from 8 lanes further.
    const float up = __shfl_down_sync(0xffffffffu, y, 8);
    if (valid && r < 8) leave(silu_times(y, up));
    return;
  }
  y += inputs.previous;
  if (valid) p.out[static_cast<std::int64_t>(n) * p.out_stride + n_out] = y;
  if (p.epilogue != Epilogue::kAddNorm) return;
  if (valid) leave(y * inputs.norm);
  const float squares = sum_of_16(valid ? y * y : 0.0f);
  if (valid && r == 0) p.partials[n * p.partials_a_row + tile] = squares;
}

}  // namespace pagoda::kernels::cuda
