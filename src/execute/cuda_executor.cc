// A step on a device: the batch goes over in one copy, a graph of the whole step runs (or, of a large one
// with prompts in it, its operators one by one), the device samples, and only the tokens come back. All of it
// is enqueued on one stream, so that a step can be submitted while the one before it runs: what lies on the
// device is used by one after the other, and only the pinned memory of the copies is there twice.

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "base/check.h"
#include "execute/executor.h"
#include "execute/input_layout.h"
#include "execute/sequence_slots.h"
#include "execute/step_clock.h"
#include "kernels/cuda/cuda_backend.h"

namespace pagoda::execute {
namespace {

using kernels::SampleRow;
using kernels::SequenceSlice;

constexpr std::int32_t kShortestGraphContext = 256;
// More than `pagoda bench --memory` shows of a graph on an H200 (bench/results/h200.md).
constexpr std::size_t kGraphBytes = std::size_t{1} << 20;

std::int32_t num_slots(const ExecutorLimits& limits) { return 2 * limits.max_sequences; }

std::size_t seen_bytes(const model::DenseShape& shape, const ExecutorLimits& limits) {
  return static_cast<std::size_t>(num_slots(limits) + 1) * ((shape.vocab_size + 31) / 32) *
         sizeof(std::uint32_t);
}

// Tokens of histories that go over in one step without waiting.
std::size_t history_room(const ExecutorLimits& limits) { return limits.max_model_len + limits.max_tokens; }

// What a graph of a mixed step holds; none if no graph is that large.
struct MixedSize {
  std::int32_t tokens, sequences;
};
std::optional<MixedSize> mixed_size(std::int32_t tokens, std::int32_t sequences,
                                    const ExecutorLimits& limits) {
  const auto at_least = [](const auto& sizes, std::int32_t wanted) {
    const auto found = std::ranges::lower_bound(sizes, wanted);
    return found == sizes.end() ? 0 : *found;
  };
  const std::int32_t most = std::min(at_least(kMixedSequences, sequences), limits.max_sequences);
  const std::int32_t rows = at_least(kMixedTokens, std::max(tokens, most));
  if (most < sequences || rows == 0 || rows > limits.max_tokens) return {};
  return MixedSize{rows, most};
}

class CudaExecutor final : public Executor {
 public:
  CudaExecutor(const ModelState& state, const ExecutorLimits& limits)
      : state_(state),
        cuda_(dynamic_cast<kernels::CudaBackend&>(state.ops)),
        limits_(limits),
        slots_(num_slots(limits)),
        clock_(cuda_) {
    constexpr tensor::MemoryTag kTag = tensor::MemoryTag::kActivations;
    batch_.reserve(limits.max_tokens, limits.max_sequences, limits.max_blocks);
    inputs_ = cuda_.allocate(kTag, InputLayout::max_bytes(limits));
    // One slot more, for the rows that only fill up a graph's batch.
    sampled_ = cuda_.allocate(kTag, (slots_.count() + 1) * sizeof(std::int32_t));
    seen_ = cuda_.allocate(kTag, seen_bytes(state.weights.shape, limits));
    const std::size_t most = std::max<std::size_t>(limits.max_sequences, kGraphBatches.back());
    tokens_out_ = cuda_.allocate(kTag, most * sizeof(std::int32_t));
    history_ = cuda_.allocate(kTag, limits.max_model_len * sizeof(std::int32_t));
    for (Flight& flight : flights_) {
      flight.inputs = cuda_.allocate_pinned(InputLayout::max_bytes(limits));
      flight.histories = cuda_.allocate_pinned(history_room(limits) * sizeof(std::int32_t));
      flight.tokens_back = cuda_.allocate_pinned(most * sizeof(std::int32_t));
    }
  }
  // The device may still read and write the pinned memory.
  ~CudaExecutor() override { cuda_.synchronize(); }

  void submit(std::span<const StepSequence> sequences) override {
    CHECK(submitted_ - collected_ < kMaxInFlight);
    const auto index = static_cast<int>(submitted_ % kMaxInFlight);
    Flight& flight = flights_[index];
    batch_.build(sequences);
    flight.results.assign(sequences.size(), {});
    flight.sampling.clear();
    flight.history_used = 0;
    bool device_samples = true, all_greedy = true;
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      if (!sequences[i].part->samples) continue;
      flight.sampling.push_back(i);
      device_samples = device_samples && feeds_itself(*sequences[i].sampling);
      all_greedy = all_greedy && sequences[i].sampling->temperature == 0;
    }
    CHECK(device_samples || submitted_ == collected_);
    const bool decodes_only = batch_.num_decodes == static_cast<std::int32_t>(sequences.size()) &&
                              batch_.outputs.size() == sequences.size();
    std::optional<Counts> padded;
    if (device_samples) padded = decodes_only ? padded_decodes() : padded_mixed();
    const Counts counts = padded.value_or(batch_counts());
    send(flight, sequences, counts);
    // The sampler of mixed steps is that of all, for half as many graphs.
    const kernels::CudaBackend::Graph* graph =
        padded ? &graph_for(counts, all_greedy && decodes_only) : nullptr;
    clock_.begin(submitted_);
    if (!device_samples)
      sample_on_host(flight, sequences);
    else if (graph != nullptr)
      cuda_.launch(*graph);
    else
      sample(forward(counts), all_greedy);
    clock_.end(submitted_);
    if (!flight.sampling.empty())
      cuda_.download(flight.tokens_back.data(), tokens_out_.data(),
                     flight.sampling.size() * sizeof(std::int32_t));
    cuda_.mark(index);
    ++submitted_;
  }

  std::vector<SampledToken> collect() override {
    CHECK(collected_ < submitted_);
    const auto index = static_cast<int>(collected_ % kMaxInFlight);
    Flight& flight = flights_[index];
    cuda_.wait(index);
    const auto* token = flight.tokens_back.as<std::int32_t>();
    for (const std::size_t i : flight.sampling) flight.results[i].token = *token++;
    clock_.collect(collected_++);
    return std::move(flight.results);
  }

  bool feeds_itself(const Sampling& sampling) const override {
    return sampling.logprobs < 0 &&
           (sampling.temperature == 0 || (sampling.top_k > 0 && sampling.top_k <= kernels::kMaxDeviceTopK));
  }

  tensor::View logits(std::span<const StepSequence> sequences) override {
    CHECK(collected_ == submitted_);
    batch_.build(sequences);
    send(flights_[0], sequences, batch_counts());
    return download(forward(batch_counts()));
  }

  void start_timing() override { clock_.start(submitted_); }
  void stop_timing() override { clock_.stop(submitted_); }
  DeviceTime device_time() const override { return clock_.total(); }

 private:
  // A step on its way: what the device's copies read and write, and what comes of it.
  struct Flight {
    tensor::Buffer inputs, histories, tokens_back;
    std::size_t history_used = 0;
    std::vector<std::size_t> sampling;  // the sequences whose tokens come back
    std::vector<SampledToken> results;
  };
  // Of a step, filled up for its graph or not. The decodes come first; tokens, prompts and outputs are filled
  // up behind the real ones.
  struct Counts {
    std::int32_t tokens, decodes, prompts, outputs, max_queries, max_context;
    auto operator<=>(const Counts&) const = default;

    std::int32_t sequences() const { return decodes + prompts; }
  };

  Counts batch_counts() const {
    return {.tokens = static_cast<std::int32_t>(batch_.tokens.size()),
            .decodes = batch_.num_decodes,
            .prompts = static_cast<std::int32_t>(batch_.slices.size()) - batch_.num_decodes,
            .outputs = static_cast<std::int32_t>(batch_.outputs.size()),
            .max_queries = batch_.max_queries,
            .max_context = batch_.max_context};
  }

  // None: no graph is that large.
  std::optional<Counts> padded_decodes() const {
    const auto batch = std::ranges::lower_bound(kGraphBatches, batch_.num_decodes);
    if (batch == kGraphBatches.end() || *batch > std::min(limits_.max_tokens, limits_.max_sequences))
      return {};
    return Counts{.tokens = *batch,
                  .decodes = *batch,
                  .prompts = 0,
                  .outputs = *batch,
                  .max_queries = 0,
                  .max_context = graph_context(batch_.max_context)};
  }
  std::optional<Counts> padded_mixed() const {
    const Counts counts = batch_counts();
    if (counts.outputs == 0 || counts.prompts > kMixedPrompts) return {};
    const std::optional<MixedSize> size = mixed_size(counts.tokens, counts.sequences(), limits_);
    if (!size) return {};
    return Counts{.tokens = size->tokens,
                  .decodes = size->sequences,
                  .prompts = kMixedPrompts,
                  .outputs = size->sequences,
                  .max_queries = size->tokens,
                  .max_context = graph_context(batch_.max_context)};
  }

  template <typename T>
  T* input(std::size_t offset) {
    return reinterpret_cast<T*>(inputs_.data() + offset);
  }

  // Copies the batch to the device, filled up to `counts`.
  void send(Flight& flight, std::span<const StepSequence> sequences, const Counts& counts) {
    const Counts real = batch_counts();
    const InputLayout layout(counts.tokens, counts.sequences());
    const auto staged = [&](std::size_t offset) {
      return reinterpret_cast<std::int32_t*>(flight.inputs.data() + offset);
    };
    std::ranges::copy(batch_.tokens, staged(layout.tokens));
    std::ranges::copy(batch_.positions, staged(layout.positions));
    std::ranges::copy(batch_.outputs, staged(layout.outputs));
    std::ranges::copy(batch_.block_ids, staged(layout.block_ids));
    auto* slices = reinterpret_cast<SequenceSlice*>(flight.inputs.data() + layout.slices);
    // What fills up has no context and no queries.
    std::fill_n(slices, counts.sequences(), SequenceSlice{});
    for (std::int32_t i = 0; i < real.sequences(); ++i) {
      SequenceSlice& slice = slices[i < real.decodes ? i : counts.decodes + i - real.decodes];
      slice = batch_.slices[i];
      slice.block_table = input<std::int32_t>(layout.block_ids) + batch_.first_block[i];
    }
    for (std::int32_t i = 0; i < real.decodes; ++i)
      kernels::copy_first_blocks(batch_.block_ids, batch_.first_block[i],
                                 staged(layout.first_blocks) + i * kernels::kFirstBlocks);
    auto* sample_rows = reinterpret_cast<SampleRow*>(flight.inputs.data() + InputLayout::kRows);
    const std::int32_t* output = batch_.outputs.data();
    for (const StepSequence& sequence : sequences) {
      if (!sequence.part->samples) continue;
      *sample_rows = sample_row(flight, sequence);
      std::int32_t& token = staged(layout.tokens)[*output++];
      if (token == schedule::kFutureToken) token = -1 - sample_rows->slot;
      ++sample_rows;
    }
    for (std::int32_t i = real.tokens; i < counts.tokens; ++i)
      staged(layout.tokens)[i] = staged(layout.positions)[i] = 0;
    for (std::int32_t i = real.outputs; i < counts.outputs; ++i) {
      staged(layout.outputs)[i] = 0;
      *sample_rows++ = {.slot = slots_.count()};
    }
    cuda_.upload(inputs_.data(), flight.inputs.data(),
                 layout.block_ids + batch_.block_ids.size() * sizeof(std::int32_t));
  }

  // The token of a step under way was left in the slot that the sequence still has: there are twice as many
  // as a step can use, so those of the step before are not given away.
  SampleRow sample_row(Flight& flight, const StepSequence& sequence) {
    const Sampling& sampling = *sequence.sampling;
    const auto [slot, fresh] = slots_.find(sequence.part->id);
    CHECK(!fresh || sequence.part->tokens.back() != schedule::kFutureToken);
    if (fresh && sampling.repetition_penalty != 1) set_seen(flight, slot, sequence.history);
    return {.temperature = sampling.temperature,
            .top_p = sampling.top_p,
            .min_p = sampling.min_p,
            .repetition_penalty = sampling.repetition_penalty,
            .top_k = sampling.top_k,
            .slot = slot,
            .seed = sampling.seed,
            .position = sequence.history.size()};
  }

  void set_seen(Flight& flight, std::int32_t slot, std::span<const std::int32_t> history) {
    if (flight.history_used + history.size() > history_room(limits_)) {
      cuda_.synchronize();
      flight.history_used = 0;
    }
    auto* staged = flight.histories.as<std::int32_t>() + flight.history_used;
    flight.history_used += history.size();
    std::ranges::copy(history, staged);
    cuda_.upload(history_.data(), staged, history.size() * sizeof(std::int32_t));
    cuda_.set_seen(seen_.as<std::uint32_t>(), state_.weights.shape.vocab_size, slot,
                   history_.as<std::int32_t>(), static_cast<std::int64_t>(history.size()));
  }

  // The model over what was sent; its logits lie on the device.
  tensor::View forward(const Counts& counts) {
    const InputLayout layout(counts.tokens, counts.sequences());
    cuda_.resolve_tokens(input<std::int32_t>(layout.tokens), counts.tokens, sampled_.as<std::int32_t>());
    const auto span = [&](std::size_t offset, std::int32_t count) {
      return std::span<const std::int32_t>(input<std::int32_t>(offset), count);
    };
    const model::Batch batch{
        span(layout.tokens, counts.tokens),
        span(layout.positions, counts.tokens),
        {std::span<const SequenceSlice>(input<SequenceSlice>(layout.slices), counts.sequences()),
         counts.decodes, counts.max_queries, counts.max_context, input<std::int32_t>(layout.first_blocks)},
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
    std::int32_t longest = kShortestGraphContext;
    while (longest < context) longest *= 2;
    return std::min(longest, std::max(limits_.max_model_len, context));
  }

  const kernels::CudaBackend::Graph& graph_for(const Counts& counts, bool all_greedy) {
    std::unique_ptr<kernels::CudaBackend::Graph>& graph = graphs_[{counts, all_greedy}];
    if (graph == nullptr) graph = cuda_.capture([&] { sample(forward(counts), all_greedy); });
    return *graph;
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
  void sample_on_host(Flight& flight, std::span<const StepSequence> sequences) {
    flight.results = sample_rows(sampler_, download(forward(batch_counts())), sequences);
    flight.sampling.clear();
    slots_ = SequenceSlots(slots_.count());  // the device misses the tokens that are chosen here
  }

  ModelState state_;
  kernels::CudaBackend& cuda_;
  ExecutorLimits limits_;
  BatchLayout batch_;
  SequenceSlots slots_;
  StepClock clock_;
  Sampler sampler_;
  tensor::Buffer inputs_, sampled_, seen_, tokens_out_, history_;
  tensor::Buffer host_logits_;
  std::array<Flight, kMaxInFlight> flights_;
  std::int64_t submitted_ = 0, collected_ = 0;  // steps
  std::map<std::pair<Counts, bool>, std::unique_ptr<kernels::CudaBackend::Graph>> graphs_;
};

}  // namespace

std::unique_ptr<Executor> make_cuda_executor(const ModelState& state, const ExecutorLimits& limits) {
  return std::make_unique<CudaExecutor>(state, limits);
}

std::size_t cuda_executor_bytes(const model::DenseShape& shape, const ExecutorLimits& limits) {
  return InputLayout::max_bytes(limits) + seen_bytes(shape, limits) +
         (limits.max_model_len + 4096) * sizeof(std::int32_t);
}

std::size_t cuda_graphs_bytes(const ExecutorLimits& limits) {
  const std::int32_t largest = std::min(limits.max_tokens, limits.max_sequences);
  constexpr std::size_t kSamplers = 2;  // greedy alone, or not
  std::size_t graphs =
      kSamplers * std::ranges::count_if(kGraphBatches, [&](std::int32_t batch) { return batch <= largest; });
  for (const std::int32_t tokens : kMixedTokens)
    for (const std::int32_t sequences : kMixedSequences) {
      const std::int32_t most = std::min(sequences, limits.max_sequences);
      const std::optional<MixedSize> size = mixed_size(tokens, most, limits);
      if (size && size->tokens == tokens) ++graphs;
    }
  std::size_t contexts = 1;
  for (std::int64_t longest = kShortestGraphContext; longest < limits.max_model_len; longest *= 2) ++contexts;
  return graphs * contexts * kGraphBytes;
}

}  // namespace pagoda::execute
