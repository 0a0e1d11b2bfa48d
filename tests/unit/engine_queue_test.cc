// Requests that compete: the queue and its bound, priorities, draining, the end of the engine, and many
// threads that submit and cancel at random.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <numeric>
#include <random>

#include "engine_recorder.h"

namespace pagoda::engine {
namespace {

using base::Code;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Long answers on the tiny model last long enough to be waited behind.
EngineOptions one_at_a_time() {
  EngineOptions options = small_options();
  options.runner.max_num_seqs = 1;
  options.runner.max_model_len = 65536;
  options.runner.num_kv_blocks = 8192;
  return options;
}

Request short_request(const Engine& engine) {
  Request request = endless(engine);
  request.max_tokens = 2;
  return request;
}

TEST(EngineQueue, CancelWhileWaiting) {
  Recorder running, waiting;
  const auto engine = random_engine(one_at_a_time());
  const auto first = engine->submit(endless(*engine), running.sink());
  ASSERT_TRUE(first.ok());
  running.wait_for_tokens(1);
  const auto second = engine->submit(endless(*engine), waiting.sink());
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(engine->stats().waiting, 1);
  engine->cancel(*second);
  const Completion completion = waiting.wait();
  EXPECT_EQ(completion.finish, FinishReason::kCancelled);
  EXPECT_TRUE(completion.tokens.empty());
  EXPECT_EQ(completion.text, "");
  EXPECT_EQ(completion.usage.completion_tokens, 0);
  EXPECT_EQ(completion.usage.prompt_tokens, static_cast<int>(endless(*engine).prompt.size()));
  EXPECT_EQ(engine->stats().waiting, 0);
  EXPECT_FALSE(running.finished());
  engine->cancel(*first);
  running.wait();
  EXPECT_EQ(engine->stats().kv_blocks_used, 0);
}

TEST(EngineQueue, IsBounded) {
  EngineOptions options = one_at_a_time();
  options.max_waiting = 2;
  Recorder running, waiting[2], refused, later;
  const auto engine = random_engine(options);
  const auto first = engine->submit(endless(*engine), running.sink());
  ASSERT_TRUE(first.ok());
  running.wait_for_tokens(1);
  const auto second = engine->submit(short_request(*engine), waiting[0].sink());
  ASSERT_TRUE(second.ok());
  ASSERT_TRUE(engine->submit(short_request(*engine), waiting[1].sink()).ok());
  const auto third = engine->submit(short_request(*engine), refused.sink());
  EXPECT_EQ(third.status().code(), Code::kResourceExhausted);
  EXPECT_THAT(third.status().message(), HasSubstr("limit is 2"));
  EXPECT_EQ(engine->stats().waiting, 2);

  engine->cancel(*second);
  waiting[0].wait();
  EXPECT_TRUE(engine->submit(short_request(*engine), later.sink()).ok());  // room again, at once
  engine->cancel(*first);
  EXPECT_EQ(waiting[1].wait().finish, FinishReason::kLength);
  EXPECT_EQ(later.wait().finish, FinishReason::kLength);
  EXPECT_EQ(refused.pieces(), 0u);
}

TEST(EngineQueue, LowerPriorityValuesRunFirst) {
  Recorder running;
  std::vector<Recorder> waiting(5);
  std::vector<int> order;  // the engine's thread writes it, the waits below make it ours
  const auto engine = random_engine(one_at_a_time());
  const auto first = engine->submit(endless(*engine), running.sink());
  ASSERT_TRUE(first.ok());
  running.wait_for_tokens(1);
  const int priorities[] = {5, 0, -3, 0, 7};
  for (int i = 0; i < 5; ++i) {
    waiting[i].on_piece = [&order, i](const Delta& delta) {
      if (delta.finish) order.push_back(i);
    };
    Request request = short_request(*engine);
    request.priority = priorities[i];
    ASSERT_TRUE(engine->submit(std::move(request), waiting[i].sink()).ok());
  }
  engine->cancel(*first);
  for (Recorder& recorder : waiting) recorder.wait();
  EXPECT_THAT(order, ElementsAre(2, 1, 3, 0, 4));  // equal ones by arrival
}

TEST(EngineQueue, DrainFinishesWhatWasAcceptedAndRefusesTheRest) {
  std::vector<Recorder> accepted(10);
  Recorder refused;
  const auto engine = random_engine(small_options());
  for (Recorder& recorder : accepted) {
    Request request = endless(*engine);
    request.max_tokens = 30;
    ASSERT_TRUE(engine->submit(std::move(request), recorder.sink()).ok());
  }
  engine->drain();
  for (Recorder& recorder : accepted) {
    EXPECT_TRUE(recorder.finished());
    EXPECT_EQ(recorder.wait().finish, FinishReason::kLength);
  }
  const auto late = engine->submit(short_request(*engine), refused.sink());
  EXPECT_EQ(late.status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(refused.pieces(), 0u);
  engine->drain();  // nothing is left: returns at once
}

TEST(EngineQueue, DrainEndsWhenTheRestIsCancelled) {
  Recorder recorder;
  const auto engine = random_engine(one_at_a_time());
  const auto id = engine->submit(endless(*engine), recorder.sink());
  ASSERT_TRUE(id.ok());
  recorder.wait_for_tokens(1);
  std::thread drainer([&] { engine->drain(); });
  // Some may be accepted before the drainer has come so far; they end behind the first.
  EXPECT_TRUE(eventually([&] {
    return engine->submit(short_request(*engine), [](const Delta&) {}).status().code() ==
           Code::kFailedPrecondition;
  }));
  engine->cancel(*id);
  drainer.join();
  EXPECT_EQ(recorder.wait().finish, FinishReason::kCancelled);
  engine->drain();
}

TEST(EngineQueue, TheDestructorCancelsWhatIsLeft) {
  for (int round = 0; round < 5; ++round) {
    std::vector<Recorder> recorders(6);
    {
      const auto engine = random_engine(one_at_a_time());
      for (Recorder& recorder : recorders)
        ASSERT_TRUE(engine->submit(endless(*engine), recorder.sink()).ok());
      if (round > 0) recorders[0].wait_for_tokens(round);
    }
    for (Recorder& recorder : recorders) {
      EXPECT_TRUE(recorder.finished());
      EXPECT_EQ(recorder.wait().finish, FinishReason::kCancelled);
    }
  }
}

TEST(EngineQueue, AnEngineThatNobodyAskedEnds) {
  const auto engine = random_engine(small_options());
  const Stats stats = engine->stats();
  EXPECT_EQ(stats.steps, 0);
  EXPECT_EQ(stats.kv_blocks_total, 512);
}

// What was destroyed with its request: sinks hold references to connections.
TEST(EngineQueue, SinksAreDestroyedAfterTheEnd) {
  const auto engine = random_engine(small_options());
  const auto held = std::make_shared<int>(0);
  Recorder recorder;
  ASSERT_TRUE(
      engine->submit(short_request(*engine), [held, sink = recorder.sink()](const Delta& d) { sink(d); })
          .ok());
  recorder.wait();
  EXPECT_TRUE(eventually([&] { return held.use_count() == 1; }));
}

// The random part: few blocks, so that sequences are preempted; a short queue, so that some are refused.
class Crowd {
 public:
  static constexpr int kThreads = 4, kRequestsEach = 500;

  Crowd() {
    EngineOptions options = small_options();
    options.runner.block_size = 8;
    options.runner.num_kv_blocks = 32;
    options.runner.max_model_len = 128;
    options.runner.max_num_batched_tokens = 64;
    options.max_waiting = 40;
    engine_ = random_engine(options);
  }

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
    EXPECT_LE(stats.running, 8);
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
        EXPECT_EQ(id.status().code(), Code::kResourceExhausted) << id.status().message();
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

TEST(EngineCrowd, EverybodyIsAccountedFor) {
  Crowd crowd;
  crowd.run();
  crowd.check();
}

}  // namespace
}  // namespace pagoda::engine
