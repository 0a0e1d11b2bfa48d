#pragma once
// Element types of tensors on disk and in memory, and the conversions between the 16-bit ones and float.

#include <bit>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/status.h"

namespace pagoda::tensor {

enum class DType : std::uint8_t { kF32, kF16, kBF16, kI8, kU8, kI32, kI64, kBool, kF8E4M3 };

std::size_t dtype_bytes(DType dtype);
// The spelling of safetensors: "F32", "BF16", ...
std::string_view dtype_name(DType dtype);
base::Result<DType> dtype_from_name(std::string_view name);

// Upper half of an IEEE float.
struct BFloat16 {
  std::uint16_t bits = 0;
};

inline float to_float(BFloat16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

// Rounds to nearest even; NaN stays NaN.
inline BFloat16 to_bfloat16(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}

float half_to_float(std::uint16_t bits);
// Rounds to nearest even, beyond 65504 to infinity; NaN stays NaN.
std::uint16_t float_to_half(float value);

// e4m3 without infinities: 0x7f and 0xff are NaN, the largest value is 448.
float float8_e4m3_to_float(std::uint8_t bits);
// Rounds to nearest even, saturates at 448; NaN stays NaN.
std::uint8_t float_to_float8_e4m3(float value);

}  // namespace pagoda::tensor
