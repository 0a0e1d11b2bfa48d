#pragma once
// out (+)= x W^T for many rows of x, up to 256 a launch, on sm_90: W is A (64 of its rows a warpgroup), x^T
// is B.
//
// A block works on 128 rows of W and all rows of x: a warp starts copies of W and of x's image
// (wide_image.cu) some steps of k ahead, two warpgroups multiply. Quantised weights become bf16 fragments in
// registers, while the products of those before run; bf16 weights go to the tensor cores from shared
// memory.
//
// Two blocks, a cluster, work on neighbouring tiles at the same k: each fetches half of x, for both, so that
// x comes from L2 half as often.
//
// All (pair of tiles, step of k) in a row are cut into equal shares, one a cluster ("stream-K", Osama et al.
// 2023), so that every shape fills the device. Blocks that share a tile leave their sums in memory; when all
// of them have, each adds up some of the columns, in the order of k. They run at the same time: there are no
// more blocks than multiprocessors.
//
// Floor: the bytes of W at read bandwidth, or 2 m in out operations at the rate of the tensor cores.

#include <algorithm>

#include "kernels/cuda/wide_step.cuh"

namespace pagoda::kernels::cuda {

template <typename Step, int N>
struct WidePlan {
  static constexpr int kWBytes = (Step::kBytes + 1023) / 1024 * 1024, kXBytes = N * Step::kK * 2;
  static constexpr int kStageBytes = kWBytes + kXBytes;
  // Two blocks an SM where that is possible, so that the next kernel copies while this one ends.
  static constexpr bool kTwoBlocks = N <= 64;
  static constexpr int kStages = std::min(((kTwoBlocks ? 112 : 224) * 1024 - 256) / kStageBytes, 8);
  static constexpr int kSharedBytes = kStages * kStageBytes + 2 * kStages * 8;
  // The sums of 256 columns want more registers than a third of what there is: with whole warpgroups they can
  // be moved from the copying one to the others.
  static constexpr bool kMovesRegisters = N == 256;
  static constexpr int kThreads = kWideThreads + (kMovesRegisters ? 128 : 32);
};

#if PAGODA_HAS_WGMMA

// The share of cluster b, and who has a step.
__device__ __forceinline__ int share_begin(int total, int b, int clusters) {
  return static_cast<int>(std::int64_t{total} * b / clusters);
}
__device__ __forceinline__ int cluster_of(int total, int step, int clusters) {
  return static_cast<int>((std::int64_t{step + 1} * clusters - 1) / total);
}

// Where block b keeps its sums of a tile: it has the end of one and the start of another at most.
template <int N>
__device__ __forceinline__ float4* parts_of(const WideArgs& p, int b, bool first) {
  return reinterpret_cast<float4*>(p.parts) +
         static_cast<std::int64_t>(2 * b + (first ? 0 : 1)) * (N / 8) * kWideThreads;
}

// What a lane has of a tile: rows g and g + 8 of its warp's 16.
struct LaneRows {
  int tile;  // of 16 rows
  int row[2];
  bool exists[2];
  float scale[2], norm[2];

  __device__ LaneRows(const LinearArgs& p, int wide_tile) : tile(wide_tile * kWideTiles + threadIdx.x / 32) {
    for (int r = 0; r < 2; ++r) {
      row[r] = p.weight.row_of(tile, static_cast<int>(threadIdx.x) % 32 / 4 + 8 * r);
      exists[r] = tile < p.weight.tiles && row[r] < p.weight.out_features;
      scale[r] = exists[r] ? p.weight.row_scale(row[r]) : 0.0f;
      norm[r] = exists[r] && p.epilogue == Epilogue::kAddNorm ? p.norm[row[r]] : 0.0f;
    }
  }
};

// Columns 8 first ... + 8 kCount of a tile, those below `end`, for one lane: what their end needs beside the
// sums.
template <int kCount>
struct LaneColumns {
  int first, end;
  float x_scale[kCount][2], previous[kCount][2][2];

  __device__ __forceinline__ LaneColumns(const WideArgs& wide, const LaneRows& rows, int first_column,
                                         int end_column)
      : first(first_column), end(end_column) {
    const LinearArgs& p = wide.linear;
    const bool adds = p.epilogue == Epilogue::kAdd || p.epilogue == Epilogue::kAddNorm;
#pragma unroll
    for (int j = 0; j < kCount; ++j)
#pragma unroll
      for (int e = 0; e < 2; ++e) {
        const int n = column(j, e);
        x_scale[j][e] = n < end && wide.x.scales != nullptr ? wide.x.scales[n] : 1.0f;
#pragma unroll
        for (int r = 0; r < 2; ++r)
          previous[j][e][r] = adds && n < end && rows.exists[r]
                                  ? p.out[static_cast<std::int64_t>(n) * p.out_stride + rows.row[r]]
                                  : 0.0f;
      }
  }
  __device__ int column(int j, int e) const {
    return (first + j) * 8 + static_cast<int>(threadIdx.x) % 4 * 2 + e;
  }
};

template <int kCount>
__device__ __forceinline__ void finish_columns(const WideArgs& wide, const LaneRows& rows,
                                               const LaneColumns<kCount>& columns,
                                               const float (&sum)[kCount][4]) {
  const LinearArgs& p = wide.linear;
#pragma unroll
  for (int j = 0; j < kCount; ++j)
#pragma unroll
    for (int e = 0; e < 2; ++e) {
      const int n = columns.column(j, e);
      const bool valid[2] = {n < columns.end && rows.exists[0], n < columns.end && rows.exists[1]};
      float y[2];
#pragma unroll
      for (int r = 0; r < 2; ++r) y[r] = sum[j][2 * r + e] * columns.x_scale[j][e] * rows.scale[r];
      if (p.epilogue == Epilogue::kSwiglu) {
        if (valid[1])
          p.normed[n * p.normed_stride + rows.row[0]] =
              __float2bfloat16(y[0] / (1.0f + __expf(-y[0])) * y[1]);
        continue;
      }
      float squares = 0;
#pragma unroll
      for (int r = 0; r < 2; ++r) {
        y[r] += columns.previous[j][e][r];
        if (!valid[r]) continue;
        p.out[static_cast<std::int64_t>(n) * p.out_stride + rows.row[r]] = y[r];
        if (p.epilogue == Epilogue::kAddNorm)
          p.normed[n * p.normed_stride + rows.row[r]] = __float2bfloat16(y[r] * rows.norm[r]);
        squares += y[r] * y[r];
      }
      if (p.epilogue != Epilogue::kAddNorm) continue;
      for (int offset = 4; offset < 32; offset *= 2) squares += __shfl_xor_sync(0xffffffffu, squares, offset);
      if (valid[0] && threadIdx.x % 32 < 4)
        p.partials[static_cast<std::int64_t>(n) * p.weight.tiles + rows.tile] = squares;
    }
}

// A tile whose sums this block has all of.
template <int N>
__device__ __forceinline__ void finish_whole(const WideArgs& p, int tile, float (&sum)[N / 2]) {
  const LaneRows rows(p.linear, tile);
#pragma unroll
  for (int first = 0; first < N / 8; first += 4) {
    if (first * 8 >= p.linear.m) break;
    asm volatile("" ::: "memory");  // a few columns after the other: registers are few
    const LaneColumns<4> columns(p, rows, first, p.linear.m);
    float values[4][4];
#pragma unroll
    for (int j = 0; j < 4; ++j)
#pragma unroll
      for (int e = 0; e < 4; ++e) values[j][e] = sum[(first + j) * 4 + e];
    finish_columns<4>(p, rows, columns, values);
  }
}

__device__ __forceinline__ void sync_consumers() { asm volatile("bar.sync 1, 256;" ::: "memory"); }

// Leaves the sums of some steps of a tile for all blocks that share it.
template <int N>
__device__ __forceinline__ void leave_parts(const WideArgs& p, int tile, bool first,
                                            const float (&sum)[N / 2]) {
  float4* mine = parts_of<N>(p, blockIdx.x, first) + threadIdx.x;
#pragma unroll
  for (int j = 0; j < N / 8; ++j)
    __stcg(mine + j * kWideThreads, make_float4(sum[4 * j], sum[4 * j + 1], sum[4 * j + 2], sum[4 * j + 3]));
  __threadfence();
  sync_consumers();
  if (threadIdx.x == 0) atomicAdd(&p.arrivals[tile], 1);
}

// This block's share of the columns of a tile that it shares, once all have left their sums. `pair` counts
// pairs of tiles.
template <int N>
__device__ __forceinline__ void finish_shared(const WideArgs& p, int pair, int total) {
  const int rank = blockIdx.x % 2, tile = 2 * pair + rank, clusters = gridDim.x / 2;
  const int begin = cluster_of(total, pair * p.steps, clusters),
            count = cluster_of(total, (pair + 1) * p.steps - 1, clusters) - begin + 1;
  if (threadIdx.x == 0) {
    volatile int* arrivals = &p.arrivals[tile];
    while (*arrivals < count) {
    }
    __threadfence();
  }
  sync_consumers();
  constexpr int kTurn = 4;
  const int columns = (p.linear.m + 7) / 8, mine = static_cast<int>(blockIdx.x) / 2 - begin;
  const int from = columns * mine / count, to = columns * (mine + 1) / count;
  const LaneRows rows(p.linear, tile);
  for (int first = from; first < to; first += kTurn) {
    const LaneColumns<kTurn> inputs(p, rows, first, min(p.linear.m, to * 8));
    float4 sum[kTurn] = {};
#pragma unroll 2
    for (int b = begin; b < begin + count; ++b) {
      // Only the first of them can have it as its second tile.
      const bool is_first = b > begin || share_begin(total, b, clusters) >= pair * p.steps;
      const float4* parts = parts_of<N>(p, 2 * b + rank, is_first) + threadIdx.x;
#pragma unroll
      for (int j = 0; j < kTurn; ++j)
        if (first + j < to) {
          const float4 part = __ldcg(parts + (first + j) * kWideThreads);
          sum[j].x += part.x;
          sum[j].y += part.y;
          sum[j].z += part.z;
          sum[j].w += part.w;
        }
    }
    float values[kTurn][4];
#pragma unroll
    for (int j = 0; j < kTurn; ++j) {
      values[j][0] = sum[j].x;
      values[j][1] = sum[j].y;
      values[j][2] = sum[j].z;
      values[j][3] = sum[j].w;
    }
    finish_columns<kTurn>(p, rows, inputs, values);
  }
  // The counter goes back to zero when all are through.
  sync_consumers();
  if (threadIdx.x == 0 && atomicAdd(&p.arrivals[tile], 1) == 2 * count - 1) p.arrivals[tile] = 0;
}

#endif  // PAGODA_HAS_WGMMA

template <typename Step, int N>
__global__ __launch_bounds__(WidePlan<Step, N>::kThreads,
                             WidePlan<Step, N>::kTwoBlocks
                                 ? 2
                                 : 1) void wide_kernel(const __grid_constant__ WideArgs p) {
#if PAGODA_HAS_WGMMA
  using Plan = WidePlan<Step, N>;
  extern __shared__ __align__(1024) std::byte shared[];
  auto* full = reinterpret_cast<SharedBarrier*>(shared + Plan::kStages * Plan::kStageBytes);
  SharedBarrier* empty = full + Plan::kStages;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  if (threadIdx.x == 0) {
    for (int i = 0; i < Plan::kStages; ++i) {
      full[i].init(1);
      empty[i].init(16);  // the warps of both blocks: either one's copies of x go to both
    }
    SharedBarrier::publish();
  }
  sync_cluster();
  const int tiles = (p.linear.weight.tiles + kWideTiles - 1) / kWideTiles, total = (tiles + 1) / 2 * p.steps;
  const int rank = rank_in_cluster(), cluster = blockIdx.x / 2, clusters = gridDim.x / 2;
  const int begin = share_begin(total, cluster, clusters), end = share_begin(total, cluster + 1, clusters);

  if (warp >= kProducer) {
    if constexpr (Plan::kMovesRegisters) registers_down<40>();
    const auto copy_w = [&](int at, int stage) {
      if (lane == 0) full[stage].expect(Step::kBytes + Plan::kXBytes);
      __syncwarp();
      Step::copy(p, at / p.steps * 2 + rank, at % p.steps, shared + stage * Plan::kStageBytes, lane,
                 full[stage]);
    };
    const auto copy_x = [&](int at, int stage) {
      constexpr int kHalf = Plan::kXBytes / 2;
      if (lane == 0)
        bulk_copy_to_both(shared + stage * Plan::kStageBytes + Plan::kWBytes + rank * kHalf,
                          p.x.data + static_cast<std::int64_t>(at % p.steps) * Plan::kXBytes + rank * kHalf,
                          kHalf, full[stage]);
    };
    if (warp == kProducer) {
      // Weights never change; everything else was written by the kernels before.
      const int ahead = min(end - begin, Plan::kStages);
      for (int i = 0; i < ahead; ++i) copy_w(begin + i, i);
      wait_for_previous();
      let_next_start();
      for (int i = 0; i < ahead; ++i) copy_x(begin + i, i);
      int stage = 0;
      std::uint32_t parity = 0;
      for (int at = begin + ahead; at < end; ++at) {
        empty[stage].wait(parity);
        copy_w(at, stage);
        copy_x(at, stage);
        if (++stage == Plan::kStages) {
          stage = 0;
          parity ^= 1;
        }
      }
    }
  } else {
    if constexpr (Plan::kMovesRegisters) registers_up<232>();
    wait_for_previous();
    let_next_start();
    const auto release = [&](int stage) {
      if (lane != 0) return;
      empty[stage].arrive();
      empty[stage].arrive_at(1 - rank);
    };
    int stage = 0, shared_pairs[2], num_shared = 0;
    std::uint32_t parity = 0;
    for (int at = begin; at < end;) {
      const int pair = at / p.steps, stop = min(end, (pair + 1) * p.steps), start = at;
      float sum[N / 2] = {};
      const auto next = [&] {
        if (++stage < Plan::kStages) return;
        stage = 0;
        parity ^= 1;
      };
      if constexpr (Step::kFromShared) {
        int held = -1;  // a stage whose products may still run
        for (; at < stop; ++at, next()) {
          full[stage].wait(parity);
          const std::byte* w = shared + stage * Plan::kStageBytes;
          Step::template multiply<N>(w, w + Plan::kWBytes, warp / 4, sum);
          products_wait<1>();
          if (held >= 0) release(held);
          held = stage;
        }
        products_wait<0>();
        release(held);
      } else {
        // Fragments are made while the products of those before run.
        constexpr int kHalves = Step::kK / 64;
        Fragments a[2];  // in turn
        full[stage].wait(parity);
        Step::fragments(shared + stage * Plan::kStageBytes, 0, warp, lane, a[0]);
        for (; at < stop; ++at) {
          const int now = stage;
          const std::byte* w = shared + now * Plan::kStageBytes;
#pragma unroll
          for (int half = 0; half < kHalves; ++half) {
            multiply_fragments<N>(a[half], w + Plan::kWBytes + half * (N * 128), sum);
            if (half + 1 < kHalves) {
              Step::fragments(w, half + 1, warp, lane, a[half + 1]);
            } else {
              next();
              if (at + 1 < stop) {
                full[stage].wait(parity);
                Step::fragments(shared + stage * Plan::kStageBytes, 0, warp, lane, a[kHalves % 2]);
              }
            }
            products_wait<0>();
          }
          if constexpr (kHalves == 1) {
#pragma unroll
            for (int i = 0; i < 16; ++i) a[0][i / 4][i % 4] = a[1][i / 4][i % 4];
          }
          release(now);
        }
      }
      const int tile = 2 * pair + rank;
      if (tile >= tiles) continue;
      if (stop - start == p.steps) {
        finish_whole<N>(p, tile, sum);
      } else {
        leave_parts<N>(p, tile, start == begin, sum);
        shared_pairs[num_shared++] = pair;
      }
    }
    for (int i = 0; i < num_shared; ++i) finish_shared<N>(p, shared_pairs[i], total);
  }
  sync_cluster();  // the other block may still copy to here
#endif
}

template <typename Step, int N>
void launch_wide_shape(const Launcher& launch, WideArgs args) {
  using Plan = WidePlan<Step, N>;
  static_assert(Plan::kStages >= 3);
  static const bool raised = [] {
    CUDA_CHECK(cudaFuncSetAttribute(wide_kernel<Step, N>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    Plan::kSharedBytes));
    return true;
  }();
  (void)raised;
  args.steps = (args.linear.weight.in_features + Step::kK - 1) / Step::kK;
  const int pairs = (args.linear.weight.tiles + 2 * kWideTiles - 1) / (2 * kWideTiles);
  Launcher in_pairs = launch;
  in_pairs.cluster = 2;
  in_pairs(wide_kernel<Step, N>, dim3(2 * std::min(pairs * args.steps, launch.multiprocessors / 2)),
           dim3(Plan::kThreads), Plan::kSharedBytes, args);
}

template <typename Step>
void launch_wide_step(const Launcher& launch, const WideArgs& args) {
  switch (args.x.columns) {
    case 32:
      return launch_wide_shape<Step, 32>(launch, args);
    case 64:
      return launch_wide_shape<Step, 64>(launch, args);
    case 128:
      return launch_wide_shape<Step, 128>(launch, args);
    default:
      return launch_wide_shape<Step, 256>(launch, args);
  }
}

}  // namespace pagoda::kernels::cuda
