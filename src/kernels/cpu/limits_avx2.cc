// Loops of VPMADDUBSW in registers: what an AVX2 kernel could reach if it had nothing to load. Compiled for
// AVX2; called only where the CPU has it.

#include <immintrin.h>

#include "kernels/cpu/limits_avx2.h"

namespace pagoda::kernels::cpu {
namespace {

constexpr int kChains = 8;  // sums that do not wait for one another

inline void pin(__m256i& value) { asm volatile("" : "+x"(value)); }

}  // namespace

// Eight products may be added up in 16 bits before they are widened.
double avx2_nibble_products(long rounds) {
  __m256i x = _mm256_set1_epi8(3), w = _mm256_set1_epi8(5), one = _mm256_set1_epi16(1), sum[kChains];
#pragma GCC unroll 8
  for (int j = 0; j < kChains; ++j) sum[j] = _mm256_setzero_si256();
  for (long i = 0; i < rounds; ++i) {
    __m256i pairs[kChains];
#pragma GCC unroll 8
    for (int j = 0; j < kChains; ++j) pairs[j] = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k)
#pragma GCC unroll 8
      for (int j = 0; j < kChains; ++j) {
        pairs[j] = _mm256_add_epi16(pairs[j], _mm256_maddubs_epi16(w, x));
        pin(pairs[j]);
        pin(x);  // a product of its own for each sum
      }
#pragma GCC unroll 8
    for (int j = 0; j < kChains; ++j) {
      sum[j] = _mm256_add_epi32(sum[j], _mm256_madd_epi16(pairs[j], one));
      pin(sum[j]);
    }
  }
  return static_cast<double>(rounds) * 8 * kChains * 32;
}

// Whole bytes: each product is widened at once.
double avx2_byte_products(long rounds) {
  __m256i x = _mm256_set1_epi8(3), w = _mm256_set1_epi8(5), one = _mm256_set1_epi16(1), sum[kChains];
#pragma GCC unroll 8
  for (int j = 0; j < kChains; ++j) sum[j] = _mm256_setzero_si256();
  for (long i = 0; i < rounds; ++i) {
#pragma GCC unroll 8
    for (int k = 0; k < 8; ++k)
#pragma GCC unroll 8
      for (int j = 0; j < kChains; ++j) {
        sum[j] = _mm256_add_epi32(sum[j], _mm256_madd_epi16(_mm256_maddubs_epi16(w, x), one));
        pin(sum[j]);
        pin(x);  // a product of its own for each sum
      }
  }
  return static_cast<double>(rounds) * 8 * kChains * 32;
}

}  // namespace pagoda::kernels::cpu
