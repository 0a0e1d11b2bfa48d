#pragma once
// out (+)= x W^T for few rows of x (up to 64 a launch), on tensor cores, straight from packed weights: W is
// the A operand (16 of its rows a tile), x^T the B operand, so that batch 1 wastes columns of B and no bytes
// of W.
//
// A block has 8 warps that share the same MT * 16 rows of W and cut k between them: chunk i (64 bytes a row)
// belongs to warp i % 8. A lane reads 16 bytes of a row at a time; which k those are is the format's choice,
// and x is read in the same order, so nothing is shuffled. Sums of the warps meet in shared memory. The order
// of additions of an element depends on the format and on k alone: a row's result is the same in any batch.
//
// Floor: the bytes of W at read bandwidth. x (m rows, through L2) is read once for each block.

#include "kernels/cuda/linear_format.cuh"

namespace pagoda::kernels::cuda {

inline constexpr int kLinearWarps = 8;

// Bytes of shared memory: the sums of four warps (or of all eight, when they are small), and a scale a row of
// x.
template <int MT, int NT>
inline constexpr int kLinearSlots = MT* NT <= 4 ? kLinearWarps : kLinearWarps / 2;
template <int MT, int NT>
inline constexpr std::size_t kLinearSharedBytes = (kLinearSlots<MT, NT> * MT * 16 * NT * 8 + NT * 8) *
                                                  sizeof(float);

template <int MT, int NT>
__device__ __forceinline__ void write_sums(float (&sum)[MT][NT][4], float* slot, int lane) {
  const int g = lane / 4, c = lane % 4;
  for (int i = 0; i < MT; ++i)
    for (int j = 0; j < NT; ++j)
      for (int e = 0; e < 4; ++e) {
        const int row = i * 16 + g + (e >= 2 ? 8 : 0), column = j * 8 + 2 * c + e % 2;
        slot[column * (MT * 16) + row] = sum[i][j][e];
      }
}

template <int MT, int NT>
__device__ __forceinline__ void add_sums(float (&sum)[MT][NT][4], const float* slot, int lane) {
  const int g = lane / 4, c = lane % 4;
  for (int i = 0; i < MT; ++i)
    for (int j = 0; j < NT; ++j)
      for (int e = 0; e < 4; ++e) {
        const int row = i * 16 + g + (e >= 2 ? 8 : 0), column = j * 8 + 2 * c + e % 2;
        sum[i][j][e] += slot[column * (MT * 16) + row];
      }
}

// The deferred norm of x: one scale a row of x, by the warps in turn.
template <int NT>
__device__ __forceinline__ void row_scales(const LinearArgs& p, float* scales, int warp, int lane) {
  const int count = p.weight.in_features / 16;
  for (int n = warp; n < NT * 8; n += kLinearWarps) {
    float scale = 1;
    if (p.x_partials != nullptr && n < p.m) {
      float total = 0;
      for (int i = lane; i < count; i += 32) total += p.x_partials[static_cast<std::int64_t>(n) * count + i];
      scale = rsqrtf(warp_sum(total) / static_cast<float>(p.weight.in_features) + p.eps);
    }
    if (lane == 0) scales[n] = scale;
  }
}

// Sixteen neighbouring threads hold the 16 rows of a tile for one row of x.
__device__ __forceinline__ float sum_of_16(float value) {
  for (int offset = 8; offset > 0; offset /= 2) value += __shfl_xor_sync(0xffffffffu, value, offset);
  return value;
}

// The elements of a block that a thread finishes, and what it needs for that beside the sums: fetched while
// they are not there yet.
template <int MT, int NT>
struct Finish {
  static constexpr int kRows = MT * 16, kArea = kRows * NT * 8, kThreads = kLinearWarps * 32;
  static constexpr int kTurns = (kArea + kThreads - 1) / kThreads;
  float previous[kTurns], norm[kTurns], scale[kTurns];

  // Every thread of a warp takes part in every turn: there are shuffles.
  template <typename Element>
  static __device__ __forceinline__ void for_each(const LinearArgs& p, int first_tile, Element element) {
#pragma unroll
    for (int turn = 0; turn < kTurns; ++turn) {
      const int i = turn * kThreads + threadIdx.x, row = i % kRows, n = i / kRows,
                tile = first_tile + row / 16;
      if (i / 32 * 32 >= kArea) break;
      const int n_out = p.weight.row_of(tile, row % 16);
      element(turn, i, n, tile, n_out, n < p.m && n_out < p.weight.out_features && tile < p.weight.tiles);
    }
  }

  __device__ __forceinline__ void fetch(const LinearArgs& p, int first_tile) {
    for_each(p, first_tile, [&](int turn, int, int n, int, int n_out, bool valid) {
      const bool adds = valid && (p.epilogue == Epilogue::kAdd || p.epilogue == Epilogue::kAddNorm);
      previous[turn] = adds ? p.out[static_cast<std::int64_t>(n) * p.out_stride + n_out] : 0.0f;
      norm[turn] = adds && p.epilogue == Epilogue::kAddNorm ? p.norm[n_out] : 1.0f;
      scale[turn] = valid ? p.weight.row_scale(n_out) : 1.0f;
    });
  }

  __device__ __forceinline__ void run(const LinearArgs& p, const float* slots, const float* scales,
                                      int first_tile) const {
    constexpr int kHalf = kLinearSlots<MT, NT> / 2;
    for_each(p, first_tile, [&](int turn, int i, int n, int tile, int n_out, bool valid) {
      float y = 0;
      if constexpr (kLinearSlots<MT, NT> == kLinearWarps) {
        // The pairs that the narrower kernels add before they write.
        for (int s = 0; s < kHalf; ++s) y += slots[s * kArea + i] + slots[(s + kHalf) * kArea + i];
      } else {
        for (int s = 0; s < kLinearSlots<MT, NT>; ++s) y += slots[s * kArea + i];
      }
      y *= scales[n] * scale[turn];
      const int r = i % 16;
      if (p.epilogue == Epilogue::kSwiglu) {
        // Gate rows are the first 8 of a tile; their up rows come from 8 lanes further.
        const float up = __shfl_down_sync(0xffffffffu, y, 8);
        if (valid && r < 8)
          p.normed[n * p.normed_stride + n_out] = __float2bfloat16(y / (1.0f + __expf(-y)) * up);
        return;
      }
      y += previous[turn];
      if (valid) p.out[static_cast<std::int64_t>(n) * p.out_stride + n_out] = y;
      if (p.epilogue != Epilogue::kAddNorm) return;
      if (valid) p.normed[n * p.normed_stride + n_out] = __float2bfloat16(y * norm[turn]);
      const float squares = sum_of_16(valid ? y * y : 0.0f);
      if (valid && r == 0) p.partials[static_cast<std::int64_t>(n) * p.weight.tiles + tile] = squares;
    });
  }
};

template <typename Format, int MT, int NT>
__global__ __launch_bounds__(kLinearWarps * 32,
                             MT* NT == 1    ? 3
                             : MT * NT == 2 ? 2
                                            : 1) void linear_kernel(const __grid_constant__ LinearArgs p) {
  // Chunks of W in flight a warp; with more rows a warp has more of them by itself.
  constexpr int kDepth = MT * NT <= 2 ? Format::kDepth : MT * NT <= 8 ? (Format::kDepth + 1) / 2 : 1;
  extern __shared__ float shared[];
  float* scales = shared + kLinearSlots<MT, NT> * MT * 16 * NT * 8;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
  const int first_tile = blockIdx.x * MT;
  const int chunks = (p.weight.in_features + Format::kChunk - 1) / Format::kChunk;

  typename Format::Raw raw[kDepth][MT];
  for (int d = 0; d < kDepth; ++d) {
    const int chunk = warp + d * kLinearWarps;
    if (chunk < chunks)
      for (int i = 0; i < MT; ++i) raw[d][i] = Format::load(p.weight, first_tile + i, chunk, lane);
  }
  // Weights never change; everything below was written by the kernel before.
  wait_for_previous();
  let_next_start();

  row_scales<NT>(p, scales, warp, lane);  // first, so that its way through L2 is hidden behind that of x
  Finish<MT, NT> finish;
  finish.fetch(p, first_tile);
  float sum[MT][NT][4] = {};
  const __nv_bfloat16* x[NT];
  for (int j = 0; j < NT; ++j)
    x[j] = p.x + min(j * 8 + g, p.m - 1) * p.x_stride + c * Format::kXLane;  // surplus columns are not stored
  for (int base = warp; base < chunks; base += kDepth * kLinearWarps) {
#pragma unroll
    for (int d = 0; d < kDepth; ++d) {
      const int chunk = base + d * kLinearWarps;
      if (chunk < chunks) {
        Format::template multiply<MT, NT>(raw[d], x, chunk * Format::kChunk, sum);
        const int next = chunk + kDepth * kLinearWarps;
        if (next < chunks)
          for (int i = 0; i < MT; ++i) raw[d][i] = Format::load(p.weight, first_tile + i, next, lane);
      }
    }
  }

  constexpr int kArea = MT * 16 * NT * 8;
  if constexpr (kLinearSlots<MT, NT> == kLinearWarps) {
    write_sums<MT, NT>(sum, shared + warp * kArea, lane);
  } else {
    if (warp >= kLinearWarps / 2) write_sums<MT, NT>(sum, shared + (warp - kLinearWarps / 2) * kArea, lane);
    __syncthreads();
    if (warp < kLinearWarps / 2) {
      add_sums<MT, NT>(sum, shared + warp * kArea, lane);
      write_sums<MT, NT>(sum, shared + warp * kArea, lane);
    }
  }
  __syncthreads();
  finish.run(p, shared, scales, first_tile);
}

template <typename Format, int MT, int NT>
void launch_shape(const Launcher& launch, const LinearArgs& args) {
  constexpr std::size_t bytes = kLinearSharedBytes<MT, NT>;
  static const bool raised = [] {
    if (bytes > 48 * 1024)
      CUDA_CHECK(cudaFuncSetAttribute(linear_kernel<Format, MT, NT>,
                                      cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)));
    return true;
  }();
  (void)raised;
  launch(linear_kernel<Format, MT, NT>, dim3((args.weight.tiles + MT - 1) / MT), dim3(kLinearWarps * 32),
         bytes, args);
}

// Tiles a block: taller blocks read x less often, but only where enough blocks are left to fill the device.
template <typename Format>
void launch_linear_shapes(const Launcher& launch, const LinearArgs& args) {
  constexpr int kFewTiles = 300;  // about two blocks an SM of the largest devices
  if (args.m <= 8) return launch_shape<Format, 1, 1>(launch, args);
  if (args.m <= 16) return launch_shape<Format, 1, 2>(launch, args);
  if (args.m <= 32) {
    if (args.weight.tiles < kFewTiles) return launch_shape<Format, 1, 4>(launch, args);
    return launch_shape<Format, 2, 4>(launch, args);
  }
  return launch_shape<Format, 2, 8>(launch, args);
}

}  // namespace pagoda::kernels::cuda
