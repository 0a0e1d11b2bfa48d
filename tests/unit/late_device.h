#pragma once
// A device whose stream is as late as a stream may be: what is enqueued runs when somebody waits for it, and
// no sooner. It computes with the operators of the CPU, so its tokens are those of a host, to the last.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <iterator>
#include <memory>
#include <vector>

#include "execute/sampling.h"
#include "kernels/cuda/cuda_backend.h"

namespace pagoda::execute {

class LateDevice final : public kernels::CudaBackend {
 public:
  explicit LateDevice(std::unique_ptr<kernels::Ops> ops) : ops_(std::move(ops)) {}
  ~LateDevice() override { EXPECT_TRUE(stream_.empty()) << "memory is freed that the stream still uses"; }

  std::string description() const override { return "a late device"; }
  tensor::DType linear_input_dtype() const override { return ops_->linear_input_dtype(); }
  kernels::Weight pack(const kernels::WeightSource& source) override { return ops_->pack(source); }
  bool on_device() const override { return true; }
  std::size_t memory_budget_bytes() const override { return std::size_t{4} << 30; }
  std::size_t kv_layer_block_bytes(const kernels::KvShape& shape) const override {
    return ops_->kv_layer_block_bytes(shape);
  }
  std::size_t scratch_bytes(const kernels::OpsLimits& limits) const override {
    return ops_->scratch_bytes(limits);
  }
  void reserve(const kernels::OpsLimits& limits) override { ops_->reserve(limits); }

  void embed(std::span<const std::int32_t> tokens, const kernels::Weight& embedding,
             tensor::View out) override {
    enqueue([=, this, &embedding] { ops_->embed(tokens, embedding, out); });
  }
  void rms_norm(tensor::View x, const float* weight, float eps, tensor::View out) override {
    enqueue([=, this] { ops_->rms_norm(x, weight, eps, out); });
  }
  void linear(tensor::View x, const kernels::Weight& weight, tensor::View out, bool accumulate) override {
    enqueue([=, this, &weight] { ops_->linear(x, weight, out, accumulate); });
  }
  void rope_and_write_kv(const kernels::RopeArgs& args, const kernels::KvCache& cache, std::int64_t layer,
                         const kernels::SequenceBatch& sequences) override {
    enqueue([=, this] {
      std::vector<kernels::SequenceSlice> kept;
      ops_->rope_and_write_kv(args, cache, layer, real(sequences, kept));
    });
  }
  void attention(const kernels::AttentionArgs& args, const kernels::KvCache& cache, std::int64_t layer,
                 const kernels::SequenceBatch& sequences) override {
    enqueue([=, this] {
      std::vector<kernels::SequenceSlice> kept;
      ops_->attention(args, cache, layer, real(sequences, kept));
    });
  }
  void swiglu(tensor::View gate_up, tensor::View out) override {
    enqueue([=, this] { ops_->swiglu(gate_up, out); });
  }
  void gather_rows(tensor::View x, std::span<const std::int32_t> rows, tensor::View out) override {
    enqueue([=, this] { ops_->gather_rows(x, rows, out); });
  }

  tensor::Buffer allocate_pinned(std::size_t bytes) override { return {tensor::MemoryTag::kStaging, bytes}; }
  void upload(void* device, const void* pinned, std::size_t bytes) override {
    enqueue([=] { std::memcpy(device, pinned, bytes); });
  }
  void download(void* pinned, const void* device, std::size_t bytes) override {
    enqueue([=] { std::memcpy(pinned, device, bytes); });
  }
  void mark(int event) override {
    enqueue([this, event] { ++reached_[event]; });
    ++marked_[event];
  }
  void wait(int event) override {
    while (reached_[event] < marked_[event]) run_next();
  }
  void synchronize() override {
    while (!stream_.empty()) run_next();
  }
  void mark_time(int point) override {
    enqueue([this, point] { times_[point] = static_cast<double>(done_); });
  }
  double seconds_between(int first_point, int second_point) override {
    return times_[second_point] - times_[first_point];
  }

  struct Recorded : Graph {
    std::vector<std::function<void()>> work;
  };
  std::unique_ptr<Graph> capture(const std::function<void()>& work) override {
    auto graph = std::make_unique<Recorded>();
    recording_ = graph.get();
    work();
    recording_ = nullptr;
    ++graphs_recorded_;
    return graph;
  }
  void launch(const Graph& graph) override {
    ++graphs_launched_;
    enqueue([&work = static_cast<const Recorded&>(graph).work] {
      for (const auto& step : work) step();
    });
  }

  void resolve_tokens(std::int32_t* tokens, std::int64_t count, const std::int32_t* sampled) override {
    enqueue([=] {
      for (std::int64_t i = 0; i < count; ++i)
        if (tokens[i] < 0) tokens[i] = sampled[-tokens[i] - 1];
    });
  }
  void sample(tensor::View logits, const kernels::SampleRow* rows, bool all_greedy, std::int32_t* sampled,
              std::int32_t* out, std::uint32_t* seen) override {
    enqueue([=, this] {
      for (std::int64_t i = 0; i < logits.rows; ++i) {
        EXPECT_TRUE(!all_greedy || rows[i].temperature == 0);
        out[i] = sampled[rows[i].slot] = sample_row(logits, i, rows[i], seen);
      }
    });
  }
  void set_seen(std::uint32_t* seen, std::int64_t vocab, std::int32_t slot, const std::int32_t* tokens,
                std::int64_t count) override {
    enqueue([=] {
      std::uint32_t* bits = seen + slot * ((vocab + 31) / 32);
      std::fill_n(bits, (vocab + 31) / 32, 0u);
      for (std::int64_t i = 0; i < count; ++i) bits[tokens[i] / 32] |= 1u << (tokens[i] % 32);
    });
  }

  const kernels::CudaDevice& device() const override { return device_; }
  double measure_read_bytes_per_second() override { return 1; }
  double measure_bf16_operations_per_second() override { return 1; }

  std::int64_t graphs_recorded() const { return graphs_recorded_; }
  std::int64_t graphs_launched() const { return graphs_launched_; }

 private:
  void enqueue(std::function<void()> work) {
    if (recording_ != nullptr)
      recording_->work.push_back(std::move(work));
    else
      stream_.push_back(std::move(work));
  }
  void run_next() {
    const std::function<void()> work = std::move(stream_.front());
    stream_.pop_front();
    ++done_;
    work();
  }

  // Without the slices that only fill up a graph's batch, behind its decodes and behind its prompts: the
  // CPU's operators know none. The others lie in `kept`.
  static kernels::SequenceBatch real(kernels::SequenceBatch batch,
                                     std::vector<kernels::SequenceSlice>& kept) {
    const auto is_real = [](const kernels::SequenceSlice& slice) { return slice.context != 0; };
    std::ranges::copy_if(batch.slices, std::back_inserter(kept), is_real);
    batch.num_decodes =
        static_cast<std::int32_t>(std::ranges::count_if(batch.slices.first(batch.num_decodes), is_real));
    batch.slices = kept;
    return batch;
  }

  // The host's sampler, with a history of as many tokens as there were, of which it sees those that are seen.
  std::int32_t sample_row(tensor::View logits, std::int64_t index, const kernels::SampleRow& row,
                          std::uint32_t* seen) {
    std::uint32_t* bits = seen + row.slot * ((logits.cols + 31) / 32);
    std::vector<std::int32_t> history;
    for (std::int32_t token = 0; row.repetition_penalty != 1 && token < logits.cols; ++token)
      if ((bits[token / 32] >> (token % 32) & 1) != 0) history.push_back(token);
    EXPECT_LE(history.size(), row.position);
    history.resize(row.position, -1);
    const Sampling sampling{.temperature = row.temperature,
                            .top_k = row.top_k,
                            .top_p = row.top_p,
                            .min_p = row.min_p,
                            .repetition_penalty = row.repetition_penalty,
                            .seed = row.seed};
    const std::int32_t token =
        sampler_.sample({logits.row(index), static_cast<std::size_t>(logits.cols)}, history, sampling).token;
    bits[token / 32] |= 1u << (token % 32);
    return token;
  }

  std::unique_ptr<kernels::Ops> ops_;
  Sampler sampler_;
  kernels::CudaDevice device_;
  std::deque<std::function<void()>> stream_;
  Recorded* recording_ = nullptr;
  std::int64_t marked_[kEvents] = {}, reached_[kEvents] = {}, done_ = 0, graphs_recorded_ = 0,
               graphs_launched_ = 0;
  double times_[kTimePoints] = {};
};

}  // namespace pagoda::execute
