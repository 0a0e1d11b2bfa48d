#include "evaluate/comparison.h"

#include <fmt/core.h>

#include <algorithm>

#include "base/check.h"

namespace pagoda::evaluate {
namespace {

namespace json = boost::json;

std::string row(const std::string& name, std::size_t lines, double base, double bleu,
                const Difference& difference, double chrf) {
  return fmt::format("{:<10} {:>7} {:>7.2f} {:>7.2f} {:>+8.2f}  [{:+.2f}, {:+.2f}]{} {:>+{}.2f}\n", name,
                     lines, base, bleu, difference.value, difference.low, difference.high,
                     difference.significant() ? " *" : "  ", chrf, 8);
}

}  // namespace

Comparison compare(const ModelReport& base, const ModelReport& other, const BootstrapOptions& options) {
  CHECK(base.evaluation.directions.size() == other.evaluation.directions.size());
  Comparison comparison;
  comparison.base = base.model;
  comparison.model = other.model;
  const auto count = static_cast<double>(base.evaluation.directions.size());
  std::vector<double> mean(static_cast<std::size_t>(options.samples));
  for (std::size_t d = 0; d < base.evaluation.directions.size(); ++d) {
    const DirectionScore& a = base.evaluation.directions[d];
    const DirectionScore& b = other.evaluation.directions[d];
    CHECK(a.pair == b.pair);
    // Each direction is drawn by itself, so that the mean's interval does not take their lines for the same.
    const std::vector<double> samples =
        resampled_bleu_differences(a.lines, b.lines, {options.samples, options.seed + d});
    for (std::size_t i = 0; i < samples.size(); ++i) mean[i] += samples[i] / count;
    comparison.directions.push_back(
        {a.pair, a.lines.size(), a.bleu, b.bleu, make_difference(b.bleu - a.bleu, samples), b.chrf - a.chrf});
  }
  std::stable_sort(comparison.directions.begin(), comparison.directions.end(),
                   [](const DirectionDifference& a, const DirectionDifference& b) {
                     return a.bleu_difference.value < b.bleu_difference.value;
                   });
  comparison.mean_bleu =
      make_difference(other.evaluation.mean_bleu() - base.evaluation.mean_bleu(), std::move(mean));
  comparison.mean_chrf_difference = other.evaluation.mean_chrf() - base.evaluation.mean_chrf();
  return comparison;
}

std::string comparison_table(const Comparison& comparison) {
  std::string table = fmt::format(
      "{} against {}, worst direction first; * where the 95 % interval does not hold 0\n"
      "{:<10} {:>7} {:>7} {:>7} {:>8}  {:<18} {:>6}\n",
      comparison.model, comparison.base, "direction", "lines", "base", "BLEU", "change", "95 % interval",
      "chrF");
  std::size_t lines = 0;
  double base = 0, bleu = 0;
  for (const DirectionDifference& direction : comparison.directions) {
    table += row(direction.pair, direction.lines, direction.base_bleu, direction.bleu,
                 direction.bleu_difference, direction.chrf_difference);
    lines += direction.lines;
    base += direction.base_bleu / static_cast<double>(comparison.directions.size());
    bleu += direction.bleu / static_cast<double>(comparison.directions.size());
  }
  return table + row("mean", lines, base, bleu, comparison.mean_bleu, comparison.mean_chrf_difference);
}

json::object to_json(const Comparison& comparison) {
  json::array directions;
  for (const DirectionDifference& direction : comparison.directions)
    directions.push_back(json::object{{"pair", direction.pair},
                                      {"lines", direction.lines},
                                      {"base_bleu", rounded(direction.base_bleu)},
                                      {"bleu", rounded(direction.bleu)},
                                      {"difference", rounded(direction.bleu_difference.value)},
                                      {"low", rounded(direction.bleu_difference.low)},
                                      {"high", rounded(direction.bleu_difference.high)},
                                      {"chrf_difference", rounded(direction.chrf_difference)}});
  return {{"base", comparison.base},
          {"model", comparison.model},
          {"mean_difference", rounded(comparison.mean_bleu.value)},
          {"mean_low", rounded(comparison.mean_bleu.low)},
          {"mean_high", rounded(comparison.mean_bleu.high)},
          {"mean_chrf_difference", rounded(comparison.mean_chrf_difference)},
          {"directions", std::move(directions)}};
}

}  // namespace pagoda::evaluate
