#pragma once
// What linear.cuh is called with. No device code: host files include it too.

#include <cuda_bf16.h>

#include <cstddef>
#include <cstdint>

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/tile_layout.cuh"
#include "kernels/cuda/x_rows.cuh"

namespace pagoda::kernels::cuda {

struct WeightView {
  const std::byte* data = nullptr;
  const float* scales = nullptr;                // INT8, FP8: [out]
  const std::uint16_t* group_scales = nullptr;  // INT4: half, pieces of 16 (tile_layout.cuh)
  const std::uint16_t* group_zeros = nullptr;   // INT4: bf16 of 128 + zero, same shape
  int out_features = 0, in_features = 0, tiles = 0;
  int groups = 0;       // INT4: of a row, in memory
  int group_shift = 0;  // INT4: log2 of the chunks that share a scale; -1: groups of 32 k
  bool pairs = false;   // a tile is 8 rows and the 8 that lie out / 2 further down

  __device__ int row_of(int tile, int r) const { return row_of_tile(pairs, out_features, tile, r); }
  __device__ float row_scale(int row) const { return scales == nullptr ? 1.0f : scales[row]; }
};

enum class Epilogue : int {
  kStore,    // out = y
  kAdd,      // out += y
  kAddNorm,  // out += y; next = out * norm; sums of squares of out to partials
  kSwiglu,   // next = silu(gate) * up; tiles hold 8 rows of gate and the 8 of up
};

// If x is what kAddNorm left: y is multiplied by 1 / sqrt(sum of its row of partials / in + eps).
struct DeferredNorm {
  const float* partials = nullptr;  // [rows, partials_a_row], or null: no norm is deferred
  int partials_a_row = 0;
  float eps = 0;
};

struct LinearArgs {
  WeightView weight;
  const __nv_bfloat16* x = nullptr;  // [m, in], followed by zeros up to whole chunks
  std::int64_t x_stride = 0;
  int m = 0;
  float* out = nullptr;  // [m, out]; not for kSwiglu
  std::int64_t out_stride = 0;
  XRows next;                   // kAddNorm: [m, out]; kSwiglu: [m, out / 2]. An image only if m > 8
  const float* norm = nullptr;  // kAddNorm: [out]
  // kAddNorm: [m, partials_a_row], sums of 16 neighbours each, or of as many as rows_a_partial() says
  // (wide_args.cuh).
  float* partials = nullptr;
  int partials_a_row = 0;
  DeferredNorm x_norm;
  Epilogue epilogue = Epilogue::kStore;
};

inline constexpr int kMaxLinearRows = 64;

// One a format (linear_format.cuh), m from 1 to kMaxLinearRows.
void launch_linear_bf16(const Launcher& launch, const LinearArgs& args);
void launch_linear_fp8(const Launcher& launch, const LinearArgs& args);
void launch_linear_int8(const Launcher& launch, const LinearArgs& args);
void launch_linear_int4(const Launcher& launch, const LinearArgs& args);  // groups of whole chunks, symmetric
void launch_linear_int4_zeros(const Launcher& launch, const LinearArgs& args);  // the same with zero points
void launch_linear_int4_groups(const Launcher& launch,
                               const LinearArgs& args);  // groups of 32, with zero points

}  // namespace pagoda::kernels::cuda
