#include "kernels/cpu/pack.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "kernels/cpu/panel.h"
#include "tensor/dtype.h"

namespace pagoda::kernels::cpu {
namespace {

std::int64_t group_size(WeightFormat format) {
  return format == WeightFormat::kInt8 ? kInt8Group : kBf16Group;
}

void pack_bf16_row(const WeightSource& source, std::int64_t row, std::vector<float>& scratch,
                   std::uint16_t* panel) {
  source.row_f32(row, scratch.data());
  const std::int64_t lane = row % kPanelColumns;
  for (std::int64_t k = 0; k < source.in_features; ++k)
    panel[(k / kBf16Group * kPanelColumns + lane) * kBf16Group + k % kBf16Group] =
        tensor::to_bfloat16(scratch[k]).bits;
}

void pack_int8_row(const WeightSource& source, std::int64_t row, std::vector<std::int8_t>& scratch,
                   std::int8_t* panel, Weight& weight) {
  std::int8_t zero = 0;
  source.row_quantized(row, {scratch.data(), weight.scales.as<float>() + row, &zero});
  const std::int64_t lane = row % kPanelColumns;
  std::int32_t sum = 0;
  for (std::int64_t k = 0; k < source.in_features; ++k) {
    panel[(k / kInt8Group * kPanelColumns + lane) * kInt8Group + k % kInt8Group] = scratch[k];
    sum += scratch[k];
  }
  // Activations are stored + 128 to be unsigned; this takes the surplus out again.
  weight.offsets.as<std::int32_t>()[row] = 128 * sum;
}

}  // namespace

std::int64_t packed_groups(WeightFormat format, std::int64_t in_features) {
  const std::int64_t group = group_size(format);
  const std::int64_t groups = (in_features + group - 1) / group;
  return (groups + kAmxGroupMultiple - 1) / kAmxGroupMultiple * kAmxGroupMultiple;
}

std::int64_t packed_panels(std::int64_t out_features) {
  return (out_features + kPanelColumns - 1) / kPanelColumns;
}

Weight pack_panels(const WeightSource& source, base::ThreadPool& threads) {
  CHECK(source.format == WeightFormat::kBF16 ||
        (source.format == WeightFormat::kInt8 && source.group_size == 0 && !source.has_zeros));
  Weight weight;
  weight.format = source.format;
  weight.out_features = source.out_features;
  weight.in_features = source.in_features;
  const std::int64_t panels = packed_panels(source.out_features);
  const std::size_t panel_bytes = packed_groups(source.format, source.in_features) * kPanelRowBytes;
  weight.data = tensor::Buffer(tensor::MemoryTag::kWeights, panels * panel_bytes);
  if (source.format == WeightFormat::kInt8) {
    weight.scales = tensor::Buffer(tensor::MemoryTag::kWeights, source.out_features * sizeof(float));
    weight.offsets = tensor::Buffer(tensor::MemoryTag::kWeights, source.out_features * sizeof(std::int32_t));
  }
  threads.run(panels, 1, [&](std::size_t begin, std::size_t end, int) {
    std::vector<float> floats(source.in_features);
    std::vector<std::int8_t> integers(source.in_features);
    for (std::size_t panel = begin; panel < end; ++panel) {
      std::byte* out = weight.data.data() + panel * panel_bytes;
      const std::int64_t last = std::min<std::int64_t>((panel + 1) * kPanelColumns, source.out_features);
      for (std::int64_t row = panel * kPanelColumns; row < last; ++row) {
        if (source.format == WeightFormat::kInt8)
          pack_int8_row(source, row, integers, reinterpret_cast<std::int8_t*>(out), weight);
        else
          pack_bf16_row(source, row, floats, reinterpret_cast<std::uint16_t*>(out));
      }
    }
  });
  return weight;
}

void unpack_row(const Weight& weight, std::int64_t row, float* out) {
  const std::size_t panel_bytes = packed_groups(weight.format, weight.in_features) * kPanelRowBytes;
  const std::byte* panel = weight.data.data() + row / kPanelColumns * panel_bytes;
  const std::int64_t lane = row % kPanelColumns;
  if (weight.format == WeightFormat::kInt8) {
    const auto* integers = reinterpret_cast<const std::int8_t*>(panel);
    const float scale = weight.scales.as<float>()[row];
    for (std::int64_t k = 0; k < weight.in_features; ++k)
      out[k] = integers[(k / kInt8Group * kPanelColumns + lane) * kInt8Group + k % kInt8Group] * scale;
  } else {
    const auto* halves = reinterpret_cast<const std::uint16_t*>(panel);
    for (std::int64_t k = 0; k < weight.in_features; ++k)
      out[k] =
          tensor::to_float({halves[(k / kBf16Group * kPanelColumns + lane) * kBf16Group + k % kBf16Group]});
  }
}

}  // namespace pagoda::kernels::cpu
