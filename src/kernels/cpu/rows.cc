#include "kernels/cpu/rows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/rows.cc"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// after foreach_target
#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "tensor/dtype.h"

HWY_BEFORE_NAMESPACE();
namespace pagoda::kernels::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

constexpr hn::CappedTag<float, 16> kF32;
constexpr hn::RebindToUnsigned<decltype(kF32)> kU32;
constexpr hn::RebindToSigned<decltype(kF32)> kI32;
constexpr hn::Rebind<std::uint16_t, decltype(kF32)> kU16;
constexpr hn::Rebind<std::uint8_t, decltype(kF32)> kU8;
constexpr hn::Rebind<std::int8_t, decltype(kF32)> kI8;
constexpr std::int64_t kLanes = static_cast<std::int64_t>(hn::MaxLanes(kF32));
using Floats = hn::Vec<decltype(kF32)>;

// The last n % kLanes elements go through a padded copy, so that each function has one vector body.
template <typename Body>
HWY_INLINE void for_blocks(std::int64_t n, const Body& body) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, kLanes);
  if (i < n) body(i, n - i);
}

HWY_INLINE Floats load(const float* x, std::int64_t count, float padding = 0.0f) {
  if (HWY_LIKELY(count == kLanes)) return hn::LoadU(kF32, x);
  HWY_ALIGN float padded[kLanes];
  std::fill_n(padded, kLanes, padding);
  std::copy_n(x, count, padded);
  return hn::Load(kF32, padded);
}

HWY_INLINE void store(Floats value, float* out, std::int64_t count) {
  if (HWY_LIKELY(count == kLanes)) return hn::StoreU(value, kF32, out);
  HWY_ALIGN float padded[kLanes];
  hn::Store(value, kF32, padded);
  std::copy_n(padded, count, out);
}

void RmsNorm(const float* x, const float* weight, float eps, std::int64_t n, float* out) {
  Floats sum = hn::Zero(kF32);
  for_blocks(n, [&](std::int64_t i, std::int64_t count) {
    const Floats value = load(x + i, count);
    sum = hn::MulAdd(value, value, sum);
  });
  const float mean = hn::GetLane(hn::SumOfLanes(kF32, sum)) / static_cast<float>(n);
  const Floats inverse = hn::Set(kF32, 1.0f / std::sqrt(mean + eps));
  for_blocks(n, [&](std::int64_t i, std::int64_t count) {
    store(hn::Mul(hn::Mul(load(x + i, count), inverse), load(weight + i, count)), out + i, count);
  });
}

void Swiglu(const float* gate, const float* up, std::int64_t n, float* out) {
  const Floats one = hn::Set(kF32, 1.0f);
  for_blocks(n, [&](std::int64_t i, std::int64_t count) {
    const Floats g = load(gate + i, count);
    const Floats sigmoid = hn::Div(one, hn::Add(one, hn::Exp(kF32, hn::Neg(g))));
    store(hn::Mul(hn::Mul(g, sigmoid), load(up + i, count)), out + i, count);
  });
}

void RotateHalf(float* x, const float* cos, const float* sin, std::int64_t half) {
  for_blocks(half, [&](std::int64_t i, std::int64_t count) {
    const Floats a = load(x + i, count), b = load(x + half + i, count);
    const Floats c = load(cos + i, count), s = load(sin + i, count);
    store(hn::Sub(hn::Mul(a, c), hn::Mul(b, s)), x + i, count);
    store(hn::Add(hn::Mul(b, c), hn::Mul(a, s)), x + half + i, count);
  });
}

void Bf16(const float* x, std::int64_t n, std::uint16_t* out) {
  std::int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const auto bits = hn::BitCast(kU32, hn::LoadU(kF32, x + i));
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(kU32, 1));
    const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(kU32, 0x7fff)));
    hn::StoreU(hn::TruncateTo(kU16, hn::ShiftRight<16>(rounded)), kU16, out + i);
  }
  for (; i < n; ++i) out[i] = tensor::to_bfloat16(x[i]).bits;
}

float Largest(const float* x, std::int64_t n) {
  Floats largest = hn::Zero(kF32);
  for_blocks(n, [&](std::int64_t i, std::int64_t count) {
    largest = hn::Max(largest, hn::Abs(load(x + i, count)));
  });
  return hn::GetLane(hn::MaxOfLanes(kF32, largest));
}

// Rounds x * inverse; returns the sum of the integers.
std::int32_t RoundSigned(const float* x, std::int64_t n, float inverse, std::int8_t* out) {
  auto sum = hn::Zero(kI32);
  for_blocks(n, [&](std::int64_t i, std::int64_t count) {
    const auto rounded = hn::NearestInt(hn::Mul(load(x + i, count), hn::Set(kF32, inverse)));
    sum = hn::Add(sum, rounded);
    const auto bytes = hn::DemoteTo(kI8, rounded);
    if (HWY_LIKELY(count == kLanes)) return hn::StoreU(bytes, kI8, out + i);
    HWY_ALIGN std::int8_t padded[kLanes];
    hn::StoreU(bytes, kI8, padded);
    std::copy_n(padded, count, out + i);
  });
  return hn::GetLane(hn::SumOfLanes(kI32, sum));
}

void QuantizeGroups(const float* x, std::int64_t n, std::int64_t group, std::int8_t* out, float* scales,
                    std::int32_t* sums) {
  for (std::int64_t begin = 0, g = 0; begin < n; begin += group, ++g) {
    const std::int64_t count = std::min(group, n - begin);
    const float max = Largest(x + begin, count);
    scales[g] = max / 127.0f;
    sums[g] = RoundSigned(x + begin, count, max > 0 ? 127.0f / max : 0.0f, out + begin);
    std::fill_n(out + begin + count, group - count, std::int8_t{0});
  }
}

void Scale(const float* x, float factor, std::int64_t n, float* out) {
  for_blocks(n, [&](std::int64_t i, std::int64_t count) {
    store(hn::Mul(load(x + i, count), hn::Set(kF32, factor)), out + i, count);
  });
}

void SoftmaxTile(float* scores, std::int64_t tile, std::int64_t valid, float scale, float* max, float* total,
                 float* out, std::int64_t head_dim) {
  constexpr float kMinus = -std::numeric_limits<float>::infinity();
  if (valid <= 0) {
    std::fill_n(scores, tile, 0.0f);
    return;
  }
  valid = std::min(valid, tile);
  Floats largest = hn::Set(kF32, kMinus);
  for_blocks(valid, [&](std::int64_t i, std::int64_t count) {
    largest = hn::Max(largest, load(scores + i, count, kMinus));
  });
  const float new_max = std::max(*max, hn::GetLane(hn::MaxOfLanes(kF32, largest)) * scale);
  const Floats shift = hn::Set(kF32, new_max);
  Floats sum = hn::Zero(kF32);
  for_blocks(valid, [&](std::int64_t i, std::int64_t count) {
    const Floats score = load(scores + i, count, kMinus);
    const Floats weight = hn::Exp(kF32, hn::MulSub(score, hn::Set(kF32, scale), shift));
    sum = hn::Add(sum, weight);
    store(weight, scores + i, count);
  });
  std::fill(scores + valid, scores + tile, 0.0f);
  const float fade = std::exp(*max - new_max);
  *total = *total * fade + hn::GetLane(hn::SumOfLanes(kF32, sum));
  *max = new_max;
  if (fade != 1.0f) Scale(out, fade, head_dim, out);
}

}  // namespace pagoda::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace pagoda::kernels::cpu {

HWY_EXPORT(RmsNorm);
HWY_EXPORT(Swiglu);
HWY_EXPORT(RotateHalf);
HWY_EXPORT(Bf16);
HWY_EXPORT(QuantizeGroups);
HWY_EXPORT(SoftmaxTile);
HWY_EXPORT(Scale);

void rms_norm_row(const float* x, const float* weight, float eps, std::int64_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(RmsNorm)(x, weight, eps, n, out);
}
void swiglu_row(const float* gate, const float* up, std::int64_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(Swiglu)(gate, up, n, out);
}
void rotate_half_row(float* x, const float* cos, const float* sin, std::int64_t half) {
  HWY_DYNAMIC_DISPATCH(RotateHalf)(x, cos, sin, half);
}
void bf16_row(const float* x, std::int64_t n, std::uint16_t* out) { HWY_DYNAMIC_DISPATCH(Bf16)(x, n, out); }
void quantize_groups_row(const float* x, std::int64_t n, std::int64_t group, std::int8_t* out, float* scales,
                         std::int32_t* sums) {
  HWY_DYNAMIC_DISPATCH(QuantizeGroups)(x, n, group, out, scales, sums);
}
void softmax_tile_row(float* scores, std::int64_t tile, std::int64_t valid, float scale, float* max,
                      float* total, float* out, std::int64_t head_dim) {
  HWY_DYNAMIC_DISPATCH(SoftmaxTile)(scores, tile, valid, scale, max, total, out, head_dim);
}
void scale_row(const float* x, float factor, std::int64_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(Scale)(x, factor, n, out);
}

}  // namespace pagoda::kernels::cpu
#endif
