#include "model/hunyuan_dense.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace pagoda::model {
namespace {

using kernels::AttentionArgs;
using kernels::Ops;
using kernels::RopeArgs;
using kernels::Weight;
using tensor::View;

// attended <- attention of normed, its keys and values written to the cache.
void attend(Ops& ops, const DenseShape& shape, const DenseLayer& layer, std::int64_t index,
            const RopeTable& rope, const Batch& batch, const kernels::KvCache& cache, View normed, View qkv,
            View attended) {
  ops.linear(normed, layer.qkv, qkv, /*accumulate=*/false);

  RopeArgs rope_args;
  rope_args.qkv = qkv;
  rope_args.num_heads = shape.num_heads;
  rope_args.positions = batch.positions.data();
  rope_args.cos = rope.cos();
  rope_args.sin = rope.sin();
  rope_args.q_norm = shape.use_qk_norm ? layer.q_norm.as<float>() : nullptr;
  rope_args.k_norm = shape.use_qk_norm ? layer.k_norm.as<float>() : nullptr;
  rope_args.eps = shape.rms_norm_eps;
  AttentionArgs attention;
  attention.q = qkv.columns(0, shape.q_size());
  attention.out = attended;
  attention.num_heads = shape.num_heads;
  attention.scale = 1.0f / std::sqrt(static_cast<float>(shape.head_dim));
  attention.reader = &layer.o;
  ops.rope_attention(rope_args, attention, cache, index, batch.sequences);
}

}  // namespace

tensor::View forward(Ops& ops, const DenseWeights& weights, const RopeTable& rope, const Batch& batch,
                     const kernels::KvCache& cache, DenseWorkspace& workspace) {
  const DenseShape& shape = weights.shape;
  const float eps = shape.rms_norm_eps;
  const auto tokens = static_cast<std::int64_t>(batch.tokens.size());
  const View hidden = workspace.hidden.first_rows(tokens), normed = workspace.normed.first_rows(tokens);
  const View qkv = workspace.qkv.first_rows(tokens), attended = workspace.attended.first_rows(tokens);
  const View gate_up = workspace.gate_up.first_rows(tokens),
             activated = workspace.activated.first_rows(tokens);

  const auto outputs = static_cast<std::int64_t>(batch.outputs.size());
  // Decodes alone: no rows to choose. What is filled up for a graph may have as many outputs with prompts in
  // it.
  const bool all_answer = outputs == tokens &&
                          static_cast<std::int64_t>(batch.sequences.slices.size()) == tokens &&
                          !ops.same_in_any_batch();

  // Each block adds to the residual stream `hidden` and leaves in `normed` what the next block reads.
  ops.embed(batch.tokens, weights.embedding, hidden);
  ops.rms_norm(hidden, weights.layers.front().input_norm.as<float>(), eps, normed);
  for (std::size_t i = 0; i < weights.layers.size(); ++i) {
    const DenseLayer& layer = weights.layers[i];
    attend(ops, shape, layer, static_cast<std::int64_t>(i), rope, batch, cache, normed, qkv, attended);
    ops.linear_add_norm(attended, layer.o, hidden, layer.mlp_norm.as<float>(), eps, normed, &layer.gate_up);
    ops.linear_swiglu(normed, layer.gate_up, gate_up, activated, &layer.down);
    const bool is_last = i + 1 == weights.layers.size();
    const tensor::Buffer& norm = is_last ? weights.final_norm : weights.layers[i + 1].input_norm;
    const Weight& next = is_last ? weights.head() : weights.layers[i + 1].qkv;
    if (!is_last || all_answer)
      ops.linear_add_norm(activated, layer.down, hidden, norm.as<float>(), eps, normed, &next);
    else
      ops.linear(activated, layer.down, hidden, /*accumulate=*/true);
  }
  const View last = workspace.last.first_rows(outputs), logits = workspace.logits.first_rows(outputs);
  const View last_normed = workspace.last_normed.first_rows(outputs);
  if (outputs == 0) return logits;
  if (!all_answer) {
    ops.gather_rows(hidden, batch.outputs, last);
    ops.rms_norm(last, weights.final_norm.as<float>(), eps, last_normed);
  }
  ops.linear(all_answer ? normed : last_normed, weights.head(), logits, /*accumulate=*/false);
  return logits;
}

std::size_t DenseWeights::bytes() const {
  std::size_t total = embedding.bytes() + lm_head.bytes() + final_norm.size();
  for (const DenseLayer& layer : layers)
    total += layer.qkv.bytes() + layer.o.bytes() + layer.gate_up.bytes() + layer.down.bytes() +
             layer.input_norm.size() + layer.mlp_norm.size() + layer.q_norm.size() + layer.k_norm.size();
  return total;
}

std::size_t DenseWeights::bytes_read_per_step() const {
  return bytes() - (shape.tied_embeddings ? 0 : embedding.bytes());
}

namespace {

// The views of a workspace, laid out one after another; with no memory it only measures.
struct Layout {
  std::byte* memory;
  std::size_t bytes = 0;
  View view(std::int64_t rows, std::int64_t cols, tensor::DType dtype) {
    constexpr std::int64_t kLine = 128;  // elements; a row may be read in whole lines, padding is zero
    const std::int64_t stride = (cols + kLine - 1) / kLine * kLine;
    View result{memory == nullptr ? nullptr : memory + bytes, rows, cols, stride, dtype};
    bytes += static_cast<std::size_t>(rows * stride) * tensor::dtype_bytes(dtype);
    return result;
  }
};

std::size_t lay_out(const DenseShape& shape, tensor::DType input, std::int64_t tokens, std::int64_t outputs,
                    std::byte* memory, DenseWorkspace* w) {
  constexpr tensor::DType kF32 = tensor::DType::kF32;
  Layout layout{memory};
  // A layer is done with qkv before it computes gate_up. The padding of neither is read, so that they can
  // share.
  const std::int64_t qkv_cols = shape.q_size() + 2 * shape.kv_size();
  const View qkv = layout.view(tokens, qkv_cols, kF32);
  const std::size_t qkv_end = std::exchange(layout.bytes, 0);
  const View gate_up = layout.view(tokens, 2 * shape.intermediate_size, input);
  layout.bytes = std::max(layout.bytes, qkv_end);
  const View views[] = {layout.view(tokens, shape.hidden_size, kF32),
                        layout.view(tokens, shape.hidden_size, input),
                        qkv,
                        layout.view(tokens, shape.q_size(), input),
                        gate_up,
                        layout.view(tokens, shape.intermediate_size, input),
                        layout.view(outputs, shape.hidden_size, kF32),
                        layout.view(outputs, shape.hidden_size, input),
                        layout.view(outputs, shape.vocab_size, kF32)};
  if (w != nullptr) {
    View* members[] = {&w->hidden,    &w->normed, &w->qkv,         &w->attended, &w->gate_up,
                       &w->activated, &w->last,   &w->last_normed, &w->logits};
    for (std::size_t i = 0; i < std::size(members); ++i) *members[i] = views[i];
  }
  return layout.bytes;
}

}  // namespace

DenseWorkspace::DenseWorkspace(const DenseShape& shape, kernels::Ops& ops, std::int64_t max_tokens,
                               std::int64_t max_outputs)
    : memory_(ops.allocate(tensor::MemoryTag::kActivations, bytes(shape, ops, max_tokens, max_outputs))) {
  lay_out(shape, ops.linear_input_dtype(), max_tokens, max_outputs, memory_.data(), this);
}

std::size_t DenseWorkspace::bytes(const DenseShape& shape, const kernels::Ops& ops, std::int64_t max_tokens,
                                  std::int64_t max_outputs) {
  return lay_out(shape, ops.linear_input_dtype(), max_tokens, max_outputs, nullptr, nullptr);
}

}  // namespace pagoda::model
