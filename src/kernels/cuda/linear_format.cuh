#pragma once
// The weight formats of linear.cuh: where a lane finds its 16 bytes of a row, which k they are, and how they
// become bf16 fragments. A tile is 16 rows of W; a chunk is 64 bytes of each of them.
//
//   BF16, FP8   row-major [out, in], as the library GEMM wants them
//   INT8, INT4  [tile][chunk][half of the tile: 8 rows][lane][16 bytes], k padded with zeros to whole chunks
//
// INT4: word i (of 4) of lane c holds k = 32 i + 8 c ... + 7 of the chunk; the pair (2j, 2j+1) of them lies
// in bits 4j and 16 + 4j, so that one shift and one three-input operation make two bf16 of 128 + value.

#include "kernels/cuda/linear_args.cuh"
#include "kernels/cuda/mma.cuh"

namespace pagoda::kernels::cuda {

__device__ __forceinline__ uint4 load_x(const __nv_bfloat16* address) {
  return *reinterpret_cast<const uint4*>(address);
}
__device__ __forceinline__ std::uint32_t word(const uint4& v, int i) {
  return i == 0 ? v.x : i == 1 ? v.y : i == 2 ? v.z : v.w;
}

// Rows g and g + 8 of a tile, 16 bytes each.
struct TileRaw {
  uint4 low, high;
};

// Two bytes a k and row-major: shared by BF16 and (one byte) FP8.
template <int kBytes>
__device__ __forceinline__ TileRaw load_row_major(const WeightView& w, int tile, int chunk, int lane) {
  const int g = lane / 4, c = lane % 4, k = (chunk * 64 + c * 16) / kBytes;
  TileRaw raw{};
  if (k >= w.in_features) return raw;
  const int low = min(w.row_of(tile, g), w.out_features - 1),
            high = min(w.row_of(tile, g + 8), w.out_features - 1);
  raw.low = load_stream(w.data + (static_cast<std::int64_t>(low) * w.in_features + k) * kBytes);
  raw.high = load_stream(w.data + (static_cast<std::int64_t>(high) * w.in_features + k) * kBytes);
  return raw;
}

__device__ __forceinline__ TileRaw load_tiled(const WeightView& w, int tile, int chunk, int chunks,
                                              int lane) {
  const std::byte* base =
      w.data + ((static_cast<std::int64_t>(min(tile, w.tiles - 1)) * chunks + chunk) * 64 + lane) * 16;
  return {load_stream(base), load_stream(base + 512)};
}

struct Bf16Format {
  static constexpr int kChunk = 32, kDepth = 4;
  using Raw = TileRaw;
  static __device__ __forceinline__ Raw load(const WeightView& w, int tile, int chunk, int lane) {
    return load_row_major<2>(w, tile, chunk, lane);
  }
  template <int MT, int NT>
  static __device__ __forceinline__ void multiply(const WeightView&, const Raw (&raw)[MT],
                                                  const __nv_bfloat16* const (&x)[NT], int chunk, int c,
                                                  float (&sum)[MT][NT][4]) {
    uint4 b[NT];
    for (int j = 0; j < NT; ++j) b[j] = load_x(x[j] + chunk * kChunk + c * 8);
    for (int i = 0; i < MT; ++i) {
      const std::uint32_t first[4] = {raw[i].low.x, raw[i].high.x, raw[i].low.y, raw[i].high.y};
      const std::uint32_t second[4] = {raw[i].low.z, raw[i].high.z, raw[i].low.w, raw[i].high.w};
      for (int j = 0; j < NT; ++j) {
        mma_bf16(sum[i][j], first, b[j].x, b[j].y);
        mma_bf16(sum[i][j], second, b[j].z, b[j].w);
      }
    }
  }
};

// Formats of one byte: four k of a lane's 16 bytes make a step. Decode::pair gives two bf16 of a row from
// bytes (2 pair, 2 pair + 1) of a word.
template <typename Decode>
__device__ __forceinline__ void fragment_of_bytes(const TileRaw& raw, int step, std::uint32_t (&a)[4]) {
  const std::uint32_t low = word(raw.low, step), high = word(raw.high, step);
  Decode::words(low, a[0], a[2]);
  Decode::words(high, a[1], a[3]);
}

template <typename Decode, int MT, int NT>
__device__ __forceinline__ void multiply_bytes(const TileRaw (&raw)[MT], const __nv_bfloat16* const (&x)[NT],
                                               int chunk, int c, float (&sum)[MT][NT][4]) {
#pragma unroll
  for (int half = 0; half < 2; ++half) {
    uint4 b[NT];
    for (int j = 0; j < NT; ++j) b[j] = load_x(x[j] + chunk * 64 + c * 16 + half * 8);
    for (int i = 0; i < MT; ++i) {
      std::uint32_t first[4], second[4];
      fragment_of_bytes<Decode>(raw[i], 2 * half, first);
      fragment_of_bytes<Decode>(raw[i], 2 * half + 1, second);
      for (int j = 0; j < NT; ++j) {
        mma_bf16(sum[i][j], first, b[j].x, b[j].y);
        mma_bf16(sum[i][j], second, b[j].z, b[j].w);
      }
    }
  }
}

// e4m3 to bf16: the bits moved to bf16's places read as the value / 2^120, subnormals included.
struct DecodeE4m3 {
  static __device__ __forceinline__ std::uint32_t pair(std::uint32_t high_bytes) {  // bytes 1 and 3
    const std::uint32_t bits = (high_bytes & 0x80008000u) | ((high_bytes & 0x7f007f00u) >> 4);
    const std::uint32_t scale = 0x7b807b80u;  // 2^120
    const __nv_bfloat162 value = __hmul2(reinterpret_cast<const __nv_bfloat162&>(bits),
                                         reinterpret_cast<const __nv_bfloat162&>(scale));
    return reinterpret_cast<const std::uint32_t&>(value);
  }
  static __device__ __forceinline__ void words(std::uint32_t w, std::uint32_t& first, std::uint32_t& second) {
    // Bytes (0, 1) and (2, 3), each moved to the upper byte of a half.
    first = pair(__byte_perm(w, 0, 0x1404));
    second = pair(__byte_perm(w, 0, 0x3424));
  }
};

// Signed bytes, stored + 128: a float with the byte as the last bits of its fraction is 2^23 + byte.
struct DecodeInt8 {
  static __device__ __forceinline__ float value(std::uint32_t w, std::uint32_t selector) {
    return __uint_as_float(__byte_perm(w, 0x4b000000u, selector)) - 8388736.0f;
  }
  static __device__ __forceinline__ void words(std::uint32_t w, std::uint32_t& first, std::uint32_t& second) {
    first = pack_bf16(value(w, 0x7540), value(w, 0x7541));
    second = pack_bf16(value(w, 0x7542), value(w, 0x7543));
  }
};

struct Fp8Format {
  static constexpr int kChunk = 64, kDepth = 4;
  using Raw = TileRaw;
  static __device__ __forceinline__ Raw load(const WeightView& w, int tile, int chunk, int lane) {
    return load_row_major<1>(w, tile, chunk, lane);
  }
  template <int MT, int NT>
  static __device__ __forceinline__ void multiply(const WeightView&, const Raw (&raw)[MT],
                                                  const __nv_bfloat16* const (&x)[NT], int chunk, int c,
                                                  float (&sum)[MT][NT][4]) {
    multiply_bytes<DecodeE4m3, MT, NT>(raw, x, chunk, c, sum);
  }
};

struct Int8Format {
  static constexpr int kChunk = 64, kDepth = 4;
  using Raw = TileRaw;
  static __device__ __forceinline__ Raw load(const WeightView& w, int tile, int chunk, int lane) {
    return load_tiled(w, tile, chunk, (w.in_features + kChunk - 1) / kChunk, lane);
  }
  template <int MT, int NT>
  static __device__ __forceinline__ void multiply(const WeightView&, const Raw (&raw)[MT],
                                                  const __nv_bfloat16* const (&x)[NT], int chunk, int c,
                                                  float (&sum)[MT][NT][4]) {
    multiply_bytes<DecodeInt8, MT, NT>(raw, x, chunk, c, sum);
  }
};

// One scale (and zero point) a group of kGroupWords * 32 inputs; kGroupWords is 4 for groups of whole chunks,
// or 1.
template <int kGroupWords, bool kZeros>
struct Int4Format {
  static constexpr int kChunk = 128, kDepth = kGroupWords == 4 ? 4 : 2;
  static constexpr int kGroups = 4 / kGroupWords;               // of a chunk
  static constexpr std::uint32_t kSymmetricZero = 0x43084308u;  // 136 = 128 + 8, twice
  struct Raw {
    uint4 low, high;
    std::uint16_t scale_low[kGroups], scale_high[kGroups], zero_low[kGroups], zero_high[kGroups];
  };

  static __device__ __forceinline__ Raw load(const WeightView& w, int tile, int chunk, int lane) {
    const TileRaw bytes = load_tiled(w, tile, chunk, (w.in_features + kChunk - 1) / kChunk, lane);
    Raw raw;
    raw.low = bytes.low;
    raw.high = bytes.high;
#pragma unroll
    for (int i = 0; i < kGroups; ++i) {
      const int group = min(kGroupWords == 4 ? chunk / w.group_chunks : chunk * kGroups + i, w.groups - 1);
      const std::int64_t at =
          (static_cast<std::int64_t>(min(tile, w.tiles - 1)) * w.groups + group) * 16 + lane / 4;
      raw.scale_low[i] = w.group_scales[at];
      raw.scale_high[i] = w.group_scales[at + 8];
      if constexpr (kZeros) {
        raw.zero_low[i] = w.group_zeros[at];
        raw.zero_high[i] = w.group_zeros[at + 8];
      }
    }
    return raw;
  }
  static __device__ __forceinline__ std::uint32_t pair(std::uint32_t w, int j, std::uint32_t zeros) {
    const std::uint32_t bits = ((w >> (4 * j)) & 0x000f000fu) | 0x43004300u;
    const __nv_bfloat162 value = __hsub2(reinterpret_cast<const __nv_bfloat162&>(bits),
                                         reinterpret_cast<const __nv_bfloat162&>(zeros));
    return reinterpret_cast<const std::uint32_t&>(value);
  }
  static __device__ __forceinline__ float scale(std::uint16_t bits) {
    return __half2float(reinterpret_cast<const __half&>(bits));
  }
  template <int MT, int NT>
  static __device__ __forceinline__ void multiply(const WeightView&, const Raw (&raw)[MT],
                                                  const __nv_bfloat16* const (&x)[NT], int chunk, int c,
                                                  float (&sum)[MT][NT][4]) {
#pragma unroll
    for (int group = 0; group < kGroups; ++group) {
      float part[MT][NT][4] = {};
#pragma unroll
      for (int i = group * kGroupWords; i < (group + 1) * kGroupWords; ++i) {
        uint4 b[NT];
        for (int j = 0; j < NT; ++j) b[j] = load_x(x[j] + chunk * kChunk + i * 32 + c * 8);
#pragma unroll
        for (int t = 0; t < MT; ++t) {
          const std::uint32_t low = word(raw[t].low, i), high = word(raw[t].high, i);
          const std::uint32_t zero_low = kZeros ? raw[t].zero_low[group] * 0x10001u : kSymmetricZero;
          const std::uint32_t zero_high = kZeros ? raw[t].zero_high[group] * 0x10001u : kSymmetricZero;
          const std::uint32_t first[4] = {pair(low, 0, zero_low), pair(high, 0, zero_high),
                                          pair(low, 1, zero_low), pair(high, 1, zero_high)};
          const std::uint32_t second[4] = {pair(low, 2, zero_low), pair(high, 2, zero_high),
                                           pair(low, 3, zero_low), pair(high, 3, zero_high)};
          for (int j = 0; j < NT; ++j) {
            mma_bf16(part[t][j], first, b[j].x, b[j].y);
            mma_bf16(part[t][j], second, b[j].z, b[j].w);
          }
        }
      }
#pragma unroll
      for (int t = 0; t < MT; ++t) {
        const float scale_low = scale(raw[t].scale_low[group]), scale_high = scale(raw[t].scale_high[group]);
        for (int j = 0; j < NT; ++j) {
          sum[t][j][0] += scale_low * part[t][j][0];
          sum[t][j][1] += scale_low * part[t][j][1];
          sum[t][j][2] += scale_high * part[t][j][2];
          sum[t][j][3] += scale_high * part[t][j][3];
        }
      }
    }
  }
};

}  // namespace pagoda::kernels::cuda
