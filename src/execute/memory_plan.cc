#include "execute/memory_plan.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <fstream>
#include <limits>
#include <utility>

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

base::Result<std::size_t> parse_bytes(const std::string& text) {
  static constexpr std::pair<const char*, double> kUnits[] = {
      {"KiB", 0x1p10}, {"MiB", 0x1p20}, {"GiB", 0x1p30}, {"TiB", 0x1p40}, {"KB", 1e3},
      {"MB", 1e6},     {"GB", 1e9},     {"TB", 1e12},    {"K", 0x1p10},   {"M", 0x1p20},
      {"G", 0x1p30},   {"T", 0x1p40},   {"B", 1},        {"", 1}};
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string unit(end, text.data() + text.size() - end);
  if (error == std::errc() && std::isfinite(value) && value >= 0)
    for (const auto& [name, factor] : kUnits)
      if (unit == name && value * factor < 0x1p60) return static_cast<std::size_t>(value * factor);
  return base::invalid("\"{}\" is not an amount of memory such as 4GiB, 512MiB or 2000000000", text);
}

std::string format_bytes(std::size_t bytes) {
  if (bytes >= (std::size_t{1} << 30)) return fmt::format("{:.2f} GiB", static_cast<double>(bytes) / 0x1p30);
  if (bytes >= (std::size_t{1} << 20)) return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / 0x1p20);
  return fmt::format("{:.1f} KiB", static_cast<double>(bytes) / 0x1p10);
}

std::string MemoryPlan::table() const {
  std::string text;
  text += fmt::format("  weights      {:>12}\n", format_bytes(weights_bytes));
  text += fmt::format("  kv cache     {:>12}   {} blocks of {} tokens = {} tokens\n",
                      format_bytes(kv_cache_bytes), kv_blocks, kv_block_size, kv_tokens());
  text += fmt::format("  activations  {:>12}\n", format_bytes(activations_bytes));
  text += fmt::format("  total        {:>12}   of {} available\n", format_bytes(total_bytes()),
                      format_bytes(budget_bytes));
  return text;
}

}  // namespace pagoda::execute
