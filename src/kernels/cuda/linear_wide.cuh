#pragma once
// out (+)= x W^T for many rows of x on sm_90, up to 128 a block: W is A (64 of its rows a warpgroup), x^T is
// B.
//
// A block works on one or two tiles of 128 rows of W and on 32, 64 or 128 rows of x: one thread starts copies
// of W and of x (for integers: of its image, x_rows.cuh) some steps of k ahead, two warpgroups a tile
// multiply. Integers become bf16 fragments in registers, while the products of those before run; bf16 and
// e4m3 weights go to the tensor cores from shared memory, e4m3 ones with rows of x in e4m3.
//
// The blocks of a cluster cut k between them, so that a matrix of few tiles fills the device
// (wide_finish.cuh). How many they are is chosen by shape. With more than 128 rows of x, clusters that are
// neighbours take the same tile of W with other rows of x, so that it comes from memory once.
//
// Floor: the bytes of W at read bandwidth, or 2 m in out operations at the rate of the tensor cores.

#include <algorithm>
#include <array>

#include "kernels/cuda/wide_finish.cuh"
#include "kernels/cuda/wide_step.cuh"

namespace pagoda::kernels::cuda {

// kStacks: tiles of 128 rows of W of a block. Two read x half as often, which is what blocks of one wait for,
// but there are half as many blocks.
template <typename Step, int N, int kStacks>
struct WidePlan {
  static constexpr bool kScales = N <= Step::kScalesColumns;              // of a deferred norm are made here
  static constexpr bool kImages = Step::kImages && N <= kFewWideColumns;  // may be left for who comes next
  static constexpr int kWBytes = (Step::kBytes + 1023) / 1024 * 1024, kXBytes = N * Step::kXRowBytes;
  static constexpr int kStageBytes = kStacks * kWBytes + kXBytes;
  // Columns whose sums are exchanged at a time. Four floats more a column: no bank twice in a store.
  static constexpr int kColumns = N, kRound = std::min(N, 64), kColumn = kWideTileRows + 4;
  static constexpr int kSumBytes = kRound * kColumn * static_cast<int>(sizeof(float));  // of a tile
  // Two blocks an SM where that is possible, so that the next kernel copies while this one ends.
  static constexpr int kBlocks = N <= 64 && kStacks == 1 ? 2 : 1;
  static constexpr int kAtOnce = 2;                     // columns, or steps of columns, that a warp finishes
  static constexpr bool kSkips = N <= kFewWideColumns;  // add_blocks(); as measured on an H200
  // Two KiB of what an SM has are left to small kernels, so that the next one starts while this one ends.
  static constexpr int kStages =
      std::min((226 * 1024 / kBlocks - kStacks * kSumBytes - 256) / kStageBytes, 8);
  static constexpr int kSharedBytes = kStages * kStageBytes + kStacks * (kSumBytes + 16) + 2 * kStages * 8;
  // A warp behind those that multiply copies. With two tiles it is a warpgroup, which leaves its registers to
  // them.
  static constexpr int kThreads = (kStacks * kWideWarps + (kStacks == 1 ? 1 : 4)) * 32;
  static constexpr int kCopyRegisters = 24, kMultiplyRegisters = 112;
  static_assert(kStages >= 3);
};

#if PAGODA_HAS_WGMMA

// Copies of W and x, some steps ahead: by one thread.
template <typename Step, typename Plan, int N, int kStacks>
__device__ __forceinline__ void copy_steps(const WideArgs& p, int begin, int end, int cluster, int clusters,
                                           std::byte* stages, SharedBarrier* full, SharedBarrier* empty,
                                           int lane) {
  if (lane != 0) return;
  const int last_tile = (p.linear.weight.tiles + kWideTiles - 1) / kWideTiles - 1;
  const auto copy_w = [&](int item, int step, int stage) {
    full[stage].expect(kStacks * Step::kBytes + Plan::kXBytes);
    for (int i = 0; i < kStacks; ++i) {
      // What is computed of a tile that does not exist is not stored.
      const int tile = min(item / p.groups * kStacks + i, last_tile);
      Step::copy(p, tile, step, stages + stage * Plan::kStageBytes + i * Plan::kWBytes, full[stage]);
    }
  };
  const auto copy_x = [&](int item, int step, int stage) {
    Step::template copy_x<N>(p, item % p.groups, step,
                             stages + stage * Plan::kStageBytes + kStacks * Plan::kWBytes, full[stage]);
  };
  // Weights never change; everything else was written by the kernels before.
  int ahead = min(end - begin, Plan::kStages);
  for (int i = 0; i < ahead; ++i) copy_w(cluster, begin + i, i);
  wait_for_previous();
  let_next_start();
  for (int i = 0; i < ahead; ++i) copy_x(cluster, begin + i, i);
  int stage = 0;
  std::uint32_t parity = 0;
  for (int item = cluster; item < p.items; item += clusters)
    for (int step = begin; step < end; ++step) {
      if (ahead > 0) {
        --ahead;
      } else {
        empty[stage].wait(parity ^ 1);
        copy_w(item, step, stage);
        copy_x(item, step, stage);
      }
      if (++stage == Plan::kStages) {
        stage = 0;
        parity ^= 1;
      }
    }
}

#endif  // PAGODA_HAS_WGMMA

template <typename Step, int N, int kStacks>
__global__ __launch_bounds__(
    WidePlan<Step, N, kStacks>::kThreads,
    WidePlan<Step, N, kStacks>::kBlocks) void wide_kernel(const __grid_constant__ WideArgs p) {
#if PAGODA_HAS_WGMMA
  using Plan = WidePlan<Step, N, kStacks>;
  extern __shared__ __align__(1024) std::byte shared[];
  std::byte* const sums = shared + Plan::kStages * Plan::kStageBytes;
  auto* full = reinterpret_cast<SharedBarrier*>(sums + kStacks * Plan::kSumBytes);
  SharedBarrier *const empty = full + Plan::kStages, *const exchanges = empty + Plan::kStages;
  // Each tile has warps of its own, which exchange its sums.
  const int lane = threadIdx.x % 32, stack = threadIdx.x / 32 / kWideWarps,
            warp = threadIdx.x / 32 % kWideWarps;
  if (threadIdx.x == 0) {
    for (int i = 0; i < Plan::kStages; ++i) {
      full[i].init(1);
      empty[i].init(kStacks * kWideWarps);
    }
    for (int i = 0; i < 2 * kStacks; ++i) exchanges[i].init(kWideWarps * p.splits);
    SharedBarrier::publish();
  }
  sync_cluster();
  const int rank = rank_in_cluster(), cluster = blockIdx.x / p.splits, clusters = gridDim.x / p.splits;
  const int begin = p.steps * rank / p.splits, end = p.steps * (rank + 1) / p.splits;

  if (stack == kStacks) {
    if constexpr (kStacks > 1) give_registers<Plan::kCopyRegisters>();
    if (warp == 0)
      copy_steps<Step, Plan, N, kStacks>(p, begin, end, cluster, clusters, shared, full, empty, lane);
  } else {
    if constexpr (kStacks > 1) take_registers<Plan::kMultiplyRegisters>();
    Exchange exchange;
    exchange.sums = reinterpret_cast<float*>(sums + stack * Plan::kSumBytes);
    exchange.left = exchanges + 2 * stack;
    exchange.read = exchange.left + 1;
    exchange.rank = rank;
    wait_for_previous();
    let_next_start();
    int stage = 0;
    std::uint32_t parity = 0;
    const auto next = [&] {
      if (++stage < Plan::kStages) return;
      stage = 0;
      parity ^= 1;
    };
    const auto release = [&](int held) {
      if (lane == 0) empty[held].arrive();
    };
    const auto w_at = [&](int of_stage) {
      return shared + of_stage * Plan::kStageBytes + stack * Plan::kWBytes;
    };
    const auto x_at = [&](int of_stage) {
      return shared + of_stage * Plan::kStageBytes + kStacks * Plan::kWBytes;
    };
    ScalesOfRows<Plan> scales{exchange.sums};
    for (int item = cluster; item < p.items; item += clusters) {
      if constexpr (Plan::kScales) scales.make(p, item % p.groups * N, warp, lane);
      float sum[N / 2] = {};
      if constexpr (Step::kFromShared) {
        int held = -1;  // a stage whose products may still run
        for (int step = begin; step < end; ++step, next()) {
          full[stage].wait(parity);
          Step::template multiply<N>(w_at(stage), x_at(stage), warp / 4, sum);
          products_wait<1>();
          if (held >= 0) release(held);
          held = stage;
        }
        products_wait<0>();
        release(held);
      } else if constexpr (kStacks > 1) {
        // While some warpgroups make fragments, the products of others run.
        Fragments a;
        for (int step = begin; step < end; ++step, next()) {
          full[stage].wait(parity);
          const typename Step::Raw raw = Step::read(w_at(stage), warp, lane);
#pragma unroll
          for (int half = 0; half < Step::kK / 64; ++half) {
            Step::fragments(raw, half, a);
            multiply_fragments<N>(a, x_at(stage) + half * (N * 128), sum);
            products_wait<0>();
          }
          release(stage);
        }
      } else {
        // Fragments are made while the products of those before run.
        constexpr int kHalves = Step::kK / 64;
        Fragments a[2];  // in turn
        full[stage].wait(parity);
        typename Step::Raw raw = Step::read(w_at(stage), warp, lane);
        Step::fragments(raw, 0, a[0]);
        for (int step = begin; step < end; ++step) {
          const int now = stage;
#pragma unroll
          for (int half = 0; half < kHalves; ++half) {
            multiply_fragments<N>(a[half], x_at(now) + half * (N * 128), sum);
            if (half + 1 < kHalves) {
              Step::fragments(raw, half + 1, a[half + 1]);
            } else {
              next();
              if (step + 1 < end) {
                full[stage].wait(parity);
                raw = Step::read(w_at(stage), warp, lane);
                Step::fragments(raw, 0, a[kHalves % 2]);
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
      finish_tile<Plan, N>(p, item / p.groups * kStacks + stack, item % p.groups * N, sum, scales, warp,
                           exchange);
      scales.turn();
    }
    exchange.read->wait(exchange.parity ^ 1);  // after that no other block comes here any more
  }
#endif
}

// How many clusters of each size (from 1 on) run at a time.
using ClusterLimits = std::array<int, 8>;

template <typename Step, int N, int kStacks>
ClusterLimits cluster_limits(int multiprocessors) {
  using Plan = WidePlan<Step, N, kStacks>;
  CUDA_CHECK(cudaFuncSetAttribute(wide_kernel<Step, N, kStacks>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                  Plan::kSharedBytes));
  ClusterLimits limits{};
  for (int size = 1; size <= static_cast<int>(limits.size()); ++size) {
    cudaLaunchAttribute attribute{};
    attribute.id = cudaLaunchAttributeClusterDimension;
    attribute.val.clusterDim = {static_cast<unsigned>(size), 1, 1};
    cudaLaunchConfig_t config{};
    config.gridDim = dim3(multiprocessors * size);
    config.blockDim = dim3(Plan::kThreads);
    config.dynamicSmemBytes = Plan::kSharedBytes;
    config.attrs = &attribute;
    config.numAttrs = 1;
    CUDA_CHECK(cudaOccupancyMaxActiveClusters(&limits[size - 1], wide_kernel<Step, N, kStacks>, &config));
  }
  return limits;
}

// The cluster size of the shortest launch: rounds of tiles, each its steps of k and what its end costs, which
// is as long as some steps.
inline int best_splits(const ClusterLimits& limits, int items, int steps, int multiprocessors) {
  constexpr int kEnd = 3, kExchange = 1;
  int best = 1, least = 0;
  for (int splits = 1; splits <= std::min<int>(steps, limits.size()); ++splits) {
    const int clusters = std::min(limits[splits - 1], items);
    if (clusters == 0) continue;
    const int rounds = (items + clusters - 1) / clusters;
    const int an_sm = (clusters * splits + multiprocessors - 1) / multiprocessors;  // blocks that share it
    const int cost = rounds * ((steps + splits - 1) / splits * an_sm + kEnd + (splits > 1 ? kExchange : 0));
    if (least == 0 || cost < least) {
      least = cost;
      best = splits;
    }
  }
  return best;
}

template <typename Step, int N, int kStacks>
void launch_wide_shape(const Launcher& launch, WideArgs args) {
  using Plan = WidePlan<Step, N, kStacks>;
  static const ClusterLimits limits = cluster_limits<Step, N, kStacks>(launch.multiprocessors);
  constexpr int kTiles = kStacks * kWideTiles;
  args.steps = (args.linear.weight.in_features + Step::kK - 1) / Step::kK;
  args.items = (args.linear.weight.tiles + kTiles - 1) / kTiles * args.groups;
  args.splits = best_splits(limits, args.items, args.steps, launch.multiprocessors);
  Launcher in_clusters = launch;
  in_clusters.cluster = static_cast<unsigned>(args.splits);
  in_clusters(wide_kernel<Step, N, kStacks>,
              dim3(std::min(args.items, limits[args.splits - 1]) * args.splits), dim3(Plan::kThreads),
              Plan::kSharedBytes, args);
}

template <typename Step, int N>
void launch_wide_columns(const Launcher& launch, WideArgs args) {
  args.groups = (args.linear.m + N - 1) / N;
  // Blocks of two tiles, where enough of them are left: those that share k by many have more to exchange.
  // Weights that need not be decoded gain nothing. As measured on an H200.
  if constexpr (!Step::kFromShared) {
    const int blocks = (args.linear.weight.tiles + 2 * kWideTiles - 1) / (2 * kWideTiles) * args.groups;
    const int enough = launch.multiprocessors * (args.groups == 1 ? 1 : 3) / 10;
    if (blocks >= enough) return launch_wide_shape<Step, N, 2>(launch, args);
  }
  launch_wide_shape<Step, N, 1>(launch, args);
}

template <typename Step>
void launch_wide_step(const Launcher& launch, const WideArgs& args) {
  switch (args.columns) {
    case 32:
      return launch_wide_columns<Step, 32>(launch, args);
    case 64:
      return launch_wide_columns<Step, 64>(launch, args);
    default:
      return launch_wide_columns<Step, 128>(launch, args);
  }
}

}  // namespace pagoda::kernels::cuda
