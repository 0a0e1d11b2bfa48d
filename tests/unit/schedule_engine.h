#pragma once
// A scheduler and a cache with small limits, and plans short enough to write down.

#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <ostream>
#include <vector>

#include "schedule/scheduler.h"

namespace pagoda::schedule {

// A part of a plan in short: id, first token, count, and whether it samples.
struct Part {
  std::int64_t id;
  std::int32_t first, count;
  bool samples;
  bool operator==(const Part&) const = default;
};
inline void PrintTo(const Part& part, std::ostream* out) {
  *out << part.id << ":[" << part.first << ",+" << part.count << (part.samples ? "]*" : "]");
}

struct Limits {
  std::int32_t blocks = 64, block_size = 4;
  bool prefix_caching = true;
  SchedulerOptions options = {
      .max_num_seqs = 8, .max_num_batched_tokens = 32, .max_model_len = 128, .max_waiting = 8};
};

class Engine {
 public:
  explicit Engine(const Limits& limits = {})
      : cache_(limits.blocks, limits.block_size, limits.prefix_caching), scheduler_(limits.options, cache_) {}

  // A prompt of `size` tokens that begins like no other, or like all others of the same `text`.
  base::Status submit(std::int64_t id, std::int32_t size, std::int32_t max_tokens = 20,
                      std::int32_t priority = 0, std::int32_t text = -1) {
    std::vector<std::int32_t> prompt(size);
    std::iota(prompt.begin(), prompt.end(), 1000 * (text < 0 ? static_cast<std::int32_t>(id) : text));
    return scheduler_.submit({SequenceId(id), std::move(prompt), max_tokens, priority, /*salt=*/5});
  }
  void accept(std::int64_t id, std::int32_t size, std::int32_t max_tokens = 20, std::int32_t priority = 0,
              std::int32_t text = -1) {
    const base::Status status = submit(id, size, max_tokens, priority, text);
    ASSERT_TRUE(status.ok()) << status.message();
  }

  // One step: what was in it. Each sequence that samples gets a token of its own.
  std::vector<Part> step() {
    const StepPlan plan = scheduler_.plan();
    scheduler_.check_invariants();
    std::vector<Part> parts;
    for (const ScheduledSequence& part : plan.sequences)
      parts.push_back({part.id.value, part.first, part.count, part.samples});
    scheduler_.submitted(plan);
    for (const Part& part : parts) {
      if (part.samples) scheduler_.append(SequenceId(part.id), static_cast<std::int32_t>(-part.id));
    }
    scheduler_.check_invariants();
    return parts;
  }
  void steps(int count) {
    for (int i = 0; i < count; ++i) step();
  }
  void remove(std::int64_t id) {
    scheduler_.remove(SequenceId(id));
    scheduler_.check_invariants();
  }

  cache::BlockCache cache_;
  Scheduler scheduler_;
};

}  // namespace pagoda::schedule
