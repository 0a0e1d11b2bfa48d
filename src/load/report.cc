#include "load/report.h"

#include <fmt/core.h>

#include <boost/json/array.hpp>
#include <cmath>

namespace pagoda::load {
namespace {

struct Times {
  const char* key;    // in JSON
  const char* name;   // in lines
  const char* title;  // over the block
  const Summary* summary;
};

std::vector<Times> all_times(const ReportHead& head, const Metrics& metrics) {
  std::vector<Times> times;
  if (is_streamed(head.endpoint))
    times = {{"ttft", "TTFT", "Time to First Token", &metrics.ttft_ms},
             {"tpot", "TPOT", "Time per Output Token (excl. 1st token)", &metrics.tpot_ms},
             {"itl", "ITL", "Inter-token Latency", &metrics.itl_ms}};
  times.push_back({"e2el", "E2EL", "End-to-end Latency", &metrics.e2el_ms});
  return times;
}

std::string line(std::string_view name, double value) {
  return fmt::format("{:<40} {:<10.2f}\n", name, value);
}
std::string line(std::string_view name, std::int64_t value) {
  return fmt::format("{:<40} {:<10}\n", name, value);
}

}  // namespace

std::string report_text(const ReportHead& head, const Metrics& metrics) {
  const auto output = static_cast<double>(metrics.output_tokens);
  const auto total = output + static_cast<double>(metrics.input_tokens);
  const bool tokens = is_streamed(head.endpoint);
  std::string text = fmt::format("{:=^50}\n", " Serving Benchmark Result ");
  text += line("Successful requests:", static_cast<std::int64_t>(metrics.completed));
  text += line("Failed requests:", static_cast<std::int64_t>(metrics.failed));
  if (head.max_concurrency > 0)
    text += line("Maximum request concurrency:", static_cast<std::int64_t>(head.max_concurrency));
  if (!std::isinf(head.request_rate)) text += line("Request rate configured (RPS):", head.request_rate);
  text += line("Benchmark duration (s):", metrics.seconds);
  if (tokens) text += line("Total input tokens:", metrics.input_tokens);
  if (tokens) text += line("Total generated tokens:", metrics.output_tokens);
  text += line("Request throughput (req/s):", metrics.per_second(static_cast<double>(metrics.completed)));
  if (head.goodput.any())
    text += line("Request goodput (req/s):", metrics.per_second(static_cast<double>(metrics.good)));
  if (tokens) text += line("Output token throughput (tok/s):", metrics.per_second(output));
  if (tokens) text += line("Total Token throughput (tok/s):", metrics.per_second(total));
  for (const Times& times : all_times(head, metrics)) {
    text += fmt::format("{:-^50}\n", times.title);
    text += line(fmt::format("Mean {} (ms):", times.name), times.summary->mean);
    text += line(fmt::format("Median {} (ms):", times.name), times.summary->median);
    for (std::size_t i = 0; i < head.percents.size(); ++i)
      if (head.percents[i] != 50)
        text +=
            line(fmt::format("P{:g} {} (ms):", head.percents[i], times.name), times.summary->percentiles[i]);
  }
  return text + std::string(50, '=') + "\n";
}

boost::json::object report_json(const ReportHead& head, const Metrics& metrics) {
  const auto output = static_cast<double>(metrics.output_tokens);
  const auto total = output + static_cast<double>(metrics.input_tokens);
  boost::json::object object = {{"backend", "pagoda"},
                                {"endpoint", endpoint_path(head.endpoint)},
                                {"base_url", head.url},
                                {"model_id", head.model},
                                {"num_prompts", head.num_prompts},
                                {"request_rate", head.request_rate},
                                {"burstiness", head.burstiness},
                                {"max_concurrency", nullptr},
                                {"seed", head.seed},
                                {"duration", metrics.seconds},
                                {"completed", metrics.completed},
                                {"failed", metrics.failed}};
  if (std::isinf(head.request_rate)) object["request_rate"] = "inf";
  if (std::isinf(head.burstiness)) object["burstiness"] = "inf";
  if (head.max_concurrency > 0) object["max_concurrency"] = head.max_concurrency;
  object["request_throughput"] = metrics.per_second(static_cast<double>(metrics.completed));
  object["request_goodput"] = nullptr;
  if (head.goodput.any()) object["request_goodput"] = metrics.per_second(static_cast<double>(metrics.good));
  if (is_streamed(head.endpoint)) {
    object["total_input_tokens"] = metrics.input_tokens;
    object["total_output_tokens"] = metrics.output_tokens;
    object["output_throughput"] = metrics.per_second(output);
    object["total_token_throughput"] = metrics.per_second(total);
  }
  for (const Times& times : all_times(head, metrics)) {
    const auto add = [&](const std::string& what, double value) {
      object[fmt::format("{}_{}_ms", what, times.key)] = value;
    };
    add("mean", times.summary->mean);
    add("median", times.summary->median);
    add("std", times.summary->deviation);
    for (std::size_t i = 0; i < head.percents.size(); ++i)
      add(fmt::format("p{:g}", head.percents[i]), times.summary->percentiles[i]);
  }
  boost::json::object failures;
  for (const auto& [kind, failed] : metrics.failures)
    failures[kind] = boost::json::object{{"count", failed.count}, {"first", failed.first}};
  object["failures"] = std::move(failures);
  return object;
}

std::string failures_text(const Metrics& metrics) {
  std::string text;
  for (const auto& [kind, failed] : metrics.failures)
    text += fmt::format("{}: {} request{}, the first: {}\n", kind, failed.count, failed.count == 1 ? "" : "s",
                        failed.first);
  return text;
}

}  // namespace pagoda::load
