#pragma once
// What the server counts, for Prometheus (docs/metrics.md). Names are vLLM's with the prefix "pagoda:", so
// that dashboards need one replacement. Any thread.

#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include "engine/engine.h"

namespace pagoda::serve {

class Metrics {
 public:
  explicit Metrics(const std::string& model_name);

  // A request of the engine that is over. From the engine's thread.
  void finished(const engine::Delta& last, std::int32_t max_tokens);
  void inter_token(double seconds) { inter_token_->Observe(seconds); }
  void first_token(double seconds) { first_token_->Observe(seconds); }
  // A request of HTTP that was answered; `route` is the router's pattern, "" for none.
  void answered(const std::string& method, const std::string& route, int status, double seconds);

  struct Connections {
    std::size_t http = 0, websocket = 0;
  };
  // The exposition format, text 0.0.4. `engine` may be null: not loaded yet.
  std::string text(const engine::Engine* engine, Connections connections) const;

 private:
  prometheus::Histogram* histogram(const char* name, const char* help,
                                   const prometheus::Histogram::BucketBoundaries& bounds);

  const prometheus::Labels labels_;  // of every metric
  prometheus::Registry registry_;
  prometheus::Histogram *first_token_, *inter_token_, *per_token_, *end_to_end_, *queue_, *prefill_, *decode_,
      *inference_, *prompt_tokens_, *generation_tokens_, *max_tokens_, *http_seconds_;

  mutable std::mutex mutex_;
  std::map<std::tuple<std::string, std::string, int>, std::int64_t> answered_;  // method, route, status
};

// Follows one request on the engine's thread.
class RequestMeter {
 public:
  RequestMeter(Metrics& metrics, std::int32_t max_tokens) : metrics_(metrics), max_tokens_(max_tokens) {}
  void see(const engine::Delta& delta);

 private:
  Metrics& metrics_;
  const std::int32_t max_tokens_;
  engine::Times::Point last_token_;
};

}  // namespace pagoda::serve
