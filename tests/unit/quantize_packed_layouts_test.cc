// What is written is, tensor by tensor, what the plain writers of packed_layouts.h write, and what the
// readers make of it are the same weights.

#include "quantize/packed_layouts.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "kernels/round_to_nearest.h"
#include "packed_layouts.h"
#include "quantize/gptq.h"

namespace pagoda::quantize {
namespace {

using packed_layouts::Matrix;
using packed_layouts::Stored;

QuantizedMatrix quantized(const Matrix& m) {
  QuantizedMatrix q;
  q.out = m.out;
  q.in = m.in;
  q.scheme = {m.bits, m.group_size, false};
  for (const int value : m.values) q.values.push_back(static_cast<std::uint8_t>(value));
  for (const int zero : m.zeros) q.zeros.push_back(static_cast<std::uint8_t>(zero));
  q.scales = m.scales;
  q.group_of_input = m.group_of_input;
  return q;
}

// The rows [first, first + rows) by themselves.
Matrix rows_of(const Matrix& m, std::int64_t first, std::int64_t rows) {
  Matrix part = m;
  part.out = rows;
  part.values.assign(m.values.begin() + first * m.in, m.values.begin() + (first + rows) * m.in);
  part.zeros.assign(m.zeros.begin() + first * m.groups, m.zeros.begin() + (first + rows) * m.groups);
  part.scales.assign(m.scales.begin() + first * m.groups, m.scales.begin() + (first + rows) * m.groups);
  return part;
}

void expect_same(const std::vector<StoredTensor>& written, const std::vector<Stored>& wanted) {
  ASSERT_EQ(written.size(), wanted.size());
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(written[i].name, wanted[i].name);
    EXPECT_EQ(written[i].dtype, wanted[i].dtype) << wanted[i].name;
    EXPECT_EQ(written[i].shape, wanted[i].shape) << wanted[i].name;
    EXPECT_EQ(written[i].bytes, wanted[i].bytes) << wanted[i].name;
  }
}

TEST(PackedLayouts, AreThoseOfTheirDescriptions) {
  unsigned seed = 0;
  for (const auto& [out, in, group_size] :
       {std::array<std::int64_t, 3>{24, 96, 32}, {16, 64, 64}, {32, 104, 32}, {16, 328, 128}, {8, 64, 0}})
    for (const int bits : {4, 8})
      for (const bool shuffled : {false, true}) {
        SCOPED_TRACE(fmt::format("{}x{} g{} {} {}", out, in, group_size, bits, shuffled));
        Matrix m = packed_layouts::random_matrix(out, in, bits, group_size, false, ++seed);
        if (shuffled) shuffle_groups(&m, seed);
        const QuantizedMatrix q = quantized(m);
        std::vector<float> row(in);
        for (std::int64_t o = 0; o < out; ++o) {
          q.dequantize_row(o, row.data());
          for (std::int64_t i = 0; i < in; ++i) ASSERT_EQ(row[i], m.weight(o, i));
        }
        for (const auto& [first, rows] : {std::pair<std::int64_t, std::int64_t>{0, out}, {out - 8, 8}}) {
          const Matrix part = rows_of(m, first, rows);
          expect_same(pack_gptq("x", q, first, rows), as_gptq("x", part, /*v1=*/true));
          if (bits == 4 && !shuffled) {
            QuantizedMatrix plain = q;
            plain.group_of_input.clear();
            expect_same(pack_awq("x", plain, first, rows), as_awq("x", part));
          }
        }
      }
}

TEST(PackedLayouts, Int8AndFp8AreRoundedRowByRow) {
  std::vector<float> w(3 * 40);
  for (std::size_t i = 0; i < w.size(); ++i)
    w[i] = static_cast<float>(static_cast<int>(i * 37 % 101) - 50) / 7.0f;
  base::ThreadPool threads(1);
  const QuantizedMatrix rounded =
      round_to_nearest(w, 3, 40, {.bits = 8, .group_size = 0, .symmetric = true, .fp8 = true}, threads);
  RoundingErrors errors;
  const std::vector<StoredTensor> int8 = pack_int8(
                                      "x", 3, 40,
                                      [&](std::int64_t row, float*out) {
                                        std::copy_n(w.data() + row * 40, 40, out);
                                      },
                                      &errors),
                                  fp8 = pack_fp8("x", rounded, 0, 3);
  EXPECT_EQ(int8[0].shape, (std::vector<std::int64_t>{3, 40}));
  EXPECT_EQ(fp8[1].shape, (std::vector<std::int64_t>{3, 1}));
  double squared_error = 0, squared_weight = 0;
  for (std::int64_t r = 0; r < 3; ++r) {
    float scale8, scale_f8;
    std::memcpy(&scale8, int8[1].bytes.data() + r * sizeof(float), sizeof scale8);
    std::memcpy(&scale_f8, fp8[1].bytes.data() + r * sizeof(float), sizeof scale_f8);
    for (std::int64_t i = 0; i < 40; ++i) {
      const float want = w[r * 40 + i];
      const float rounded8 =
          static_cast<float>(std::to_integer<std::int8_t>(int8[0].bytes[r * 40 + i])) * scale8;
      EXPECT_NEAR(rounded8, want, 0.51f * scale8);
      squared_error += std::pow(static_cast<double>(want) - rounded8, 2);
      squared_weight += static_cast<double>(want) * want;
      EXPECT_NEAR(
          tensor::float8_e4m3_to_float(std::to_integer<std::uint8_t>(fp8[0].bytes[r * 40 + i])) * scale_f8,
          want, std::abs(want) / 15 + scale_f8 * 0.002f);
    }
  }
  EXPECT_NEAR(errors.squared_error, squared_error, 1e-4 * squared_error);
  EXPECT_NEAR(errors.squared_weight, squared_weight, 1e-9 * squared_weight);
}

}  // namespace
}  // namespace pagoda::quantize
