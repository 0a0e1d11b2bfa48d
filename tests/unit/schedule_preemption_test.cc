// What the scheduler does when the blocks run out.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schedule_engine.h"

namespace pagoda::schedule {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Prompts of 4 tokens and blocks of 4: each sequence needs a new block in its second step and every fourth
// after it.
Limits crowded(std::int32_t blocks, bool prefix_caching = false) {
  Limits limits;
  limits.blocks = blocks;
  limits.prefix_caching = prefix_caching;
  return limits;
}

TEST(Preemption, LeavesRoomForTheRunningWhenItAdmits) {
  Engine engine(crowded(5));
  engine.accept(1, 4, 5);
  engine.accept(2, 4, 5);
  engine.accept(3, 8, 5);
  // The third needs two blocks of the three that are left, but two are for the next tokens of the others.
  EXPECT_THAT(engine.step(), ElementsAre(Part{1, 0, 4, true}, Part{2, 0, 4, true}));
  EXPECT_THAT(engine.step(), ElementsAre(Part{1, 4, 1, true}, Part{2, 4, 1, true}));
  EXPECT_EQ(engine.scheduler_.preemptions(), 0);
}

TEST(Preemption, PreemptsTheLastInOrder) {
  Engine engine(crowded(6));
  engine.accept(1, 4, 16, /*priority=*/1);
  engine.accept(2, 4, 16, /*priority=*/0);
  engine.accept(3, 4, 16, /*priority=*/0);
  engine.steps(5);  // 8 tokens each are computed, all blocks are full
  EXPECT_EQ(engine.cache_.available(), 0);
  EXPECT_THAT(engine.step(), ElementsAre(Part{2, 8, 1, true}, Part{3, 8, 1, true}));
  EXPECT_EQ(engine.scheduler_.preemptions(), 1);
  EXPECT_EQ(engine.scheduler_.num_waiting(), 1u);
  EXPECT_EQ(engine.scheduler_.num_running(), 2u);
}

TEST(Preemption, RecomputesAPreemptedSequenceWithItsAnswer) {
  Engine engine(crowded(7));
  for (const std::int64_t id : {1, 2, 3}) engine.accept(id, 4, 16);
  engine.steps(6);
  EXPECT_EQ(engine.scheduler_.preemptions(), 1);
  engine.remove(1);
  // 4 of the prompt and the 5 it had generated, then on as before.
  EXPECT_THAT(engine.step(), ElementsAre(Part{2, 9, 1, true}, Part{3, 0, 9, true}));
  EXPECT_EQ(engine.scheduler_.prefix_hit_tokens(SequenceId(3)), 0);
  EXPECT_THAT(engine.step(), ElementsAre(Part{2, 10, 1, true}, Part{3, 9, 1, true}));
  EXPECT_THAT(engine.scheduler_.tokens(SequenceId(3)),
              ElementsAre(3000, 3001, 3002, 3003, -3, -3, -3, -3, -3, -3, -3));
}

TEST(Preemption, FindsTheBlocksOfAPreemptedSequenceAgain) {
  Engine engine(crowded(7, /*prefix_caching=*/true));
  for (const std::int64_t id : {1, 2, 3}) engine.accept(id, 4, 16);
  engine.steps(6);
  engine.remove(1);
  const auto parts = engine.step();
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[1].id, 3);
  EXPECT_GT(parts[1].first, 0);                                      // its beginning survived
  EXPECT_EQ(engine.scheduler_.prefix_hit_tokens(SequenceId(3)), 0);  // that of the first admission
}

// A prompt that finds no room because all others generate is not overtaken by small ones that came later.
TEST(Preemption, AdmitsNobodyPastOneThatFindsNoRoom) {
  Limits limits = crowded(20);
  limits.options.max_num_batched_tokens = 20;
  Engine engine(limits);
  engine.accept(1, 40, 30);
  engine.accept(2, 60, 4);
  engine.steps(2);
  EXPECT_THAT(engine.step(), ElementsAre(Part{1, 40, 1, true}, Part{2, 0, 19, false}));
  engine.accept(3, 2, 4);
  // The next 19 tokens of 2 need five blocks, four are left; 3 would be content with one.
  EXPECT_THAT(engine.step(), ElementsAre(Part{1, 41, 1, true}));
  EXPECT_THAT(engine.step(), ElementsAre(Part{1, 42, 1, true}));
  EXPECT_EQ(engine.scheduler_.preemptions(), 0);
  engine.accept(4, 2, 4, /*priority=*/-1);  // comes before 2, so it may
  EXPECT_THAT(engine.step(), ElementsAre(Part{1, 43, 1, true}, Part{4, 0, 2, true}));
  engine.remove(1);
  EXPECT_THAT(engine.step(), ElementsAre(Part{4, 2, 1, true}, Part{2, 19, 19, false}));
}

// Preempted ones are in the queue too, but they were let in already.
TEST(Preemption, DoesNotRefuseBecauseOfPreemptedSequences) {
  Limits limits = crowded(6);
  limits.options.max_waiting = 3;
  Engine engine(limits);
  for (const std::int64_t id : {1, 2, 3}) engine.accept(id, 4, 16);
  engine.steps(6);
  EXPECT_EQ(engine.scheduler_.num_waiting(), 1u);
  for (const std::int64_t id : {4, 5, 6}) engine.accept(id, 4, 16);
  EXPECT_EQ(engine.submit(7, 4, 16).code(), base::Code::kResourceExhausted);
}

TEST(Preemption, CountsAPrefixOnceHoweverOftenItIsTried) {
  Engine engine(crowded(8, /*prefix_caching=*/true));
  engine.accept(1, 16, 9);
  engine.step();
  engine.accept(2, 32, 1, 0, /*text=*/1);
  engine.steps(4);  // three blocks are left, it finds four and needs four more
  EXPECT_EQ(engine.scheduler_.num_waiting(), 1u);
  EXPECT_EQ(engine.cache_.counters().prefix_queries_tokens, 16);
  EXPECT_EQ(engine.cache_.counters().prefix_hits_tokens, 0);
  engine.remove(1);
  EXPECT_THAT(engine.step(), ElementsAre(Part{2, 16, 16, true}));
  EXPECT_EQ(engine.cache_.counters().prefix_queries_tokens, 48);
  EXPECT_EQ(engine.cache_.counters().prefix_hits_tokens, 16);
}

TEST(Preemption, RemovesInEveryState) {
  Engine engine(crowded(6));
  for (const std::int64_t id : {1, 2, 3}) engine.accept(id, 4, 16);
  engine.steps(6);
  engine.accept(4, 4);
  engine.remove(4);  // waiting
  engine.remove(3);  // preempted
  engine.remove(1);  // running
  engine.remove(99);
  EXPECT_THAT(engine.step(), ElementsAre(Part{2, 9, 1, true}));
  const StepPlan plan = engine.scheduler_.plan();
  engine.remove(2);  // while the step is computed
  engine.scheduler_.submitted(plan);
  EXPECT_EQ(engine.cache_.pool().free(), 6);
  EXPECT_THAT(engine.step(), IsEmpty());
}

}  // namespace
}  // namespace pagoda::schedule
