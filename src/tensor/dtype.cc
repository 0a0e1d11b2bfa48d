#include "tensor/dtype.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

namespace pagoda::tensor {
namespace {

struct Row {
  DType dtype;
  std::string_view name;
  std::size_t bytes;
};
constexpr std::array kRows = {
    Row{DType::kF32, "F32", 4}, Row{DType::kF16, "F16", 2},   Row{DType::kBF16, "BF16", 2},
    Row{DType::kI8, "I8", 1},   Row{DType::kU8, "U8", 1},     Row{DType::kI32, "I32", 4},
    Row{DType::kI64, "I64", 8}, Row{DType::kBool, "BOOL", 1}, Row{DType::kF8E4M3, "F8_E4M3", 1},
};

}  // namespace

std::size_t dtype_bytes(DType dtype) { return kRows[static_cast<std::size_t>(dtype)].bytes; }

std::string_view dtype_name(DType dtype) { return kRows[static_cast<std::size_t>(dtype)].name; }

base::Result<DType> dtype_from_name(std::string_view name) {
  for (const Row& row : kRows)
    if (row.name == name) return row.dtype;
  return base::invalid("unknown dtype \"{}\"", name);
}

std::uint16_t float_to_half(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint16_t>(bits >> 16 & 0x8000u);
  const std::uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return sign | 0x7e00u;
  if (magnitude >= 0x477ff000u) return sign | 0x7c00u;  // 65520 and more
  if (magnitude < 0x38800000u) {                        // below 2^-14: multiples of 2^-24
    // Adding 1/2 leaves the wanted bits lowest in the sum, rounded to nearest even.
    const float sum = std::bit_cast<float>(magnitude) + 0.5f;
    return sign | static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(sum) - 0x3f000000u);
  }
  const std::uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
  return sign | static_cast<std::uint16_t>((rounded - (112u << 23)) >> 13);
}

float half_to_float(std::uint16_t bits) {
  const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000u) << 16;
  const std::uint32_t exponent = (bits >> 10) & 0x1fu;
  const std::uint32_t fraction = bits & 0x3ffu;
  if (exponent == 0) {
    const float magnitude = std::ldexp(static_cast<float>(fraction), -24);  // zero or subnormal
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t rebased = exponent == 31 ? 0xffu : exponent + 112;  // infinity and NaN keep all ones
  return std::bit_cast<float>(sign | (rebased << 23) | (fraction << 13));
}

float float8_e4m3_to_float(std::uint8_t bits) {
  const int exponent = (bits >> 3) & 0xf, fraction = bits & 7;
  if ((bits & 0x7f) == 0x7f) return std::numeric_limits<float>::quiet_NaN();
  const float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -9)
                                        : std::ldexp(static_cast<float>(8 + fraction), exponent - 10);
  return (bits & 0x80) != 0 ? -magnitude : magnitude;
}

std::uint8_t float_to_float8_e4m3(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const auto sign = static_cast<std::uint8_t>(bits >> 24 & 0x80);
  const std::uint32_t magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7f;
  if (magnitude < 0x3c800000)  // below 2^-6: subnormal, in steps of 2^-9; 8 steps are the first normal value
    return sign | static_cast<std::uint8_t>(std::nearbyint(std::bit_cast<float>(magnitude) * 512));
  // Three bits of the fraction stay; a carry runs on into the exponent, whose bias shrinks from 127 to 7.
  const std::uint32_t rounded = (magnitude + 0x7ffff + (magnitude >> 20 & 1)) >> 20;
  return sign | static_cast<std::uint8_t>(std::min<std::uint32_t>(rounded - (120 << 3), 0x7e));
}

}  // namespace pagoda::tensor
