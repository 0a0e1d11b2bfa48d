#pragma once
// A run's figures for people, in the layout of `vllm bench serve` (which they paste into issues and feed to
// scripts), and as JSON with its field names. Pure functions.

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "load/endpoint.h"
#include "load/metrics.h"

namespace pagoda::load {

// What was asked for, to stand beside what came out.
struct ReportHead {
  std::string url, model;
  Endpoint endpoint = Endpoint::kGenerate;
  std::size_t num_prompts = 0;
  double request_rate = 0;  // a second; may be infinite
  double burstiness = 1;
  std::size_t max_concurrency = 0;  // 0: no limit
  std::uint64_t seed = 0;
  std::vector<double> percents;  // of the metrics' summaries
  Goodput goodput;
};

// Ends with a line break. The median stands for percentile 50; an endpoint that is not streamed has neither
// token counts nor times of tokens, and no lines for them.
std::string report_text(const ReportHead& head, const Metrics& metrics);

// "p99_ttft_ms" and so on; the request rate is "inf" where it is infinite, since JSON has no such number.
boost::json::object report_json(const ReportHead& head, const Metrics& metrics);

// "429: 12 requests, the first: too many requests"; one line a kind, empty if none failed.
std::string failures_text(const Metrics& metrics);

}  // namespace pagoda::load
