#pragma once
// out (+)= x W^T for few rows of x (up to 64 a launch), on tensor cores, straight from packed weights: W is
// the A operand (16 of its rows a tile), x^T the B operand, so that batch 1 wastes columns of B and no bytes
// of W.
//
// A block has 8 warps that share the same MT * 16 rows of W and cut k between them: chunk i (64 bytes a row,
// of BF16 128) belongs to warp i % 8. A lane reads 16 bytes of a row at a time; which k those are is the
// format's choice, and x is read in the same order, so nothing is shuffled. For few rows a lane's pieces of
// x, and a warp's chunks of BF16, come through shared memory, x as many chunks ahead as W is: x is short, but
// the way to L2 is nearly as long as W's to memory. With more rows that copy would cost more than it hides.
// Before the kernel before has ended come the first chunks of W, what else the weights bring, and all
// addresses: a launch takes a few microseconds, of which code that runs once is a large part. Sums of the
// warps meet in shared memory. The order of additions of an element depends on the format and on k alone: a
// row's result is the same in any batch.
//
// Floor: the bytes of W at read bandwidth. x (m rows, through L2) is read once for each block.

#include "kernels/cuda/finish.cuh"
#include "kernels/cuda/linear_format.cuh"

namespace pagoda::kernels::cuda {

inline constexpr int kLinearWarps = 8;

// The sums of four warps lie in shared memory at a time, or of all eight, when they are small.
template <int MT, int NT>
inline constexpr int kLinearSlots = MT* NT <= 4 ? kLinearWarps : kLinearWarps / 2;

// kBlocks: an SM; kDepth: chunks of W under way a warp. What is under way on an SM hides the way to memory,
// so fewer blocks go with more chunks.
template <typename Format, int MT, int NT, int kBlocks, int kDepth, bool kXAhead>
struct LinearPlan {
  // W comes through shared memory too, where registers would not do: loads to registers in a loop all count
  // on one scoreboard, so that the chunk that is needed waits for the one that was asked for last.
  static constexpr bool kRing = Format::kRingChunk > 0 && kXAhead;
  static constexpr int kWChunk = kRing ? MT * Format::kRingChunk : 0;  // of 16 bytes, a warp
  // Shared memory: the pieces of x, the chunks of W, the sums, a scale a row of x.
  static constexpr int kXLanes = 4 * Format::kRowsAhead;           // those that have a row of x
  static constexpr int kXChunk = Format::kXPieces * NT * kXLanes;  // of 16 bytes, a warp
  static constexpr std::size_t kXBytes = kXAhead ? kLinearWarps * kDepth * kXChunk * 16 : 0;
  static constexpr std::size_t kWBytes = kLinearWarps * kDepth * kWChunk * 16;
  static constexpr std::size_t kSharedBytes =
      kXBytes + kWBytes + (kLinearSlots<MT, NT> * MT * 16 * NT * 8 + NT * 8) * sizeof(float);
};

template <typename Format, int MT, bool kRing>
struct CursorOf {
  using Type = typename Format::template Cursor<MT>;
};
template <typename Format, int MT>
struct CursorOf<Format, MT, true> {
  using Type = typename Format::template RingCursor<MT>;
};

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

// The deferred norm of x: one scale a row of x, by the warps in turn. What is fetched early is added up late,
// where that costs few registers: nobody else would wait for this warp. The order of additions is the same.
template <int NT, bool kLate>
struct RowScales {
  static constexpr int kAtOnce = 8;
  static_assert(kLinearWarps == 8);  // rows of a step of B
  float first[kAtOnce];

  static __device__ __forceinline__ const float* partials_of(const LinearArgs& p, int n, int lane) {
    return p.x_norm.partials == nullptr || n >= p.m ? nullptr
                                                    : p.x_norm.partials + n * p.x_norm.partials_a_row + lane;
  }
  // The values i, i + 32, ... of a row's partials.
  static __device__ __forceinline__ void load(const float* partials, int left, float (&to)[kAtOnce]) {
#pragma unroll
    for (int j = 0; j < kAtOnce; ++j) to[j] = 32 * j < left ? partials[32 * j] : 0.0f;
  }
  __device__ __forceinline__ void write(const LinearArgs& p, const float* partials, int lane,
                                        float* scale) const {
    float value = 1;
    if (partials != nullptr) {
      float total = 0;
      for (int j = 0; j < kAtOnce; ++j) total += first[j];
      for (int i = 32 * kAtOnce; i < p.x_norm.partials_a_row - lane; i += 32 * kAtOnce) {
        float more[kAtOnce];
        load(partials + i, p.x_norm.partials_a_row - lane - i, more);
        for (int j = 0; j < kAtOnce; ++j) total += more[j];
      }
      value = rsqrtf(warp_sum(total) / static_cast<float>(p.weight.in_features) + p.x_norm.eps);
    }
    if (lane == 0) *scale = value;
  }

  // mine: of row `warp`.
  __device__ __forceinline__ void fetch(const LinearArgs& p, const float* mine, int warp, int lane,
                                        float* scales) {
#pragma unroll
    for (int i = 0; i < NT; ++i) {
      const int n = warp + i * kLinearWarps;
      const float* partials = i == 0 ? mine : partials_of(p, n, lane);
      if (partials != nullptr) load(partials, p.x_norm.partials_a_row - lane, first);
      if constexpr (!kLate) write(p, partials, lane, scales + n);
    }
  }
  __device__ __forceinline__ void finish(const LinearArgs& p, const float* mine, int warp, int lane,
                                         float* scales) const {
    if constexpr (kLate) write(p, mine, lane, scales + warp);
  }
};

// The elements of a block that a thread finishes, and what it needs for that beside the sums: fetched while
// they are not there yet.
template <int MT, int NT>
struct Finish {
  static constexpr int kRows = MT * 16, kArea = kRows * NT * 8, kThreads = kLinearWarps * 32;
  static constexpr int kTurns = (kArea + kThreads - 1) / kThreads;
  ElementInputs inputs[kTurns];

  // Every thread of a warp takes part in every turn: there are shuffles.
  template <typename Element>
  static __device__ __forceinline__ void for_each(const LinearArgs& p, int first_tile, int warp,
                                                  Element element) {
#pragma unroll
    for (int turn = 0; turn < kTurns; ++turn) {
      const int i = turn * kThreads + threadIdx.x, row = i % kRows, n = i / kRows,
                tile = first_tile + row / 16;
      if (turn * kThreads + warp * 32 >= kArea) break;
      const int n_out = p.weight.row_of(tile, row % 16);
      element(turn, i, n, tile, n_out, n < p.m && n_out < p.weight.out_features && tile < p.weight.tiles);
    }
  }

  __device__ __forceinline__ void prepare(const LinearArgs& p, int first_tile, int warp) {
    for_each(p, first_tile, warp, [&](int turn, int, int n, int, int n_out, bool valid) {
      inputs[turn].prepare(p, n, n_out, valid);
    });
  }
  __device__ __forceinline__ void fetch(int warp) {
#pragma unroll
    for (int turn = 0; turn < kTurns; ++turn)
      if (turn * kThreads + warp * 32 < kArea) inputs[turn].fetch();
  }

  __device__ __forceinline__ void run(const LinearArgs& p, const float* slots, const float* scales,
                                      int first_tile, int warp) const {
    constexpr int kHalf = kLinearSlots<MT, NT> / 2;
    for_each(p, first_tile, warp, [&](int turn, int i, int n, int tile, int n_out, bool valid) {
      float y = 0;
      if constexpr (kLinearSlots<MT, NT> == kLinearWarps) {
        // The pairs that the narrower kernels add before they write.
        for (int s = 0; s < kHalf; ++s) y += slots[s * kArea + i] + slots[(s + kHalf) * kArea + i];
      } else {
        for (int s = 0; s < kLinearSlots<MT, NT>; ++s) y += slots[s * kArea + i];
      }
      // Nobody wants images of so few rows that one step of B holds.
      finish_element<(NT > 1)>(p, n, tile, i % 16, n_out, valid, y * (scales[n] * inputs[turn].scale),
                               inputs[turn]);
    });
  }
};

template <typename Format, int MT, int NT, int kBlocks, int kDepth, bool kXAhead>
__global__ __launch_bounds__(kLinearWarps * 32,
                             kBlocks) void linear_kernel(const __grid_constant__ LinearArgs p) {
  using Plan = LinearPlan<Format, MT, NT, kBlocks, kDepth, kXAhead>;
  // More rows of x take too many registers.
  constexpr bool kPrepares = NT <= 2;
  constexpr bool kLate = kPrepares && NT == 1 && (kXAhead || Format::kScalesLate);
  extern __shared__ __align__(16) std::byte shared[];
  auto* slots = reinterpret_cast<float*>(shared + Plan::kXBytes + Plan::kWBytes);
  float* scales = slots + kLinearSlots<MT, NT> * MT * 16 * NT * 8;
  const int warp = warp_index(), lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
  const int first_tile = blockIdx.x * MT;
  // Of the warp's chunks, counted from its first: each is kLinearWarps behind the one before.
  const int chunks = (p.weight.in_features + Format::kChunk - 1) / Format::kChunk - warp;

  constexpr bool kRing = Plan::kRing;
  typename Format::Raw raw[kRing ? 1 : kDepth][MT];
  const typename CursorOf<Format, MT, kRing>::Type cursor(p.weight, first_tile, warp, lane);
  uint4* const w_ring = reinterpret_cast<uint4*>(shared + Plan::kXBytes) + warp * kDepth * Plan::kWChunk;
  const auto load_w = [&](int ahead, int d) {
    for (int i = 0; i < MT; ++i) {
      if constexpr (kRing)
        Format::template copy<MT>(cursor, i, ahead, w_ring + d * Plan::kWChunk + i * Format::kRingChunk,
                                  lane);
      else
        raw[d][i] = Format::template load<MT>(p.weight, cursor, i, ahead);
    }
  };
  for (int d = 0; d < kDepth; ++d) {
    if (d * kLinearWarps < chunks) load_w(d * kLinearWarps, d);
    if constexpr (kRing) copies_close();
  }

  const __nv_bfloat16* x[NT];
  for (int j = 0; j < NT; ++j) {
    // Surplus columns are not stored.
    x[j] = p.x + min(j * 8 + g, p.m - 1) * p.x_stride + warp * Format::kChunk + c * Format::kXLane;
    if constexpr (kPrepares) work_out(x[j]);
  }
  const auto x_at = [&](int ahead, int piece, int j) {
    return x[j] + ahead * Format::kChunk + Format::x_piece(piece);
  };
  int of_ring = warp * kDepth * Plan::kXChunk + lane % Plan::kXLanes;
  if constexpr (kPrepares) work_out(of_ring);
  uint4* const ring = reinterpret_cast<uint4*>(shared) + of_ring;
  const auto x_copy = [&](int d, int piece, int j) {
    return ring + d * Plan::kXChunk + (piece * NT + j) * Plan::kXLanes;
  };
  const auto fetch_x = [&](int ahead, int d) {
    if constexpr (kXAhead) {
      // What stands for a column that is no row of x does not matter: its sums are not stored.
      for (int j = 0; j < NT; ++j)
        if (ahead < chunks && j * 8 + g < p.m)
          for (int piece = 0; piece < Format::kXPieces; ++piece)
            copy_16_async(x_copy(d, piece, j), x_at(ahead, piece, j));
      copies_close();
    }
  };
  const float* my_partials = RowScales<NT, kLate>::partials_of(p, warp, lane);
  if constexpr (kPrepares) work_out(my_partials);
  Finish<MT, NT> finish;
  if constexpr (kPrepares) finish.prepare(p, first_tile, warp);
  // Weights never change; everything below was written by the kernel before.
  wait_for_previous();
  let_next_start();

  if constexpr (kXAhead)
    for (int d = 0; d < kDepth; ++d) fetch_x(d * kLinearWarps, d);
  RowScales<NT, kLate> row_scales;
  row_scales.fetch(p, my_partials, warp, lane, scales);
  if constexpr (!kPrepares) finish.prepare(p, first_tile, warp);
  finish.fetch(warp);

  float sum[MT][NT][4] = {};
  for (int base = 0; base < chunks; base += kDepth * kLinearWarps) {
#pragma unroll
    for (int d = 0; d < kDepth; ++d) {
      const int now = base + d * kLinearWarps;
      if (now >= chunks) break;
      if constexpr (kXAhead) copies_wait<kDepth - 1>();
      // Lanes without a row of x read pieces of others, for nothing; of W each reads what others have copied.
      if constexpr (kRing || (kXAhead && Plan::kXLanes < 32)) __syncwarp();
      if constexpr (kRing)
        for (int i = 0; i < MT; ++i)
          raw[0][i] = Format::read(w_ring + d * Plan::kWChunk + i * Format::kRingChunk, lane);
      Format::template multiply<MT, NT>(
          raw[kRing ? 0 : d],
          [&](int piece, int j) {
            if constexpr (kXAhead) return *x_copy(d, piece, j);
            return load_16(x_at(now, piece, j));
          },
          sum);
      const int next = now + kDepth * kLinearWarps;
      if constexpr (kRing) __syncwarp();
      if (next < chunks) load_w(next, d);
      fetch_x(next, d);
    }
  }

  row_scales.finish(p, my_partials, warp, lane, scales);
  constexpr int kArea = MT * 16 * NT * 8;
  if constexpr (kLinearSlots<MT, NT> == kLinearWarps) {
    write_sums<MT, NT>(sum, slots + warp * kArea, lane);
  } else {
    if (warp >= kLinearWarps / 2) write_sums<MT, NT>(sum, slots + (warp - kLinearWarps / 2) * kArea, lane);
    __syncthreads();
    if (warp < kLinearWarps / 2) {
      add_sums<MT, NT>(sum, slots + warp * kArea, lane);
      write_sums<MT, NT>(sum, slots + warp * kArea, lane);
    }
  }
  __syncthreads();
  finish.run(p, slots, scales, first_tile, warp);
}

template <typename Format, int MT, int NT, int kBlocks, int kDepth, bool kXAhead = false>
void launch_shape(const Launcher& launch, const LinearArgs& args) {
  constexpr std::size_t bytes = LinearPlan<Format, MT, NT, kBlocks, kDepth, kXAhead>::kSharedBytes;
  allow_shared_memory<linear_kernel<Format, MT, NT, kBlocks, kDepth, kXAhead>, bytes>();
  launch(linear_kernel<Format, MT, NT, kBlocks, kDepth, kXAhead>, dim3((args.weight.tiles + MT - 1) / MT),
         dim3(kLinearWarps * 32), bytes, args);
}

// Up to 8 rows of x; the choices are what bench/kernels/cuda_layer.cc found fastest on an H200.
template <typename Format, bool kXAhead>
void launch_few_rows(const Launcher& launch, const LinearArgs& args) {
  constexpr int kManyTiles = 4;  // more blocks of one tile than an SM holds: half as many may be taller
  const int tiles = (args.weight.tiles + launch.multiprocessors - 1) / launch.multiprocessors;  // an SM
  // A block of other GPUs than Hopper has no more than 99 or 163 KiB of shared memory.
  using Alone = LinearPlan<Format, 1, 1, 1, Format::kDepthAlone, kXAhead>;
  constexpr int kDepthOfTwo = Format::template kDepthOfTwo<kXAhead>;
  using OfTwo = LinearPlan<Format, 1, 1, 2, kDepthOfTwo, kXAhead>;
  if constexpr (Format::kDepthAlone > 0) {
    const bool long_rows = args.weight.in_features >= Format::kChunk * kLinearWarps * Format::kDepthAlone;
    if (tiles <= 1 && long_rows && Alone::kSharedBytes <= launch.block_shared_bytes)
      return launch_shape<Format, 1, 1, 1, Format::kDepthAlone, kXAhead>(launch, args);
  }
  if (tiles <= 2 && OfTwo::kSharedBytes <= launch.block_shared_bytes)
    return launch_shape<Format, 1, 1, 2, kDepthOfTwo, kXAhead>(launch, args);
  if constexpr (Format::kTallTiles > 0) {
    if (tiles > kManyTiles && tiles <= Format::kTallTiles)
      return launch_shape<Format, 2, 1, Format::kTallBlocks, Format::kTallDepth, kXAhead>(launch, args);
  }
  return launch_shape<Format, 1, 1, 3, Format::kDepth, kXAhead>(launch, args);
}

// Tiles a block: taller blocks read x less often, but only where enough blocks are left to fill the device.
template <typename Format>
void launch_linear_shapes(const Launcher& launch, const LinearArgs& args) {
  constexpr int kFewTiles = 300;  // about two blocks an SM of the largest devices
  // With more rows a warp has more under way by itself.
  constexpr int kHalfDepth = (Format::kManyDepth + 1) / 2;
  if (args.m <= Format::kRowsAhead) return launch_few_rows<Format, true>(launch, args);
  if constexpr (Format::kRowsAhead < 8)
    if (args.m <= 8) return launch_few_rows<Format, false>(launch, args);
  if (args.m <= 16) return launch_shape<Format, 1, 2, 2, Format::kManyDepth>(launch, args);
  if (args.m <= 32) {
    if (args.weight.tiles < kFewTiles) return launch_shape<Format, 1, 4, 1, kHalfDepth>(launch, args);
    return launch_shape<Format, 2, 4, 1, kHalfDepth>(launch, args);
  }
  return launch_shape<Format, 2, 8, 1, 1>(launch, args);
}

}  // namespace pagoda::kernels::cuda
