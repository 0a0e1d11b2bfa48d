#pragma once
// Sequences that a Runner steps together, without a scheduler.

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "execute/runner.h"

namespace pagoda::execute {

using cache::BlockId;
using schedule::ScheduledSequence;

inline constexpr std::int32_t kBlockSize = 16, kBlocksEach = 12;

inline RunnerOptions runner_options(std::int32_t max_num_seqs = 40,
                                    std::int32_t max_num_batched_tokens = 1024) {
  constexpr std::int32_t kMostSequences = 64;
  RunnerOptions options;
  options.block_size = kBlockSize;
  options.max_num_seqs = max_num_seqs;
  options.max_num_batched_tokens = max_num_batched_tokens;
  options.max_model_len = kBlockSize * kBlocksEach;
  options.num_kv_blocks = kBlocksEach * kMostSequences;
  return options;
}

// Sequences stepped together, greedily or each by its own sampling.
class Batch {
 public:
  Batch(Runner& runner, std::vector<std::vector<std::int32_t>> prompts, std::vector<Sampling> samplings = {})
      : runner_(runner), tokens_(std::move(prompts)), samplings_(std::move(samplings)) {
    samplings_.resize(tokens_.size());
    static std::int64_t next_id = 1;
    for (std::size_t s = 0; s < tokens_.size(); ++s) {
      ids_.emplace_back(next_id++);
      std::vector<BlockId> blocks;
      for (std::int32_t b = 0; b < kBlocksEach; ++b)
        blocks.push_back(BlockId(static_cast<std::int32_t>(s) * kBlocksEach + b));
      blocks_.push_back(std::move(blocks));
      done_.push_back(0);
    }
    joined_ = tokens_.size();
  }
  // As step(), but what it computes is collected behind the next one, or by finish().
  void step_ahead() {
    submit();
    if (ahead_++ > 0) finish();
  }
  void finish() {
    collect();
    --ahead_;
  }
  // Only the first so many take part in the next steps.
  void join(std::size_t sequences) { joined_ = std::min(sequences, tokens_.size()); }
  void step() {
    submit();
    collect();
  }
  void run_ahead(int steps) {
    for (int i = 0; i < steps; ++i) step_ahead();
    finish();
  }
  std::vector<float> logits() {
    const ScheduledSequence part{ids_[0], 0,          static_cast<std::int32_t>(tokens_[0].size()),
                                 true,    tokens_[0], blocks_[0]};
    const StepSequence sequence{&part, {}, &samplings_[0]};
    const tensor::View view = runner_.compute({&sequence, 1});
    return {view.row(0), view.row(0) + view.cols};
  }
  const std::vector<std::vector<std::int32_t>>& tokens() const { return tokens_; }

 private:
  void submit() {
    std::vector<ScheduledSequence> parts;
    std::vector<StepSequence> sequences;
    for (std::size_t s = 0; s < joined_; ++s) {
      const auto size = static_cast<std::int32_t>(tokens_[s].size());
      parts.push_back({ids_[s], done_[s], size - done_[s], true,
                       std::span<const std::int32_t>(tokens_[s]).subspan(done_[s]), blocks_[s]});
      done_[s] = size;
    }
    for (std::size_t s = 0; s < parts.size(); ++s)
      sequences.push_back({&parts[s], tokens_[s], &samplings_[s]});
    runner_.submit(sequences);
    for (std::size_t s = 0; s < joined_; ++s) tokens_[s].push_back(schedule::kFutureToken);
  }
  void collect() {
    const std::vector<SampledToken> sampled = runner_.collect();
    for (std::size_t s = 0; s < sampled.size(); ++s)
      *std::find(tokens_[s].begin(), tokens_[s].end(), schedule::kFutureToken) = sampled[s].token;
  }

  Runner& runner_;
  std::vector<schedule::SequenceId> ids_;
  std::vector<std::vector<std::int32_t>> tokens_;
  std::vector<Sampling> samplings_;
  std::vector<std::vector<BlockId>> blocks_;
  std::vector<std::int32_t> done_;
  std::size_t joined_ = 0;
  int ahead_ = 0;  // steps that were submitted and not collected
};

inline std::vector<std::vector<std::int32_t>> prompts(std::size_t count, std::int32_t vocab) {
  std::vector<std::vector<std::int32_t>> result;
  std::uint32_t state = 1;
  for (std::size_t s = 0; s < count; ++s) {
    std::vector<std::int32_t> prompt = {0, 1};
    for (std::size_t i = 0; i < 3 + s % 29; ++i) {
      state = state * 1664525u + 1013904223u;
      prompt.push_back(static_cast<std::int32_t>((state >> 8) % (vocab - 10)) + 8);
    }
    prompt.push_back(2);
    result.push_back(std::move(prompt));
  }
  return result;
}

// Greedy all, or drawn, each by its own seed and some without a penalty, but for every fourth.
inline std::vector<Sampling> samplings_of(std::size_t count, bool draw) {
  std::vector<Sampling> samplings(count);
  for (std::size_t s = 0; s < count && draw; ++s)
    samplings[s] = {.temperature = s % 4 == 0 ? 0.0f : 0.9f,
                    .top_k = 50,
                    .repetition_penalty = s % 3 == 0 ? 1.0f : 1.3f,
                    .seed = s};
  return samplings;
}

// Sequences that join while others generate - one, some, more than a graph takes - get the tokens that each
// gets alone, greedily and drawn, in turn and a step ahead. The operators must compute a row the same in any
// batch.
inline void expect_joining_changes_nothing(Runner& runner,
                                           const std::vector<std::vector<std::int32_t>>& all) {
  constexpr std::size_t kJoined[] = {1, 1, 2, 4, 4, 7, 8, 9, 14, 15, 26, 36, 36, 36};
  for (const bool draws : {false, true})
    for (const bool ahead : {false, true}) {
      const std::vector<Sampling> samplings = samplings_of(all.size(), draws);
      Batch joining(runner, all, samplings);
      std::vector<int> steps(all.size());  // of each
      for (const std::size_t joined : kJoined) {
        joining.join(joined);
        if (ahead)
          joining.step_ahead();
        else
          joining.step();
        for (std::size_t s = 0; s < std::min(joined, all.size()); ++s) ++steps[s];
      }
      if (ahead) joining.finish();
      for (std::size_t s = 0; s < all.size(); ++s) {
        Batch alone(runner, {all[s]}, {samplings[s]});
        for (int i = 0; i < steps[s]; ++i) alone.step();
        EXPECT_EQ(alone.tokens()[0], joining.tokens()[s])
            << "sequence " << s << (draws ? ", drawn" : "") << (ahead ? ", ahead" : "");
      }
    }
}

}  // namespace pagoda::execute
