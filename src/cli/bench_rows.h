#pragma once
// What `pagoda bench` measures: steps of a runner, without sockets, tokenizer or scheduler in the way, each
// beside the floor that this machine's limits set.

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "execute/runner.h"

namespace pagoda::cli {

// What the machine can do at most.
struct BenchLimits {
  std::function<double()> read_bytes_per_second;  // measured anew at each call
  double operations_per_second = 0;               // the multiplying rate of the runner's weight format
};

struct BenchRow {
  std::string test;  // "pp512", "tg128", "sat1536"
  std::int32_t batch = 1;
  double tokens_per_second = 0;
  double bytes = 0;       // that a prompt or a generating step must read: weights once, and the cache
  double operations = 0;  // multiplications and additions of that prompt or step (with its share of prompts)
  double read_bytes_per_second = 0;  // measured right before and after the row: the mean
  double floor_tokens_per_second = 0;
  double gpu_idle_fraction = -1;  // of the time of generating steps, between them; -1: not measured
  double fraction() const { return tokens_per_second / floor_tokens_per_second; }
};

// "pp<N>": one prompt of N tokens, "pp<N>x<B>": B of them in one batch. "tg<N>": N tokens by each of `batch`
// sequences, which have a prompt of 128 tokens if there are several (as llama-batched-bench) and start empty
// if there is one (as llama-bench); on a GPU the prompt is always there. "sat<N>": N requests of 128 tokens
// in and 128 out at once, of which `batch` at most run together (bench_saturated.h); tokens that come out
// count.
struct BenchTest {
  enum class Kind { kPrompt, kGenerate, kSaturated };
  std::string name;
  Kind kind = Kind::kGenerate;
  std::int32_t tokens = 0;    // of a prompt or an answer
  std::int32_t prompts = 1;   // kPrompt
  std::int32_t requests = 0;  // kSaturated
};
base::Result<BenchTest> parse_bench_test(const std::string& name);

inline constexpr std::int32_t kBenchPromptTokens = 128, kBenchAnswerTokens = 128;  // the latter of "sat"

// Options that hold `test` at `batch`.
execute::RunnerOptions bench_runner_options(const std::vector<BenchTest>& tests, std::int32_t max_batch,
                                            std::int32_t max_num_batched_tokens);

BenchRow run_bench(execute::Runner& runner, const BenchTest& test, std::int32_t batch,
                   const BenchLimits& limits);

// One prompt of the longest length `runner` holds: uses every block of the cache if it was made for one
// sequence.
void run_longest_prompt(execute::Runner& runner);
// Some generating steps of every batch that a GPU has a graph for, as many as `runner` takes.
void run_every_batch(execute::Runner& runner);

}  // namespace pagoda::cli
