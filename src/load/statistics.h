#pragma once
// Means and percentiles, defined as numpy's defaults define them, so that figures can be laid beside those of
// tools that use it. Pure functions.

#include <span>
#include <vector>

namespace pagoda::load {

// Of ascending values, `percent` from 0 to 100: linear between the two nearest. 0 if there is no value.
double percentile(std::span<const double> ascending, double percent);

struct Summary {
  double mean = 0, median = 0;
  double deviation = 0;             // standard, of the values themselves (divided by their number)
  std::vector<double> percentiles;  // in the order they were asked for
};

// All zero if there is no value.
Summary summarize(std::vector<double> values, std::span<const double> percents);

}  // namespace pagoda::load
