// Requests that compete: the queue and its bound, priorities, draining, the end of the engine, and many
// threads that submit and cancel at random.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "engine_crowd.h"
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

TEST(EngineCrowd, EverybodyIsAccountedFor) {
  Crowd crowd(random_engine(Crowd::options()));
  crowd.run();
  crowd.check();
}

}  // namespace
}  // namespace pagoda::engine
