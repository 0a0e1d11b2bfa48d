#include "base/byte_size.h"

#include <fmt/core.h>

#include <charconv>
#include <cmath>
#include <utility>

namespace pagoda::base {

Result<std::size_t> parse_bytes(const std::string& text) {
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
  return invalid("\"{}\" is not an amount of memory such as 4GiB, 512MiB or 2000000000", text);
}

std::string format_bytes(std::size_t bytes) {
  if (bytes >= (std::size_t{1} << 30)) return fmt::format("{:.2f} GiB", static_cast<double>(bytes) / 0x1p30);
  if (bytes >= (std::size_t{1} << 20)) return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / 0x1p20);
  return fmt::format("{:.1f} KiB", static_cast<double>(bytes) / 0x1p10);
}

}  // namespace pagoda::base
