#include "model/hunyuan_dense.h"

#include <cmath>

namespace pagoda::model {
namespace {

using kernels::AttentionArgs;
using kernels::Ops;
using kernels::RopeArgs;
using tensor::View;

void attention_block(Ops& ops, const DenseShape& shape, const DenseLayer& layer, std::int64_t index,
                     const RopeTable& rope, const Batch& batch, const kernels::KvCache& cache, View hidden,
                     View normed, View qkv, View attended) {
  ops.rms_norm(hidden, layer.input_norm.as<float>(), shape.rms_norm_eps, normed);
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
  ops.rope_and_write_kv(rope_args, cache, index, batch.sequences);

  AttentionArgs attention;
  attention.q = qkv.columns(0, shape.q_size());
  attention.out = attended;
  attention.num_heads = shape.num_heads;
  attention.scale = 1.0f / std::sqrt(static_cast<float>(shape.head_dim));
  ops.attention(attention, cache, index, batch.sequences);
  ops.linear(attended, layer.o, hidden, /*accumulate=*/true);
}

void mlp_block(Ops& ops, const DenseShape& shape, const DenseLayer& layer, View hidden, View normed,
               View gate_up, View activated) {
  ops.rms_norm(hidden, layer.mlp_norm.as<float>(), shape.rms_norm_eps, normed);
  ops.linear(normed, layer.gate_up, gate_up, /*accumulate=*/false);
  ops.swiglu(gate_up, activated);
  ops.linear(activated, layer.down, hidden, /*accumulate=*/true);
}

}  // namespace

tensor::View forward(Ops& ops, const DenseWeights& weights, const RopeTable& rope, const Batch& batch,
                     const kernels::KvCache& cache, DenseWorkspace& workspace) {
  const auto tokens = static_cast<std::int64_t>(batch.tokens.size());
  const View hidden = workspace.hidden.first_rows(tokens), normed = workspace.normed.first_rows(tokens);
  const View qkv = workspace.qkv.first_rows(tokens), attended = workspace.attended.first_rows(tokens);
  const View gate_up = workspace.gate_up.first_rows(tokens),
             activated = workspace.activated.first_rows(tokens);

  ops.embed(batch.tokens, weights.embedding, hidden);
  for (std::size_t i = 0; i < weights.layers.size(); ++i) {
    attention_block(ops, weights.shape, weights.layers[i], static_cast<std::int64_t>(i), rope, batch, cache,
                    hidden, normed, qkv, attended);
    mlp_block(ops, weights.shape, weights.layers[i], hidden, normed, gate_up, activated);
  }
  const auto outputs = static_cast<std::int64_t>(batch.outputs.size());
  const View last = workspace.last.first_rows(outputs), logits = workspace.logits.first_rows(outputs);
  if (outputs == 0) return logits;
  ops.gather_rows(hidden, batch.outputs, last);
  ops.rms_norm(last, weights.final_norm.as<float>(), weights.shape.rms_norm_eps, last);
  ops.linear(last, weights.head(), logits, /*accumulate=*/false);
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
  View view(std::int64_t rows, std::int64_t cols) {
    constexpr std::int64_t kFloatsPerLine = 16;
    const std::int64_t stride = (cols + kFloatsPerLine - 1) / kFloatsPerLine * kFloatsPerLine;
    View result{memory == nullptr ? nullptr : reinterpret_cast<float*>(memory + bytes), rows, cols, stride};
    bytes += static_cast<std::size_t>(rows * stride) * sizeof(float);
    return result;
  }
};

template <typename Workspace>
std::size_t lay_out(const DenseShape& shape, std::int64_t tokens, std::int64_t outputs, std::byte* memory,
                    Workspace* w) {
  Layout layout{memory};
  const View views[] = {layout.view(tokens, shape.hidden_size),
                        layout.view(tokens, shape.hidden_size),
                        layout.view(tokens, shape.q_size() + 2 * shape.kv_size()),
                        layout.view(tokens, shape.q_size()),
                        layout.view(tokens, 2 * shape.intermediate_size),
                        layout.view(tokens, shape.intermediate_size),
                        layout.view(outputs, shape.hidden_size),
                        layout.view(outputs, shape.vocab_size)};
  if (w != nullptr) {
    View* members[] = {&w->hidden,  &w->normed,    &w->qkv,  &w->attended,
                       &w->gate_up, &w->activated, &w->last, &w->logits};
    for (std::size_t i = 0; i < std::size(members); ++i) *members[i] = views[i];
  }
  return layout.bytes;
}

}  // namespace

DenseWorkspace::DenseWorkspace(const DenseShape& shape, std::int64_t max_tokens, std::int64_t max_outputs)
    : memory_(tensor::MemoryTag::kActivations, bytes(shape, max_tokens, max_outputs)) {
  lay_out(shape, max_tokens, max_outputs, memory_.data(), this);
}

std::size_t DenseWorkspace::bytes(const DenseShape& shape, std::int64_t max_tokens,
                                  std::int64_t max_outputs) {
  return lay_out<DenseWorkspace>(shape, max_tokens, max_outputs, nullptr, nullptr);
}

}  // namespace pagoda::model
