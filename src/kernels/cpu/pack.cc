#include "kernels/cpu/pack.h"

#include <algorithm>
#include <bit>
#include <utility>
#include <vector>

#include "base/check.h"
#include "kernels/cpu/grouped.h"
#include "kernels/cpu/panel.h"
#include "tensor/dtype.h"

namespace pagoda::kernels::cpu {
namespace {

using tensor::Buffer;
using tensor::MemoryTag;

// Byte of value k of column `lane` in a panel of quads, and of octets (INT4), whose upper halves hold the
// second quad.
std::int64_t quad_byte(std::int64_t k, std::int64_t lane) {
  return (k / kInt8Group * kPanelColumns + lane) * kInt8Group + k % kInt8Group;
}
std::int64_t octet_byte(std::int64_t k, std::int64_t lane) {
  return (k / 8 * kPanelColumns + lane) * kInt8Group + k % 4;
}
std::int64_t pair_index(std::int64_t k, std::int64_t lane) {
  return (k / kBf16Group * kPanelColumns + lane) * kBf16Group + k % kBf16Group;
}

// What is added to INT8 values and zeros of the grouped layout to make them unsigned.
constexpr int kInt8Bias = 128;

std::uint8_t symmetric_byte(WeightFormat format) {
  return static_cast<std::uint8_t>(symmetric_zero(format) + (format == WeightFormat::kInt8 ? kInt8Bias : 0));
}

// Groups with a scale of their own; 1 where a row has one, though its activations are rounded group by group.
std::int64_t scale_groups_of(const WeightSource& source, std::int64_t groups) {
  return source.group_size == 0 ? 1 : groups;
}

// Of a row, or of integers those of a panel.
struct RowScratch {
  RowScratch(const WeightSource& source, std::int64_t rows)
      : floats(source.row_f32 != nullptr ? source.in_features : 0),
        integers(rows * source.in_features),
        scales(rows * source.groups()),
        zeros(rows * source.groups()) {}
  std::vector<float> floats;
  std::vector<std::int8_t> integers;
  std::vector<float> scales;
  std::vector<std::int8_t> zeros;
};

void pack_bf16_row(const WeightSource& source, std::int64_t row, RowScratch& scratch, std::byte* panel) {
  source.row_f32(row, scratch.floats.data());
  auto* halves = reinterpret_cast<std::uint16_t*>(panel);
  for (std::int64_t k = 0; k < source.in_features; ++k)
    halves[pair_index(k, row % kPanelColumns)] = tensor::to_bfloat16(scratch.floats[k]).bits;
}

void pack_fp8_row(const WeightSource& source, std::int64_t row, RowScratch& scratch, std::byte* panel,
                  Weight& weight) {
  auto* bytes = reinterpret_cast<std::uint8_t*>(scratch.integers.data());
  source.row_fp8(row, bytes, weight.scales.as<float>() + row);
  for (std::int64_t k = 0; k < source.in_features; ++k)
    panel[quad_byte(k, row % kPanelColumns)] = static_cast<std::byte>(bytes[k]);
}

// A row whose panel was read to `scratch`.
void pack_grouped_row(const WeightSource& source, std::int64_t row, const RowScratch& scratch,
                      std::byte* panel, Weight& weight) {
  const std::int64_t lane = row % kPanelColumns;
  const std::int8_t* integers = scratch.integers.data() + lane * source.in_features;
  const float* scales = scratch.scales.data() + lane * source.groups();
  const std::int8_t* zeros = scratch.zeros.data() + lane * source.groups();
  auto* bytes = reinterpret_cast<std::uint8_t*>(panel);
  for (std::int64_t k = 0; k < source.in_features; ++k) {
    const int value = integers[k];
    if (source.format == WeightFormat::kInt8)
      bytes[quad_byte(k, lane)] = static_cast<std::uint8_t>(value + kInt8Bias);
    else
      bytes[octet_byte(k, lane)] |= static_cast<std::uint8_t>(value << (k % 8 < 4 ? 0 : 4));
  }
  const std::int64_t group = grouped_size(source.group_size);
  const std::int64_t groups = grouped_count(source.in_features, group);
  const std::int64_t panel_index = row / kPanelColumns, scale_groups = scale_groups_of(source, groups);
  const auto from = [&](std::int64_t g) {
    return source.group_size == 0 ? 0 : g * group / source.group_size;
  };
  for (std::int64_t g = 0; g < scale_groups; ++g)
    weight.scales.as<float>()[(panel_index * scale_groups + g) * kPanelColumns + lane] = scales[from(g)];
  if (!source.has_zeros) return;
  for (std::int64_t g = 0; g < groups; ++g)
    weight.offsets.as<std::uint8_t>()[(panel_index * groups + g) * kPanelColumns + lane] =
        static_cast<std::uint8_t>(zeros[from(g)] + (source.format == WeightFormat::kInt8 ? kInt8Bias : 0));
}

void allocate(const WeightSource& source, Weight& weight) {
  const std::int64_t panels = packed_panels(source.out_features);
  weight.data = Buffer(MemoryTag::kWeights, panels * packed_panel_bytes(weight));
  if (is_grouped(weight)) {
    const std::int64_t groups = grouped_count(source.in_features, grouped_size(source.group_size));
    const std::int64_t columns = panels * kPanelColumns;
    weight.scales = Buffer(MemoryTag::kWeights, columns * scale_groups_of(source, groups) * sizeof(float));
    if (source.has_zeros) weight.offsets = Buffer(MemoryTag::kWeights, columns * groups);
  } else if (source.format != WeightFormat::kBF16) {
    weight.scales = Buffer(MemoryTag::kWeights, source.out_features * sizeof(float));
  }
  if (source.input_order.empty()) return;
  CHECK(static_cast<std::int64_t>(source.input_order.size()) == source.in_features);
  weight.input_order = Buffer(MemoryTag::kWeights, source.in_features * sizeof(std::int32_t));
  std::copy(source.input_order.begin(), source.input_order.end(), weight.input_order.as<std::int32_t>());
}

// The FP16 value with these bits equal to `value`; false if there is none. No subnormals: scales that small
// are kept as floats.
bool to_half_exactly(float value, std::uint16_t& half) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (bits == 0) {
    half = 0;
    return true;
  }
  const std::int32_t exponent = static_cast<std::int32_t>(bits >> 23 & 255) - 127;
  if ((bits & 0x1fff) != 0 || exponent < -14 || exponent > 15) return false;
  half = static_cast<std::uint16_t>((bits >> 16 & 0x8000) | static_cast<std::uint32_t>(exponent + 15) << 10 |
                                    (bits >> 13 & 0x3ff));
  return true;
}

void shrink_scales(Weight& weight) {
  const std::size_t count = weight.scales.size() / sizeof(float);
  Buffer halves(MemoryTag::kWeights, count * sizeof(std::uint16_t));
  for (std::size_t i = 0; i < count; ++i)
    if (!to_half_exactly(weight.scales.as<float>()[i], halves.as<std::uint16_t>()[i])) return;
  weight.scales = std::move(halves);
}

}  // namespace

std::int64_t packed_groups(WeightFormat format, std::int64_t in_features) {
  const std::int64_t group = format == WeightFormat::kBF16 ? kBf16Group : kInt8Group;
  const std::int64_t groups = (in_features + group - 1) / group;
  return (groups + kAmxGroupMultiple - 1) / kAmxGroupMultiple * kAmxGroupMultiple;
}

std::int64_t packed_panels(std::int64_t out_features) {
  return (out_features + kPanelColumns - 1) / kPanelColumns;
}

bool is_grouped(const Weight& weight) {
  return weight.format == WeightFormat::kInt4 || weight.format == WeightFormat::kInt8;
}

std::int64_t scale_groups(const Weight& weight) {
  return weight.group_size == 0 ? 1 : grouped_count(weight.in_features, grouped_size(weight.group_size));
}

std::size_t packed_panel_bytes(const Weight& weight) {
  if (!is_grouped(weight)) return packed_groups(weight.format, weight.in_features) * kPanelRowBytes;
  const std::int64_t group = grouped_size(weight.group_size);
  const std::int64_t k = grouped_count(weight.in_features, group) * group;
  return k * kPanelColumns / (weight.format == WeightFormat::kInt4 ? 2 : 1);
}

bool has_half_scales(const Weight& weight) {
  return weight.scales.size() ==
         packed_panels(weight.out_features) * scale_groups(weight) * kPanelColumns * sizeof(std::uint16_t);
}

Weight pack_panels(const WeightSource& source, base::ThreadPool& threads) {
  CHECK(source.format != WeightFormat::kF32);
  Weight weight;
  weight.format = source.format;
  weight.out_features = source.out_features;
  weight.in_features = source.in_features;
  weight.pairs = source.pairs;
  weight.group_size = source.group_size;
  const bool grouped = is_grouped(weight);
  allocate(source, weight);
  const std::size_t panel_bytes = packed_panel_bytes(weight);
  threads.run(packed_panels(source.out_features), 1, [&](std::size_t begin, std::size_t end, int) {
    RowScratch scratch(source, grouped ? kPanelColumns : 1);
    for (std::size_t panel = begin; panel < end; ++panel) {
      std::byte* out = weight.data.data() + panel * panel_bytes;
      const std::int64_t last = std::min<std::int64_t>((panel + 1) * kPanelColumns, source.out_features);
      const auto first = static_cast<std::int64_t>(panel * kPanelColumns);
      if (grouped)
        read_quantized_rows(source, first, last - first,
                            {scratch.integers.data(), scratch.scales.data(), scratch.zeros.data()});
      for (std::int64_t row = first; row < last; ++row) {
        if (grouped)
          pack_grouped_row(source, row, scratch, out, weight);
        else if (source.format == WeightFormat::kFp8)
          pack_fp8_row(source, row, scratch, out, weight);
        else
          pack_bf16_row(source, row, scratch, out);
      }
    }
  });
  if (grouped) shrink_scales(weight);
  return weight;
}

namespace {

void unpack_grouped_row(const Weight& weight, const std::uint8_t* panel, std::int64_t row, float* out) {
  const std::int64_t lane = row % kPanelColumns;
  const std::int64_t group = grouped_size(weight.group_size);
  const std::int64_t groups = grouped_count(weight.in_features, group);
  const std::int64_t panel_index = row / kPanelColumns, with_scale = scale_groups(weight);
  const bool half = has_half_scales(weight);
  const std::int32_t* order =
      weight.input_order.size() == 0 ? nullptr : weight.input_order.as<std::int32_t>();
  for (std::int64_t k = 0; k < weight.in_features; ++k) {
    const int value = weight.format == WeightFormat::kInt8
                          ? panel[quad_byte(k, lane)]
                          : panel[octet_byte(k, lane)] >> (k % 8 < 4 ? 0 : 4) & 15;
    const std::int64_t g = k / group;
    const int zero =
        weight.offsets.size() == 0
            ? symmetric_byte(weight.format)
            : weight.offsets.as<std::uint8_t>()[(panel_index * groups + g) * kPanelColumns + lane];
    const std::int64_t at = (panel_index * with_scale + (with_scale == 1 ? 0 : g)) * kPanelColumns + lane;
    const float scale =
        half ? tensor::half_to_float(weight.scales.as<std::uint16_t>()[at]) : weight.scales.as<float>()[at];
    out[order == nullptr ? k : order[k]] = static_cast<float>(value - zero) * scale;
  }
}

}  // namespace

void unpack_row(const Weight& weight, std::int64_t row, float* out) {
  const std::byte* panel = weight.data.data() + row / kPanelColumns * packed_panel_bytes(weight);
  const std::int64_t lane = row % kPanelColumns;
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(panel);
  if (is_grouped(weight)) return unpack_grouped_row(weight, bytes, row, out);
  const std::int32_t* order =
      weight.input_order.size() == 0 ? nullptr : weight.input_order.as<std::int32_t>();
  for (std::int64_t k = 0; k < weight.in_features; ++k) {
    float& value = out[order == nullptr ? k : order[k]];
    if (weight.format == WeightFormat::kBF16)
      value = tensor::to_float({reinterpret_cast<const std::uint16_t*>(panel)[pair_index(k, lane)]});
    else
      value = tensor::float8_e4m3_to_float(bytes[quad_byte(k, lane)]) * weight.scales.as<float>()[row];
  }
}

}  // namespace pagoda::kernels::cpu
