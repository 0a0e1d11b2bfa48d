// The AVX-512 and AMX kernels, compiled against plain loops in place of their intrinsics
// (emulated/immintrin.h), against the Highway kernels on the same packed operands: what runs on servers is
// tested on every machine.

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "kernels/cpu/grouped.h"
#include "kernels/cpu/panel.h"
#include "tensor/dtype.h"
#include "tensor/memory.h"

namespace pagoda::kernels::cpu {
namespace {

using Bytes = tensor::Buffer;

class Random {
 public:
  int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(generator_); }
  float real(float low, float high) { return std::uniform_real_distribution<float>(low, high)(generator_); }
  void fill(Bytes& buffer) {
    for (std::size_t i = 0; i < buffer.size(); ++i)
      buffer.data()[i] = static_cast<std::byte>(between(0, 255));
  }
  void fill_floats(Bytes& buffer, float low, float high) {
    for (std::size_t i = 0; i < buffer.size() / sizeof(float); ++i) buffer.as<float>()[i] = real(low, high);
  }
  void fill_bf16(Bytes& buffer) {
    for (std::size_t i = 0; i < buffer.size() / 2; ++i)
      buffer.as<std::uint16_t>()[i] = tensor::to_bfloat16(real(-1, 1)).bits;
  }

 private:
  std::mt19937 generator_{11};
};

Bytes memory(std::size_t bytes) { return Bytes(tensor::MemoryTag::kStaging, bytes); }
std::int64_t up(std::int64_t value, std::int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Largest difference of what two kernels wrote, padding included, as a share of the largest value.
double difference(const std::vector<float>& a, const std::vector<float>& b) {
  double worst = 0, largest = 1e-30;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!(std::abs(a[i] - b[i]) <= worst)) worst = std::abs(a[i] - b[i]);
    largest = std::max<double>(largest, std::abs(b[i]));
  }
  return worst / largest;
}

void compare_grouped(Random& random, bool int4, std::int64_t m, GroupedKernel kernel) {
  GroupedArgs p;
  p.m = m;
  p.group = 32 << random.between(0, 2);
  p.groups = random.between(1, 9);
  p.panels = random.between(1, 6);
  p.columns = 16 * p.panels - random.between(0, 15);
  p.scale_groups = random.between(0, 2) == 0 ? 1 : p.groups;
  p.c_stride = p.columns + random.between(0, 5);
  p.accumulate = random.between(0, 1) == 1;
  const bool zeros = random.between(0, 1) == 1;
  SCOPED_TRACE(
      fmt::format("m={} group={} groups={} scale_groups={} panels={} columns={} accumulate={} zeros={}", m,
                  p.group, p.groups, p.scale_groups, p.panels, p.columns, p.accumulate, zeros));
  const std::int64_t k = p.groups * p.group, all_scales = p.panels * p.groups * 16;
  p.panel_stride = k * 16 / (int4 ? 2 : 1);
  p.a_stride = up(static_cast<std::int64_t>(grouped_scales_offset(p.groups, p.group)) + 8 * p.groups, 64);
  Bytes a = memory(up(m, kAmxRowMultiple) * p.a_stride), b = memory(p.panels * p.panel_stride);
  Bytes scales = memory(all_scales * sizeof(float)), zero_bytes = memory(all_scales);
  random.fill(a);
  random.fill(b);
  random.fill(zero_bytes);
  for (std::int64_t i = 0; int4 && i < all_scales; ++i) zero_bytes.data()[i] &= std::byte{15};
  random.fill_floats(scales, 0.5f, 1.5f);
  p.a = a.data();
  p.b = b.data();
  p.scales = scales.data();
  p.half_scales = random.between(0, 1) == 1;
  for (std::int64_t i = 0; p.half_scales && i < all_scales; ++i)  // from 0.5 to 2
    scales.as<std::uint16_t>()[i] = static_cast<std::uint16_t>(random.between(0x3800, 0x4000));
  if (zeros) p.zeros = zero_bytes.as<std::uint8_t>();
  for (std::int64_t row = 0; row < m; ++row)
    for (std::int64_t g = 0; g < p.groups; ++g) {
      const_cast<float*>(grouped_a_scales(p, row))[g] = random.real(0.5f, 1.5f);
      std::int32_t sum = 0;
      for (std::int64_t i = 0; i < p.group; ++i) {
        std::byte& byte = a.data()[row * p.a_stride + g * p.group + i];
        if (byte == std::byte{128}) byte = std::byte{0};  // activations are within [-127, 127]
        sum += static_cast<std::int8_t>(byte);
      }
      const_cast<std::int32_t*>(grouped_a_sums(p, row))[g] = sum;
    }
  std::vector<float> expected(m * p.c_stride), actual;
  for (float& value : expected) value = random.real(-1, 1);
  actual = expected;
  const GroupedKernels oracle = generic_grouped_kernels();
  p.c = expected.data();
  (int4 ? oracle.int4 : oracle.int8)(p);
  p.c = actual.data();
  kernel(p);
  ASSERT_LT(difference(actual, expected), 1e-5);
}

TEST(EmulatedKernels, Grouped) {
  Random random;
  for (int m = 1; m <= 120; m += m < 40 ? 1 : 13)
    for (const bool int4 : {true, false}) {
      SCOPED_TRACE(int4 ? "int4" : "int8");
      compare_grouped(random, int4, m, int4 ? avx512_grouped_int4 : avx512_grouped_int8);
      compare_grouped(random, int4, m, int4 ? amx_grouped_int4 : amx_grouped_int8);
      if (HasFatalFailure()) return;
    }
  compare_grouped(random, true, 600, amx_grouped_int4);
  compare_grouped(random, false, 600, avx512_grouped_int8);
}

void compare_panels(Random& random, bool int8, std::int64_t m, PanelKernel kernel) {
  PanelArgs p;
  p.m = m;
  p.groups = 16 * random.between(1, 6);
  p.panels = random.between(1, 6);
  p.columns = 16 * p.panels - random.between(0, 15);
  p.c_stride = p.columns + random.between(0, 5);
  p.accumulate = random.between(0, 1) == 1;
  p.panel_stride = p.groups * kPanelRowBytes;
  p.a_stride = p.groups * 4;
  SCOPED_TRACE(fmt::format("m={} groups={} panels={} columns={}", m, p.groups, p.panels, p.columns));
  Bytes a = memory(up(m, kAmxRowMultiple) * p.a_stride), b = memory(p.panels * p.panel_stride);
  int8 ? random.fill(a) : random.fill_bf16(a);
  int8 ? random.fill(b) : random.fill_bf16(b);
  const std::byte* segment = b.data();
  p.a = a.data();
  p.segments = &segment;
  std::vector<float> row_scale(m), column_scale(p.columns);
  std::vector<std::int32_t> offset(p.columns);
  for (float& value : row_scale) value = random.real(0.5f, 1.5f);
  for (float& value : column_scale) value = random.real(0.5f, 1.5f);
  for (auto& value : offset) value = random.between(-1000, 1000);
  p.row_scale = row_scale.data();
  p.column_scale = column_scale.data();
  p.column_offset = offset.data();
  std::vector<float> expected(m * p.c_stride), actual;
  for (float& value : expected) value = random.real(-1, 1);
  actual = expected;
  for (std::int64_t row = 0; row < m; ++row)
    for (std::int64_t n = 0; n < p.columns; ++n) {
      const std::byte* column = b.data() + n / 16 * p.panel_stride + n % 16 * 4;
      const std::byte* x = a.data() + row * p.a_stride;
      double sum = 0;
      for (std::int64_t g = 0; g < p.groups; ++g)
        for (int i = 0; i < (int8 ? 4 : 2); ++i) {
          const std::byte *left = x + 4 * g, *right = column + g * kPanelRowBytes;
          if (int8)
            sum += static_cast<std::uint8_t>(left[i]) * static_cast<std::int8_t>(right[i]);
          else
            sum += tensor::to_float({reinterpret_cast<const std::uint16_t*>(left)[i]}) *
                   tensor::to_float({reinterpret_cast<const std::uint16_t*>(right)[i]});
        }
      if (int8) sum = (sum - offset[n]) * row_scale[row] * column_scale[n];
      float& out = expected[row * p.c_stride + n];
      out = static_cast<float>(sum) + (p.accumulate ? out : 0.0f);
    }
  p.c = actual.data();
  kernel(p);
  ASSERT_LT(difference(actual, expected), 1e-5);
}

TEST(EmulatedKernels, Panels) {
  Random random;
  for (int m = 1; m <= 120; m += m < 40 ? 1 : 13)
    for (const bool int8 : {true, false}) {
      SCOPED_TRACE(int8 ? "int8" : "bf16");
      compare_panels(random, int8, m, int8 ? avx512_int8_panels : avx512_bf16_panels);
      compare_panels(random, int8, m, int8 ? amx_int8_panels : amx_bf16_panels);
      if (HasFatalFailure()) return;
    }
}

}  // namespace
}  // namespace pagoda::kernels::cpu
