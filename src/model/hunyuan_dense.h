#pragma once
// The forward pass of HunYuanDenseV1 (HY-MT1.5 and Hy-MT2, 1.8B and 7B), written in ops. Knows no device, no
// sequence and no checkpoint: weights come packed from load_dense.h, memory from execute/.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "kernels/ops.h"
#include "tensor/memory.h"
#include "tensor/view.h"

namespace pagoda::model {

struct DenseShape {
  std::int64_t vocab_size = 0;
  std::int64_t hidden_size = 0;
  std::int64_t intermediate_size = 0;
  std::int64_t num_layers = 0;
  std::int64_t num_heads = 0;
  std::int64_t num_kv_heads = 0;
  std::int64_t head_dim = 0;
  float rms_norm_eps = 1e-5f;
  bool use_qk_norm = true;
  bool tied_embeddings = true;
  double rope_base = 10000.0;  // theta * alpha^(d / (d - 2))

  std::int64_t q_size() const { return num_heads * head_dim; }
  std::int64_t kv_size() const { return num_kv_heads * head_dim; }
  // Of the linear layers of one layer.
  std::int64_t layer_weights() const {
    return hidden_size * (2 * q_size() + 2 * kv_size() + 3 * intermediate_size);
  }
};

struct DenseLayer {
  tensor::Buffer input_norm;  // float [hidden]
  kernels::Weight qkv;        // [q_size + 2 kv_size, hidden]: q rows, then k, then v
  tensor::Buffer q_norm;      // float [head_dim], shared by all heads; empty without QK norm
  tensor::Buffer k_norm;      // float [head_dim]
  kernels::Weight o;          // [hidden, q_size]
  tensor::Buffer mlp_norm;    // float [hidden]
  kernels::Weight gate_up;    // [2 intermediate, hidden]: gate rows, then up
  kernels::Weight down;       // [hidden, intermediate]
};

struct DenseWeights {
  DenseShape shape;
  kernels::Weight embedding;  // [vocab, hidden]
  std::vector<DenseLayer> layers;
  tensor::Buffer final_norm;  // float [hidden]
  kernels::Weight lm_head;    // [vocab, hidden]; empty when tied
  std::string formats;        // for people: "int4 g128, embedding int8"; empty for random ones

  const kernels::Weight& head() const { return shape.tied_embeddings ? embedding : lm_head; }
  std::size_t bytes() const;
  // Bytes that a step of few tokens reads: everything, but of an untied embedding only the rows looked up.
  std::size_t bytes_read_per_step() const;
};

// Angles for positions [0, max_positions): cos and sin, each float [max_positions, head_dim / 2].
class RopeTable {
 public:
  RopeTable(double base, std::int64_t head_dim, std::int64_t max_positions, kernels::Ops& ops);
  const float* cos() const { return cos_.as<float>(); }
  const float* sin() const { return sin_.as<float>(); }
  static std::size_t bytes(std::int64_t head_dim, std::int64_t max_positions);

 private:
  tensor::Buffer cos_, sin_;
};

// Activations of a step, allocated once for the largest.
class DenseWorkspace {
 public:
  DenseWorkspace(const DenseShape& shape, kernels::Ops& ops, std::int64_t max_tokens,
                 std::int64_t max_outputs);
  static std::size_t bytes(const DenseShape& shape, const kernels::Ops& ops, std::int64_t max_tokens,
                           std::int64_t max_outputs);

  // Inputs of linear layers (normed, attended, gate_up, activated, last_normed) are of the backend's type.
  tensor::View hidden, normed;     // [tokens, hidden]
  tensor::View qkv;                // [tokens, q_size + 2 kv_size]
  tensor::View attended;           // [tokens, q_size]
  tensor::View gate_up;            // [tokens, 2 intermediate]
  tensor::View activated;          // [tokens, intermediate]
  tensor::View last, last_normed;  // [outputs, hidden]
  tensor::View logits;             // [outputs, vocab]

 private:
  tensor::Buffer memory_;
};

struct Batch {
  std::span<const std::int32_t> tokens;     // [tokens]
  std::span<const std::int32_t> positions;  // [tokens]
  kernels::SequenceBatch sequences;         // rows in order, covering all tokens
  std::span<const std::int32_t> outputs;    // rows whose logits are wanted
};

// Computes the batch, writes its keys and values to the cache, and returns logits [outputs, vocab] (in the
// workspace).
tensor::View forward(kernels::Ops& ops, const DenseWeights& weights, const RopeTable& rope,
                     const Batch& batch, const kernels::KvCache& cache, DenseWorkspace& workspace);

}  // namespace pagoda::model
