#pragma once
// Many threads that submit and cancel at random, to an engine with few blocks, so that sequences are
// preempted, and a short queue, so that some are refused.

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "engine_recorder.h"

namespace pagoda::engine {

class Crowd {
 public:
  static constexpr int kThreads = 4, kRequestsEach = 500;

  static EngineOptions options() {
    EngineOptions options = small_options();
    options.runner.block_size = 8;
    options.runner.num_kv_blocks = 32;
    options.runner.max_model_len = 128;
    options.runner.max_num_batched_tokens = 64;
    options.max_waiting = 40;
    return options;
  }
  explicit Crowd(std::unique_ptr<Engine> engine) : engine_(std::move(engine)) {}

  void run() {
    std::vector<std::thread> threads;
    for (int t = 0; t < kThreads; ++t) threads.emplace_back([this, t] { submit_and_cancel(t); });
    std::atomic<bool> over = false;
    std::thread watcher([&] {
      while (!over) watch(engine_->stats());
    });
    for (std::thread& thread : threads) thread.join();
    engine_->drain();
    over = true;
    watcher.join();
  }

  void check() {
    const Stats stats = engine_->stats();
    std::int64_t finished[4] = {}, tokens = 0;
    for (const Heard& heard : heard_) {
      if (!heard.accepted) {
        EXPECT_EQ(heard.pieces, 0);
        continue;
      }
      EXPECT_EQ(heard.ends, 1);
      ++finished[heard.reason];
      tokens += heard.tokens;
    }
    for (int i = 0; i < 4; ++i)
      EXPECT_EQ(stats.finished[i], finished[i]) << finish_reason_name(FinishReason(i));
    EXPECT_EQ(finished[static_cast<int>(FinishReason::kError)], 0);
    EXPECT_GT(finished[static_cast<int>(FinishReason::kCancelled)], 0);
    EXPECT_GT(finished[static_cast<int>(FinishReason::kLength)], 0);
    EXPECT_EQ(stats.generated_tokens, tokens);
    EXPECT_EQ(stats.running, 0);
    EXPECT_EQ(stats.waiting, 0);
    EXPECT_EQ(stats.kv_blocks_used, 0);
    EXPECT_EQ(stats.kv_tokens, 0);
    EXPECT_GT(stats.preemptions, 0);
  }

 private:
  struct Heard {  // the engine's thread writes it; drain() makes it ours
    bool accepted = false;
    int pieces = 0, ends = 0, reason = 0;
    std::int64_t tokens = 0;
  };

  static void watch(const Stats& stats) {
    EXPECT_LE(stats.kv_blocks_used, stats.kv_blocks_total);
    EXPECT_LE(stats.kv_tokens, std::int64_t{stats.kv_blocks_used} * 8);
    EXPECT_LE(stats.running, 16);  // those of a step, and those whose last token is under way
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }

  static Request random_request(std::mt19937& random) {
    const auto below = [&](std::uint32_t limit) { return static_cast<std::int32_t>(random() % limit); };
    Request request;
    const std::int32_t length = 1 + below(60), shared = below(3);
    for (std::int32_t i = 0; i < length; ++i)
      request.prompt.emplace_back(i < 24 ? 100 + shared + i : below(24576));
    request.max_tokens = 1 + below(60);
    request.sampling.temperature = below(2) == 0 ? 0.0f : 1.0f;
    request.sampling.top_k = 50;
    request.sampling.seed = random();
    if (below(4) == 0) request.sampling.repetition_penalty = 1.1f;
    if (below(50) == 0) request.sampling.logprobs = 1;
    request.priority = below(3);
    request.salt = below(4) == 0 ? 1 : 0;
    if (below(4) == 0) request.stop = {"a", "e"};
    if (below(4) == 0) request.stop_token_ids = {text::TokenId(below(24576))};
    request.ignore_eos = below(2) == 0;
    return request;
  }

  void submit_and_cancel(int thread) {
    std::mt19937 random(static_cast<std::uint32_t>(thread));
    std::vector<RequestId> ids;
    for (int i = 0; i < kRequestsEach;) {
      Heard& heard = heard_[thread * kRequestsEach + i];
      const auto id = engine_->submit(random_request(random), [&heard](const Delta& delta) {
        ++heard.pieces;
        heard.tokens += static_cast<std::int64_t>(delta.tokens.size());
        if (!delta.finish) return;
        ++heard.ends;
        heard.reason = static_cast<int>(*delta.finish);
      });
      if (id.ok()) {
        heard.accepted = true;  // the engine's thread does not look at it
        ids.push_back(*id);
        ++i;
      } else {
        EXPECT_EQ(id.status().code(), base::Code::kResourceExhausted) << id.status().message();
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
        if (random() % 20 == 0) ++i;  // give up on some
      }
      if (!ids.empty() && random() % 10 < 3)
        engine_->cancel(ids[ids.size() - 1 - random() % std::min<std::size_t>(ids.size(), 30)]);
      if (random() % 50 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(random() % 5));
    }
  }

  std::vector<Heard> heard_ = std::vector<Heard>(kThreads * kRequestsEach);
  std::unique_ptr<Engine> engine_;  // last: its thread writes to heard_
};

}  // namespace pagoda::engine
