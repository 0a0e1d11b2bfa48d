#pragma once
// Random requests against a scheduler and a cache, with everything checked that the two promise. The same
// seed gives the same run.

#include <fmt/core.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "cache/block_cache.h"
#include "schedule/scheduler.h"
#include "simulated_kv.h"

namespace pagoda::simulate {

class Random {
 public:
  explicit Random(std::uint64_t seed) : engine_(seed) {}
  // The library's distributions differ between implementations; this does not.
  std::int32_t between(std::int32_t low, std::int32_t high) {
    return low + static_cast<std::int32_t>(engine_() % static_cast<std::uint64_t>(high - low + 1));
  }
  bool chance(std::int32_t per_mille) { return between(0, 999) < per_mille; }
  std::uint64_t seed() { return engine_(); }

 private:
  std::mt19937_64 engine_;
};

struct Scenario {
  std::int32_t block_size = 16, num_blocks = 64;
  bool prefix_caching = true;
  schedule::SchedulerOptions scheduler;
  std::int32_t prompt_max = 200, answer_max = 40;
  std::int32_t priorities = 1, salts = 1, prefixes = 4;
  std::int32_t arrivals_per_mille = 300, cancels_per_mille = 5;
  std::int32_t steps_ahead = 0;  // steps whose tokens are not known when the next is planned
};

// Small pools against large requests, so that preemption and eviction are the rule.
inline Scenario random_scenario(Random& random) {
  Scenario scenario;
  schedule::SchedulerOptions& options = scenario.scheduler;
  scenario.block_size = 8 << random.between(0, 3);
  scenario.prefix_caching = random.chance(700);
  options.max_num_batched_tokens = random.between(16, random.chance(500) ? 64 : 512);
  options.max_num_seqs = random.between(1, std::min(64, options.max_num_batched_tokens));
  options.max_waiting = random.between(1, 40);
  scenario.priorities = random.between(1, 3);
  std::int32_t room_tenths = random.between(9, 40);  // the pool, in lengths of the longest request
  switch (random.between(0, 3)) {
    case 0:  // long prompts: sharing and eviction
      scenario.prompt_max = random.between(10, 400);
      scenario.answer_max = random.between(1, 60);
      break;
    case 1:  // prompts in many chunks, urgent ones among them, while others generate: chunks that find no
             // room
      scenario.block_size = 8;
      scenario.prompt_max = random.between(100, 400);
      scenario.answer_max = random.between(20, 150);
      scenario.priorities = 3;
      options.max_num_batched_tokens = random.between(16, 60);
      options.max_num_seqs = random.between(4, 16);
      room_tenths = random.between(9, 16);
      break;
    default:  // short prompts with long answers: admitted together, they outgrow the pool
      scenario.block_size = 8;
      scenario.prompt_max = random.between(2, 20);
      scenario.answer_max = random.between(60, 240);
      options.max_num_seqs = std::max(options.max_num_seqs, 8);
      room_tenths = random.between(9, 20);
      break;
  }
  const std::int32_t longest = scenario.prompt_max * 3 / 2 + scenario.answer_max;
  scenario.num_blocks = 1 + longest * room_tenths / 10 / scenario.block_size;
  options.max_model_len = longest - random.between(0, longest / 20);  // a few requests ask for more
  scenario.salts = random.between(1, 3);
  scenario.prefixes = random.between(1, 6);
  scenario.arrivals_per_mille = random.chance(500) ? random.between(5, 60) : random.between(60, 900);
  scenario.cancels_per_mille = random.between(0, 30);
  scenario.steps_ahead = random.between(0, 3);
  return scenario;
}

struct Totals {
  std::int64_t steps = 0, tokens = 0, accepted = 0, refused = 0, finished = 0, cancelled = 0;
  std::int64_t preemptions = 0, evictions = 0, prefix_hits_tokens = 0;
  std::int64_t ignored = 0;  // tokens of sequences that were over when their step was
};

class Simulation {
 public:
  // Changes a plan behind the scheduler's back. Blocks that a plan should point to are kept in the vector.
  // True if done.
  using Sabotage = std::function<bool(schedule::StepPlan&, std::vector<cache::BlockId>&)>;

  Simulation(const Scenario& scenario, std::uint64_t seed, Totals& totals)
      : scenario_(scenario),
        random_(seed),
        totals_(totals),
        cache_(scenario.num_blocks, scenario.block_size, scenario.prefix_caching),
        scheduler_(scenario.scheduler, cache_),
        kv_(scenario.num_blocks, scenario.block_size) {
    for (std::int32_t i = 0; i < scenario.prefixes; ++i)
      prefixes_.push_back(random_tokens(scenario.prompt_max));
  }

  // One step of the engine, with arrivals or only with what is there. Returns what is wrong, or nothing.
  std::string step(bool arrivals);
  bool idle() const { return live_.empty(); }
  // Steps within which all that is live must be over: each step computes a token at least, or else one that
  // is under way ends.
  std::int64_t drain_bound() const;
  // After the last step.
  std::string check_empty() const;
  void add_counters() const;
  void set_sabotage(Sabotage sabotage) { sabotage_ = std::move(sabotage); }
  bool sabotaged() const { return sabotaged_; }

 private:
  struct Request {
    std::vector<std::int32_t> tokens;  // prompt, then answer, as far as the device has come
    std::vector<Content> contents;     // of the tokens
    std::int32_t known = 0;            // of the tokens, to the scheduler
    std::int32_t prompt_size = 0, answer_size = 0, max_tokens = 0;
    std::int32_t priority = 0;
    std::uint64_t salt = 0;
    std::int32_t computed = 0;
    bool started = false;
    std::int64_t planned_in = 0;        // the last step it was part of
    std::int64_t preemptions_then = 0;  // of all, when it was
  };
  using Live = std::map<std::int64_t, Request>;  // by id, and ids are given in the order of arrival
  using Sampled = std::vector<std::pair<std::int64_t, std::int32_t>>;  // ids and tokens of one step

  std::vector<std::int32_t> random_tokens(std::int32_t longest);
  std::string submit();
  void remove(std::int64_t id);
  void remove_random();
  std::string check_plan(const schedule::StepPlan& plan);
  std::string check_part(const schedule::ScheduledSequence& part, Request& request);
  std::string check_order(const schedule::StepPlan& plan);
  std::string submit_step(const schedule::StepPlan& plan);
  std::string compute(const schedule::StepPlan& plan, Sampled& sampled);
  std::string deliver(const Sampled& sampled);
  std::string finish(std::int64_t id, const Request& request);
  static void push_token(Request& request, std::int32_t token);
  // Prompt and longest answer are there: it is in no plan any more.
  static bool is_leaving(const Request& request) {
    return static_cast<std::int32_t>(request.tokens.size()) == request.prompt_size + request.max_tokens;
  }

  Scenario scenario_;
  Random random_;
  Totals& totals_;
  cache::BlockCache cache_;
  schedule::Scheduler scheduler_;
  SimulatedKv kv_;
  std::vector<std::vector<std::int32_t>> prefixes_;
  Live live_;
  std::deque<Sampled> in_flight_;
  std::int64_t next_id_ = 0;
  std::int64_t step_ = 0;
  std::int64_t unstarted_ = 0;
  std::int64_t first_id_ = -1, first_absent_ = 0;
  std::vector<std::int64_t> admitted_;  // by the plan at hand, or admitted again
  Sabotage sabotage_;
  std::vector<cache::BlockId> sabotaged_blocks_;
  bool sabotaged_ = false;
};

}  // namespace pagoda::simulate
