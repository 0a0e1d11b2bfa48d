#include "execute/runner.h"

#include <algorithm>
#include <bit>

#include "model/load_dense.h"

namespace pagoda::execute {
namespace {

constexpr std::int32_t kDefaultMaxModelLen = 8192;

kernels::KvShape kv_shape(const model::DenseShape& shape, const RunnerOptions& options) {
  return {shape.num_layers, shape.num_kv_heads, shape.head_dim, options.block_size, options.kv_format};
}

kernels::OpsLimits limits(const model::DenseShape& shape, const RunnerOptions& options) {
  return {.max_tokens = options.max_num_batched_tokens,
          .max_features = std::max({shape.hidden_size, shape.intermediate_size, shape.q_size()}),
          .num_heads = shape.num_heads,
          .kv = kv_shape(shape, options),
          .max_sequences = options.max_num_seqs,
          .max_context = options.max_model_len};
}

// Every table of a step at its longest.
ExecutorLimits executor_limits(const RunnerOptions& options, std::int32_t kv_blocks) {
  return {options.max_num_batched_tokens, options.max_num_seqs, kv_blocks, options.max_model_len};
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
base::Result<MemoryPlan> plan_memory(const model::DenseShape& shape, const model::WeightFormats& formats,
                                     std::int64_t max_positions, const kernels::Ops& ops,
                                     RunnerOptions& options) {
  const bool cuda = ops.on_device();
  if (options.max_num_seqs == 0) options.max_num_seqs = default_max_num_seqs(cuda);
  if (options.max_num_batched_tokens == 0)
    options.max_num_batched_tokens = std::max(cuda ? 2048 : 256, options.max_num_seqs);
  RETURN_IF_ERROR(check_options(options));
  RETURN_IF_ERROR(ops.check_kv_shape(kv_shape(shape, options), shape.num_heads));
  if (options.max_model_len == 0)
    options.max_model_len =
        static_cast<std::int32_t>(std::min<std::int64_t>(max_positions, kDefaultMaxModelLen));
  if (options.max_model_len > max_positions)
    return base::invalid("--max-model-len is {}, the model was made for {} positions", options.max_model_len,
                         max_positions);
  MemoryPlan plan;
  plan.budget_bytes = cuda ? static_cast<std::size_t>(static_cast<double>(ops.memory_budget_bytes()) *
                                                      options.gpu_memory_utilization)
                           : available_memory_bytes();
  plan.weights_bytes = model::estimate_weight_bytes(shape, formats);
  plan.activations_bytes =
      model::DenseWorkspace::bytes(shape, ops, options.max_num_batched_tokens, options.max_num_seqs) +
      model::RopeTable::bytes(shape.head_dim, options.max_model_len) +
      ops.scratch_bytes(limits(shape, options));
  plan.kv_block_size = options.block_size;
  plan.kv_block_bytes = shape.num_layers * ops.kv_layer_block_bytes(kv_shape(shape, options));
  const std::int64_t blocks_each = (options.max_model_len + options.block_size - 1) / options.block_size;
  if (cuda) {
    const auto most_blocks = static_cast<std::int32_t>(options.max_num_seqs * blocks_each);
    const ExecutorLimits largest = executor_limits(options, most_blocks);
    plan.activations_bytes += cuda_executor_bytes(shape, largest);
    plan.driver_bytes = ops.driver_bytes(formats.linear) + cuda_graphs_bytes(largest);
  }
  const char* const what = cuda ? "weights, graphs and activations" : "weights and activations";
  const std::size_t fixed = plan.total_bytes();  // the KV cache has nothing yet
  if (fixed > plan.budget_bytes)
    return base::error(base::Code::kResourceExhausted, "{} need {}, {} of memory are available", what,
                       format_bytes(fixed), format_bytes(plan.budget_bytes));
  const std::size_t rest = plan.budget_bytes - fixed;
  if (options.num_kv_blocks == 0) {
    const std::size_t wanted = options.max_num_seqs * blocks_each * plan.kv_block_bytes;
    if (options.kv_cache_bytes == 0) options.kv_cache_bytes = std::min(wanted, cuda ? rest : rest / 4);
    options.num_kv_blocks = static_cast<std::int32_t>(
        std::min<std::size_t>(options.kv_cache_bytes / plan.kv_block_bytes, 1 << 30));
  }
  plan.kv_blocks = options.num_kv_blocks;
  plan.kv_cache_bytes = plan.kv_blocks * plan.kv_block_bytes;
  if (plan.kv_cache_bytes > rest)
    return base::error(base::Code::kResourceExhausted,
                       "--kv-cache-memory is {}, beside {} {} of memory are available",
                       format_bytes(plan.kv_cache_bytes), what, format_bytes(rest));
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
  ASSIGN_OR_RETURN(MemoryPlan plan, plan_memory(shape, model::weight_formats(config, options.float_format),
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
  ASSIGN_OR_RETURN(MemoryPlan plan, plan_memory(shape, formats, /*max_positions=*/1 << 18, *ops, options));
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
      kv_memory_(ops_->allocate(tensor::MemoryTag::kKvCache, memory.kv_cache_bytes)),
      kv_cache_{kv_shape(weights_.shape, options), memory.kv_blocks,
                ops_->kv_layer_block_bytes(kv_shape(weights_.shape, options)), kv_memory_.data()},
      rope_(weights_.shape.rope_base, weights_.shape.head_dim, options.max_model_len, *ops_),
      workspace_(weights_.shape, *ops_, options.max_num_batched_tokens, options.max_num_seqs) {
  ops_->reserve(limits(weights_.shape, options));
  const ModelState state{*ops_, weights_, rope_, kv_cache_, workspace_};
  // Shared blocks stand in several tables: a step may name more than there are.
  const std::int32_t blocks_each = (options.max_model_len + options.block_size - 1) / options.block_size;
  const ExecutorLimits executor = executor_limits(options, blocks_each * options.max_num_seqs);
  executor_ = ops_->on_device() ? make_cuda_executor(state, executor) : make_host_executor(state, executor);
}

}  // namespace pagoda::execute
