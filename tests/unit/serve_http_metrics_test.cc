#include "serve/http/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "../serve/exposition.h"

namespace pagoda::serve {
namespace {

using std::chrono::milliseconds;

const engine::Times::Point kStart = engine::Times::Point(std::chrono::hours(1));

// What the engine says of a request whose tokens came 100 ms apart, the first after 300 ms of which it waited
// 50.
engine::Delta delta(int completion_tokens, std::optional<engine::FinishReason> finish = {}) {
  engine::Delta delta;
  delta.tokens.resize(completion_tokens > 0 ? 1 : 0);
  delta.finish = finish;
  delta.usage = {20, 0, completion_tokens};
  delta.times.submitted = kStart;
  delta.times.scheduled = kStart + milliseconds(50);
  delta.times.first_token = kStart + milliseconds(300);
  delta.times.last_token = kStart + milliseconds(300 + 100 * (completion_tokens - 1));
  return delta;
}

TEST(Metrics, HistogramsHoldTheTimesOfARequest) {
  Metrics metrics("m");
  RequestMeter meter(metrics, 64);
  meter.see(delta(1));
  meter.see(delta(2));
  meter.see(delta(3, engine::FinishReason::kStop));
  const Exposition page(metrics.text(nullptr, {}));
  const auto expect = [&](const std::string& name, double count, double sum) {
    EXPECT_EQ(page.value(name + "_count"), count) << name;
    EXPECT_NEAR(page.value(name + "_sum"), sum, 1e-6) << name;
  };
  expect("pagoda:time_to_first_token_seconds", 1, 0.3);
  expect("pagoda:inter_token_latency_seconds", 2, 0.2);
  expect("pagoda:request_time_per_output_token_seconds", 1, 0.1);
  expect("pagoda:e2e_request_latency_seconds", 1, 0.5);
  expect("pagoda:request_queue_time_seconds", 1, 0.05);
  expect("pagoda:request_prefill_time_seconds", 1, 0.25);
  expect("pagoda:request_decode_time_seconds", 1, 0.2);
  expect("pagoda:request_inference_time_seconds", 1, 0.45);
  expect("pagoda:request_prompt_tokens", 1, 20);
  expect("pagoda:request_generation_tokens", 1, 3);
  expect("pagoda:request_params_max_tokens", 1, 64);
}

TEST(Metrics, ARequestThatGotNoTokenHasNoTimes) {
  Metrics metrics("m");
  RequestMeter meter(metrics, 64);
  engine::Delta cancelled = delta(0, engine::FinishReason::kCancelled);
  cancelled.times = {};
  cancelled.times.submitted = kStart;
  meter.see(cancelled);
  const Exposition page(metrics.text(nullptr, {}));
  EXPECT_EQ(page.value("pagoda:time_to_first_token_seconds_count"), 0);
  EXPECT_EQ(page.value("pagoda:e2e_request_latency_seconds_count"), 0);
  EXPECT_EQ(page.value("pagoda:request_queue_time_seconds_count"), 0);
  EXPECT_EQ(page.value("pagoda:request_generation_tokens_count"), 1);
}

TEST(Metrics, ACancelledRequestEndsWithAPieceWithoutToken) {
  Metrics metrics("m");
  RequestMeter meter(metrics, 64);
  meter.see(delta(1));
  engine::Delta last = delta(1, engine::FinishReason::kCancelled);
  last.tokens.clear();
  meter.see(last);
  const Exposition page(metrics.text(nullptr, {}));
  EXPECT_EQ(page.value("pagoda:time_to_first_token_seconds_count"), 1);
  EXPECT_EQ(page.value("pagoda:inter_token_latency_seconds_count"), 0);
  EXPECT_EQ(page.value("pagoda:request_time_per_output_token_seconds_count"), 0);
}

TEST(Metrics, AnswersAreCountedByMethodRouteAndStatus) {
  Metrics metrics("m");
  metrics.answered("GET", "/a", 200, 0.1);
  metrics.answered("GET", "/a", 200, 0.2);
  metrics.answered("GET", "/a", 404, 0.3);
  metrics.answered("", "", 400, 0.4);
  const Exposition page(metrics.text(nullptr, {3, 2}));
  EXPECT_EQ(page.value("pagoda:http_requests_total"), 4);
  EXPECT_EQ(page.value("pagoda:http_requests_total", {R"(route="/a")", R"(status="200")"}), 2);
  EXPECT_EQ(page.value("pagoda:http_requests_total", {R"(method="")", R"(status="400")"}), 1);
  EXPECT_EQ(page.value("pagoda:http_request_duration_seconds_count"), 4);
  EXPECT_NEAR(page.value("pagoda:http_request_duration_seconds_sum"), 1.0, 1e-6);
  EXPECT_EQ(page.value("pagoda:connections", {R"(kind="http")"}), 3);
  EXPECT_EQ(page.value("pagoda:connections", {R"(kind="websocket")"}), 2);
}

TEST(Metrics, ANameOfAModelIsEscaped) {
  const std::string text = Metrics("a\"b\\c\nd").text(nullptr, {});
  EXPECT_NE(text.find(R"(model_name="a\"b\\c\nd")"), std::string::npos) << text.substr(0, 400);
}

}  // namespace
}  // namespace pagoda::serve
