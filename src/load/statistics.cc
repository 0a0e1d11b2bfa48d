#include "load/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace pagoda::load {

double percentile(std::span<const double> ascending, double percent) {
  if (ascending.empty()) return 0;
  const double place = percent / 100 * static_cast<double>(ascending.size() - 1);
  const auto below = static_cast<std::size_t>(place);
  if (below + 1 >= ascending.size()) return ascending.back();
  return ascending[below] + (place - static_cast<double>(below)) * (ascending[below + 1] - ascending[below]);
}

Summary summarize(std::vector<double> values, std::span<const double> percents) {
  Summary summary;
  std::sort(values.begin(), values.end());
  if (!values.empty()) {
    const auto count = static_cast<double>(values.size());
    summary.mean = std::accumulate(values.begin(), values.end(), 0.0) / count;
    double squares = 0;
    for (const double value : values) squares += (value - summary.mean) * (value - summary.mean);
    summary.deviation = std::sqrt(squares / count);
  }
  summary.median = percentile(values, 50);
  for (const double percent : percents) summary.percentiles.push_back(percentile(values, percent));
  return summary;
}

}  // namespace pagoda::load
