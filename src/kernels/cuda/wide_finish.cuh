#pragma once
// The end of linear_wide.cuh: the blocks of a cluster leave their sums in shared memory, some columns at a
// time, and each adds up its share of the columns from all of them, in the order of k, and finishes it
// (Epilogue in linear_args.cuh).
//
// It is a short loop for the sake of the instruction cache: unrolled over all sums it was 100 KiB of code
// that runs once, some 20 us a launch.

#include "kernels/cuda/hopper.cuh"
#include "kernels/cuda/mma.cuh"
#include "kernels/cuda/wide_args.cuh"

namespace pagoda::kernels::cuda {

inline constexpr int kWideTiles = kStackTiles;
static_assert(kWideTileRows == kStackRows);
inline constexpr int kWideWarps = 8;  // two warpgroups multiply a tile

#if PAGODA_HAS_WGMMA

// The four neighbouring rows of a tile of 128 that a lane finishes; four lanes have a tile of 16. With pairs
// they are all rows of gate or all of up.
struct LaneRows {
  int tile, row;  // of 16 rows; of W, the first of the four
  int count;      // how many of them exist
  bool is_gate;
  float scale[4], norm[4];

  __device__ __forceinline__ LaneRows(const LinearArgs& p, int wide_tile, int lane) {
    const WeightView& w = p.weight;
    tile = wide_tile * kWideTiles + lane / 4;
    row = w.row_of(tile, lane % 4 * 4);
    count = tile < w.tiles ? max(0, min(4, w.out_features - row)) : 0;
    is_gate = lane % 4 < 2;
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      scale[e] = e < count ? w.row_scale(row + e) : 0.0f;
      norm[e] = e < count && p.epilogue == Epilogue::kAddNorm ? p.norm[row + e] : 1.0f;
    }
  }
};

// Four neighbouring floats, of which `count` exist.
__device__ __forceinline__ bool are_whole(const float* four, int count) {
  return count == 4 && reinterpret_cast<std::uintptr_t>(four) % 16 == 0;
}
__device__ __forceinline__ void load_four(const float* from, int count, float (&to)[4]) {
  if (are_whole(from, count)) {
    const float4 v = *reinterpret_cast<const float4*>(from);
    to[0] = v.x, to[1] = v.y, to[2] = v.z, to[3] = v.w;
  } else {
#pragma unroll
    for (int e = 0; e < 4; ++e) to[e] = e < count ? from[e] : 0.0f;
  }
}
__device__ __forceinline__ void store_four(float* to, int count, const float (&from)[4]) {
  if (are_whole(to, count)) {
    *reinterpret_cast<float4*>(to) = make_float4(from[0], from[1], from[2], from[3]);
  } else {
#pragma unroll
    for (int e = 0; e < 4; ++e)
      if (e < count) to[e] = from[e];
  }
}
__device__ __forceinline__ void store_four(__nv_bfloat16* to, int count, const float (&from)[4]) {
  if (count == 4 && reinterpret_cast<std::uintptr_t>(to) % 8 == 0) {
    *reinterpret_cast<uint2*>(to) = make_uint2(pack_bf16(from[0], from[1]), pack_bf16(from[2], from[3]));
  } else {
#pragma unroll
    for (int e = 0; e < 4; ++e)
      if (e < count) to[e] = __float2bfloat16(from[e]);
  }
}

// Where elements k to k + 3 (k a multiple of 4) of the rows from first_row on go, which begins a group if
// they go to an image: there they are two pairs, 16 bytes apart. Images are of whole fours.
template <bool kImages>
struct FourOfRows {
  std::byte* first;
  std::int64_t row_bytes;
  int piece = -1;  // of an image

  __device__ __forceinline__ FourOfRows(const XRows& x, int first_row, int k) {
    if (kImages && x.is_image()) {
      const int within = x.to_k(first_row, k);
      first = x.data + x.to_row(first_row) + static_cast<std::int64_t>(k / 64) * x.a_step() + within % 16;
      piece = within / 16;
      row_bytes = kImageRow;
    } else {
      first = reinterpret_cast<std::byte*>(x.row(first_row) + k);
      row_bytes = x.stride * 2;
    }
  }
  __device__ __forceinline__ void store(int row, int count, const float (&from)[4]) const {
    std::byte* to = first + row * row_bytes;
    if (!kImages || piece < 0) return store_four(reinterpret_cast<__nv_bfloat16*>(to), count, from);
    if (count == 0) return;
    const int of_row = piece ^ row % 8;
    *reinterpret_cast<std::uint32_t*>(to + of_row * 16) = pack_bf16(from[0], from[1]);
    *reinterpret_cast<std::uint32_t*>(to + (of_row ^ 1) * 16) = pack_bf16(from[2], from[3]);
  }
};

// What becomes of the sums y of a lane's rows and row first_row + row of x (Epilogue in linear_args.cuh);
// `previous`: what they are added to. Every lane of a warp takes part: there are shuffles.
template <typename Plan>
__device__ __forceinline__ void finish_four(const LinearArgs& p, int first_row, int row, const LaneRows& rows,
                                            const FourOfRows<Plan::kImages>& next, int count, float (&y)[4],
                                            const float (&previous)[4]) {
  if (p.epilogue == Epilogue::kSwiglu) {
#pragma unroll
    for (int e = 0; e < 4; ++e) {
      const float up = __shfl_down_sync(0xffffffffu, y[e], 2);
      y[e] = silu_times(y[e], up);
    }
    if (rows.is_gate) next.store(row, count, y);
    return;
  }
  const int n = first_row + row;
#pragma unroll
  for (int e = 0; e < 4; ++e) y[e] += previous[e];
  store_four(p.out + static_cast<std::int64_t>(n) * p.out_stride + rows.row, count, y);
  if (p.epilogue != Epilogue::kAddNorm) return;
  float squares = 0;
#pragma unroll
  for (int e = 0; e < 4; ++e) {
    squares += e < count ? y[e] * y[e] : 0.0f;
    y[e] *= rows.norm[e];
  }
  next.store(row, count, y);
  constexpr bool kWide = rows_a_partial(Plan::kColumns) == kWideTileRows;
  squares = kWide ? warp_sum(squares) : over_quad(squares, Sum());
  if (count > 0 && threadIdx.x % (kWide ? 32 : 4) == 0)
    p.partials[n * p.partials_a_row + (kWide ? rows.tile / kWideTiles : rows.tile)] = squares;
}

// A scale for each row of x that a block takes, between the columns of its sums: of two items in turn,
// because other warps may still read those of the item before.
template <typename Plan>
struct ScalesOfRows {
  float* sums;
  int item = 0;

  __device__ __forceinline__ float& operator[](int row) const {
    return sums[row % Plan::kRound * Plan::kColumn + kWideTileRows + 2 * item + row / Plan::kRound];
  }
  __device__ __forceinline__ void turn() { item ^= 1; }
  // Of the deferred norm, or 1, by the warps of a tile, eight lanes a row, while the first step of k is on
  // its way.
  __device__ __forceinline__ void make(const WideArgs& wide, int first_row, int warp, int lane) const {
    static_assert(Plan::kColumns <= 2 * Plan::kRound);
    const LinearArgs& p = wide.linear;
#pragma unroll
    for (int first = 0; first < Plan::kColumns; first += kWideWarps * 4) {
      const int row = first + warp * 4 + lane / 8;
      float scale = 1;
      if (p.x_norm.partials != nullptr) {
        const float* partials = p.x_norm.partials + min(first_row + row, p.m - 1) * p.x_norm.partials_a_row;
        float total = 0;
#pragma unroll 4
        for (int i = lane % 8; i < p.x_norm.partials_a_row; i += 8) total += partials[i];
        for (int offset = 4; offset > 0; offset /= 2) total += __shfl_xor_sync(0xffffffffu, total, offset);
        scale = rsqrtf(total / static_cast<float>(p.weight.in_features) + p.x_norm.eps);
      }
      if (lane % 8 == 0) (*this)[row] = scale;
    }
  }
};

// Where the warps of a cluster meet: `left` when all have left their sums, `read` when all have read.
struct Exchange {
  float* sums;  // [column][kColumn], the same place in each block
  SharedBarrier *left, *read;
  int rank;
  std::uint32_t parity = 0;
};

// Of all blocks, in the order of k: the four floats at each of `count` places, which lie `step` floats apart,
// are added to y. What lies in other blocks is far away: as much as registers allow is on its way at once.
// Blocks that are not there are skipped, or count as zero, where the branch costs more.
template <int kAtOnce, bool kSkips>
__device__ __forceinline__ void add_blocks(const float* first, int step, int count, int blocks,
                                           float (&y)[kAtOnce][4]) {
  constexpr int kBlocksAtOnce = 4;
  const auto add = [&](int i, const float4& part) {
    y[i][0] += part.x, y[i][1] += part.y, y[i][2] += part.z, y[i][3] += part.w;
  };
  if (blocks == 1) {
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i)
      if (i < count) add(i, *reinterpret_cast<const float4*>(first + i * step));
    return;
  }
#pragma unroll 1
  for (int block = 0; block < blocks; block += kBlocksAtOnce) {
    float4 parts[kBlocksAtOnce][kAtOnce];
#pragma unroll
    for (int b = 0; b < kBlocksAtOnce; ++b) {
      const std::uint32_t from = address_in_cluster(first, min(block + b, blocks - 1));
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i)
        parts[b][i] = i < count && block + b < blocks ? load_four_in_cluster(from + i * step * sizeof(float))
                                                      : float4();
    }
#pragma unroll
    for (int b = 0; b < kBlocksAtOnce; ++b) {
      if (kSkips && block + b >= blocks) break;
#pragma unroll
      for (int i = 0; i < kAtOnce; ++i) add(i, parts[b][i]);
    }
  }
}

// Adds up and finishes this block's share of the columns that the cluster leaves in shared memory, which are
// rows of x: first_row + first and those after it.
template <typename Plan>
__device__ __forceinline__ void finish_columns(const WideArgs& wide, const LaneRows& rows,
                                               const FourOfRows<Plan::kImages>& next, int first_row,
                                               int first, const Exchange& exchange,
                                               const ScalesOfRows<Plan>& scales, int warp, int lane) {
  constexpr int kAtOnce = Plan::kAtOnce;
  const LinearArgs& p = wide.linear;
  const int stride = kWideWarps * wide.splits;
  const bool adds = p.epilogue == Epilogue::kAdd || p.epilogue == Epilogue::kAddNorm;
#pragma unroll 1
  for (int mine = warp * wide.splits + exchange.rank; mine < Plan::kRound; mine += stride * kAtOnce) {
    float y[kAtOnce][4] = {}, previous[kAtOnce][4] = {}, x_scale[kAtOnce];
    int count[kAtOnce];
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      const int column = mine + i * stride, n = first_row + first + column;
      count[i] = column < Plan::kRound && n < p.m ? rows.count : 0;
      if constexpr (!Plan::kScales)
        x_scale[i] = count[i] > 0 && wide.x_scales != nullptr ? wide.x_scales[n] : 1.0f;
      if (adds)
        load_four(p.out + static_cast<std::int64_t>(n) * p.out_stride + rows.row, count[i], previous[i]);
    }
    // Only now: what comes from afar is on its way.
    exchange.left->wait_for_cluster(exchange.parity);
    add_blocks<kAtOnce, Plan::kSkips>(exchange.sums + mine * Plan::kColumn + lane * 4, stride * Plan::kColumn,
                                      (Plan::kRound - mine + stride - 1) / stride, wide.splits, y);
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      const int row = first + mine + i * stride;
      if constexpr (Plan::kScales) x_scale[i] = mine + i * stride < Plan::kRound ? scales[row] : 0.0f;
#pragma unroll
      for (int e = 0; e < 4; ++e) y[i][e] *= x_scale[i] * rows.scale[e];
      finish_four<Plan>(p, first_row, row, rows, next, count[i], y[i], previous[i]);
    }
  }
}

// SwiGLU where no sum has to change lanes for it: the four that a lane has of eight columns (a step) are two
// gates and their ups, each in two columns. They are left as they are, [step][warp][lane], and go to the same
// lane of another block.
template <typename Plan>
__device__ __forceinline__ void finish_gates(const WideArgs& wide, int wide_tile, int first_row, int first,
                                             const Exchange& exchange, int warp, int lane) {
  constexpr int kSteps = Plan::kRound / 8, kAtOnce = Plan::kAtOnce, kStep = kWideWarps * 32 * 4;  // floats
  const LinearArgs& p = wide.linear;
  const WeightView& w = p.weight;
  const int tile = wide_tile * kWideTiles + warp, g = lane / 4, up = w.row_of(tile, g + 8);
  const bool exists = tile < w.tiles && up < w.out_features, odd = g % 2;
  const float gate_scale = exists ? w.row_scale(w.row_of(tile, g)) : 0.0f,
              up_scale = exists ? w.row_scale(up) : 0.0f;
  // Of the two columns a lane finishes one, and two neighbouring gates of it.
  const int first_column = first_row + first + lane % 4 * 2, mine = first_column + g % 2;
  __nv_bfloat16* const to = p.next.row(mine) + w.row_of(tile, g / 2 * 2);
  const auto x_scale = [&](int n) { return wide.x_scales != nullptr && n < p.m ? wide.x_scales[n] : 1.0f; };
  // Of the steps of all rounds every splits-th is this block's.
#pragma unroll 1
  for (int begin = (exchange.rank + (wide.splits - 1) * (first / 8)) % wide.splits; begin < kSteps;
       begin += kAtOnce * wide.splits) {
    float y[kAtOnce][4] = {}, scales[kAtOnce][2];
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i)
#pragma unroll
      for (int e = 0; e < 2; ++e) scales[i][e] = x_scale(first_column + (begin + i * wide.splits) * 8 + e);
    exchange.left->wait_for_cluster(exchange.parity);  // only now: the scales are on their way
    add_blocks<kAtOnce, Plan::kSkips>(exchange.sums + begin * kStep + (warp * 32 + lane) * 4,
                                      wide.splits * kStep, (kSteps - begin + wide.splits - 1) / wide.splits,
                                      wide.splits, y);
#pragma unroll
    for (int i = 0; i < kAtOnce; ++i) {
      const int row = (begin + i * wide.splits) * 8;
      float gated[2];
#pragma unroll
      for (int e = 0; e < 2; ++e)
        gated[e] = silu_times(y[i][e] * (scales[i][e] * gate_scale), y[i][2 + e] * (scales[i][e] * up_scale));
      const float other = __shfl_xor_sync(0xffffffffu, odd ? gated[0] : gated[1], 4);
      if (exists && begin + i * wide.splits < kSteps && mine + row < p.m)
        *reinterpret_cast<std::uint32_t*>(to + row * p.next.stride) =
            odd ? pack_bf16(other, gated[1]) : pack_bf16(gated[0], other);
    }
  }
}

template <typename Plan, int N>
__device__ __forceinline__ void finish_tile(const WideArgs& p, int tile, int first_row,
                                            const float (&sum)[N / 2], const ScalesOfRows<Plan>& scales,
                                            int warp, Exchange& exchange) {
  const int lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
  const auto for_rounds = [&](auto leave, auto finish) {
#pragma unroll
    for (int first = 0; first < N; first += Plan::kRound) {
      if (first_row + first >= p.linear.m) break;
      exchange.read->wait(exchange.parity ^ 1);
#pragma unroll
      for (int step = 0; step < Plan::kRound / 8; ++step) leave(step, sum + (first / 8 + step) * 4);
      __syncwarp();
      if (lane < p.splits) exchange.left->arrive_at(lane);
      finish(first);
      __syncwarp();
      if (lane < p.splits) exchange.read->arrive_at_having_read(lane);
      exchange.parity ^= 1;
    }
  };
  // The scales of rows lie between columns, and images are stored by the four.
  if constexpr (!Plan::kScales && !Plan::kImages) {
    if (p.linear.epilogue == Epilogue::kSwiglu) {
      auto* mine = reinterpret_cast<float4*>(exchange.sums) + warp * 32 + lane;
      for_rounds(
          [&](int step, const float* of_step) {
            mine[step * kWideWarps * 32] = make_float4(of_step[0], of_step[1], of_step[2], of_step[3]);
          },
          [&](int first) { finish_gates<Plan>(p, tile, first_row, first, exchange, warp, lane); });
      return;
    }
  }
  const LaneRows rows(p.linear, tile, lane);
  const FourOfRows<Plan::kImages> next(p.linear.next, first_row, rows.row);
  float* mine = exchange.sums + 2 * c * Plan::kColumn + warp * 16 + g;
  for_rounds(
      [&](int step, const float* of_step) {
#pragma unroll
        for (int e = 0; e < 4; ++e) mine[(step * 8 + e % 2) * Plan::kColumn + e / 2 * 8] = of_step[e];
      },
      [&](int first) {
        finish_columns<Plan>(p, rows, next, first_row, first, exchange, scales, warp, lane);
      });
}

#endif  // PAGODA_HAS_WGMMA

}  // namespace pagoda::kernels::cuda
