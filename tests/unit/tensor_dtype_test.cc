#include "tensor/dtype.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace pagoda::tensor {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

float from_bits(std::uint32_t bits) { return std::bit_cast<float>(bits); }
std::uint32_t bits_of(float value) { return std::bit_cast<std::uint32_t>(value); }

TEST(DType, NamesAndSizes) {
  const struct {
    DType dtype;
    const char* name;
    std::size_t bytes;
  } rows[] = {{DType::kF32, "F32", 4}, {DType::kF16, "F16", 2},   {DType::kBF16, "BF16", 2},
              {DType::kI8, "I8", 1},   {DType::kU8, "U8", 1},     {DType::kI32, "I32", 4},
              {DType::kI64, "I64", 8}, {DType::kBool, "BOOL", 1}, {DType::kF8E4M3, "F8_E4M3", 1}};
  for (const auto& row : rows) {
    EXPECT_EQ(dtype_name(row.dtype), row.name);
    EXPECT_EQ(dtype_bytes(row.dtype), row.bytes);
    const auto found = dtype_from_name(row.name);
    ASSERT_TRUE(found.ok()) << row.name;
    EXPECT_EQ(*found, row.dtype);
  }
  for (const char* name : {"", "f32", "F64", "BF16 ", "F8_E5M2"}) {
    const auto found = dtype_from_name(name);
    EXPECT_EQ(found.status().code(), base::Code::kInvalidArgument) << name;
    EXPECT_THAT(found.status().message(), ::testing::HasSubstr(std::string("\"") + name + "\""));
  }
}

TEST(BFloat16, EveryValueSurvivesARoundTrip) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float value = to_float({static_cast<std::uint16_t>(bits)});
    const BFloat16 back = to_bfloat16(value);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(to_float(back))) << std::hex << bits;
      EXPECT_EQ(back.bits >> 15, bits >> 15);  // with its sign
    } else {
      EXPECT_EQ(back.bits, bits);
    }
  }
}

TEST(BFloat16, RoundsTiesToEven) {
  EXPECT_EQ(to_bfloat16(from_bits(0x3f808000)).bits, 0x3f80);  // half way, below is even
  EXPECT_EQ(to_bfloat16(from_bits(0x3f818000)).bits, 0x3f82);  // half way, above is even
  EXPECT_EQ(to_bfloat16(from_bits(0x3f807fff)).bits, 0x3f80);
  EXPECT_EQ(to_bfloat16(from_bits(0x3f808001)).bits, 0x3f81);
  EXPECT_EQ(to_bfloat16(from_bits(0xbf808001)).bits, 0xbf81);
  EXPECT_EQ(to_bfloat16(from_bits(0x3fffffff)).bits, 0x4000);  // carries into the exponent
}

TEST(BFloat16, Specials) {
  EXPECT_EQ(to_bfloat16(kInfinity).bits, 0x7f80);
  EXPECT_EQ(to_bfloat16(-kInfinity).bits, 0xff80);
  EXPECT_EQ(to_bfloat16(std::numeric_limits<float>::max()).bits, 0x7f80);  // nearer to 2^128
  EXPECT_EQ(to_bfloat16(-0.0f).bits, 0x8000);
  EXPECT_EQ(to_bfloat16(from_bits(0x00000001)).bits, 0x0000);  // the least subnormal
  EXPECT_EQ(to_bfloat16(from_bits(0x00018000)).bits, 0x0002);  // subnormals round to even as well
  // A NaN whose payload lies in the lower half alone must not become infinity.
  for (const std::uint32_t nan : {0x7f800001u, 0x7fffffffu, 0xff800001u, 0xffffffffu, 0x7fc00000u}) {
    EXPECT_TRUE(std::isnan(to_float(to_bfloat16(from_bits(nan))))) << std::hex << nan;
    EXPECT_EQ(to_bfloat16(from_bits(nan)).bits >> 15, nan >> 31);
  }
}

TEST(BFloat16, IsTheNearest) {
  std::mt19937 random(1);
  for (int i = 0; i < 200000; ++i) {
    const float value = from_bits(static_cast<std::uint32_t>(random()));
    if (!std::isfinite(value) || std::abs(value) > 3e38f) continue;
    const BFloat16 rounded = to_bfloat16(value);
    const double error = std::abs(static_cast<double>(to_float(rounded)) - value);
    for (const int step : {-1, 1}) {
      const float neighbour = to_float({static_cast<std::uint16_t>(rounded.bits + step)});
      if (!std::isfinite(neighbour)) continue;
      EXPECT_LE(error, std::abs(static_cast<double>(neighbour) - value)) << std::hex << bits_of(value);
    }
  }
}

// By the definition, in double precision.
double half_value(std::uint16_t bits) {
  const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  const double magnitude =
      exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25);
  return bits & 0x8000 ? -magnitude : magnitude;
}

TEST(Half, EveryFiniteValue) {
  for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
    if (((bits >> 10) & 31) == 31) continue;
    const auto half = static_cast<std::uint16_t>(bits);
    ASSERT_EQ(half_to_float(half), half_value(half)) << std::hex << bits;
    ASSERT_EQ(std::signbit(half_to_float(half)), bits >> 15 != 0) << std::hex << bits;
  }
}

TEST(Half, Specials) {
  EXPECT_EQ(half_to_float(0x7c00), kInfinity);
  EXPECT_EQ(half_to_float(0xfc00), -kInfinity);
  EXPECT_EQ(half_to_float(0x7bff), 65504.0f);
  EXPECT_EQ(half_to_float(0x0001), 0x1p-24f);
  EXPECT_EQ(half_to_float(0x03ff), 0x1.ff8p-15f);
  EXPECT_EQ(half_to_float(0x0400), 0x1p-14f);
  EXPECT_EQ(bits_of(half_to_float(0x8000)), 0x80000000u);
  for (const std::uint16_t nan : {0x7c01, 0x7e00, 0x7fff, 0xfc01, 0xffff})
    EXPECT_TRUE(std::isnan(half_to_float(nan)));
}

TEST(DType, RoundsToTheNearestFloat8) {
  for (int byte = 0; byte < 0x7f; ++byte) {  // 0x7f is NaN
    const float value = float8_e4m3_to_float(static_cast<std::uint8_t>(byte));
    EXPECT_EQ(float_to_float8_e4m3(value), byte);
    EXPECT_EQ(float_to_float8_e4m3(-value), byte | 0x80);
    if (byte == 0x7e) continue;
    const float next = float8_e4m3_to_float(static_cast<std::uint8_t>(byte + 1)), half = (value + next) / 2;
    EXPECT_EQ(float_to_float8_e4m3(half), byte % 2 == 0 ? byte : byte + 1);
    EXPECT_EQ(float_to_float8_e4m3(std::nextafter(half, 0.0f)), byte);
    EXPECT_EQ(float_to_float8_e4m3(std::nextafter(half, next)), byte + 1);
  }
  EXPECT_EQ(float_to_float8_e4m3(449.0f), 0x7e);
  EXPECT_EQ(float_to_float8_e4m3(-std::numeric_limits<float>::infinity()), 0xfe);
  EXPECT_EQ(float_to_float8_e4m3(std::numeric_limits<float>::quiet_NaN()) & 0x7f, 0x7f);
  EXPECT_EQ(float_to_float8_e4m3(1e-30f), 0);
}

TEST(DType, ZeroIsZeroInFloat8) {
  EXPECT_EQ(float_to_float8_e4m3(0.0f), 0);
  EXPECT_EQ(float_to_float8_e4m3(-0.0f), 0x80);
}

TEST(DType, HalvesRoundTripAndRoundToNearestEven) {
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    const float value = half_to_float(static_cast<std::uint16_t>(bits));
    if (value == value) {
      ASSERT_EQ(float_to_half(value), bits);
    } else {
      ASSERT_TRUE((float_to_half(value) & 0x7fffu) > 0x7c00u) << bits;
    }
  }
  EXPECT_EQ(float_to_half(1.0f + 0x1p-11f), 0x3c00);             // a tie: to even
  EXPECT_EQ(float_to_half(1.0f + 0x3p-11f), 0x3c02);             // a tie: to even
  EXPECT_EQ(float_to_half(1.0f + 0x1p-11f + 0x1p-20f), 0x3c01);  // above it
  EXPECT_EQ(float_to_half(65519.0f), 0x7bff);
  EXPECT_EQ(float_to_half(65520.0f), 0x7c00);
  EXPECT_EQ(float_to_half(0x1p-25f), 0);
  EXPECT_EQ(float_to_half(0x1.8p-25f), 1);
}

}  // namespace
}  // namespace pagoda::tensor
