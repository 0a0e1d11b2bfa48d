#include "quantize/layer_pass.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace pagoda::quantize {
namespace {

using tensor::Buffer;
using tensor::MemoryTag;
using tensor::View;

constexpr std::int64_t kChunkRows = 1024;  // of whole sequences; one that is longer has a chunk of its own
constexpr std::int64_t kBlock = 16;        // tokens of a KV block

std::int64_t wide_features(const model::DenseShape& shape) {
  return std::max(shape.q_size() + 2 * shape.kv_size(), 2 * shape.intermediate_size);
}

std::int64_t blocks_for(std::int64_t tokens) { return (tokens + kBlock - 1) / kBlock; }

Buffer floats(std::int64_t rows, std::int64_t columns) {
  return Buffer(MemoryTag::kActivations, static_cast<std::size_t>(rows * columns) * sizeof(float));
}

}  // namespace

kernels::Weight pack_floats(kernels::Ops& ops, const std::vector<float>& values, std::int64_t out,
                            std::int64_t in) {
  kernels::WeightSource source;
  source.out_features = out;
  source.in_features = in;
  source.format = kernels::WeightFormat::kBF16;
  source.row_f32 = [&](std::int64_t row, float* to) { std::copy_n(values.data() + row * in, in, to); };
  return ops.pack(source);
}

LayerPass::LayerPass(const model::DenseShape& shape, kernels::Ops& ops, std::vector<CalibrationText> texts)
    : shape_(shape), ops_(ops), texts_(std::move(texts)) {
  make_chunks();
  hidden_ = floats(tokens_, shape.hidden_size);
  middle_ = floats(tokens_, shape.hidden_size);
  attended_ = floats(tokens_, shape.q_size());
  activated_ = floats(tokens_, shape.intermediate_size);
  normed_ = floats(largest_chunk_, shape.hidden_size);
  wide_ = floats(largest_chunk_, wide_features(shape));
  const kernels::KvShape kv{1, shape.num_kv_heads, shape.head_dim, static_cast<std::int32_t>(kBlock)};
  const std::size_t block_bytes = ops.kv_layer_block_bytes(kv);
  kv_memory_ = Buffer(MemoryTag::kKvCache, kv_blocks_ * block_bytes);
  kv_cache_ = {kv, static_cast<std::int32_t>(kv_blocks_), block_bytes, kv_memory_.data()};
  rope_ = std::make_unique<model::RopeTable>(shape.rope_base, shape.head_dim, longest_, ops);
  ops.reserve({.max_tokens = largest_chunk_,
               .max_features = std::max({shape.hidden_size, shape.intermediate_size, shape.q_size()}),
               .num_heads = shape.num_heads,
               .kv = kv,
               .max_sequences = largest_sequences_,
               .max_context = longest_});
}

void LayerPass::make_chunks() {
  for (const CalibrationText& text : texts_) {
    CHECK(!text.tokens.empty());
    const auto length = static_cast<std::int64_t>(text.tokens.size());
    // The last token of the prompt is where the answer's first is made.
    for (std::size_t i = 0; i < text.tokens.size(); ++i)
      weights_.push_back(i + 1 < text.answer ? kPromptWeight : 1);
    if (chunks_.empty() || chunks_.back().rows + length > kChunkRows) chunks_.emplace_back().first = tokens_;
    Chunk& chunk = chunks_.back();
    chunk.slices.push_back({.first_row = static_cast<std::int32_t>(chunk.rows),
                            .num_queries = static_cast<std::int32_t>(length),
                            .context = static_cast<std::int32_t>(length),
                            .block_table = nullptr});
    for (std::int64_t i = 0; i < length; ++i) chunk.positions.push_back(static_cast<std::int32_t>(i));
    for (std::int64_t b = 0; b < blocks_for(length); ++b)
      chunk.blocks.push_back(static_cast<std::int32_t>(chunk.blocks.size()));
    chunk.rows += length;
    tokens_ += length;
    longest_ = std::max(longest_, length);
  }
  for (Chunk& chunk : chunks_) {
    const std::int32_t* block = chunk.blocks.data();
    for (kernels::SequenceSlice& slice : chunk.slices) {
      slice.block_table = block;
      block += blocks_for(slice.context);
    }
    largest_chunk_ = std::max(largest_chunk_, chunk.rows);
    largest_sequences_ = std::max(largest_sequences_, static_cast<std::int64_t>(chunk.slices.size()));
    kv_blocks_ = std::max(kv_blocks_, static_cast<std::int64_t>(chunk.blocks.size()));
  }
  CHECK(tokens_ > 0);
}

View LayerPass::rows_of(const Buffer& buffer, const Chunk& chunk, std::int64_t features) const {
  return View::of(buffer.as<float>() + chunk.first * features, chunk.rows, features, features);
}

void LayerPass::norm_chunk(const Buffer& from, const Chunk& chunk, const float* norm, View out) {
  ops_.rms_norm(rows_of(from, chunk, shape_.hidden_size), norm, shape_.rms_norm_eps, out);
}

void LayerPass::qkv_inputs(const float* norm, const Visit& visit) {
  for (const Chunk& chunk : chunks_) {
    const View normed = View::of(normed_.as<float>(), chunk.rows, shape_.hidden_size, shape_.hidden_size);
    norm_chunk(hidden_, chunk, norm, normed);
    visit(normed, chunk.first);
  }
}

void LayerPass::o_inputs(const float* norm, const kernels::Weight& qkv, const float* q_norm,
                         const float* k_norm, const Visit& visit) {
  const std::int64_t features = shape_.q_size() + 2 * shape_.kv_size();
  for (const Chunk& chunk : chunks_) {
    const View normed = View::of(normed_.as<float>(), chunk.rows, shape_.hidden_size, shape_.hidden_size);
    const View projected = View::of(wide_.as<float>(), chunk.rows, features, features);
    norm_chunk(hidden_, chunk, norm, normed);
    ops_.linear(normed, qkv, projected, /*accumulate=*/false);
    kernels::RopeArgs rope;
    rope.qkv = projected;
    rope.num_heads = shape_.num_heads;
    rope.positions = chunk.positions.data();
    rope.cos = rope_->cos();
    rope.sin = rope_->sin();
    rope.q_norm = q_norm;
    rope.k_norm = k_norm;
    rope.eps = shape_.rms_norm_eps;
    ops_.rope_and_write_kv(rope, kv_cache_, 0, {chunk.slices});
    kernels::AttentionArgs attention;
    attention.q = projected.columns(0, shape_.q_size());
    attention.out = rows_of(attended_, chunk, shape_.q_size());
    attention.num_heads = shape_.num_heads;
    attention.scale = 1.0f / std::sqrt(static_cast<float>(shape_.head_dim));
    ops_.attention(attention, kv_cache_, 0, {chunk.slices});
    visit(attention.out, chunk.first);
  }
}

void LayerPass::gate_up_inputs(const kernels::Weight& o, const float* norm, const Visit& visit) {
  for (const Chunk& chunk : chunks_) {
    const View middle = rows_of(middle_, chunk, shape_.hidden_size);
    const View normed = View::of(normed_.as<float>(), chunk.rows, shape_.hidden_size, shape_.hidden_size);
    std::copy_n(rows_of(hidden_, chunk, shape_.hidden_size).row(0), chunk.rows * shape_.hidden_size,
                middle.row(0));
    ops_.linear(rows_of(attended_, chunk, shape_.q_size()), o, middle, /*accumulate=*/true);
    norm_chunk(middle_, chunk, norm, normed);
    visit(normed, chunk.first);
  }
}

void LayerPass::down_inputs(const float* norm, const kernels::Weight& gate_up, const Visit& visit) {
  for (const Chunk& chunk : chunks_) {
    const View normed = View::of(normed_.as<float>(), chunk.rows, shape_.hidden_size, shape_.hidden_size);
    const View both =
        View::of(wide_.as<float>(), chunk.rows, 2 * shape_.intermediate_size, 2 * shape_.intermediate_size);
    const View activated = rows_of(activated_, chunk, shape_.intermediate_size);
    norm_chunk(middle_, chunk, norm, normed);
    ops_.linear(normed, gate_up, both, /*accumulate=*/false);
    ops_.swiglu(both, activated);
    visit(activated, chunk.first);
  }
}

void LayerPass::finish(const kernels::Weight& down) {
  for (const Chunk& chunk : chunks_)
    ops_.linear(rows_of(activated_, chunk, shape_.intermediate_size), down,
                rows_of(middle_, chunk, shape_.hidden_size), /*accumulate=*/true);
  std::swap(hidden_, middle_);
}

std::size_t LayerPass::bytes(const model::DenseShape& shape, std::int64_t tokens) {
  const std::int64_t kept = 2 * shape.hidden_size + shape.q_size() + shape.intermediate_size;
  const std::int64_t chunk = shape.hidden_size + wide_features(shape);
  return static_cast<std::size_t>(tokens * kept + std::min(tokens, kChunkRows) * chunk) * sizeof(float);
}

}  // namespace pagoda::quantize
