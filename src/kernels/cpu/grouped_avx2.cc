// Grouped integer panels by VPMADDUBSW. Compiled for AVX2; called only where the CPU has it.
//
// A tile is MR rows of A by one panel (two registers); integer_avx2.h has its inner loop. The float sums of a
// tile go through memory once a group.
//
// Measured on Zen 3 (3.24 GHz, operands in L1, group 128): INT4 37 products a cycle of the 46 that a loop of
// nothing but VPMADDUBSW, VPADDW and the widening reaches; the multipliers are busy, because additions take
// their ports. Did not help: tiles of 4 rows instead of 6, loops with the additions moved away from their
// products, unpacking INT4 in every tile or once for all (equal; once is kept, since it saves L1 bandwidth).

#include <immintrin.h>

#include "kernels/cpu/grouped.h"
#include "kernels/cpu/integer_avx2.h"

namespace pagoda::kernels::cpu {
namespace {

constexpr int kColumns = 16;
constexpr int kMaxRows = 6;  // of a tile: 12 accumulators, two registers of weights, A and a product
// Rows of A that are multiplied with one panel after another before the next rows: they stay in L2 meanwhile.
constexpr std::int64_t kBlockRows = 96, kBlockBytes = 256 << 10;
// From so many rows on, INT4 is unpacked once per block of rows, in pieces of so many inputs (8 KiB, in L1).
constexpr std::int64_t kUnpackRows = 12, kPieceInputs = 512;

void unpack_nibbles(const std::byte* b, std::int64_t inputs, std::byte* out) {
  const __m256i nibble = _mm256_set1_epi8(15);
  for (std::int64_t k = 0; k < inputs; k += 8, b += kRowBytes, out += 2 * kRowBytes)
    for (int half = 0; half < kRowBytes; half += 32) {
      const __m256i raw = load(b + half);
      _mm256_store_si256(reinterpret_cast<__m256i*>(out + half), _mm256_and_si256(raw, nibble));
      _mm256_store_si256(reinterpret_cast<__m256i*>(out + kRowBytes + half),
                         _mm256_and_si256(_mm256_srli_epi16(raw, 4), nibble));
    }
}

inline __m256 load_scales(const GroupedArgs& p, std::int64_t at) {
  if (!p.half_scales) return _mm256_loadu_ps(static_cast<const float*>(p.scales) + at);
  const auto* halves = static_cast<const std::uint16_t*>(p.scales) + at;
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves)));
}

inline const std::int32_t* row_sums(const std::byte* scales, std::int64_t groups) {
  return reinterpret_cast<const std::int32_t*>(scales) + groups;
}

// The groups [g, last) of a panel, whose weights of group g are at `b`: totals [MR][16] += their products
// with the rows of A at `row`.
template <typename Dot, int MR>
__attribute__((noinline)) void tile(const GroupedArgs& p, std::int64_t row, std::int64_t panel,
                                    std::int64_t g, std::int64_t last, const std::byte* b, float* totals) {
  const std::size_t stride = p.a_stride;
  const std::byte* a = p.a + row * stride + g * p.group;
  const auto* a_scales = reinterpret_cast<const std::byte*>(grouped_a_scales(p, row));
  for (; g < last; ++g) {
    const std::int64_t at = (panel * p.groups + g) * kColumns;
    __m256i sum[MR][2];  // starts at -zero * sum of A
    if (p.zeros == nullptr) {
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
        const __m256i a_sum = _mm256_set1_epi32(row_sums(a_scales + i * stride, p.groups)[g]);
        static_assert(Dot::kSymmetricZero == 8 || Dot::kSymmetricZero == 0);
        sum[i][0] = sum[i][1] = Dot::kSymmetricZero == 0
                                    ? _mm256_setzero_si256()
                                    : _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_slli_epi32(a_sum, 3));
      }
    } else {
      // VPMADDWD multiplies the low halves of zero (a byte) and sum of A (16 bits); the upper ones of A are
      // 0.
      const __m128i zeros = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p.zeros + at));
      const __m256i bias = _mm256_set1_epi32(Dot::kZeroBias);
      const __m256i zero0 = _mm256_sub_epi32(_mm256_cvtepu8_epi32(zeros), bias);
      const __m256i zero1 = _mm256_sub_epi32(_mm256_cvtepu8_epi32(_mm_unpackhi_epi64(zeros, zeros)), bias);
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
        const __m256i a_sum = _mm256_set1_epi32(row_sums(a_scales + i * stride, p.groups)[g] & 0xffff);
        sum[i][0] = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_madd_epi16(zero0, a_sum));
        sum[i][1] = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_madd_epi16(zero1, a_sum));
      }
    }
    for (std::int64_t k = 0; k < p.group; k += 32, a += 32, b += Dot::kBytesOf32)
      Dot::template add_32<MR>(sum, a, stride, b);
    const std::int64_t scale_at = grouped_scale_index(p, panel, g);
    const __m256 scale0 = load_scales(p, scale_at), scale1 = load_scales(p, scale_at + 8);
#pragma GCC unroll 8
    for (int i = 0; i < MR; ++i) {
      const __m256 a_scale = _mm256_broadcast_ss(reinterpret_cast<const float*>(a_scales + i * stride) + g);
      float* total = totals + i * kColumns;
      _mm256_store_ps(total, _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[i][0]), _mm256_mul_ps(scale0, a_scale),
                                             _mm256_load_ps(total)));
      _mm256_store_ps(total + 8, _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[i][1]),
                                                 _mm256_mul_ps(scale1, a_scale), _mm256_load_ps(total + 8)));
    }
  }
}

// All rows [begin, end), in equal shares of at most kMaxRows.
template <typename Dot>
void tiles(const GroupedArgs& p, std::int64_t begin, std::int64_t end, std::int64_t panel, std::int64_t g,
           std::int64_t last, const std::byte* b, float* totals) {
  for (std::int64_t left = (end - begin + kMaxRows - 1) / kMaxRows; left > 0; --left) {
    const std::int64_t rows = (end - begin) / left;
    switch (rows) {
      case 1:
        tile<Dot, 1>(p, begin, panel, g, last, b, totals);
        break;
      case 2:
        tile<Dot, 2>(p, begin, panel, g, last, b, totals);
        break;
      case 3:
        tile<Dot, 3>(p, begin, panel, g, last, b, totals);
        break;
      case 4:
        tile<Dot, 4>(p, begin, panel, g, last, b, totals);
        break;
      case 5:
        tile<Dot, 5>(p, begin, panel, g, last, b, totals);
        break;
      default:
        tile<Dot, 6>(p, begin, panel, g, last, b, totals);
    }
    begin += rows;
    totals += rows * kColumns;
  }
}

// One panel of INT4 for many rows.
void unpacked_tiles(const GroupedArgs& p, std::int64_t begin, std::int64_t end, std::int64_t panel,
                    const std::byte* b, float* totals) {
  alignas(64) std::byte piece[kPieceInputs * kColumns];
  const std::int64_t step = kPieceInputs / p.group;
  for (std::int64_t g = 0; g < p.groups; g += step) {
    const std::int64_t last = p.groups - g < step ? p.groups : g + step;
    unpack_nibbles(b + g * p.group * kColumns / 2, (last - g) * p.group, piece);
    tiles<Nibbles>(p, begin, end, panel, g, last, piece, totals);
  }
}

void store(const GroupedArgs& p, std::int64_t begin, std::int64_t end, std::int64_t panel,
           const float* totals) {
  const std::int64_t first = panel * kColumns;
  const std::int64_t valid = p.columns - first < kColumns ? p.columns - first : kColumns;
  for (std::int64_t row = begin; row < end; ++row, totals += kColumns) {
    float* out = p.c + row * p.c_stride + first;
    for (std::int64_t n = 0; n < valid; ++n) out[n] = p.accumulate ? out[n] + totals[n] : totals[n];
  }
}

template <typename Dot>
void run(const GroupedArgs& p) {
  const std::int64_t fitting = kBlockBytes / (p.groups * p.group) / kMaxRows * kMaxRows;
  const std::int64_t block = fitting > kBlockRows    ? kBlockRows
                             : fitting > kUnpackRows ? fitting
                                                     : kUnpackRows;
  for (std::int64_t begin = 0; begin < p.m; begin += block) {
    const std::int64_t end = p.m - begin < block ? p.m : begin + block;
    for (std::int64_t panel = 0; panel < p.panels; ++panel) {
      alignas(64) float totals[kBlockRows * kColumns];
      __builtin_memset(totals, 0, (end - begin) * kColumns * sizeof(float));
      const std::byte* b = p.b + panel * p.panel_stride;
      if (Dot::kUnpacks && end - begin >= kUnpackRows)
        unpacked_tiles(p, begin, end, panel, b, totals);
      else
        tiles<Dot>(p, begin, end, panel, 0, p.groups, b, totals);
      store(p, begin, end, panel, totals);
    }
  }
}

}  // namespace

void avx2_grouped_int4(const GroupedArgs& args) { run<Int4>(args); }
void avx2_grouped_int8(const GroupedArgs& args) { run<Int8<true>>(args); }

}  // namespace pagoda::kernels::cpu
