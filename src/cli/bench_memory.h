#pragma once
// `pagoda bench --memory`: is what was planned and tagged what the process really holds?

#include "base/status.h"
#include "execute/runner.h"

namespace pagoda::cli {

// Uses all memory of `runner` once, then prints it planned, by tag, and resident; on a GPU what was taken
// from its memory in the place of resident. An error if resident and tagged memory differ by more than 3 %,
// or if more is taken of a GPU than was planned. The process should hold no other model.
base::Status run_bench_memory(execute::Runner& runner, bool json);

}  // namespace pagoda::cli
