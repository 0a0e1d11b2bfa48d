// The scheduler and the cache under random load: see simulation.h for what is checked.
//   PAGODA_SIMULATION_STEPS=1000000 PAGODA_SIMULATION_SEED=7 schedule_simulation_test

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>

#include "simulation.h"

namespace pagoda::simulate {
namespace {

std::int64_t from_environment(const char* name, std::int64_t otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr ? otherwise : std::strtoll(value, nullptr, 10);
}

// Arrivals for a while, then none until all is over.
std::string run_episode(Simulation& simulation, std::int32_t steps) {
  for (std::int32_t i = 0; i < steps; ++i) {
    if (std::string wrong = simulation.step(/*arrivals=*/true); !wrong.empty()) return wrong;
  }
  for (std::int64_t left = simulation.drain_bound(); !simulation.idle(); --left) {
    if (left == 0) return "requests do not come to an end";
    if (std::string wrong = simulation.step(/*arrivals=*/false); !wrong.empty()) return wrong;
  }
  simulation.add_counters();
  return simulation.check_empty();
}

TEST(Simulation, KeepsEveryPromise) {
  const std::int64_t steps = from_environment("PAGODA_SIMULATION_STEPS", 1000000);
  const std::int64_t seed = from_environment("PAGODA_SIMULATION_SEED", 1);
  Random random(static_cast<std::uint64_t>(seed));
  Totals totals;
  const auto begin = std::chrono::steady_clock::now();
  for (std::int32_t episode = 0; totals.steps < steps; ++episode) {
    const Scenario scenario = random_scenario(random);
    Simulation simulation(scenario, random.seed(), totals);
    const std::string wrong = run_episode(simulation, random.between(100, 1500));
    ASSERT_EQ(wrong, "") << "seed " << seed << ", episode " << episode << ", step " << totals.steps << "; "
                         << scenario.steps_ahead << " steps ahead, " << scenario.num_blocks << " blocks of "
                         << scenario.block_size << ", " << scenario.scheduler.max_num_seqs << " sequences, "
                         << scenario.scheduler.max_num_batched_tokens << " tokens, prefix caching "
                         << scenario.prefix_caching;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  fmt::print(
      "seed {}: {} steps, {:.0f} steps/s, {} tokens, {} accepted, {} refused, {} finished, {} cancelled, "
      "{} tokens ignored, {} preemptions, {} evictions, {} tokens found by prefix\n",
      seed, totals.steps, static_cast<double>(totals.steps) / seconds, totals.tokens, totals.accepted,
      totals.refused, totals.finished, totals.cancelled, totals.ignored, totals.preemptions, totals.evictions,
      totals.prefix_hits_tokens);
  EXPECT_EQ(totals.finished + totals.cancelled, totals.accepted);
  // A run that preempts and evicts nothing has tested nothing.
  if (steps >= 10000) {
    EXPECT_GT(totals.preemptions, 1000);
    EXPECT_GT(totals.evictions, 1000);
    EXPECT_GT(totals.ignored, 1000);
    EXPECT_GT(totals.prefix_hits_tokens, 10000);
  }
}

using Part = schedule::ScheduledSequence;
using Blocks = std::vector<cache::BlockId>;

// The first sequence that fits `wanted`, with blocks of its own to change.
Part* pick(schedule::StepPlan& plan, Blocks& blocks, const std::function<bool(const Part&)>& wanted) {
  for (Part& part : plan.sequences) {
    if (!wanted(part)) continue;
    blocks.assign(part.blocks.begin(), part.blocks.end());
    part.blocks = blocks;
    return &part;
  }
  return nullptr;
}

constexpr std::int32_t kBlockSize = 16;

// The checker itself: a plan is changed behind the scheduler's back, and the run has to notice.
struct Plant {
  const char* name;
  Simulation::Sabotage sabotage;
};

const Plant kPlants[] = {
    {"BlocksOfOneSequenceSwapped",
     [](schedule::StepPlan& plan, Blocks& blocks) {
       if (!pick(plan, blocks, [](const Part& part) { return part.first >= 2 * kBlockSize; })) return false;
       std::swap(blocks[0], blocks[1]);
       return true;
     }},
    {"AnothersBlockRead",
     [](schedule::StepPlan& plan, Blocks& blocks) {
       for (const Part& other : plan.sequences) {
         const auto differs = [&](const Part& part) {
           return part.first >= kBlockSize && part.blocks[0] != other.blocks[0];
         };
         if (!pick(plan, blocks, differs)) continue;
         blocks[0] = other.blocks[0];
         return true;
       }
       return false;
     }},
    {"AnothersBlockWritten",
     [](schedule::StepPlan& plan, Blocks& blocks) {
       if (plan.sequences.size() < 2) return false;
       const auto at_edge = [](const Part& part) { return part.first % kBlockSize == 0; };
       Part* part = pick(plan, blocks, at_edge);
       if (part == nullptr) return false;
       const Part& other = part == plan.sequences.data() ? plan.sequences[1] : plan.sequences[0];
       blocks[part->first / kBlockSize] = other.blocks[other.first / kBlockSize];
       return true;
     }},
    {"BlockListedTwice",
     [](schedule::StepPlan& plan, Blocks& blocks) {
       if (!pick(plan, blocks, [](const Part& part) { return part.blocks.size() >= 2; })) return false;
       blocks.back() = blocks.front();
       return true;
     }},
    {"BlockMissing",
     [](schedule::StepPlan& plan, Blocks& blocks) {
       Part* part = pick(plan, blocks, [](const Part&) { return true; });
       if (part != nullptr) part->blocks = part->blocks.first(part->blocks.size() - 1);
       return part != nullptr;
     }},
    {"TokenSkipped",
     [](schedule::StepPlan& plan, Blocks& blocks) {
       Part* part = pick(plan, blocks, [](const Part& candidate) { return candidate.count > 1; });
       if (part == nullptr) return false;
       ++part->first;
       --part->count;
       --plan.num_tokens;
       part->tokens = part->tokens.subspan(1);
       return true;
     }},
    {"SamplesTooEarly",
     [](schedule::StepPlan& plan, Blocks& blocks) {
       Part* part = pick(plan, blocks, [](const Part& candidate) { return !candidate.samples; });
       if (part != nullptr) part->samples = true;
       return part != nullptr;
     }},
    {"SequenceForgotten",
     [](schedule::StepPlan& plan, Blocks&) {
       const bool possible = plan.sequences.size() == 1;
       if (possible) plan = {};
       return possible;
     }},
};

class SimulationChecker : public ::testing::TestWithParam<Plant> {};

TEST_P(SimulationChecker, NoticesAPlantedFault) {
  Scenario scenario;
  scenario.block_size = kBlockSize;
  scenario.num_blocks = 40;
  scenario.scheduler.max_num_batched_tokens = 48;
  scenario.scheduler.max_num_seqs = 16;
  Totals totals;
  Simulation simulation(scenario, /*seed=*/3, totals);
  simulation.set_sabotage(GetParam().sabotage);
  std::string wrong;
  std::int32_t steps_since = 0;
  for (std::int32_t i = 0; i < 1000 && wrong.empty() && steps_since < 1; ++i) {
    wrong = simulation.step(/*arrivals=*/true);
    if (simulation.sabotaged()) ++steps_since;
  }
  EXPECT_TRUE(simulation.sabotaged());
  EXPECT_NE(wrong, "") << "the step with the fault went through";
}

INSTANTIATE_TEST_SUITE_P(Plants, SimulationChecker, ::testing::ValuesIn(kPlants),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace pagoda::simulate
