#include "execute/memory_plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <fstream>
#include <limits>

namespace pagoda::execute {
namespace {

constexpr std::size_t kUnlimited = std::numeric_limits<std::size_t>::max();

// The number in the first line of a file, or kUnlimited ("max", or no such file).
std::size_t read_number(const char* path) {
  std::ifstream file(path);
  std::size_t value = 0;
  return file >> value ? value : kUnlimited;
}

std::size_t meminfo_available() {
  std::ifstream file("/proc/meminfo");
  std::string key, unit;
  std::size_t kibibytes = 0;
  while (file >> key >> kibibytes) {
    if (key == "MemAvailable:") return kibibytes * 1024;
    std::getline(file, unit);
  }
  return kUnlimited;
}

}  // namespace

std::size_t available_memory_bytes() {
  std::size_t available = meminfo_available();
  const std::size_t limit = read_number("/sys/fs/cgroup/memory.max");
  const std::size_t used = read_number("/sys/fs/cgroup/memory.current");
  if (limit != kUnlimited && used != kUnlimited)
    available = std::min(available, limit > used ? limit - used : 0);
  return available;
}

std::string MemoryPlan::table() const {
  std::string text;
  text += fmt::format("  weights      {:>12}{}{}\n", format_bytes(weights_bytes),
                      weights_formats.empty() ? "" : "   ", weights_formats);
  text += fmt::format("  kv cache     {:>12}   {} blocks of {} tokens = {} tokens\n",
                      format_bytes(kv_cache_bytes), kv_blocks, kv_block_size, kv_tokens());
  text += fmt::format("  activations  {:>12}\n", format_bytes(activations_bytes));
  if (driver_bytes > 0)
    text += fmt::format("  graphs       {:>12}   of steps, with the driver's and the library's kernels\n",
                        format_bytes(driver_bytes));
  text += fmt::format("  total        {:>12}   of {} available\n", format_bytes(total_bytes()),
                      format_bytes(budget_bytes));
  return text;
}

}  // namespace pagoda::execute
