#include "schedule/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "schedule_engine.h"

namespace pagoda::schedule {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

TEST(Scheduler, HasNothingToDoWithoutSequences) {
  Engine engine;
  EXPECT_THAT(engine.step(), IsEmpty());
}

TEST(Scheduler, ComputesThePromptThenOneTokenAStep) {
  Engine engine;
  engine.accept(1, 10);
  EXPECT_THAT(engine.step(), ElementsAre(Part{1, 0, 10, true}));
  EXPECT_THAT(engine.step(), ElementsAre(Part{1, 10, 1, true}));
  EXPECT_THAT(engine.step(), ElementsAre(Part{1, 11, 1, true}));
  EXPECT_EQ(engine.scheduler_.tokens(SequenceId(1)).size(), 13u);
  EXPECT_EQ(engine.scheduler_.tokens(SequenceId(1))[12], -1);
  EXPECT_EQ(engine.scheduler_.cached_tokens(), 12);
}

TEST(Scheduler, PlanPointsToTokensAndBlocks) {
  Engine engine;
  engine.accept(1, 40);
  engine.step();
  const StepPlan plan = engine.scheduler_.plan();
  ASSERT_EQ(plan.sequences.size(), 1u);
  EXPECT_THAT(plan.sequences[0].tokens, ElementsAre(1032, 1033, 1034, 1035, 1036, 1037, 1038, 1039));
  EXPECT_EQ(plan.sequences[0].blocks.size(), 10u);
  EXPECT_EQ(plan.num_tokens, 8);
}

TEST(Scheduler, RefusesWhatCanNeverRunWithTheNumbers) {
  Limits limits;
  limits.blocks = 10;
  Engine engine(limits);
  const auto refusal = [&](std::int32_t size, std::int32_t max_tokens) {
    const base::Status status = engine.submit(1, size, max_tokens);
    EXPECT_EQ(status.code(), base::Code::kInvalidArgument);
    return status.message();
  };
  EXPECT_THAT(refusal(0, 5), HasSubstr("no tokens"));
  EXPECT_THAT(refusal(5, 0), HasSubstr("max_tokens is 0"));
  EXPECT_THAT(refusal(5, -3), HasSubstr("max_tokens is -3"));
  EXPECT_THAT(refusal(109, 20), AllOf(HasSubstr("109"), HasSubstr("20"), HasSubstr("129"), HasSubstr("128")));
  EXPECT_THAT(refusal(30, 12), AllOf(HasSubstr("11 KV blocks of 4"), HasSubstr("has 10")));
  EXPECT_THAT(refusal(5, 2147483647), HasSubstr("--max-model-len 128"));
  EXPECT_EQ(engine.scheduler_.num_waiting(), 0u);
}

// The last token of an answer is sampled and never computed: 30 + 11 tokens fit into 40 slots.
TEST(Scheduler, TakesWhatFitsExactly) {
  Limits limits;
  limits.blocks = 10;
  Engine engine(limits);
  engine.accept(1, 30, 11);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(engine.step().size(), 1u) << i;
  EXPECT_EQ(engine.cache_.available(), 0);
  EXPECT_THAT(engine.step(), ElementsAre(Part{1, 39, 1, true}));
  EXPECT_EQ(engine.cache_.available(), 10);  // its last token needs no room
  EXPECT_THAT(engine.step(), IsEmpty());
}

TEST(Scheduler, BoundsTheQueue) {
  Limits limits;
  limits.options.max_waiting = 2;
  Engine engine(limits);
  engine.accept(1, 5);
  engine.accept(2, 5);
  const base::Status status = engine.submit(3, 5);
  EXPECT_EQ(status.code(), base::Code::kResourceExhausted);
  EXPECT_THAT(status.message(), AllOf(HasSubstr("2 requests are waiting"), HasSubstr("limit is 2")));
  EXPECT_EQ(engine.submit(4, 0).code(), base::Code::kInvalidArgument);  // full or not
  engine.step();
  engine.accept(5, 5);
  engine.accept(6, 5);
  engine.remove(5);
  engine.accept(7, 5);
}

TEST(Scheduler, AdmitsInOrderOfPriorityThenArrival) {
  Limits limits;
  limits.options.max_num_seqs = 1;
  Engine engine(limits);
  engine.accept(1, 5, 20, /*priority=*/1);
  engine.accept(2, 5, 20, /*priority=*/0);
  engine.accept(3, 5, 20, /*priority=*/1);
  engine.accept(4, 5, 20, /*priority=*/-1);
  for (const std::int64_t id : {4, 2, 1, 3}) {
    EXPECT_THAT(engine.step(), ElementsAre(Part{id, 0, 5, true}));
    engine.remove(id);
  }
}

TEST(Scheduler, TakesTokensOfAnswersBeforePrompts) {
  Engine engine;
  engine.accept(1, 5, 20, /*priority=*/1);
  engine.step();
  engine.accept(2, 50, 20, /*priority=*/0);
  EXPECT_THAT(engine.step(), ElementsAre(Part{1, 5, 1, true}, Part{2, 0, 31, false}));
  EXPECT_THAT(engine.step(), ElementsAre(Part{1, 6, 1, true}, Part{2, 31, 19, true}));
  EXPECT_THAT(engine.step(), ElementsAre(Part{2, 50, 1, true}, Part{1, 7, 1, true}));
}

TEST(Scheduler, CutsPromptsByTheBudget) {
  Engine engine;
  engine.accept(1, 50);
  engine.accept(2, 50);
  EXPECT_THAT(engine.step(), ElementsAre(Part{1, 0, 32, false}));
  EXPECT_THAT(engine.step(), ElementsAre(Part{1, 32, 18, true}, Part{2, 0, 14, false}));
  EXPECT_THAT(engine.step(), ElementsAre(Part{1, 50, 1, true}, Part{2, 14, 31, false}));
  EXPECT_THAT(engine.step(), ElementsAre(Part{1, 51, 1, true}, Part{2, 45, 5, true}));
}

TEST(Scheduler, BoundsTheSequencesOfAStep) {
  Limits limits;
  limits.options.max_num_seqs = 2;
  Engine engine(limits);
  for (const std::int64_t id : {1, 2, 3}) engine.accept(id, 3);
  EXPECT_EQ(engine.step().size(), 2u);
  EXPECT_EQ(engine.scheduler_.num_waiting(), 1u);
  engine.remove(1);
  EXPECT_THAT(engine.step(), ElementsAre(Part{2, 3, 1, true}, Part{3, 0, 3, true}));
}

TEST(Scheduler, BeginsAfterTheSharedPrefix) {
  Engine engine;
  engine.accept(1, 10, 20, 0, /*text=*/7);
  engine.step();
  engine.accept(2, 15, 20, 0, /*text=*/7);
  EXPECT_THAT(engine.step(), ElementsAre(Part{1, 10, 1, true}, Part{2, 8, 7, true}));
  EXPECT_EQ(engine.scheduler_.prefix_hit_tokens(SequenceId(1)), 0);
  EXPECT_EQ(engine.scheduler_.prefix_hit_tokens(SequenceId(2)), 8);
  EXPECT_EQ(engine.scheduler_.cached_tokens(), 11 + 15 - 8);  // the shared ones once
  EXPECT_EQ(engine.cache_.pool().used(), 3 + 2);
}

TEST(Scheduler, ComputesTheSamePromptTwiceIfItComesTwiceInOneStep) {
  Engine engine;
  engine.accept(1, 10, 20, 0, /*text=*/7);
  engine.accept(2, 10, 20, 0, /*text=*/7);
  EXPECT_THAT(engine.step(), ElementsAre(Part{1, 0, 10, true}, Part{2, 0, 10, true}));
  engine.accept(3, 10, 20, 0, /*text=*/7);
  EXPECT_THAT(engine.step(), ElementsAre(Part{1, 10, 1, true}, Part{2, 10, 1, true}, Part{3, 8, 2, true}));
}

// A step is planned and submitted while the tokens of the one before are under way.
class RunAhead : public ::testing::Test {
 protected:
  std::vector<Part> submit() {
    const StepPlan plan = engine_.scheduler_.plan();
    std::vector<Part> parts;
    last_tokens_.clear();
    for (const ScheduledSequence& part : plan.sequences) {
      parts.push_back({part.id.value, part.first, part.count, part.samples});
      last_tokens_.push_back(part.tokens.back());
    }
    engine_.scheduler_.submitted(plan);
    engine_.scheduler_.check_invariants();
    return parts;
  }
  void append(std::int64_t id, std::int32_t token) {
    engine_.scheduler_.append(SequenceId(id), token);
    engine_.scheduler_.check_invariants();
  }

  Engine engine_;
  std::vector<std::int32_t> last_tokens_;  // of the sequences of the last plan
};

TEST_F(RunAhead, PlansTheTokenThatIsUnderWay) {
  engine_.accept(1, 10);
  EXPECT_THAT(submit(), ElementsAre(Part{1, 0, 10, true}));
  EXPECT_THAT(submit(), ElementsAre(Part{1, 10, 1, true}));
  EXPECT_THAT(last_tokens_, ElementsAre(kFutureToken));
  append(1, 77);
  EXPECT_THAT(engine_.scheduler_.tokens(SequenceId(1)).subspan(9), ElementsAre(1009, 77, kFutureToken));
  EXPECT_THAT(submit(), ElementsAre(Part{1, 11, 1, true}));
  EXPECT_THAT(last_tokens_, ElementsAre(kFutureToken));
  append(1, 78);
  append(1, 79);
  EXPECT_THAT(submit(), ElementsAre(Part{1, 12, 1, true}));
  EXPECT_THAT(last_tokens_, ElementsAre(79));
}

TEST_F(RunAhead, PlansNothingBehindTheLongestAnswer) {
  engine_.accept(1, 10, /*max_tokens=*/2);
  submit();
  submit();
  EXPECT_EQ(engine_.scheduler_.num_running(), 0u);
  EXPECT_EQ(engine_.cache_.pool().used(), 0);
  EXPECT_THAT(submit(), IsEmpty());
  append(1, 77);
  append(1, 78);
  EXPECT_EQ(engine_.scheduler_.tokens(SequenceId(1)).size(), 12u);
  engine_.remove(1);
}

// Blocks of 4: the third is full when the twelfth token is computed, and can be found when it is known.
TEST_F(RunAhead, SharesABlockOnceItsTokensAreKnown) {
  engine_.accept(1, 10, 20, 0, /*text=*/0);
  submit();
  submit();
  append(1, 10);
  submit();
  append(1, 11);
  engine_.accept(2, 14, 20, 0, /*text=*/0);
  submit();
  EXPECT_EQ(engine_.scheduler_.prefix_hit_tokens(SequenceId(2)), 12);
}

TEST_F(RunAhead, GivesTheBlocksOfTheRemovedAway) {
  engine_.accept(1, 10);
  submit();
  submit();
  engine_.remove(1);
  EXPECT_EQ(engine_.cache_.pool().used(), 0);
  EXPECT_THAT(submit(), IsEmpty());
}

// The bar: less than 4 % of the slots in use are empty with 64 sequences around 200 tokens and blocks of 16.
// What is empty is half a last block on average: 8 of 208.
TEST(Scheduler, WastesLessThanFourPercentOfTheBlocksInUse) {
  Limits limits;
  limits.blocks = 64 * 20;
  limits.block_size = 16;
  limits.options = {
      .max_num_seqs = 64, .max_num_batched_tokens = 512, .max_model_len = 4096, .max_waiting = 64};
  Engine engine(limits);
  for (std::int64_t id = 0; id < 64; ++id) engine.accept(id, 168 + static_cast<std::int32_t>(id), 50);
  double sum = 0;
  int samples = 0;
  const auto waste = [&] {
    return 1.0 -
           static_cast<double>(engine.scheduler_.cached_tokens()) / (engine.cache_.pool().used() * 16.0);
  };
  while (engine.scheduler_.num_waiting() > 0) engine.step();
  for (; samples < 16; ++samples) {
    engine.step();
    EXPECT_LT(waste(), 0.04);
    sum += waste();
  }
  RecordProperty("waste_percent", std::to_string(100 * sum / samples));
}

}  // namespace
}  // namespace pagoda::schedule
