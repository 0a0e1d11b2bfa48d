#include "cli/bench_memory.h"

#include <fmt/core.h>
#include <malloc.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <cmath>
#include <fstream>

#include "cli/bench_rows.h"
#include "execute/memory_plan.h"
#include "tensor/memory.h"

namespace pagoda::cli {
namespace {

constexpr double kLargestDifference = 0.03;

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace

base::Status run_bench_memory(execute::Runner& runner, bool json) {
  if (runner.ops().on_device())
    return base::invalid("--memory measures the memory of the host, so it needs --device cpu");
  run_longest_prompt(runner);
  ::malloc_trim(0);  // what loading has freed
  const execute::MemoryPlan& plan = runner.memory();
  const std::size_t planned = plan.total_bytes();
  const std::size_t resident = resident_bytes();
  std::size_t tagged = 0;
  boost::json::object tags;
  for (const tensor::MemoryTag tag : tensor::kMemoryTags) {
    tagged += tensor::memory_in_use(tag);
    tags[tensor::memory_tag_name(tag)] = tensor::memory_in_use(tag);
  }
  const double difference = static_cast<double>(resident) / static_cast<double>(tagged) - 1;
  if (json) {
    fmt::print("{}\n", boost::json::serialize(boost::json::object{{"test", "memory"},
                                                                  {"planned_bytes", planned},
                                                                  {"tagged_bytes", tagged},
                                                                  {"tags", tags},
                                                                  {"resident_bytes", resident},
                                                                  {"difference", difference}}));
  } else {
    const auto row = [](std::string_view name, std::size_t bytes) {
      fmt::print("{:<24} {:>8.3f} GB {:>12}\n", name, static_cast<double>(bytes) / 1e9,
                 execute::format_bytes(bytes));
    };
    row("planned: weights", plan.weights_bytes);
    row("planned: activations", plan.activations_bytes);
    row("planned: kv cache", plan.kv_cache_bytes);
    for (const tensor::MemoryTag tag : tensor::kMemoryTags)
      row(fmt::format("held: {}", tensor::memory_tag_name(tag)), tensor::memory_in_use(tag));
    row("held", tagged);
    row("resident", resident);
    row("resident without KV", resident - plan.kv_cache_bytes);
    fmt::print("resident is {:+.1f} % of held\n", 100 * difference);
  }
  if (std::abs(difference) > kLargestDifference)
    return base::error(base::Code::kInternal, "resident memory differs from what the tags say by {:.1f} %",
                       100 * difference);
  return {};
}

}  // namespace pagoda::cli
