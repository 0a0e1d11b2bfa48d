#pragma once
// The figures of a run, under vLLM's names: TTFT (time to first token), TPOT (time per output token after the
// first), ITL (time between two pieces), E2EL (time of the whole request). Pure functions.

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "load/outcome.h"
#include "load/statistics.h"

namespace pagoda::load {

// Most milliseconds that a request may take to count as good.
struct Goodput {
  std::optional<double> ttft_ms, tpot_ms, e2el_ms;
  bool any() const { return ttft_ms || tpot_ms || e2el_ms; }
};
// From "ttft:100", "tpot:50", "e2el:2000".
base::Result<Goodput> parse_goodput(std::span<const std::string> pairs);

struct Failures {
  std::size_t count = 0;
  std::string first;  // its sentence
};

struct Metrics {
  double seconds = 0;
  std::size_t completed = 0, failed = 0, good = 0;
  std::map<std::string, Failures> failures;  // by kind, see outcome.h
  std::int64_t input_tokens = 0, output_tokens = 0;
  // Completed requests whose answer named no token counts: their pieces were counted as output tokens.
  std::size_t without_usage = 0;
  Summary ttft_ms, tpot_ms, itl_ms, e2el_ms;

  double per_second(double amount) const { return seconds > 0 ? amount / seconds : 0; }
};

// `percents` are those of the summaries.
Metrics measure(std::span<const Outcome> outcomes, double seconds, std::span<const double> percents,
                const Goodput& goodput);

}  // namespace pagoda::load
