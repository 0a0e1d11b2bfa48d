// out (+)= x W^T over packed panels. Floor at batch 1: the bytes of W at read bandwidth; at batch 512: 2 m n
// k operations at the rate of VDPBF16PS / VPDPBUSD / AMX (pagoda bench prints both).

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "kernels/cpu/cpu_ops.h"
#include "kernels/cpu/pack.h"
#include "kernels/cpu/rows.h"

namespace pagoda::kernels::cpu {
namespace {

// Shares of panels a thread: enough that a thread which loses its core for a moment does not hold up the
// others, few enough that each share streams a long stretch of memory.
constexpr std::int64_t kSharesPerThread = 8;

}  // namespace

// Rounds x to what the kernel multiplies with. Padding up to whole groups is zero (128 for INT8, which stands
// for zero).
CpuOps::Operand CpuOps::convert_input(tensor::View x, const Weight& weight, const PanelKernels& kernels) {
  const bool int8 = weight.format == WeightFormat::kInt8;
  const std::int64_t padded = packed_groups(weight.format, x.cols) * (int8 ? kInt8Group : kBf16Group);
  CHECK(x.rows <= input_rows_);
  auto* scales = row_scales_.as<float>();
  threads_.run(x.rows, row_chunk(x.rows), [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t t = begin; t < end; ++t) {
      std::byte* out = input_scratch_.data() + t * input_stride_;
      if (int8) {
        auto* bytes = reinterpret_cast<std::uint8_t*>(out);
        scales[t] = quantize_row(x.row(t), x.cols, bytes);
        std::memset(bytes + x.cols, 128, padded - x.cols);
      } else if (kernels.bf16_takes_bf16) {
        auto* halves = reinterpret_cast<std::uint16_t*>(out);
        bf16_row(x.row(t), x.cols, halves);
        std::memset(halves + x.cols, 0, (padded - x.cols) * sizeof(*halves));
      } else {
        auto* floats = reinterpret_cast<float*>(out);
        std::copy_n(x.row(t), x.cols, floats);
        std::fill_n(floats + x.cols, padded - x.cols, 0.0f);
      }
    }
  });
  return {input_scratch_.data(), input_stride_, scales};
}

void CpuOps::linear(tensor::View x, const Weight& weight, tensor::View out, bool accumulate) {
  CHECK(x.cols == weight.in_features && out.cols == weight.out_features);
  const PanelKernels& kernels = isa_.for_rows(x.rows);
  const bool int8 = weight.format == WeightFormat::kInt8;
  const Operand input = convert_input(x, weight, kernels);
  const std::int64_t groups = packed_groups(weight.format, x.cols);
  const std::size_t panel_bytes = groups * kPanelRowBytes;
  const std::int64_t panels = packed_panels(weight.out_features);
  const std::int64_t unit = kernels.panels_at_once(x.rows);
  const std::int64_t share = std::max(panels / (kSharesPerThread * threads_.size()) / unit * unit, unit);
  threads_.run(panels, share, [&](std::size_t begin, std::size_t end, int) {
    const std::byte* segment = weight.data.data() + begin * panel_bytes;
    const std::int64_t first = begin * kPanelColumns;
    PanelArgs args;
    args.a = input.data;
    args.a_stride = input.stride;
    args.m = x.rows;
    args.segments = &segment;
    args.groups = groups;
    args.panel_stride = panel_bytes;
    args.panels = static_cast<std::int64_t>(end - begin);
    args.columns = std::min<std::int64_t>(end * kPanelColumns, weight.out_features) - first;
    args.c = out.as<float>() + first;
    args.c_stride = out.stride;
    args.accumulate = accumulate;
    if (int8) {
      args.row_scale = input.row_scale;
      args.column_scale = weight.scales.as<float>() + first;
      args.column_offset = weight.offsets.as<std::int32_t>() + first;
    }
    (int8 ? kernels.int8 : kernels.bf16)(args);
  });
}

}  // namespace pagoda::kernels::cpu
