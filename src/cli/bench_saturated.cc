#include "cli/bench_saturated.h"

#include <chrono>
#include <deque>

#include "base/check.h"
#include "schedule/scheduler.h"

namespace pagoda::cli {
namespace {

using schedule::SequenceId;

class Saturation {
 public:
  Saturation(execute::Runner& runner, std::int32_t requests, std::int32_t prompt, std::int32_t answer,
             std::int32_t together)
      : runner_(runner),
        cache_(runner.memory().kv_blocks, runner.memory().kv_block_size, /*prefix_caching=*/false),
        scheduler_({.max_num_seqs = together,
                    .max_num_batched_tokens = runner.options().max_num_batched_tokens,
                    .max_model_len = runner.options().max_model_len,
                    .max_waiting = requests},
                   cache_),
        left_(requests, answer),
        ahead_(runner.feeds_itself(greedy_) ? 1 : 0) {
    std::uint32_t state = 1;
    for (std::int32_t i = 0; i < requests; ++i) {
      std::vector<std::int32_t> tokens = random_tokens(state, prompt, runner.weights().shape.vocab_size);
      CHECK(scheduler_.submit({.id = SequenceId(i), .prompt = std::move(tokens), .max_tokens = answer}).ok());
    }
    unfinished_ = requests;
  }

  void run() {
    while (unfinished_ > 0) {
      const schedule::StepPlan plan = scheduler_.plan();
      if (!plan.empty()) submit(plan);
      // Without a plan, those in flight are all there is to wait for.
      while (in_flight_.size() > (plan.empty() ? 0 : ahead_)) collect();
    }
    while (!in_flight_.empty()) collect();
  }

 private:
  void submit(const schedule::StepPlan& plan) {
    batch_.clear();
    std::vector<SequenceId>& ids = in_flight_.emplace_back();
    for (const schedule::ScheduledSequence& part : plan.sequences) {
      batch_.push_back({&part, scheduler_.tokens(part.id), &greedy_});
      ids.push_back(part.samples ? part.id : SequenceId(-1));
    }
    runner_.submit(batch_);
    scheduler_.submitted(plan);
  }

  void collect() {
    const std::vector<execute::SampledToken> sampled = runner_.collect();
    const std::vector<SequenceId> ids = std::move(in_flight_.front());
    in_flight_.pop_front();
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (ids[i].value < 0) continue;
      scheduler_.append(ids[i], sampled[i].token);
      if (--left_[ids[i].value] > 0) continue;
      scheduler_.remove(ids[i]);
      --unfinished_;
    }
  }

  execute::Runner& runner_;
  execute::Sampling greedy_;
  cache::BlockCache cache_;
  schedule::Scheduler scheduler_;
  std::vector<std::int32_t> left_;  // tokens of each answer
  std::size_t ahead_;
  std::int32_t unfinished_ = 0;
  std::deque<std::vector<SequenceId>> in_flight_;
  std::vector<execute::StepSequence> batch_;
};

}  // namespace

std::vector<std::int32_t> random_tokens(std::uint32_t& state, std::int32_t count, std::int64_t vocab_size) {
  std::vector<std::int32_t> tokens;
  for (std::int32_t t = 0; t < count; ++t) {
    state = state * 1664525u + 1013904223u;
    tokens.push_back(static_cast<std::int32_t>((state >> 8) % vocab_size));
  }
  return tokens;
}

double time_saturated(execute::Runner& runner, std::int32_t requests, std::int32_t prompt,
                      std::int32_t answer, std::int32_t together) {
  // A warm-up: on a GPU the first step of a batch is recorded.
  Saturation(runner, together, prompt, 16, together).run();
  Saturation saturation(runner, requests, prompt, answer, together);
  const auto start = std::chrono::steady_clock::now();
  saturation.run();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace pagoda::cli
