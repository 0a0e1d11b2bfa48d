// The executor of a device over one that is made of host memory and the reference's operators: what is
// enqueued runs when somebody waits for it and not before, and a graph is the list of what was recorded. So
// every machine tests how batches are filled up, what graphs find where, and that a step a step ahead does
// not touch what the one before still reads.

#include <bit>
#include <deque>
#include <numeric>

#include "kernels/cuda/cuda_backend.h"
#include "model/load_dense.h"
#include "step_batch.h"

namespace pagoda::execute {
namespace {

using kernels::KvCache;
using kernels::SampleRow;
using kernels::SequenceBatch;
using kernels::Weight;
using tensor::View;

class HostDevice final : public kernels::CudaBackend {
 public:
  std::string description() const override { return "a device on the host"; }
  bool on_device() const override { return true; }
  std::size_t memory_budget_bytes() const override { return std::size_t{1} << 32; }
  Weight pack(const kernels::WeightSource& source) override { return ops_->pack(source); }
  std::size_t kv_layer_block_bytes(const kernels::KvShape& shape) const override {
    return ops_->kv_layer_block_bytes(shape);
  }
  std::size_t scratch_bytes(const kernels::OpsLimits&) const override { return 0; }
  void reserve(const kernels::OpsLimits&) override {}

  void embed(std::span<const std::int32_t> tokens, const Weight& embedding, View out) override {
    enqueue([=, this, &embedding] { ops_->embed(tokens, embedding, out); });
  }
  void rms_norm(View x, const float* weight, float eps, View out) override {
    enqueue([=, this] { ops_->rms_norm(x, weight, eps, out); });
  }
  void linear(View x, const Weight& weight, View out, bool accumulate) override {
    enqueue([=, this, &weight] { ops_->linear(x, weight, out, accumulate); });
  }
  void rope_and_write_kv(const kernels::RopeArgs& args, const KvCache& cache, std::int64_t layer,
                         const SequenceBatch& sequences) override {
    enqueue([=, this, &cache] { ops_->rope_and_write_kv(args, cache, layer, sequences); });
  }
  void attention(const kernels::AttentionArgs& args, const KvCache& cache, std::int64_t layer,
                 const SequenceBatch& sequences) override {
    enqueue([=, this, &cache] { ops_->attention(args, cache, layer, sequences); });
  }
  void swiglu(View gate_up, View out) override {
    enqueue([=, this] { ops_->swiglu(gate_up, out); });
  }
  void gather_rows(View x, std::span<const std::int32_t> rows, View out) override {
    enqueue([=, this] { ops_->gather_rows(x, rows, out); });
  }

  tensor::Buffer allocate_pinned(std::size_t bytes) override { return {tensor::MemoryTag::kStaging, bytes}; }
  void upload(void* device, const void* pinned, std::size_t bytes) override {
    enqueue([=] { std::memcpy(device, pinned, bytes); });
  }
  void download(void* pinned, const void* device, std::size_t bytes) override {
    enqueue([=] { std::memcpy(pinned, device, bytes); });
  }
  void mark(int event) override { marks_[event] = enqueued_; }
  void wait(int event) override { run_until(marks_[event]); }
  void synchronize() override { run_until(enqueued_); }
  void mark_time(int) override {}
  double seconds_between(int, int) override { return 0; }

  struct Recording final : Graph {
    std::vector<std::function<void()>> work;
  };
  std::unique_ptr<Graph> capture(const std::function<void()>& work) override {
    synchronize();
    auto graph = std::make_unique<Recording>();
    recording_ = graph.get();
    work();
    recording_ = nullptr;
    ++graphs_;
    return graph;
  }
  void launch(const Graph& graph) override {
    ++launches_;
    for (const auto& work : static_cast<const Recording&>(graph).work) enqueue(work);
  }

  void resolve_tokens(std::int32_t* tokens, std::int64_t count, const std::int32_t* sampled) override {
    enqueue([=] {
      for (std::int64_t i = 0; i < count; ++i)
        if (tokens[i] < 0) tokens[i] = sampled[-tokens[i] - 1];
    });
  }
  // Not the sampler's answers, but what they depend on: the row, the seed, the position, the tokens seen.
  void sample(View logits, const SampleRow* rows, bool all_greedy, std::int32_t* sampled, std::int32_t* out,
              std::uint32_t* seen) override {
    enqueue([=] {
      const std::int64_t words = (logits.cols + 31) / 32;
      for (std::int64_t i = 0; i < logits.rows; ++i) {
        const SampleRow& row = rows[i];
        std::uint64_t token = argmax({logits.row(i), static_cast<std::size_t>(logits.cols)});
        std::uint32_t* const of_slot = seen + row.slot * words;
        if (row.temperature != 0) {
          EXPECT_FALSE(all_greedy);
          token += row.seed + row.position;
        }
        if (row.repetition_penalty != 1)
          token += std::accumulate(of_slot, of_slot + words, 0,
                                   [](int sum, std::uint32_t word) { return sum + std::popcount(word); });
        token %= static_cast<std::uint64_t>(logits.cols);
        of_slot[token / 32] |= 1u << token % 32;
        out[i] = sampled[row.slot] = static_cast<std::int32_t>(token);
      }
    });
  }
  void set_seen(std::uint32_t* seen, std::int64_t vocab, std::int32_t slot, const std::int32_t* tokens,
                std::int64_t count) override {
    enqueue([=] {
      const std::int64_t words = (vocab + 31) / 32;
      std::fill_n(seen + slot * words, words, 0);
      for (std::int64_t i = 0; i < count; ++i) seen[slot * words + tokens[i] / 32] |= 1u << tokens[i] % 32;
    });
  }

  const kernels::CudaDevice& device() const override { return device_; }
  double measure_read_bytes_per_second() override { return 1; }
  double measure_bf16_operations_per_second() override { return 1; }

  int graphs() const { return graphs_; }
  int launches() const { return launches_; }

 private:
  void enqueue(std::function<void()> work) {
    if (recording_ != nullptr) return recording_->work.push_back(std::move(work));
    queue_.push_back(std::move(work));
    ++enqueued_;
  }
  void run_until(std::int64_t mark) {
    for (; done_ < mark; ++done_) {
      queue_.front()();
      queue_.pop_front();
    }
  }

  std::unique_ptr<kernels::Ops> ops_ = kernels::make_reference_ops();
  kernels::CudaDevice device_;
  std::deque<std::function<void()>> queue_;
  std::int64_t enqueued_ = 0, done_ = 0;
  std::int64_t marks_[kEvents] = {};
  Recording* recording_ = nullptr;
  int graphs_ = 0, launches_ = 0;
};

constexpr std::int32_t kVocab = 97;

model::DenseShape tiny_shape() {
  model::DenseShape shape;
  shape.vocab_size = kVocab;
  shape.hidden_size = 32;
  shape.intermediate_size = 48;
  shape.num_layers = 2;
  shape.num_heads = 4;
  shape.num_kv_heads = 2;
  shape.head_dim = 8;
  return shape;
}

std::unique_ptr<Runner> runner_over(std::unique_ptr<kernels::Ops> ops, std::int32_t max_num_seqs,
                                    std::int32_t max_num_batched_tokens) {
  RunnerOptions options;
  options.block_size = kBlockSize;
  options.max_num_seqs = max_num_seqs;
  options.max_num_batched_tokens = max_num_batched_tokens;
  options.max_model_len = kBlockSize * kBlocksEach;
  options.num_kv_blocks = kBlocksEach * 64;
  const auto formats = model::named_formats("bf16", "");
  auto runner = Runner::random(tiny_shape(), *formats, std::move(ops), options);
  EXPECT_TRUE(runner.ok()) << runner.status().message();
  return std::move(runner).value();
}

TEST(CudaExecutor, PromptsThatJoinGiveTheSameTokens) {
  for (const std::int32_t max_num_seqs : {36, 64, 256}) {
    SCOPED_TRACE(max_num_seqs);
    auto ops = std::make_unique<HostDevice>();
    const HostDevice& device = *ops;
    const auto runner = runner_over(std::move(ops), max_num_seqs, 1024);
    expect_joining_changes_nothing(*runner, prompts(36, kVocab));
    EXPECT_GT(device.graphs(), 8);
    EXPECT_GT(device.launches(), 100);
  }
}

// Batches smaller than what graphs are for: graphs of what fits, or none.
TEST(CudaExecutor, SmallLimits) {
  for (const auto& [sequences, tokens] : {std::pair{1, 34}, {3, 40}, {9, 64}, {9, 300}}) {
    SCOPED_TRACE(sequences);
    const auto runner = runner_over(std::make_unique<HostDevice>(), sequences, tokens);
    auto some = prompts(static_cast<std::size_t>(sequences), kVocab);
    if (sequences > 3 && tokens < 100)
      for (auto& prompt : some) prompt.resize(std::min<std::size_t>(prompt.size(), 7));
    expect_joining_changes_nothing(*runner, some);
  }
}

// Greedy tokens are those of the executor of the host.
TEST(CudaExecutor, TokensAreTheHosts) {
  const auto device = runner_over(std::make_unique<HostDevice>(), 64, 1024),
             host = runner_over(kernels::make_reference_ops(), 64, 1024);
  const auto all = prompts(24, kVocab);
  Batch actual(*device, all), expected(*host, all);
  for (const std::size_t joined : {3, 4, 11, 17, 24, 24}) {
    actual.join(joined);
    expected.join(joined);
    actual.step();
    expected.step();
  }
  EXPECT_EQ(actual.tokens(), expected.tokens());
}

}  // namespace
}  // namespace pagoda::execute
