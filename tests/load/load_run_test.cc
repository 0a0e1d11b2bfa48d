// Many requests: when they go out, how many at a time, and what their figures add up to.

#include "load/run.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <mutex>

#include "load/metrics.h"
#include "stand_in_server.h"

namespace pagoda::load {
namespace {

namespace asio = boost::asio;
using Exchange = StandInServer::Exchange;

asio::awaitable<void> answer_slowly(Exchange& exchange) {
  co_await exchange.sleep(20);
  co_await exchange.write(kStreamHead + event(R"({"text":"a"})") + generate_end(5, 3));
}

std::unique_ptr<Client> client_for(const StandInServer& server) {
  ClientOptions options;
  options.url = parse_url(server.url()).value();
  options.timeout = std::chrono::seconds(10);
  auto client = std::make_unique<Client>(options);
  EXPECT_TRUE(client->resolve().ok());
  return client;
}

std::vector<Prompt> numbered(std::size_t count) {
  std::vector<Prompt> prompts;
  for (std::size_t i = 0; i < count; ++i) prompts.push_back({"prompt " + std::to_string(i), 8});
  return prompts;
}

RunOptions at_once(std::size_t count) {
  RunOptions options;
  options.arrivals_s.resize(count);
  return options;
}

// Answers in waves: nobody before `at_once` requests are there. A client that sends fewer times out.
StandInServer::Handler answer_in_waves(int at_once) {
  return [at_once](Exchange& exchange) -> asio::awaitable<void> {
    const int needed = (exchange.number / at_once + 1) * at_once;
    while (exchange.server.requests() < needed) co_await exchange.sleep(1);
    co_await answer_slowly(exchange);
  };
}

TEST(LoadRun, SendsEverythingAtOnce) {
  StandInServer server(answer_in_waves(16));
  const auto client = client_for(server);
  const RunResult result = run(*client, numbered(16), at_once(16));
  ASSERT_EQ(result.outcomes.size(), 16u);
  for (const Outcome& outcome : result.outcomes) EXPECT_TRUE(outcome.ok()) << outcome.error;
}

TEST(LoadRun, NeverExceedsTheConcurrencyAndKeepsTheConnections) {
  StandInServer server(answer_in_waves(4));
  const auto client = client_for(server);
  RunOptions options = at_once(20);
  options.max_concurrency = 4;
  std::vector<std::size_t> over;
  options.done = [&](std::size_t count) { over.push_back(count); };
  const RunResult result = run(*client, numbered(20), options);
  EXPECT_EQ(server.most_at_once(), 4);
  EXPECT_EQ(server.requests(), 20);
  EXPECT_EQ(server.connections(), 4);
  ASSERT_EQ(over.size(), 20u);
  EXPECT_EQ(over.back(), 20u);
  // Waiting for a place is not part of a request's time, or this would be three times as much.
  double sum = 0;
  for (const Outcome& outcome : result.outcomes) {
    EXPECT_TRUE(outcome.ok()) << outcome.error;
    sum += outcome.end_s;
  }
  EXPECT_LE(sum, 4 * result.seconds);
}

TEST(LoadRun, SendsWhenRequestsArrive) {
  const std::vector<double> arrivals_s = {0, 0.1, 0.25};
  EXPECT_TRUE(once_in_ten([&] {
    std::mutex mutex;
    std::vector<std::chrono::steady_clock::time_point> times;
    StandInServer server([&](Exchange& exchange) -> asio::awaitable<void> {
      {
        const std::lock_guard lock(mutex);
        times.push_back(std::chrono::steady_clock::now());
      }
      co_await answer_slowly(exchange);
    });
    const auto client = client_for(server);
    RunOptions options;
    options.arrivals_s = arrivals_s;
    const auto start = std::chrono::steady_clock::now();
    run(*client, numbered(3), options);
    bool in_time = times.size() == 3;
    EXPECT_TRUE(in_time);
    for (std::size_t i = 0; i < times.size(); ++i) {
      const double seconds = std::chrono::duration<double>(times[i] - start).count();
      EXPECT_GE(seconds, arrivals_s[i]);
      in_time = in_time && seconds < arrivals_s[i] + 0.03;
    }
    return in_time;
  }));
}

TEST(LoadRun, OutcomesStandInTheOrderOfThePrompts) {
  // "prompt 3" and "prompt 5" are refused, and the others end in the opposite order.
  StandInServer server([](Exchange& exchange) -> asio::awaitable<void> {
    const std::size_t at = exchange.body.find("prompt ");
    const int number = exchange.body[at + 7] - '0';
    co_await exchange.sleep(10 * (8 - number));
    if (number == 3 || number == 5)
      co_await exchange.write(json_answer(503, R"({"error":"busy"})"));
    else
      co_await exchange.write(kStreamHead + event(R"({"text":"a"})") + generate_end(number, 2));
  });
  const auto client = client_for(server);
  const auto prompts = numbered(8);
  const RunResult result = run(*client, prompts, at_once(8));
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(result.outcomes[i].ok(), i != 3 && i != 5);
    if (result.outcomes[i].ok()) {
      EXPECT_EQ(result.outcomes[i].usage->prompt, static_cast<std::int64_t>(i));
    }
  }
  const Metrics metrics = measure(result.outcomes, result.seconds, {}, {});
  EXPECT_EQ(metrics.completed, 6u);
  EXPECT_EQ(metrics.failures.at("503").count, 2u);
  EXPECT_EQ(metrics.failures.at("503").first, "busy");
  EXPECT_EQ(metrics.input_tokens, 0 + 1 + 2 + 4 + 6 + 7);
}

TEST(LoadRun, EndsThoughEveryRequestFails) {
  StandInServer server([](Exchange& exchange) -> asio::awaitable<void> {
    exchange.close();
    co_return;
  });
  const auto client = client_for(server);
  const auto prompts = numbered(10);
  RunOptions options = at_once(10);
  options.max_concurrency = 2;
  const RunResult result = run(*client, prompts, options);
  for (const Outcome& outcome : result.outcomes) EXPECT_EQ(outcome.failure, "cut");
}

TEST(LoadRun, NoPromptsIsNoRun) {
  StandInServer server(answer_slowly);
  const auto client = client_for(server);
  EXPECT_TRUE(run(*client, {}, {}).outcomes.empty());
}

}  // namespace
}  // namespace pagoda::load
