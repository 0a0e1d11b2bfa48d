#include "cli/bench_memory.h"

#include <fmt/core.h>
#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <fstream>

#include "cli/bench_rows.h"
#include "execute/memory_plan.h"
#include "kernels/cuda/cuda_backend.h"
#include "tensor/memory.h"

namespace pagoda::cli {
namespace {

constexpr double kLargestDifference = 0.03;  // between what is resident and what the tags say

std::size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t size = 0, resident = 0;
  statm >> size >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// Others may take and give back the same memory meanwhile.
std::size_t less(std::size_t from, std::size_t bytes) { return from > bytes ? from - bytes : 0; }

void print_bytes(std::string_view name, std::size_t bytes) {
  fmt::print("{:<24} {:>8.3f} GB {:>12}\n", name, static_cast<double>(bytes) / 1e9,
             execute::format_bytes(bytes));
}

// The rows, one after another; as one object with --json.
class Report {
 public:
  explicit Report(bool json) : json_(json) { object_["test"] = "memory"; }
  ~Report() {
    if (json_) fmt::print("{}\n", boost::json::serialize(object_));
  }
  void add(std::string_view name, std::string_view key, std::size_t bytes) {
    object_[key] = bytes;
    if (!json_) print_bytes(name, bytes);
  }
  void add_difference(double difference) {
    object_["difference"] = difference;
    if (!json_) fmt::print("resident is {:+.1f} % of held\n", 100 * difference);
  }

 private:
  bool json_;
  boost::json::object object_;
};

void add_plan(const execute::MemoryPlan& plan, Report& report) {
  report.add("planned: weights", "planned_weights_bytes", plan.weights_bytes);
  report.add("planned: activations", "planned_activations_bytes", plan.activations_bytes);
  report.add("planned: kv cache", "planned_kv_cache_bytes", plan.kv_cache_bytes);
  if (plan.driver_bytes > 0)
    report.add("planned: graphs, library", "planned_driver_bytes", plan.driver_bytes);
  report.add("planned", "planned_bytes", plan.total_bytes());
}

// Returns the sum.
std::size_t add_held(tensor::Place place, Report& report) {
  std::size_t held = 0;
  for (const tensor::MemoryTag tag : tensor::kMemoryTags) {
    const std::string name(tensor::memory_tag_name(tag));
    std::string key = "held_" + name + "_bytes";
    std::ranges::replace(key, ' ', '_');
    report.add("held: " + name, key, tensor::memory_in_use(tag, place));
    held += tensor::memory_in_use(tag, place);
  }
  report.add("held", "held_bytes", held);
  return held;
}

base::Status report_host(const execute::MemoryPlan& plan, bool json) {
  ::malloc_trim(0);  // what loading has freed
  Report report(json);
  add_plan(plan, report);
  const std::size_t resident = resident_bytes(), held = add_held(tensor::Place::kHost, report);
  report.add("resident", "resident_bytes", resident);
  report.add("resident without KV", "resident_without_kv_bytes", less(resident, plan.kv_cache_bytes));
  const double difference = static_cast<double>(resident) / static_cast<double>(held) - 1;
  report.add_difference(difference);
  if (std::abs(difference) > kLargestDifference)
    return base::error(base::Code::kInternal, "resident memory differs from what the tags say by {:.1f} %",
                       100 * difference);
  return {};
}

// What the GPU has lost since this process has opened it counts as this process's, and what was in use by
// then (the driver's context, other processes) as the context's.
base::Status report_device(const execute::MemoryPlan& plan, kernels::CudaBackend& cuda, bool json) {
  cuda.synchronize();
  const kernels::CudaDevice& device = cuda.device();
  const std::size_t taken = less(device.free_bytes, cuda.memory_budget_bytes());
  const std::size_t context = device.total_bytes - device.free_bytes;
  Report report(json);
  add_plan(plan, report);
  const std::size_t held = add_held(tensor::Place::kDevice, report);
  report.add("taken", "taken_bytes", taken);
  report.add("graphs and library", "graphs_and_library_bytes", less(taken, held));
  report.add("context", "context_bytes", context);
  report.add("all in, without KV", "all_in_without_kv_bytes", less(taken + context, plan.kv_cache_bytes));
  if (less(taken, held) > plan.driver_bytes)
    return base::error(base::Code::kInternal, "graphs and library take {}, {} were planned",
                       execute::format_bytes(taken - held), execute::format_bytes(plan.driver_bytes));
  if (static_cast<double>(held) > (1 + kLargestDifference) * static_cast<double>(plan.held_bytes()))
    return base::error(base::Code::kInternal, "{} of the GPU are held, {} were planned",
                       execute::format_bytes(held), execute::format_bytes(plan.held_bytes()));
  return {};
}

}  // namespace

base::Status run_bench_memory(execute::Runner& runner, bool json) {
  run_longest_prompt(runner);
  auto* cuda = dynamic_cast<kernels::CudaBackend*>(&runner.ops());
  if (cuda == nullptr) return report_host(runner.memory(), json);
  run_every_batch(runner);
  return report_device(runner.memory(), *cuda, json);
}

}  // namespace pagoda::cli
