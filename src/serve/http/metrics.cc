#include "serve/http/metrics.h"

#include <prometheus/text_serializer.h>

#include <initializer_list>

namespace pagoda::serve {
namespace {

using prometheus::ClientMetric;
using prometheus::Histogram;
using prometheus::MetricFamily;
using prometheus::MetricType;
using Bounds = Histogram::BucketBoundaries;

// A translation of a sentence takes tenths of a second; vLLM's own buckets begin where ours is over.
const Bounds kLatencySeconds = {.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20, 40, 80, 160, 640};
const Bounds kTokenSeconds = {.005, .01, .015, .02, .025, .03, .04, .05, .075,
                              .1,   .15, .2,   .3,  .5,   1,   2.5, 5};
const Bounds kTokens = {1,    2,    5,    10,    20,    50,    100,    200,   500,
                        1000, 2000, 5000, 10000, 20000, 50000, 100000, 200000};

double seconds(engine::Times::Point from, engine::Times::Point to) {
  return std::chrono::duration<double>(to - from).count();
}

MetricFamily family(const char* name, const char* help, MetricType type) {
  MetricFamily family;
  family.name = name;
  family.help = help;
  family.type = type;
  return family;
}

// One line of a family: its labels and its value.
struct Value {
  prometheus::Labels labels;
  double value;
};

MetricFamily values(const char* name, const char* help, MetricType type, const prometheus::Labels& common,
                    const std::vector<Value>& lines) {
  MetricFamily made = family(name, help, type);
  for (const Value& line : lines) {
    ClientMetric metric;
    for (const auto* labels : {&common, &line.labels})
      for (const auto& [key, value] : *labels) metric.label.push_back({key, value});
    (type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = line.value;
    made.metric.push_back(std::move(metric));
  }
  return made;
}

double count(std::int64_t value) { return static_cast<double>(value); }

void add_engine(const engine::Engine& engine, const prometheus::Labels& labels,
                std::vector<MetricFamily>& families) {
  const engine::Stats stats = engine.stats();
  const execute::MemoryPlan& memory = engine.memory();
  const auto gauge = [&](const char* name, const char* help, const std::vector<Value>& lines) {
    families.push_back(values(name, help, MetricType::Gauge, labels, lines));
  };
  const auto counter = [&](const char* name, const char* help, const std::vector<Value>& lines) {
    families.push_back(values(name, help, MetricType::Counter, labels, lines));
  };
  gauge("pagoda:num_requests_running", "Requests that the engine works on", {{{}, count(stats.running)}});
  gauge("pagoda:num_requests_waiting", "Requests that wait for the engine", {{{}, count(stats.waiting)}});
  const double blocks = std::max(1, stats.kv_blocks_total);
  gauge("pagoda:kv_cache_usage_perc", "Share of KV blocks in use, 0 to 1",
        {{{}, stats.kv_blocks_used / blocks}});
  gauge(
      "pagoda:kv_cache_blocks", "KV blocks by state",
      {{{{"state", "used"}}, count(stats.kv_blocks_used)},
       {{{"state", "cached"}}, count(stats.kv_blocks_cached)},
       {{{"state", "free"}}, count(stats.kv_blocks_total - stats.kv_blocks_used - stats.kv_blocks_cached)}});
  gauge("pagoda:cache_config_info", "1, labelled with the set-up of the KV cache",
        {{{{"block_size", std::to_string(memory.kv_block_size)},
           {"num_blocks", std::to_string(memory.kv_blocks)}},
          1}});
  gauge("pagoda:memory_bytes", "Planned memory by tag",
        {{{{"tag", "weights"}}, static_cast<double>(memory.weights_bytes)},
         {{{"tag", "kv_cache"}}, static_cast<double>(memory.kv_cache_bytes)},
         {{{"tag", "activations"}}, static_cast<double>(memory.activations_bytes)},
         {{{"tag", "graphs"}}, static_cast<double>(memory.driver_bytes)}});
  counter("pagoda:prompt_tokens_total", "Tokens of accepted prompts", {{{}, count(stats.prompt_tokens)}});
  counter("pagoda:generation_tokens_total", "Tokens generated", {{{}, count(stats.generated_tokens)}});
  counter("pagoda:prefix_cache_queries_total", "Prompt tokens looked up in the prefix cache",
          {{{}, count(stats.prefix_queries_tokens)}});
  counter("pagoda:prefix_cache_hits_total", "Prompt tokens found in the prefix cache",
          {{{}, count(stats.prefix_hits_tokens)}});
  counter("pagoda:num_preemptions_total", "Requests put back because KV blocks ran out",
          {{{}, count(stats.preemptions)}});
  counter("pagoda:kv_cache_evictions_total", "Cached KV blocks given up for new ones",
          {{{}, count(stats.evictions)}});
  counter("pagoda:engine_steps_total", "Steps of the engine", {{{}, count(stats.steps)}});
  std::vector<Value> ends;
  for (const auto reason : {engine::FinishReason::kStop, engine::FinishReason::kLength,
                            engine::FinishReason::kCancelled, engine::FinishReason::kError}) {
    // vLLM's word for a cancelled request is "abort".
    const bool abort = reason == engine::FinishReason::kCancelled;
    ends.push_back({{{"finished_reason", abort ? "abort" : engine::finish_reason_name(reason)}},
                    count(stats.finished[static_cast<std::size_t>(reason)])});
  }
  counter("pagoda:request_success_total", "Requests of the engine that ended, by reason", ends);
}

}  // namespace

Metrics::Metrics(const std::string& model_name) : labels_{{"model_name", model_name}} {
  first_token_ =
      histogram("pagoda:time_to_first_token_seconds", "From submission to the first token", kLatencySeconds);
  inter_token_ =
      histogram("pagoda:inter_token_latency_seconds", "Between two tokens of a request", kTokenSeconds);
  per_token_ = histogram("pagoda:request_time_per_output_token_seconds",
                         "Mean time between the tokens of a request", kTokenSeconds);
  end_to_end_ =
      histogram("pagoda:e2e_request_latency_seconds", "From submission to the last token", kLatencySeconds);
  queue_ =
      histogram("pagoda:request_queue_time_seconds", "From submission to the first step", kLatencySeconds);
  prefill_ = histogram("pagoda:request_prefill_time_seconds", "From the first step to the first token",
                       kLatencySeconds);
  decode_ =
      histogram("pagoda:request_decode_time_seconds", "From the first token to the last", kLatencySeconds);
  inference_ = histogram("pagoda:request_inference_time_seconds", "From the first step to the last token",
                         kLatencySeconds);
  prompt_tokens_ = histogram("pagoda:request_prompt_tokens", "Tokens of a prompt", kTokens);
  generation_tokens_ = histogram("pagoda:request_generation_tokens", "Tokens of an answer", kTokens);
  max_tokens_ = histogram("pagoda:request_params_max_tokens", "max_tokens as the engine got it", kTokens);
  http_seconds_ = histogram("pagoda:http_request_duration_seconds",
                            "From a whole request of HTTP to the last byte of its answer", kLatencySeconds);
}

Histogram* Metrics::histogram(const char* name, const char* help, const Bounds& bounds) {
  return &prometheus::BuildHistogram().Name(name).Help(help).Register(registry_).Add(labels_, bounds);
}

void Metrics::finished(const engine::Delta& last, std::int32_t max_tokens) {
  const engine::Times& times = last.times;
  prompt_tokens_->Observe(last.usage.prompt_tokens);
  generation_tokens_->Observe(last.usage.completion_tokens);
  max_tokens_->Observe(max_tokens);
  if (last.usage.completion_tokens == 0) return;  // it never got as far as a token: no times
  end_to_end_->Observe(seconds(times.submitted, times.last_token));
  queue_->Observe(seconds(times.submitted, times.scheduled));
  prefill_->Observe(seconds(times.scheduled, times.first_token));
  decode_->Observe(seconds(times.first_token, times.last_token));
  inference_->Observe(seconds(times.scheduled, times.last_token));
  if (last.usage.completion_tokens > 1)
    per_token_->Observe(seconds(times.first_token, times.last_token) / (last.usage.completion_tokens - 1));
}

void Metrics::answered(const std::string& method, const std::string& route, int status, double seconds) {
  http_seconds_->Observe(seconds);
  const std::lock_guard lock(mutex_);
  ++answered_[{method, route, status}];
}

std::string Metrics::text(const engine::Engine* engine, Connections connections) const {
  std::vector<MetricFamily> families = registry_.Collect();
  if (engine != nullptr) add_engine(*engine, labels_, families);
  families.push_back(
      values("pagoda:connections", "Open connections", MetricType::Gauge, labels_,
             {{{{"kind", "http"}}, count(static_cast<std::int64_t>(connections.http))},
              {{{"kind", "websocket"}}, count(static_cast<std::int64_t>(connections.websocket))}}));
  std::vector<Value> answers;
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, number] : answered_)
      answers.push_back({{{"method", std::get<0>(key)},
                          {"route", std::get<1>(key)},
                          {"status", std::to_string(std::get<2>(key))}},
                         count(number)});
  }
  families.push_back(
      values("pagoda:http_requests_total", "Answers of HTTP", MetricType::Counter, labels_, answers));
  return prometheus::TextSerializer().Serialize(families);
}

void RequestMeter::see(const engine::Delta& delta) {
  if (!delta.tokens.empty()) {
    const engine::Times& times = delta.times;
    if (delta.usage.completion_tokens == 1)
      metrics_.first_token(seconds(times.submitted, times.first_token));
    else
      metrics_.inter_token(seconds(last_token_, times.last_token));
    last_token_ = times.last_token;
  }
  if (delta.finish) metrics_.finished(delta, max_tokens_);
}

}  // namespace pagoda::serve
