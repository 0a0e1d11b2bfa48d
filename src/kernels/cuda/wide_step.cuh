#pragma once
// The weight formats of linear_wide.cuh: the copies of a step of k, and its products or bf16 fragments.

#include "kernels/cuda/hopper.cuh"
#include "kernels/cuda/linear_format.cuh"
#include "kernels/cuda/wide_args.cuh"
#include "kernels/cuda/wide_finish.cuh"

namespace pagoda::kernels::cuda {

// A format's step of k: its bytes in shared memory, the copies that bring it (by one thread: small copies are
// as slow as large ones), and its products; up to how many columns a block makes the scales of a deferred
// norm, and whether what reads the result may want an image.

// A step's rows of x from the image.
template <int kXRowBytes_>
struct XFromImage {
  static constexpr int kScalesColumns = kFewWideColumns;
  static constexpr bool kImages = true;
  static constexpr int kXRowBytes = kXRowBytes_;  // of one row of x
  template <int N>
  static __device__ __forceinline__ void copy_x(const WideArgs& p, int group, int step, std::byte* to,
                                                SharedBarrier& barrier) {
#if PAGODA_HAS_WGMMA
    constexpr int kBytes = N * kXRowBytes;
    const std::int64_t group_bytes = image_features(p.linear.weight.in_features) * 2 * N;
    bulk_copy(to, p.x + group * group_bytes + std::int64_t{step} * kBytes, kBytes, barrier);
#endif
  }
};

// Row-major weights and rows of x of their type, kStepK of a row in 128 bytes; both come as boxes of their
// tensor maps and stay in shared memory.
template <int kStepK>
struct RowMajorStep {
  static constexpr int kK = kStepK;
  static constexpr int kBytes = kWideTileRows * kMapRowBytes, kXRowBytes = kMapRowBytes;
  static constexpr bool kFromShared = true, kImages = false;
  static __device__ __forceinline__ void copy(const WideArgs& p, int tile, int step, std::byte* to,
                                              SharedBarrier& barrier) {
#if PAGODA_HAS_WGMMA
    if (p.linear.weight.pairs)
      box_copy_pairs(to, p.map, step * kK, tile * kWideTiles, barrier);
    else
      box_copy(to, p.map, step * kK, tile * kWideTileRows, barrier);
#endif
  }
  template <int N>
  static __device__ __forceinline__ void copy_x(const WideArgs& p, int group, int step, std::byte* to,
                                                SharedBarrier& barrier) {
#if PAGODA_HAS_WGMMA
    box_copy(to, p.x_map, step * kK, group * N, barrier);
#endif
  }
  template <template <int> typename Product, int N>
  static __device__ __forceinline__ void multiply_rows(const std::byte* w, const std::byte* x, int group,
                                                       float (&sum)[N / 2]) {
#if PAGODA_HAS_WGMMA
    const std::uint64_t a = operand_at(w + group * 64 * kMapRowBytes), b = operand_at(x);
    products_begin();
#pragma unroll
    for (int i = 0; i < 4; ++i) Product<N>::by_shared(sum, a + 2 * i, b + 2 * i);
    products_close();
#endif
  }
};

struct WideBf16 : RowMajorStep<64> {
  static constexpr int kScalesColumns = 128;
  template <int N>
  static __device__ __forceinline__ void multiply(const std::byte* w, const std::byte* x, int group,
                                                  float (&sum)[N / 2]) {
#if PAGODA_HAS_WGMMA
    multiply_rows<Products, N>(w, x, group, sum);
#endif
  }
};

struct WideFp8 : RowMajorStep<128> {
  static constexpr int kScalesColumns = 0;  // they come with the rows
  template <int N>
  static __device__ __forceinline__ void multiply(const std::byte* w, const std::byte* x, int group,
                                                  float (&sum)[N / 2]) {
#if PAGODA_HAS_WGMMA
    multiply_rows<Fp8Products, N>(w, x, group, sum);
#endif
  }
};

// 64 k: four products.
using Fragments = std::uint32_t[4][4];

template <int N>
__device__ __forceinline__ void multiply_fragments(const Fragments& a, const std::byte* x,
                                                   float (&sum)[N / 2]) {
#if PAGODA_HAS_WGMMA
  products_begin();
#pragma unroll
  for (int i = 0; i < 4; ++i) Products<N>::by_registers(sum, a[i], operand_at(x) + i * 2);
  products_close();
#endif
}

// A chunk of a stack of tiles, as tile_layout.cuh has them.
inline constexpr int kStackBytes = kStackTiles * kTileChunkBytes;
template <typename Format>
__device__ __forceinline__ void copy_stack(const WideArgs& p, int stack, int chunk, std::byte* to,
                                           SharedBarrier& barrier) {
#if PAGODA_HAS_WGMMA
  const int chunks = (p.linear.weight.in_features + Format::kChunk - 1) / Format::kChunk;
  bulk_copy(to, p.linear.weight.data + (std::int64_t{stack} * chunks + chunk) * kStackBytes, kStackBytes,
            barrier);
#endif
}

struct WideInt8 : XFromImage<128> {
  static constexpr int kK = 64, kBytes = kStackBytes;
  static constexpr bool kFromShared = false;
  static __device__ __forceinline__ void copy(const WideArgs& p, int tile, int step, std::byte* to,
                                              SharedBarrier& barrier) {
    copy_stack<Int8Format>(p, tile, step, to, barrier);
  }
  using Raw = TileRaw;
  static __device__ __forceinline__ Raw read(const std::byte* w, int warp, int lane) {
    return read_tile(w + warp * kTileChunkBytes, lane);
  }
  static __device__ __forceinline__ void fragments(const Raw& raw, int, Fragments& a) {
#pragma unroll
    for (int i = 0; i < 4; ++i) fragment_of_bytes<DecodeInt8>(raw, i, a[i]);
  }
};

// (value - zero) * scale, rounded to bf16.
template <int kGroupWords, bool kZeros>
struct WideInt4 : XFromImage<256> {
  using Format = Int4Format<kGroupWords, kZeros>;
  static constexpr int kK = 128;
  static constexpr bool kFromShared = false;
  // The chunk, its scales, its zero points.
  static constexpr int kScaleBytes = Format::kGroups * kStackRows * 2;
  static constexpr int kBytes = kStackBytes + kScaleBytes * (kZeros ? 2 : 1);
  static __device__ __forceinline__ void copy(const WideArgs& p, int tile, int step, std::byte* to,
                                              SharedBarrier& barrier) {
    copy_stack<Format>(p, tile, step, to, barrier);
#if PAGODA_HAS_WGMMA
    const WeightView& w = p.linear.weight;
    const std::int64_t at = (std::int64_t{tile} * w.groups + Format::group_of(w, step)) * kStackRows;
    bulk_copy(to + kStackBytes, w.group_scales + at, kScaleBytes, barrier);
    if constexpr (kZeros) bulk_copy(to + kStackBytes + kScaleBytes, w.group_zeros + at, kScaleBytes, barrier);
#endif
  }
  static __device__ __forceinline__ std::uint32_t dequantized(std::uint32_t w, int j, __nv_bfloat162 zero,
                                                              __nv_bfloat162 scale) {
    const std::uint32_t bits = Format::pair(w, j);
    const __nv_bfloat162 value = __hmul2(__hsub2(reinterpret_cast<const __nv_bfloat162&>(bits), zero), scale);
    return reinterpret_cast<const std::uint32_t&>(value);
  }
  using Raw = typename Format::Raw;
  static __device__ __forceinline__ Raw read(const std::byte* w, int warp, int lane) {
    Raw raw;
    static_cast<TileRaw&>(raw) = read_tile(w + warp * kTileChunkBytes, lane);
    const auto* scales = reinterpret_cast<const std::uint16_t*>(w + kStackBytes) + warp * 16;
    Format::read_groups(scales, scales + kScaleBytes / 2, kStackRows, lane / 4, raw);
    return raw;
  }
  static __device__ __forceinline__ void fragments(const Raw& raw, int half, Fragments& a) {
#pragma unroll
    for (int of_half = 0; of_half < 2; ++of_half) {
      const int i = 2 * half + of_half, group = i / kGroupWords;
      const __nv_bfloat162 scale_low = __float2bfloat162_rn(raw.scale(group, false)),
                           scale_high = __float2bfloat162_rn(raw.scale(group, true)),
                           zero_low = __float2bfloat162_rn(raw.bias(group, false)),
                           zero_high = __float2bfloat162_rn(raw.bias(group, true));
      const std::uint32_t low = word(raw.low, i), high = word(raw.high, i);
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        // Pairs 0 and 1 are the first product's fragment, 2 and 3 the second's.
        a[2 * of_half + j / 2][j % 2 * 2] = dequantized(low, j, zero_low, scale_low);
        a[2 * of_half + j / 2][j % 2 * 2 + 1] = dequantized(high, j, zero_high, scale_high);
      }
    }
  }
};

}  // namespace pagoda::kernels::cuda
