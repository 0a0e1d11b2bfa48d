#pragma once
// A step as arrays: the rows of all its sequences laid below one another. Built anew for each step in memory
// that is reserved once.

#include <cstdint>
#include <span>
#include <vector>

#include "execute/sampling.h"
#include "kernels/kv_cache.h"
#include "schedule/scheduler.h"

namespace pagoda::execute {

// One sequence of a step, in the order of the plan.
struct StepSequence {
  const schedule::ScheduledSequence* part = nullptr;
  std::span<const std::int32_t> history;  // prompt and answer so far
  const Sampling* sampling = nullptr;
};

struct BatchLayout {
  std::vector<std::int32_t> tokens, positions;  // [tokens]
  std::vector<std::int32_t> outputs;            // rows that are sampled from, in the order of the sequences
  std::vector<std::int32_t> block_ids;          // block tables, one after another
  // block_table is left null: slice i's begins at block_ids[first_block[i]].
  std::vector<kernels::SequenceSlice> slices;
  std::vector<std::int32_t> first_block;
  std::int32_t num_decodes = 0;  // leading slices of one query
  std::int32_t max_queries = 0;  // of the others
  std::int32_t max_context = 0;

  void reserve(std::int32_t max_tokens, std::int32_t max_sequences, std::int32_t max_blocks);
  void build(std::span<const StepSequence> sequences);
};

}  // namespace pagoda::execute
