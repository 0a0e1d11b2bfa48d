#pragma once
// Dot products of signed activations with panels of integer weights by VPMADDUBSW: the inner loops of
// grouped_avx2.cc and panel_avx2.cc, and of nothing else (they are compiled for AVX2).
//
// INT4: the products of 32 inputs are added up in 16 bits (8 pairs of at most 2 * 15 * 127 stay below 2^15)
// and widened once, so that 4 inputs of 8 columns cost one multiplication and one addition. INT8 has no such
// room: |w| times a with the sign of w (2 * 128 * 127 < 2^15) is widened at once. On Zen 3 as fast as two
// VPMADDWD on 16-bit halves, with half the bytes of A to load.

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#ifdef __AVX2__  // so that the header compiles anywhere
namespace pagoda::kernels::cpu {
namespace {

constexpr int kRowBytes = 64;  // of a panel: two registers

inline __m256i load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }
inline __m256i broadcast4(const std::byte* p) {
  std::int32_t quad;
  __builtin_memcpy(&quad, p, sizeof(quad));
  return _mm256_set1_epi32(quad);
}

// Keeps the compiler from turning a chain of additions into a tree, which has too many values alive at once
// for 16 registers (gcc 12 spilled all of them).
inline void pin(__m256i& value) { asm("" : "+x"(value)); }

template <int MR>
inline void widen(__m256i (&sum)[MR][2], const __m256i (&pairs)[MR][2]) {
  const __m256i one = _mm256_set1_epi16(1);
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i) {
    sum[i][0] = _mm256_add_epi32(sum[i][0], _mm256_madd_epi16(pairs[i][0], one));
    sum[i][1] = _mm256_add_epi32(sum[i][1], _mm256_madd_epi16(pairs[i][1], one));
  }
}

struct Int4 {
  static constexpr bool kUnpacks = true;
  static constexpr int kZeroBias = 0, kSymmetricZero = 8;
  static constexpr int kBytesOf32 = 4 * kRowBytes;

  // sum[i][j] += 32 inputs
  template <int MR>
  static inline void add_32(__m256i (&sum)[MR][2], const std::byte* a, std::size_t stride,
                            const std::byte* b) {
    const __m256i nibble = _mm256_set1_epi8(15);
    __m256i pairs[MR][2];
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i) pairs[i][0] = pairs[i][1] = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int r = 0; r < 4; ++r) {
      const __m256i raw0 = load(b + r * kRowBytes), raw1 = load(b + r * kRowBytes + 32);
      const __m256i low0 = _mm256_and_si256(raw0, nibble), low1 = _mm256_and_si256(raw1, nibble);
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
        const __m256i x = broadcast4(a + i * stride + 8 * r);
        pairs[i][0] = _mm256_add_epi16(pairs[i][0], _mm256_maddubs_epi16(low0, x));
        pairs[i][1] = _mm256_add_epi16(pairs[i][1], _mm256_maddubs_epi16(low1, x));
        pin(pairs[i][0]);
        pin(pairs[i][1]);
      }
      const __m256i high0 = _mm256_and_si256(_mm256_srli_epi16(raw0, 4), nibble);
      const __m256i high1 = _mm256_and_si256(_mm256_srli_epi16(raw1, 4), nibble);
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
        const __m256i x = broadcast4(a + i * stride + 8 * r + 4);
        pairs[i][0] = _mm256_add_epi16(pairs[i][0], _mm256_maddubs_epi16(high0, x));
        pairs[i][1] = _mm256_add_epi16(pairs[i][1], _mm256_maddubs_epi16(high1, x));
        pin(pairs[i][0]);
        pin(pairs[i][1]);
      }
    }
    widen(sum, pairs);
  }
};

// INT4 that has been unpacked: rows of 4 inputs, a byte each.
struct Nibbles {
  static constexpr int kZeroBias = 0, kSymmetricZero = 8;
  static constexpr int kBytesOf32 = 8 * kRowBytes;

  template <int MR>
  static inline void add_32(__m256i (&sum)[MR][2], const std::byte* a, std::size_t stride,
                            const std::byte* b) {
    __m256i pairs[MR][2];
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i) pairs[i][0] = pairs[i][1] = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int r = 0; r < 8; ++r) {
      const __m256i w0 = load(b + r * kRowBytes), w1 = load(b + r * kRowBytes + 32);
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
        const __m256i x = broadcast4(a + i * stride + 4 * r);
        pairs[i][0] = _mm256_add_epi16(pairs[i][0], _mm256_maddubs_epi16(w0, x));
        pairs[i][1] = _mm256_add_epi16(pairs[i][1], _mm256_maddubs_epi16(w1, x));
        pin(pairs[i][0]);
        pin(pairs[i][1]);
      }
    }
    widen(sum, pairs);
  }
};

// INT8 with 128 added (`kBiased`) or as it is.
template <bool kBiased>
struct Int8 {
  static constexpr bool kUnpacks = false;
  static constexpr int kZeroBias = 128, kSymmetricZero = 0;  // values are made signed again
  static constexpr int kBytesOf32 = 8 * kRowBytes;

  template <int MR>
  static inline void add_32(__m256i (&sum)[MR][2], const std::byte* a, std::size_t stride,
                            const std::byte* b) {
    const __m256i one = _mm256_set1_epi16(1), bias = _mm256_set1_epi8(-128);
#pragma GCC unroll 2
    for (int r = 0; r < 8; ++r) {
      __m256i w0 = load(b + r * kRowBytes), w1 = load(b + r * kRowBytes + 32);
      if (kBiased) {
        w0 = _mm256_xor_si256(w0, bias);
        w1 = _mm256_xor_si256(w1, bias);
      }
      const __m256i abs0 = _mm256_abs_epi8(w0), abs1 = _mm256_abs_epi8(w1);
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
        const __m256i x = broadcast4(a + i * stride + 4 * r);
        const __m256i pairs0 = _mm256_maddubs_epi16(abs0, _mm256_sign_epi8(x, w0));
        const __m256i pairs1 = _mm256_maddubs_epi16(abs1, _mm256_sign_epi8(x, w1));
        sum[i][0] = _mm256_add_epi32(sum[i][0], _mm256_madd_epi16(pairs0, one));
        sum[i][1] = _mm256_add_epi32(sum[i][1], _mm256_madd_epi16(pairs1, one));
        pin(sum[i][0]);
        pin(sum[i][1]);
      }
    }
  }
};

}  // namespace
}  // namespace pagoda::kernels::cpu
#endif
