#include "kernels/cpu/cpu_ops.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"
#include "kernels/cpu/attention.h"
#include "kernels/cpu/grouped.h"
#include "kernels/cpu/kv_layout.h"
#include "kernels/cpu/pack.h"
#include "kernels/cpu/rows.h"

namespace pagoda::kernels {

std::unique_ptr<Ops> make_cpu_ops(const CpuOptions& options) {
  return std::make_unique<cpu::CpuOps>(options);
}

namespace cpu {
namespace {

constexpr std::size_t kLine = 64;

std::size_t round_up(std::size_t value, std::size_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

// Bytes of one converted input row. The odd number of cache lines keeps rows of a power-of-two width out of
// each other's L1 sets: with 4096-byte rows, the 12 rows of a tile would share one 8-way set.
std::size_t input_stride(std::int64_t max_features, bool bf16) {
  const std::size_t values = round_up(max_features, kAmxGroupMultiple * kInt8Group);
  const auto grouped_bytes = [max_features](std::int64_t group) {
    const std::int64_t groups = grouped_count(max_features, group);
    return grouped_scales_offset(groups, group) + groups * (sizeof(float) + sizeof(std::int32_t));
  };
  const std::size_t bytes = std::max({values * (bf16 ? 2 : 4), grouped_bytes(32), grouped_bytes(128)});
  return (round_up(bytes, kLine) / kLine | 1) * kLine;
}

}  // namespace

CpuOps::CpuOps(const CpuOptions& options)
    : isa_(select_isa(options.isa, options.deterministic)), threads_(options.threads) {}

std::string CpuOps::description() const {
  return fmt::format("cpu {}, {} thread{}", isa_.name, threads_.size(), threads_.size() == 1 ? "" : "s");
}

Weight CpuOps::pack(const WeightSource& source) { return pack_panels(source, threads_); }

std::size_t CpuOps::kv_layer_block_bytes(const KvShape& shape) const { return KvLayout(shape).block_bytes(); }

std::size_t CpuOps::scratch_bytes(const OpsLimits& limits) const {
  const std::size_t rows = round_up(limits.max_tokens, kAmxRowMultiple);
  return rows * input_stride(limits.max_features, isa_.small.bf16_takes_bf16) +
         threads_.size() * (AttentionScratch::bytes(limits) + limits.max_features * sizeof(float));
}

void CpuOps::reserve(const OpsLimits& limits) {
  using tensor::MemoryTag;
  input_rows_ = static_cast<std::int64_t>(round_up(limits.max_tokens, kAmxRowMultiple));
  input_stride_ = input_stride(limits.max_features, isa_.small.bf16_takes_bf16);
  input_scratch_ = tensor::Buffer(MemoryTag::kActivations, input_rows_ * input_stride_);
  max_features_ = limits.max_features;
  ordered_input_ = tensor::Buffer(MemoryTag::kActivations, threads_.size() * max_features_ * sizeof(float));
  attention_stride_ = AttentionScratch::bytes(limits);
  attention_scratch_ = tensor::Buffer(MemoryTag::kActivations, threads_.size() * attention_stride_);
}

std::size_t CpuOps::row_chunk(std::int64_t rows) const {
  return std::max<std::size_t>(1, static_cast<std::size_t>(rows) / (2 * threads_.size()));
}

void CpuOps::embed(std::span<const std::int32_t> tokens, const Weight& embedding, tensor::View out) {
  threads_.run(tokens.size(), row_chunk(tokens.size()), [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t t = begin; t < end; ++t) unpack_row(embedding, tokens[t], out.row(t));
  });
}

void CpuOps::rms_norm(tensor::View x, const float* weight, float eps, tensor::View out) {
  threads_.run(x.rows, row_chunk(x.rows), [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t t = begin; t < end; ++t) rms_norm_row(x.row(t), weight, eps, x.cols, out.row(t));
  });
}

void CpuOps::swiglu(tensor::View gate_up, tensor::View out) {
  threads_.run(out.rows, row_chunk(out.rows), [&](std::size_t begin, std::size_t end, int) {
    for (std::size_t t = begin; t < end; ++t)
      swiglu_row(gate_up.row(t), gate_up.row(t) + out.cols, out.cols, out.row(t));
  });
}

void CpuOps::gather_rows(tensor::View x, std::span<const std::int32_t> rows, tensor::View out) {
  for (std::size_t i = 0; i < rows.size(); ++i) std::copy_n(x.row(rows[i]), x.cols, out.row(i));
}

void CpuOps::rope_and_write_kv(const RopeArgs& args, const KvCache& cache, std::int64_t layer,
                               const SequenceBatch& sequences) {
  threads_.run(args.qkv.rows, row_chunk(args.qkv.rows), [&](std::size_t begin, std::size_t end, int) {
    rope_and_write_rows(args, cache, layer, sequences.slices, static_cast<std::int32_t>(begin),
                        static_cast<std::int32_t>(end));
  });
}

void CpuOps::attention(const AttentionArgs& args, const KvCache& cache, std::int64_t layer,
                       const SequenceBatch& sequences) {
  const AttentionPlan plan(args, cache, layer, sequences.slices);
  threads_.run(plan.num_items(), 1, [&](std::size_t begin, std::size_t end, int thread) {
    AttentionScratch scratch(attention_scratch_.data() + thread * attention_stride_, args, cache.shape);
    for (std::size_t item = begin; item < end; ++item) plan.run(item, isa_.small, scratch);
  });
}

}  // namespace cpu
}  // namespace pagoda::kernels
