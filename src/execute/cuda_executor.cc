// A step on a device: the batch goes over in one copy, a graph of the whole step runs (or, with prompts in
// it, its operators one by one), the device samples, and only the tokens come back.

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <tuple>

#include "base/check.h"
#include "execute/executor.h"
#include "execute/sequence_slots.h"
#include "kernels/cuda/cuda_backend.h"

namespace pagoda::execute {
namespace {

using kernels::SampleRow;
using kernels::SequenceSlice;

// Batches of a graph: a step runs in the smallest that holds it. Kernels work in tiles of 8, 16, 32 and 64
// rows.
constexpr std::array<std::int32_t, 17> kGraphBatches = {1,  2,  4,   8,   16,  24,  32,  48, 64,
                                                        80, 96, 128, 160, 192, 224, 256, 512};

std::size_t aligned(std::size_t bytes) { return (bytes + 255) / 256 * 256; }

// Where the arrays of a batch lie in one piece of memory, the same on both sides. Depends on the counts
// alone, so a graph finds its inputs where they were when it was recorded.
struct InputLayout {
  static constexpr std::size_t kRows = 0;  // how to sample, first of all
  std::size_t slices, outputs, tokens, positions, block_ids;

  InputLayout(std::size_t num_tokens, std::size_t num_sequences) {
    std::size_t at = aligned(num_sequences * sizeof(SampleRow));
    const auto next = [&at](std::size_t bytes) { return std::exchange(at, at + aligned(bytes)); };
    slices = next(num_sequences * sizeof(SequenceSlice));
    outputs = next(num_sequences * sizeof(std::int32_t));
    tokens = next(num_tokens * sizeof(std::int32_t));
    positions = next(num_tokens * sizeof(std::int32_t));
    block_ids = at;
  }
};

std::int32_t num_slots(const ExecutorLimits& limits) { return 2 * limits.max_sequences; }

std::size_t input_bytes(const ExecutorLimits& limits) {
  const auto padded = std::max<std::size_t>(limits.max_sequences, kGraphBatches.back());
  return InputLayout(std::max<std::size_t>(limits.max_tokens, padded), padded).block_ids +
         aligned((limits.max_blocks + limits.max_sequences) * sizeof(std::int32_t));
}

std::size_t seen_bytes(const model::DenseShape& shape, const ExecutorLimits& limits) {
  return static_cast<std::size_t>(num_slots(limits) + 1) * ((shape.vocab_size + 31) / 32) *
         sizeof(std::uint32_t);
}

bool on_device(const Sampling& sampling) {
  return sampling.logprobs < 0 &&
         (sampling.temperature == 0 || (sampling.top_k > 0 && sampling.top_k <= kernels::kMaxDeviceTopK));
}

class CudaExecutor final : public Executor {
 public:
  CudaExecutor(const ModelState& state, const ExecutorLimits& limits)
      : state_(state),
        cuda_(dynamic_cast<kernels::CudaBackend&>(state.ops)),
        limits_(limits),
        slots_(num_slots(limits)) {
    constexpr tensor::MemoryTag kTag = tensor::MemoryTag::kActivations;
    batch_.reserve(limits.max_tokens, limits.max_sequences, limits.max_blocks);
    inputs_ = cuda_.allocate(kTag, input_bytes(limits));
    staging_ = cuda_.allocate_pinned(input_bytes(limits));
    // One slot more, for the rows that only fill up a graph's batch.
    sampled_ = cuda_.allocate(kTag, (slots_.count() + 1) * sizeof(std::int32_t));
    seen_ = cuda_.allocate(kTag, seen_bytes(state.weights.shape, limits));
    const std::size_t most = std::max<std::size_t>(limits.max_sequences, kGraphBatches.back());
    tokens_out_ = cuda_.allocate(kTag, most * sizeof(std::int32_t));
    tokens_back_ = cuda_.allocate_pinned(most * sizeof(std::int32_t));
    history_ = cuda_.allocate(kTag, limits.max_model_len * sizeof(std::int32_t));
    history_staging_ = cuda_.allocate_pinned(limits.max_model_len * sizeof(std::int32_t));
  }

  std::vector<SampledToken> step(std::span<const StepSequence> sequences) override {
    batch_.build(sequences);
    const bool decodes_only = batch_.num_decodes == static_cast<std::int32_t>(sequences.size()) &&
                              batch_.outputs.size() == sequences.size();
    const bool device_samples =
        std::all_of(sequences.begin(), sequences.end(), [](const StepSequence& sequence) {
          return !sequence.part->samples || on_device(*sequence.sampling);
        });
    const bool all_greedy = std::all_of(sequences.begin(), sequences.end(), [](const StepSequence& sequence) {
      return !sequence.part->samples || sequence.sampling->temperature == 0;
    });
    const std::int32_t batch = decodes_only && device_samples ? graph_batch(batch_.num_decodes) : 0;
    send(sequences, batch);
    if (!device_samples) return sample_on_host(sequences, forward(batch_counts()));
    if (batch > 0)
      cuda_.launch(graph_for(batch, all_greedy));
    else
      sample(forward(batch_counts()), all_greedy);
    return receive(sequences);
  }

  tensor::View logits(std::span<const StepSequence> sequences) override {
    batch_.build(sequences);
    send(sequences, 0);
    return download(forward(batch_counts()));
  }

 private:
  struct Counts {
    std::int32_t tokens, sequences, outputs, decodes, max_queries, max_context;
  };

  Counts batch_counts() const {
    return {static_cast<std::int32_t>(batch_.tokens.size()),
            static_cast<std::int32_t>(batch_.slices.size()),
            static_cast<std::int32_t>(batch_.outputs.size()),
            batch_.num_decodes,
            batch_.max_queries,
            batch_.max_context};
  }

  // 0: no graph is that large.
  std::int32_t graph_batch(std::int32_t sequences) const {
    const auto found = std::lower_bound(kGraphBatches.begin(), kGraphBatches.end(), sequences);
    return found == kGraphBatches.end() || *found > limits_.max_tokens || *found > limits_.max_sequences
               ? 0
               : *found;
  }

  template <typename T>
  T* staged(std::size_t offset) {
    return reinterpret_cast<T*>(staging_.data() + offset);
  }
  template <typename T>
  T* input(std::size_t offset) {
    return reinterpret_cast<T*>(inputs_.data() + offset);
  }

  // Copies the batch to the device, filled up to `padded` decodes if that is not 0.
  void send(std::span<const StepSequence> sequences, std::int32_t padded) {
    const Counts counts = batch_counts();
    const std::int32_t tokens = std::max(counts.tokens, padded), rows = std::max(counts.sequences, padded);
    const InputLayout layout(tokens, rows);
    std::ranges::copy(batch_.tokens, staged<std::int32_t>(layout.tokens));
    std::ranges::copy(batch_.positions, staged<std::int32_t>(layout.positions));
    std::ranges::copy(batch_.outputs, staged<std::int32_t>(layout.outputs));
    std::ranges::copy(batch_.block_ids, staged<std::int32_t>(layout.block_ids));
    auto* slices = staged<SequenceSlice>(layout.slices);
    for (std::size_t i = 0; i < batch_.slices.size(); ++i) {
      slices[i] = batch_.slices[i];
      slices[i].block_table = input<std::int32_t>(layout.block_ids) + batch_.first_block[i];
    }
    auto* sample_rows = staged<SampleRow>(InputLayout::kRows);
    for (const StepSequence& sequence : sequences)
      if (sequence.part->samples) *sample_rows++ = sample_row(sequence);
    for (std::int32_t i = counts.sequences; i < padded; ++i) {
      staged<std::int32_t>(layout.tokens)[i] = 0;
      staged<std::int32_t>(layout.positions)[i] = 0;
      staged<std::int32_t>(layout.outputs)[i] = i;
      slices[i] = {.first_row = i, .num_queries = 1, .context = 0, .block_table = nullptr};
      *sample_rows++ = {.slot = slots_.count()};
    }
    cuda_.upload(inputs_.data(), staging_.data(),
                 layout.block_ids + batch_.block_ids.size() * sizeof(std::int32_t));
  }

  SampleRow sample_row(const StepSequence& sequence) {
    const Sampling& sampling = *sequence.sampling;
    const auto [slot, fresh] = slots_.find(sequence.part->id);
    if (fresh && sampling.repetition_penalty != 1) {
      // Rare (once a sequence), and the staging memory is one: wait for the copy.
      std::ranges::copy(sequence.history, history_staging_.as<std::int32_t>());
      cuda_.upload(history_.data(), history_staging_.data(), sequence.history.size() * sizeof(std::int32_t));
      cuda_.set_seen(seen_.as<std::uint32_t>(), state_.weights.shape.vocab_size, slot,
                     history_.as<std::int32_t>(), static_cast<std::int64_t>(sequence.history.size()));
      cuda_.synchronize();
    }
    return {.temperature = sampling.temperature,
            .top_p = sampling.top_p,
            .min_p = sampling.min_p,
            .repetition_penalty = sampling.repetition_penalty,
            .top_k = sampling.top_k,
            .slot = slot,
            .seed = sampling.seed,
            .position = sequence.history.size()};
  }

  // The model over what was sent; its logits lie on the device.
  tensor::View forward(const Counts& counts) {
    const InputLayout layout(counts.tokens, counts.sequences);
    const auto span = [&](std::size_t offset, std::int32_t count) {
      return std::span<const std::int32_t>(input<std::int32_t>(offset), count);
    };
    const model::Batch batch{
        span(layout.tokens, counts.tokens),
        span(layout.positions, counts.tokens),
        {std::span<const SequenceSlice>(input<SequenceSlice>(layout.slices), counts.sequences),
         counts.decodes, counts.max_queries, counts.max_context},
        span(layout.outputs, counts.outputs)};
    return model::forward(state_.ops, state_.weights, state_.rope, batch, state_.kv_cache, state_.workspace);
  }

  void sample(tensor::View logits, bool all_greedy) {
    if (logits.rows == 0) return;
    cuda_.sample(logits, input<SampleRow>(InputLayout::kRows), all_greedy, sampled_.as<std::int32_t>(),
                 tokens_out_.as<std::int32_t>(), seen_.as<std::uint32_t>());
  }

  // Contexts of a graph: its attention is cut for the longest it was recorded for.
  std::int32_t graph_context(std::int32_t context) const {
    std::int32_t longest = 256;
    while (longest < context) longest *= 2;
    return std::min(longest, std::max(limits_.max_model_len, context));
  }

  const kernels::CudaBackend::Graph& graph_for(std::int32_t batch, bool all_greedy) {
    const std::int32_t context = graph_context(batch_.max_context);
    std::unique_ptr<kernels::CudaBackend::Graph>& graph = graphs_[{batch, context, all_greedy}];
    if (graph == nullptr)
      graph = cuda_.capture([&] {
        sample(forward({.tokens = batch,
                        .sequences = batch,
                        .outputs = batch,
                        .decodes = batch,
                        .max_queries = 0,
                        .max_context = context}),
               all_greedy);
      });
    return *graph;
  }

  std::vector<SampledToken> receive(std::span<const StepSequence> sequences) {
    std::vector<SampledToken> result(sequences.size());
    if (batch_.outputs.empty()) {
      // Nothing comes back, but the staging memory must not be written before the copy is over.
      cuda_.synchronize();
      return result;
    }
    cuda_.download(tokens_back_.data(), tokens_out_.data(), batch_.outputs.size() * sizeof(std::int32_t));
    cuda_.mark(0);
    cuda_.wait(0);
    const auto* token = tokens_back_.as<std::int32_t>();
    for (std::size_t i = 0; i < sequences.size(); ++i)
      if (sequences[i].part->samples) result[i].token = *token++;
    return result;
  }

  tensor::View download(tensor::View logits) {
    const auto rows = static_cast<std::size_t>(logits.rows * logits.stride);
    if (host_logits_.size() < rows * sizeof(float))
      host_logits_ = cuda_.allocate_pinned(rows * sizeof(float));
    cuda_.download(host_logits_.data(), logits.data, rows * sizeof(float));
    cuda_.synchronize();
    return {host_logits_.data(), logits.rows, logits.cols, logits.stride, logits.dtype};
  }

  // For what the device's sampler does not do: logprobs, and draws from the whole vocabulary.
  std::vector<SampledToken> sample_on_host(std::span<const StepSequence> sequences,
                                           tensor::View device_logits) {
    slots_ = SequenceSlots(slots_.count());  // the device misses the tokens that are chosen here
    return sample_rows(sampler_, download(device_logits), sequences);
  }

  ModelState state_;
  kernels::CudaBackend& cuda_;
  ExecutorLimits limits_;
  BatchLayout batch_;
  SequenceSlots slots_;
  Sampler sampler_;
  tensor::Buffer inputs_, staging_;
  tensor::Buffer sampled_, seen_, tokens_out_, tokens_back_, history_, history_staging_, host_logits_;
  std::map<std::tuple<std::int32_t, std::int32_t, bool>, std::unique_ptr<kernels::CudaBackend::Graph>>
      graphs_;
};

}  // namespace

std::unique_ptr<Executor> make_cuda_executor(const ModelState& state, const ExecutorLimits& limits) {
  return std::make_unique<CudaExecutor>(state, limits);
}

std::size_t cuda_executor_bytes(const model::DenseShape& shape, const ExecutorLimits& limits) {
  return input_bytes(limits) + seen_bytes(shape, limits) +
         (limits.max_model_len + 4096) * sizeof(std::int32_t);
}

}  // namespace pagoda::execute
