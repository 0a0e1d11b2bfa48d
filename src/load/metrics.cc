#include "load/metrics.h"

#include <charconv>

namespace pagoda::load {
namespace {

constexpr double kMilliseconds = 1000;  // in a second

bool within(const std::optional<double>& most, double value) { return !most || value <= *most; }

}  // namespace

base::Result<Goodput> parse_goodput(std::span<const std::string> pairs) {
  Goodput goodput;
  for (const std::string& pair : pairs) {
    const std::size_t colon = pair.find(':');
    const std::string name = pair.substr(0, colon);
    std::optional<double>* most = name == "ttft"   ? &goodput.ttft_ms
                                  : name == "tpot" ? &goodput.tpot_ms
                                  : name == "e2el" ? &goodput.e2el_ms
                                                   : nullptr;
    if (most == nullptr || colon == std::string::npos)
      return base::invalid("--goodput {} is not of the form ttft:MS, tpot:MS or e2el:MS", pair);
    double value = 0;
    const char* const last = pair.data() + pair.size();
    const auto [end, error] = std::from_chars(pair.data() + colon + 1, last, value);
    if (error != std::errc() || end != last || !(value >= 0))
      return base::invalid("--goodput {}: {} is no number of milliseconds", pair, pair.substr(colon + 1));
    *most = value;
  }
  return goodput;
}

Metrics measure(std::span<const Outcome> outcomes, double seconds, std::span<const double> percents,
                const Goodput& goodput) {
  Metrics metrics;
  metrics.seconds = seconds;
  std::vector<double> ttft, tpot, itl, e2el;
  for (const Outcome& outcome : outcomes) {
    if (!outcome.ok()) {
      ++metrics.failed;
      Failures& failures = metrics.failures[outcome.failure];
      if (failures.count++ == 0) failures.first = outcome.error;
      continue;
    }
    ++metrics.completed;
    if (!outcome.usage) ++metrics.without_usage;
    const TokenCounts tokens = outcome.usage.value_or(TokenCounts{0, outcome.pieces});
    metrics.input_tokens += tokens.prompt;
    metrics.output_tokens += tokens.completion;
    const double first_ms = outcome.first_text_s * kMilliseconds;
    const double end_ms = outcome.end_s * kMilliseconds;
    double each_ms = 0;  // an answer of one token has no second to wait for
    if (tokens.completion > 1) {
      each_ms = (end_ms - first_ms) / static_cast<double>(tokens.completion - 1);
      tpot.push_back(each_ms);
    }
    ttft.push_back(first_ms);
    e2el.push_back(end_ms);
    for (const double gap : outcome.gaps_s) itl.push_back(gap * kMilliseconds);
    if (within(goodput.ttft_ms, first_ms) && within(goodput.tpot_ms, each_ms) &&
        within(goodput.e2el_ms, end_ms))
      ++metrics.good;
  }
  metrics.ttft_ms = summarize(std::move(ttft), percents);
  metrics.tpot_ms = summarize(std::move(tpot), percents);
  metrics.itl_ms = summarize(std::move(itl), percents);
  metrics.e2el_ms = summarize(std::move(e2el), percents);
  return metrics;
}

}  // namespace pagoda::load
