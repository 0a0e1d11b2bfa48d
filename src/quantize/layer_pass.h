#pragma once
// Calibration texts on their way through a model, one layer at a time: the activations of all their tokens
// between two layers, and the inputs of a layer's four products. Computed by the CPU's kernels with BF16
// weights. Only the weights of one layer exist at a time.

#include <cstdint>
#include <functional>
#include <vector>

#include "base/thread_pool.h"
#include "kernels/ops.h"
#include "model/hunyuan_dense.h"

namespace pagoda::quantize {

// A text as the model sees it: a prompt, and the answer to it from `answer` on (the length: no answer).
struct CalibrationText {
  std::vector<std::int32_t> tokens;
  std::size_t answer = 0;
};
// What a prompt's tokens count in a gram, an answer's counting 1. Prompts are mostly the same few
// instructions, and what is wanted of the model are its answers.
inline constexpr float kPromptWeight = 0.25f;

// A matrix of floats [out, in] that a layer computes with.
kernels::Weight pack_floats(kernels::Ops& ops, const std::vector<float>& values, std::int64_t out,
                            std::int64_t in);

class LayerPass {
 public:
  // `texts`: none empty. The embeddings of their tokens are the first activations.
  LayerPass(const model::DenseShape& shape, kernels::Ops& ops, std::vector<CalibrationText> texts);

  std::int64_t tokens() const { return tokens_; }
  const std::vector<CalibrationText>& texts() const { return texts_; }
  // What token t counts in a gram.
  float weight(std::int64_t token) const { return weights_[token]; }
  // Row of token t: written by the caller before the first layer (an embedding).
  float* hidden(std::int64_t token) { return hidden_.as<float>() + token * shape_.hidden_size; }

  std::int64_t hidden_size() const { return shape_.hidden_size; }
  // The residual stream at a token: what attention adds to, and, from gate_up_inputs() on, the MLP.
  const float* layer_input(std::int64_t token) const {
    return hidden_.as<float>() + token * shape_.hidden_size;
  }
  const float* mlp_input(std::int64_t token) const {
    return middle_.as<float>() + token * shape_.hidden_size;
  }

  // The four products of a layer in their order. Each call hands the inputs of its product to `visit`, chunk
  // by chunk [rows, features], and needs the calls before it. None changes hidden() but finish().
  using Visit = std::function<void(tensor::View rows, std::int64_t first_token)>;
  void qkv_inputs(const float* norm, const Visit& visit);
  void o_inputs(const float* norm, const kernels::Weight& qkv, const float* q_norm, const float* k_norm,
                const Visit& visit);
  void gate_up_inputs(const kernels::Weight& o, const float* norm, const Visit& visit);
  void down_inputs(const float* norm, const kernels::Weight& gate_up, const Visit& visit);
  // hidden() becomes the input of the next layer.
  void finish(const kernels::Weight& down);

  // Bytes that a pass over so many tokens holds, without weights.
  static std::size_t bytes(const model::DenseShape& shape, std::int64_t tokens);

 private:
  struct Chunk {  // whole sequences
    std::int64_t first = 0, rows = 0;
    std::vector<std::int32_t> positions;
    std::vector<kernels::SequenceSlice> slices;
    std::vector<std::int32_t> blocks;
  };
  void make_chunks();
  tensor::View rows_of(const tensor::Buffer& buffer, const Chunk& chunk, std::int64_t features) const;
  void norm_chunk(const tensor::Buffer& from, const Chunk& chunk, const float* norm, tensor::View out);

  const model::DenseShape& shape_;
  kernels::Ops& ops_;
  std::vector<CalibrationText> texts_;
  std::vector<float> weights_;  // [tokens]
  std::int64_t tokens_ = 0, largest_chunk_ = 0, largest_sequences_ = 0, longest_ = 0, kv_blocks_ = 0;
  std::vector<Chunk> chunks_;
  tensor::Buffer hidden_;     // [tokens, hidden]: input of the layer
  tensor::Buffer middle_;     // [tokens, hidden]: after attention
  tensor::Buffer attended_;   // [tokens, q_size]
  tensor::Buffer activated_;  // [tokens, intermediate]
  tensor::Buffer normed_;     // [chunk, hidden]
  tensor::Buffer wide_;       // [chunk, q_size + 2 kv_size or 2 intermediate]
  tensor::Buffer kv_memory_;
  kernels::KvCache kv_cache_;
  std::unique_ptr<model::RopeTable> rope_;
};

}  // namespace pagoda::quantize
