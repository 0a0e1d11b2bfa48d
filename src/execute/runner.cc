#include "execute/runner.h"

#include <algorithm>
#include <bit>

#include "model/load_dense.h"

namespace pagoda::execute {
namespace {

constexpr std::int32_t kDefaultMaxModelLen = 8192;

kernels::KvShape kv_shape(const model::DenseShape& shape, const RunnerOptions& options) {
  return {shape.num_layers, shape.num_kv_heads, shape.head_dim, options.block_size};
}

kernels::OpsLimits limits(const model::DenseShape& shape, const RunnerOptions& options) {
  return {.max_tokens = options.max_num_batched_tokens,
          .max_features = std::max({shape.hidden_size, shape.intermediate_size, shape.q_size()}),
          .num_heads = shape.num_heads,
          .kv = kv_shape(shape, options)};
}

base::Status check_options(const RunnerOptions& options) {
  if (options.block_size < 8 || options.block_size > 512 ||
      !std::has_single_bit(static_cast<unsigned>(options.block_size)))
    return base::invalid("--block-size is {}, it must be a power of two from 8 to 512", options.block_size);
  if (options.max_num_seqs < 1 || options.max_num_seqs > 4096)
    return base::invalid("--max-num-seqs is {}, it must be from 1 to 4096", options.max_num_seqs);
  if (options.max_num_batched_tokens < options.max_num_seqs || options.max_num_batched_tokens > 65536)
    return base::invalid("--max-num-batched-tokens is {}, it must be from --max-num-seqs ({}) to 65536",
                         options.max_num_batched_tokens, options.max_num_seqs);
  if (options.max_model_len < 0) return base::invalid("--max-model-len is {}", options.max_model_len);
  return {};
}

// Decides the zeros of `options` and every byte. Nothing is allocated yet.
base::Result<MemoryPlan> plan_memory(const model::DenseShape& shape, std::size_t weights_bytes,
                                     std::int64_t max_positions, const kernels::Ops& ops,
                                     RunnerOptions& options) {
  RETURN_IF_ERROR(check_options(options));
  if (options.max_model_len == 0)
    options.max_model_len =
        static_cast<std::int32_t>(std::min<std::int64_t>(max_positions, kDefaultMaxModelLen));
  if (options.max_model_len > max_positions)
    return base::invalid("--max-model-len is {}, the model was made for {} positions", options.max_model_len,
                         max_positions);
  MemoryPlan plan;
  plan.budget_bytes = available_memory_bytes();
  plan.weights_bytes = weights_bytes;
  plan.activations_bytes =
      model::DenseWorkspace::bytes(shape, options.max_num_batched_tokens, options.max_num_seqs) +
      model::RopeTable::bytes(shape.head_dim, options.max_model_len) +
      ops.scratch_bytes(limits(shape, options));
  plan.kv_block_size = options.block_size;
  plan.kv_block_bytes = shape.num_layers * ops.kv_layer_block_bytes(kv_shape(shape, options));
  const std::size_t fixed = plan.weights_bytes + plan.activations_bytes;
  if (fixed > plan.budget_bytes)
    return base::error(base::Code::kResourceExhausted,
                       "weights and activations need {}, {} of memory are available", format_bytes(fixed),
                       format_bytes(plan.budget_bytes));
  const std::size_t rest = plan.budget_bytes - fixed;
  const std::int64_t blocks_each = (options.max_model_len + options.block_size - 1) / options.block_size;
  if (options.num_kv_blocks == 0) {
    const std::size_t wanted = options.max_num_seqs * blocks_each * plan.kv_block_bytes;
    if (options.kv_cache_bytes == 0) options.kv_cache_bytes = std::min(wanted, rest / 4);
    options.num_kv_blocks = static_cast<std::int32_t>(
        std::min<std::size_t>(options.kv_cache_bytes / plan.kv_block_bytes, 1 << 30));
  }
  plan.kv_blocks = options.num_kv_blocks;
  plan.kv_cache_bytes = plan.kv_blocks * plan.kv_block_bytes;
  if (plan.kv_cache_bytes > rest)
    return base::error(base::Code::kResourceExhausted,
                       "--kv-cache-memory is {}, beside weights and activations {} of memory are available",
                       format_bytes(plan.kv_cache_bytes), format_bytes(rest));
  if (plan.kv_blocks < 1)
    return base::invalid("--kv-cache-memory has no room for one block of {} tokens ({})", options.block_size,
                         format_bytes(plan.kv_block_bytes));
  return plan;
}

}  // namespace

base::Result<std::unique_ptr<Runner>> Runner::load(const checkpoint::Checkpoint& checkpoint,
                                                   std::unique_ptr<kernels::Ops> ops,
                                                   const RunnerOptions& wanted,
                                                   const std::function<void(double)>& progress) {
  RETURN_IF_ERROR(checkpoint::check_tensors(checkpoint));
  const checkpoint::Config& config = checkpoint.config();
  const model::DenseShape shape = model::shape_of(config);
  RunnerOptions options = wanted;
  ASSIGN_OR_RETURN(
      MemoryPlan plan,
      plan_memory(shape,
                  model::estimate_weight_bytes(shape, model::weight_formats(config, options.float_format)),
                  config.max_position_embeddings, *ops, options));
  ASSIGN_OR_RETURN(model::DenseWeights weights,
                   model::load_dense(checkpoint, *ops, options.float_format, progress));
  plan.weights_bytes = weights.bytes();
  plan.weights_formats = weights.formats;
  return std::unique_ptr<Runner>(new Runner(std::move(ops), options, plan, std::move(weights)));
}

base::Result<std::unique_ptr<Runner>> Runner::random(const model::DenseShape& shape,
                                                     model::WeightFormats formats,
                                                     std::unique_ptr<kernels::Ops> ops,
                                                     const RunnerOptions& wanted) {
  RunnerOptions options = wanted;
  ASSIGN_OR_RETURN(MemoryPlan plan, plan_memory(shape, model::estimate_weight_bytes(shape, formats),
                                                /*max_positions=*/1 << 18, *ops, options));
  model::DenseWeights weights = model::random_dense(shape, formats, *ops);
  plan.weights_bytes = weights.bytes();
  return std::unique_ptr<Runner>(new Runner(std::move(ops), options, plan, std::move(weights)));
}

Runner::Runner(std::unique_ptr<kernels::Ops> ops, const RunnerOptions& options, const MemoryPlan& memory,
               model::DenseWeights weights)
    : ops_(std::move(ops)),
      options_(options),
      memory_(memory),
      weights_(std::move(weights)),
      kv_memory_(tensor::MemoryTag::kKvCache, memory.kv_cache_bytes),
      kv_cache_{kv_shape(weights_.shape, options), memory.kv_blocks,
                ops_->kv_layer_block_bytes(kv_shape(weights_.shape, options)), kv_memory_.data()},
      rope_(weights_.shape.rope_base, weights_.shape.head_dim, options.max_model_len),
      workspace_(weights_.shape, options.max_num_batched_tokens, options.max_num_seqs) {
  ops_->reserve(limits(weights_.shape, options));
  tokens_.reserve(options.max_num_batched_tokens);
  positions_.reserve(options.max_num_batched_tokens);
  outputs_.reserve(options.max_num_seqs);
  slices_.reserve(options.max_num_seqs);
  block_ids_.reserve(memory.kv_blocks + options.max_num_seqs);
}

tensor::View Runner::compute(std::span<const StepSequence> sequences) {
  tokens_.clear();
  positions_.clear();
  outputs_.clear();
  slices_.clear();
  block_ids_.clear();
  std::size_t num_blocks = 0;
  for (const StepSequence& sequence : sequences) num_blocks += sequence.part->blocks.size();
  block_ids_.reserve(num_blocks);  // slices point into it: it must not move
  for (const StepSequence& sequence : sequences) {
    const schedule::ScheduledSequence& part = *sequence.part;
    slices_.push_back({.first_row = static_cast<std::int32_t>(tokens_.size()),
                       .num_queries = part.count,
                       .context = part.first + part.count,
                       .block_table = block_ids_.data() + block_ids_.size()});
    for (const cache::BlockId block : part.blocks) block_ids_.push_back(block.value);
    for (std::int32_t i = 0; i < part.count; ++i) {
      tokens_.push_back(part.tokens[i]);
      positions_.push_back(part.first + i);
    }
    if (part.samples) outputs_.push_back(static_cast<std::int32_t>(tokens_.size()) - 1);
  }
  const model::Batch batch{tokens_, positions_, slices_, outputs_};
  return model::forward(*ops_, weights_, rope_, batch, kv_cache_, workspace_);
}

std::vector<SampledToken> Runner::step(std::span<const StepSequence> sequences) {
  const tensor::View logits = compute(sequences);
  std::vector<SampledToken> sampled(sequences.size());
  std::int64_t row = 0;
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    if (!sequences[i].part->samples) continue;
    const std::span<float> values(logits.row(row++), logits.cols);
    sampled[i] = sampler_.sample(values, sequences[i].history, *sequences[i].sampling);
  }
  return sampled;
}

}  // namespace pagoda::execute
