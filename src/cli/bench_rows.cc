#include "cli/bench_rows.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "cli/bench_saturated.h"
#include "execute/input_layout.h"

namespace pagoda::cli {
namespace {

using cache::BlockId;
using schedule::ScheduledSequence;

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Sequences with blocks and tokens of their own, stepped together.
class BenchBatch {
 public:
  BenchBatch(execute::Runner& runner, std::int32_t batch, std::int32_t tokens_each) : runner_(runner) {
    const std::int32_t blocks_each =
        (tokens_each + runner.options().block_size - 1) / runner.options().block_size;
    std::uint32_t state = 1;
    for (std::int32_t s = 0; s < batch; ++s) {
      std::vector<BlockId> blocks;
      for (std::int32_t b = 0; b < blocks_each; ++b) blocks.push_back(BlockId(s * blocks_each + b));
      blocks_.push_back(std::move(blocks));
      tokens_.push_back(random_tokens(state, tokens_each, runner.weights().shape.vocab_size));
    }
  }

  // Computes the next `count` tokens of the sequences [first, last), in as many steps as the token budget
  // asks for.
  void advance(std::int32_t first, std::int32_t last, std::int32_t count) {
    const std::int32_t budget = runner_.options().max_num_batched_tokens / (last - first);
    for (std::int32_t done = 0; done < count;) {
      const std::int32_t chunk = std::min(count - done, budget);
      submit(first, last, position_ + done, chunk, /*samples=*/done + chunk == count);
      runner_.collect();
      done += chunk;
    }
  }
  void move_on(std::int32_t tokens) { position_ += tokens; }

  // The next tokens of all, one a step, the way the engine does it: each step is submitted before the one
  // before it is collected, where the executor allows that. Returns the seconds.
  double generate(std::int32_t steps) {
    const auto last = static_cast<std::int32_t>(tokens_.size());
    const int ahead = runner_.feeds_itself(greedy_) ? 1 : 0;
    const double start = now();
    int in_flight = 0;
    for (std::int32_t i = 0; i < steps; ++i) {
      submit(0, last, position_++, 1, /*samples=*/true);
      if (++in_flight <= ahead) continue;
      runner_.collect();
      --in_flight;
    }
    for (; in_flight > 0; --in_flight) runner_.collect();
    return now() - start;
  }

 private:
  void submit(std::int32_t first, std::int32_t last, std::int32_t position, std::int32_t count,
              bool samples) {
    parts_.clear();
    for (std::int32_t s = first; s < last; ++s)
      parts_.push_back({schedule::SequenceId(s), position, count, samples,
                        std::span(tokens_[s]).subspan(position, count), blocks_[s]});
    sequences_.clear();
    for (const ScheduledSequence& part : parts_) sequences_.push_back({&part, {}, &greedy_});
    runner_.submit(sequences_);
  }

  execute::Runner& runner_;
  std::vector<std::vector<BlockId>> blocks_;
  std::vector<std::vector<std::int32_t>> tokens_;
  std::vector<ScheduledSequence> parts_;
  std::vector<execute::StepSequence> sequences_;
  std::int32_t position_ = 0;
  execute::Sampling greedy_;
};

// Bytes and operations of a step that computes `tokens` tokens of each of `batch` sequences behind `context`
// earlier ones, and `outputs` logits rows.
void account(const execute::Runner& runner, double batch, double tokens, double context, double outputs,
             BenchRow& row) {
  const model::DenseShape& shape = runner.weights().shape;
  const double kv_token_bytes =
      static_cast<double>(runner.memory().kv_block_bytes) / runner.memory().kv_block_size;
  row.bytes = static_cast<double>(runner.weights().bytes_read_per_step()) +
              batch * (context + tokens) * kv_token_bytes;
  const auto layer_weights = static_cast<double>(shape.layer_weights());
  const double attention = 4.0 * static_cast<double>(shape.q_size()) * tokens * (context + (tokens + 1) / 2);
  row.operations = batch * static_cast<double>(shape.num_layers) * (2 * tokens * layer_weights + attention) +
                   2 * outputs * static_cast<double>(shape.vocab_size * shape.hidden_size);
}

// Seconds of `count` whole prompts.
double time_prompts(execute::Runner& runner, std::int32_t count, std::int32_t tokens) {
  // A warm-up; on a GPU the same work, since the library chooses its kernels by shape.
  const bool gpu = runner.ops().on_device();
  BenchBatch(runner, count, tokens).advance(0, count, gpu ? tokens : std::min(tokens, 32));
  BenchBatch prompts(runner, count, tokens);
  const double start = now();
  prompts.advance(0, count, tokens);
  return now() - start;
}

// Seconds of `tokens` steps of `batch` sequences behind prompts of `prompt` tokens.
double time_generation(execute::Runner& runner, std::int32_t batch, std::int32_t prompt, std::int32_t tokens,
                       double& gpu_idle_fraction) {
  BenchBatch sequences(runner, batch, prompt + tokens);
  for (std::int32_t s = 0; s < batch && prompt > 0; ++s) sequences.advance(s, s + 1, prompt);
  if (prompt == 0) BenchBatch(runner, 1, 1).advance(0, 1, 1);  // warm-up
  sequences.move_on(prompt);
  // On a GPU the first step of a batch is recorded.
  const bool gpu = runner.ops().on_device();
  const std::int32_t unmeasured = gpu ? std::min(2, tokens - 1) : 0;
  sequences.generate(unmeasured);
  const double seconds = sequences.generate(tokens - unmeasured) / (tokens - unmeasured) * tokens;
  if (!gpu) return seconds;
  // Some of them once more: the clock of the device costs a little.
  constexpr std::int32_t kTimedSteps = 64;
  const std::int32_t timed = std::min(tokens, kTimedSteps);
  sequences.move_on(-timed);
  runner.start_timing();
  const execute::DeviceTime before = runner.device_time();
  sequences.generate(timed);
  const execute::DeviceTime time = runner.device_time() - before;
  runner.stop_timing();
  gpu_idle_fraction = time.idle_fraction();
  return seconds;
}

}  // namespace

base::Result<BenchTest> parse_bench_test(const std::string& name) {
  using Kind = BenchTest::Kind;
  BenchTest test{.name = name};
  const bool saturated = name.starts_with("sat");
  if (name.starts_with("pp"))
    test.kind = Kind::kPrompt;
  else if (saturated)
    test.kind = Kind::kSaturated;
  const char* end = name.data() + name.size();
  bool known = saturated || test.kind == Kind::kPrompt || name.starts_with("tg");
  if (known) {
    std::int32_t& number = saturated ? test.requests : test.tokens;
    auto parsed = std::from_chars(name.data() + (saturated ? 3 : 2), end, number);
    if (test.kind == Kind::kPrompt && parsed.ec == std::errc() && parsed.ptr != end && *parsed.ptr == 'x')
      parsed = std::from_chars(parsed.ptr + 1, end, test.prompts);
    known = parsed.ec == std::errc() && parsed.ptr == end;
  }
  if (saturated) test.tokens = kBenchAnswerTokens;
  if (!known || test.tokens < 1 || test.tokens > 8192 - kBenchPromptTokens || test.prompts < 1 ||
      test.prompts > 1024 || (saturated && (test.requests < 1 || test.requests > 100'000)))
    return base::invalid(
        "no test is called \"{}\"; write pp512 (a prompt), pp512x8 (eight) or tg128 (generation), up to {} "
        "tokens, or sat1536 (so many requests at once)",
        name, 8192 - kBenchPromptTokens);
  return test;
}

execute::RunnerOptions bench_runner_options(const std::vector<BenchTest>& tests, std::int32_t max_batch,
                                            std::int32_t max_num_batched_tokens) {
  execute::RunnerOptions options;
  std::int32_t longest = 0;
  for (const BenchTest& test : tests) max_batch = std::max(max_batch, test.prompts);
  for (const BenchTest& test : tests)
    longest =
        std::max(longest, test.tokens + (test.kind == BenchTest::Kind::kPrompt ? 0 : kBenchPromptTokens));
  const std::int32_t blocks_each = (longest + options.block_size - 1) / options.block_size;
  options.max_num_seqs = max_batch;
  if (max_num_batched_tokens != 0)  // else the engine decides
    options.max_num_batched_tokens = std::max(max_num_batched_tokens, max_batch);
  options.max_model_len = blocks_each * options.block_size;
  options.num_kv_blocks = blocks_each * max_batch;
  return options;
}

void run_longest_prompt(execute::Runner& runner) {
  const std::int32_t tokens = runner.options().max_model_len;
  BenchBatch(runner, 1, tokens).advance(0, 1, tokens);
}

void run_every_batch(execute::Runner& runner) {
  constexpr std::int32_t kPrompt = 4, kSteps = 3;
  for (const std::int32_t batch : execute::kGraphBatches) {
    if (batch > runner.options().max_num_seqs) break;
    BenchBatch sequences(runner, batch, kPrompt + kSteps);
    for (std::int32_t s = 0; s < batch; ++s) sequences.advance(s, s + 1, kPrompt);
    sequences.move_on(kPrompt);
    sequences.generate(kSteps);
  }
}

BenchRow run_bench(execute::Runner& runner, const BenchTest& test, std::int32_t batch,
                   const BenchLimits& limits) {
  BenchRow row;
  row.test = test.name;
  row.batch = batch;
  const bool gpu = runner.ops().on_device();
  const double read_before = limits.read_bytes_per_second();
  double seconds = 0;
  double floor_tokens = batch;  // that come out of what is accounted for
  switch (test.kind) {
    case BenchTest::Kind::kPrompt:
      seconds = time_prompts(runner, test.prompts, test.tokens);
      account(runner, batch, test.tokens, 0, batch, row);
      floor_tokens = batch * test.tokens;
      break;
    case BenchTest::Kind::kGenerate: {
      const std::int32_t prompt = batch > 1 || gpu ? kBenchPromptTokens : 0;
      seconds = time_generation(runner, batch, prompt, test.tokens, row.gpu_idle_fraction);
      account(runner, batch, 1, prompt + test.tokens / 2.0, batch, row);
      break;
    }
    case BenchTest::Kind::kSaturated: {
      seconds = time_saturated(runner, test.requests, kBenchPromptTokens, test.tokens, batch);
      BenchRow prompts;
      account(runner, batch, kBenchPromptTokens, 0, batch, prompts);
      account(runner, batch, 1, kBenchPromptTokens + test.tokens / 2.0, batch, row);
      row.operations += prompts.operations / test.tokens;
      break;
    }
  }
  row.read_bytes_per_second = (read_before + limits.read_bytes_per_second()) / 2;
  const double sequences = test.kind == BenchTest::Kind::kSaturated ? test.requests : batch;
  row.tokens_per_second = sequences * test.tokens / seconds;
  row.floor_tokens_per_second = floor_tokens / std::max(row.bytes / row.read_bytes_per_second,
                                                        row.operations / limits.operations_per_second);
  return row;
}

}  // namespace pagoda::cli
