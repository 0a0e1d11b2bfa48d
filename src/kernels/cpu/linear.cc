// out (+)= x W^T over packed panels. Floor at batch 1: the bytes of W at read bandwidth; at batch 512: 2 m n
// k operations at the rate of VDPBF16PS / VPDPBUSD / VPMADDUBSW / AMX (pagoda bench prints both).

#include <algorithm>

#include "base/check.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/fp8.h"
#include "kernels/cpu/pack.h"
#include "kernels/cpu/rows.h"

namespace pagoda::kernels::cpu {
namespace {

// Shares of panels a thread: enough that a thread which loses its core for a moment does not hold up the
// others, few enough that each share streams a long stretch of memory.
constexpr std::int64_t kSharesPerThread = 8;

}  // namespace

// Rounds x to what the kernel multiplies with. Padding up to whole groups stands for zero.
void CpuOps::convert_row(const float* x, const Weight& weight, const PanelKernels& kernels,
                         std::byte* out) const {
  const std::int64_t in = weight.in_features;
  if (is_grouped(weight)) {
    const std::int64_t group = grouped_size(weight.group_size), groups = grouped_count(in, group);
    auto* scales = reinterpret_cast<float*>(out + grouped_scales_offset(groups, group));
    quantize_groups_row(x, in, group, reinterpret_cast<std::int8_t*>(out), scales,
                        reinterpret_cast<std::int32_t*>(scales + groups));
    return;
  }
  const std::int64_t padded =
      packed_groups(weight.format, in) * (weight.format == WeightFormat::kBF16 ? kBf16Group : kInt8Group);
  if (kernels.bf16_takes_bf16) {
    auto* halves = reinterpret_cast<std::uint16_t*>(out);
    bf16_row(x, in, halves);
    std::fill_n(halves + in, padded - in, std::uint16_t{0});
  } else {
    auto* floats = reinterpret_cast<float*>(out);
    std::copy_n(x, in, floats);
    std::fill_n(floats + in, padded - in, 0.0f);
  }
}

void CpuOps::convert_input(tensor::View x, const Weight& weight, const PanelKernels& kernels) {
  CHECK(x.rows <= input_rows_ && x.cols <= max_features_);
  threads_.run(x.rows, row_chunk(x.rows), [&](std::size_t begin, std::size_t end, int thread) {
    for (std::size_t t = begin; t < end; ++t) {
      const float* row = x.row(t);
      if (weight.input_order.size() != 0) {
        const auto* order = weight.input_order.as<std::int32_t>();
        float* ordered = ordered_input_.as<float>() + thread * max_features_;
        for (std::int64_t k = 0; k < x.cols; ++k) ordered[k] = row[order[k]];
        row = ordered;
      }
      convert_row(row, weight, kernels, input_scratch_.data() + t * input_stride_);
    }
  });
}

std::int64_t CpuOps::panels_at_once(const Weight& weight, std::int64_t rows) const {
  return is_grouped(weight) ? isa_.grouped_for_rows(rows).panels_at_once(rows)
                            : isa_.for_rows(rows).panels_at_once(rows);
}

void CpuOps::linear(tensor::View x, const Weight& weight, tensor::View out, bool accumulate) {
  CHECK(x.cols == weight.in_features && out.cols == weight.out_features && x.rows == out.rows);
  convert_input(x, weight, isa_.for_rows(x.rows));
  const std::int64_t panels = packed_panels(weight.out_features);
  const std::int64_t unit = panels_at_once(weight, x.rows);
  const std::int64_t share = std::max(panels / (kSharesPerThread * threads_.size()) / unit * unit, unit);
  threads_.run(panels, share, [&](std::size_t begin, std::size_t end, int) {
    const auto first = static_cast<std::int64_t>(begin), last = static_cast<std::int64_t>(end);
    if (is_grouped(weight))
      linear_grouped(weight, out, accumulate, first, last);
    else if (weight.format == WeightFormat::kFp8)
      linear_fp8(weight, out, accumulate, first, last);
    else
      linear_panels(weight, out, accumulate, first, last);
  });
}

// The columns of panels [begin, end); the rows of x are in input_scratch_.
void CpuOps::linear_panels(const Weight& weight, tensor::View out, bool accumulate, std::int64_t begin,
                           std::int64_t end) const {
  const PanelKernels& kernels = isa_.for_rows(out.rows);
  const std::size_t panel_bytes = packed_panel_bytes(weight);
  const std::byte* segment = weight.data.data() + begin * panel_bytes;
  const std::int64_t first = begin * kPanelColumns;
  PanelArgs args;
  args.a = input_scratch_.data();
  args.a_stride = input_stride_;
  args.m = out.rows;
  args.segments = &segment;
  args.groups = packed_groups(weight.format, weight.in_features);
  args.panel_stride = panel_bytes;
  args.panels = end - begin;
  args.columns = std::min(end * kPanelColumns, weight.out_features) - first;
  args.c = out.as<float>() + first;
  args.c_stride = out.stride;
  args.accumulate = accumulate;
  kernels.bf16(args);
}

void CpuOps::linear_grouped(const Weight& weight, tensor::View out, bool accumulate, std::int64_t begin,
                            std::int64_t end) const {
  const GroupedKernels& kernels = isa_.grouped_for_rows(out.rows);
  GroupedArgs args;
  args.a = input_scratch_.data();
  args.a_stride = input_stride_;
  args.m = out.rows;
  args.panel_stride = packed_panel_bytes(weight);
  args.b = weight.data.data() + begin * args.panel_stride;
  args.panels = end - begin;
  args.group = grouped_size(weight.group_size);
  args.groups = grouped_count(weight.in_features, args.group);
  args.scale_groups = scale_groups(weight);
  const std::int64_t first_scale = begin * args.scale_groups * kPanelColumns;
  args.half_scales = has_half_scales(weight);
  args.scales =
      weight.scales.data() + first_scale * (args.half_scales ? sizeof(std::uint16_t) : sizeof(float));
  if (weight.offsets.size() != 0)
    args.zeros = weight.offsets.as<std::uint8_t>() + begin * args.groups * kPanelColumns;
  args.columns = std::min(end * kPanelColumns, weight.out_features) - begin * kPanelColumns;
  args.c = out.as<float>() + begin * kPanelColumns;
  args.c_stride = out.stride;
  args.accumulate = accumulate;
  (weight.format == WeightFormat::kInt4 ? kernels.int4 : kernels.int8)(args);
}

void CpuOps::linear_fp8(const Weight& weight, tensor::View out, bool accumulate, std::int64_t begin,
                        std::int64_t end) const {
  const PanelKernels& kernels = isa_.for_rows(out.rows);
  const std::int64_t first = begin * kPanelColumns;
  Fp8Args args;
  args.a = input_scratch_.data();
  args.a_stride = input_stride_;
  args.a_element = kernels.bf16_takes_bf16 ? sizeof(std::uint16_t) : sizeof(float);
  args.m = out.rows;
  args.panel_stride = packed_panel_bytes(weight);
  args.b = weight.data.data() + begin * args.panel_stride;
  args.groups = packed_groups(weight.format, weight.in_features);
  args.panels = end - begin;
  args.scales = weight.scales.as<float>() + first;
  args.columns = std::min(end * kPanelColumns, weight.out_features) - first;
  args.c = out.as<float>() + first;
  args.c_stride = out.stride;
  args.accumulate = accumulate;
  fp8_panels(args, kernels.bf16);
}

}  // namespace pagoda::kernels::cpu
