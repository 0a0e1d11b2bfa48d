#pragma once
// Stands in for the compiler's header of this name when kernels_emulated_test compiles the AVX-512 and AMX
// kernels: the intrinsics that they use as plain loops, so that their logic is tested on machines without
// these instruction sets. What the hardware refuses (tile shapes that do not fit one another), this aborts
// on.

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "tensor/dtype.h"

struct alignas(16) __m128i {
  std::uint8_t bytes[16];
};
struct alignas(32) __m256i {
  std::uint16_t lanes[16];
};
template <typename T>
struct EmulatedVector {
  alignas(64) T lanes[64 / sizeof(T)];
};
using __m512 = EmulatedVector<float>;
using __m512i = EmulatedVector<std::int32_t>;
using __m512bh = __m512i;
using __mmask16 = std::uint16_t;

template <typename To, typename From>
To emulated_cast(const From& value) {
  To result;
  static_assert(sizeof(To) == sizeof(From));
  std::memcpy(&result, &value, sizeof(result));
  return result;
}
template <typename Vector, typename Body>
Vector emulated_lanes(const Body& body) {
  Vector result;
  for (int i = 0; i < static_cast<int>(sizeof(result.lanes) / sizeof(result.lanes[0])); ++i)
    result.lanes[i] = body(i);
  return result;
}
using EmulatedBytes = EmulatedVector<std::uint8_t>;
using EmulatedShorts = EmulatedVector<std::int16_t>;

inline void emulated_check_alignment(const void* p) {
  if (reinterpret_cast<std::uintptr_t>(p) % 64 != 0) std::abort();
}

inline __m512 _mm512_loadu_ps(const void* p) {
  __m512 result;
  std::memcpy(&result, p, sizeof(result));
  return result;
}
inline __m512 _mm512_load_ps(const void* p) {
  emulated_check_alignment(p);
  return _mm512_loadu_ps(p);
}
inline void _mm512_store_ps(void* p, __m512 value) {
  emulated_check_alignment(p);
  std::memcpy(p, &value, sizeof(value));
}
inline __m512i _mm512_loadu_si512(const void* p) {
  __m512i result;
  std::memcpy(&result, p, sizeof(result));
  return result;
}
inline __m512i _mm512_load_si512(const void* p) {
  emulated_check_alignment(p);
  return _mm512_loadu_si512(p);
}
inline void _mm512_store_si512(void* p, __m512i value) {
  emulated_check_alignment(p);
  std::memcpy(p, &value, sizeof(value));
}
inline __m512 _mm512_maskz_loadu_ps(__mmask16 mask, const void* p) {
  return emulated_lanes<__m512>([&](int i) { return mask >> i & 1 ? static_cast<const float*>(p)[i] : 0; });
}
inline __m512i _mm512_maskz_loadu_epi32(__mmask16 mask, const void* p) {
  return emulated_lanes<__m512i>(
      [&](int i) { return mask >> i & 1 ? static_cast<const std::int32_t*>(p)[i] : 0; });
}
inline void _mm512_mask_storeu_ps(void* p, __mmask16 mask, __m512 value) {
  for (int i = 0; i < 16; ++i)
    if (mask >> i & 1) static_cast<float*>(p)[i] = value.lanes[i];
}
inline __m128i _mm_loadu_si128(const __m128i* p) {
  __m128i result;
  std::memcpy(&result, p, sizeof(result));
  return result;
}

inline __m256i _mm256_loadu_si256(const __m256i* p) {
  __m256i result;
  std::memcpy(&result, p, sizeof(result));
  return result;
}
inline __m512 _mm512_cvtph_ps(__m256i a) {
  return emulated_lanes<__m512>([&](int i) { return pagoda::tensor::half_to_float(a.lanes[i]); });
}

inline __m512 _mm512_set1_ps(float value) {
  return emulated_lanes<__m512>([&](int) { return value; });
}
inline __m512 _mm512_setzero_ps() { return _mm512_set1_ps(0); }
inline __m512i _mm512_set1_epi32(std::int32_t value) {
  return emulated_lanes<__m512i>([&](int) { return value; });
}
inline __m512i _mm512_setzero_si512() { return _mm512_set1_epi32(0); }
inline __m512i _mm512_set1_epi8(char value) {
  return emulated_cast<__m512i>(
      emulated_lanes<EmulatedBytes>([&](int) { return static_cast<std::uint8_t>(value); }));
}

inline __m512 _mm512_add_ps(__m512 a, __m512 b) {
  return emulated_lanes<__m512>([&](int i) { return a.lanes[i] + b.lanes[i]; });
}
inline __m512 _mm512_mul_ps(__m512 a, __m512 b) {
  return emulated_lanes<__m512>([&](int i) { return a.lanes[i] * b.lanes[i]; });
}
inline __m512 _mm512_fmadd_ps(__m512 a, __m512 b, __m512 c) {
  return emulated_lanes<__m512>([&](int i) { return std::fma(a.lanes[i], b.lanes[i], c.lanes[i]); });
}
inline __m512 _mm512_cvtepi32_ps(__m512i a) {
  return emulated_lanes<__m512>([&](int i) { return static_cast<float>(a.lanes[i]); });
}
inline __m512i _mm512_sub_epi32(__m512i a, __m512i b) {
  return emulated_lanes<__m512i>([&](int i) { return a.lanes[i] - b.lanes[i]; });
}
inline __m512i _mm512_mullo_epi32(__m512i a, __m512i b) {
  return emulated_lanes<__m512i>([&](int i) { return a.lanes[i] * b.lanes[i]; });
}
inline __m512i _mm512_sub_epi8(__m512i a, __m512i b) {
  const auto x = emulated_cast<EmulatedBytes>(a), y = emulated_cast<EmulatedBytes>(b);
  return emulated_cast<__m512i>(emulated_lanes<EmulatedBytes>(
      [&](int i) { return static_cast<std::uint8_t>(x.lanes[i] - y.lanes[i]); }));
}
inline __m512i _mm512_xor_si512(__m512i a, __m512i b) {
  return emulated_lanes<__m512i>([&](int i) { return a.lanes[i] ^ b.lanes[i]; });
}
inline __m512i _mm512_and_si512(__m512i a, __m512i b) {
  return emulated_lanes<__m512i>([&](int i) { return a.lanes[i] & b.lanes[i]; });
}
inline __m512i _mm512_srli_epi16(__m512i a, unsigned count) {
  const auto shorts = emulated_cast<EmulatedShorts>(a);
  return emulated_cast<__m512i>(emulated_lanes<EmulatedShorts>([&](int i) {
    return static_cast<std::int16_t>(static_cast<std::uint16_t>(shorts.lanes[i]) >> count);
  }));
}
inline __m512i _mm512_cvtepu8_epi32(__m128i a) {
  return emulated_lanes<__m512i>([&](int i) { return static_cast<std::int32_t>(a.bytes[i]); });
}
inline __m512i _mm512_madd_epi16(__m512i a, __m512i b) {
  const auto x = emulated_cast<EmulatedShorts>(a), y = emulated_cast<EmulatedShorts>(b);
  return emulated_lanes<__m512i>(
      [&](int i) { return x.lanes[2 * i] * y.lanes[2 * i] + x.lanes[2 * i + 1] * y.lanes[2 * i + 1]; });
}
inline __m512i _mm512_dpbusd_epi32(__m512i sum, __m512i a, __m512i b) {
  const auto x = emulated_cast<EmulatedBytes>(a), y = emulated_cast<EmulatedBytes>(b);
  for (int i = 0; i < 64; ++i) sum.lanes[i / 4] += x.lanes[i] * static_cast<std::int8_t>(y.lanes[i]);
  return sum;
}
inline float emulated_bf16(std::int16_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(static_cast<std::uint16_t>(bits)) << 16);
}
inline __m512 _mm512_dpbf16_ps(__m512 sum, __m512bh a, __m512bh b) {
  const auto x = emulated_cast<EmulatedShorts>(a), y = emulated_cast<EmulatedShorts>(b);
  for (int i = 0; i < 32; ++i) sum.lanes[i / 2] += emulated_bf16(x.lanes[i]) * emulated_bf16(y.lanes[i]);
  return sum;
}

// AMX: shapes as _tile_loadconfig got them, all of a thread.
struct EmulatedTile {
  int rows = 0, row_bytes = 0;
  std::uint8_t bytes[16][64];
};
inline thread_local EmulatedTile emulated_tiles[8];

inline void _tile_loadconfig(const void* p) {
  const auto* config = static_cast<const std::uint8_t*>(p);
  if (config[0] != 1) std::abort();
  for (int t = 0; t < 8; ++t) {
    std::uint16_t row_bytes;
    std::memcpy(&row_bytes, config + 16 + 2 * t, sizeof(row_bytes));
    emulated_tiles[t].row_bytes = row_bytes;
    emulated_tiles[t].rows = config[48 + t];
    if (row_bytes > 64 || config[48 + t] > 16) std::abort();
  }
}
inline void _tile_zero(int tile) {
  std::memset(emulated_tiles[tile].bytes, 0, sizeof(emulated_tiles[tile].bytes));
}
inline void _tile_loadd(int tile, const void* p, std::size_t stride) {
  EmulatedTile& t = emulated_tiles[tile];
  _tile_zero(tile);
  for (int row = 0; row < t.rows; ++row)
    std::memcpy(t.bytes[row], static_cast<const char*>(p) + row * stride, t.row_bytes);
}
inline void _tile_stored(int tile, void* p, std::size_t stride) {
  const EmulatedTile& t = emulated_tiles[tile];
  for (int row = 0; row < t.rows; ++row)
    std::memcpy(static_cast<char*>(p) + row * stride, t.bytes[row], t.row_bytes);
}
// Calls body(c, a, b) with the three 32-bit lanes of each step of C += A B.
template <typename Lane, typename Body>
void emulated_multiply(int c_tile, int a_tile, int b_tile, const Body& body) {
  EmulatedTile &c = emulated_tiles[c_tile], &a = emulated_tiles[a_tile], &b = emulated_tiles[b_tile];
  if (a.rows != c.rows || b.row_bytes != c.row_bytes || b.rows * 4 != a.row_bytes || c.rows == 0)
    std::abort();
  for (int m = 0; m < c.rows; ++m)
    for (int k = 0; k < b.rows; ++k)
      for (int n = 0; n < c.row_bytes / 4; ++n) {
        Lane sum;
        std::memcpy(&sum, c.bytes[m] + 4 * n, sizeof(sum));
        body(sum, a.bytes[m] + 4 * k, b.bytes[k] + 4 * n);
        std::memcpy(c.bytes[m] + 4 * n, &sum, sizeof(sum));
      }
}
inline void _tile_dpbusd(int c, int a, int b) {
  emulated_multiply<std::int32_t>(c, a, b,
                                  [](std::int32_t& sum, const std::uint8_t* x, const std::uint8_t* y) {
                                    for (int i = 0; i < 4; ++i) sum += x[i] * static_cast<std::int8_t>(y[i]);
                                  });
}
inline void _tile_dpbssd(int c, int a, int b) {
  emulated_multiply<std::int32_t>(c, a, b,
                                  [](std::int32_t& sum, const std::uint8_t* x, const std::uint8_t* y) {
                                    for (int i = 0; i < 4; ++i)
                                      sum += static_cast<std::int8_t>(x[i]) * static_cast<std::int8_t>(y[i]);
                                  });
}
inline void _tile_dpbf16ps(int c, int a, int b) {
  emulated_multiply<float>(c, a, b, [](float& sum, const std::uint8_t* x, const std::uint8_t* y) {
    for (int i = 0; i < 2; ++i) {
      std::int16_t left, right;
      std::memcpy(&left, x + 2 * i, sizeof(left));
      std::memcpy(&right, y + 2 * i, sizeof(right));
      sum += emulated_bf16(left) * emulated_bf16(right);
    }
  });
}
