#include "load/run.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <optional>
#include <utility>

#include "base/check.h"

namespace pagoda::load {
namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;
namespace {

struct Shared {
  Client& client;
  std::span<const Prompt> prompts;
  const RunOptions& options;
  const Clock::time_point start = Clock::now();
  std::size_t next = 0, over = 0;
  RunResult result;
};

// One place under the limit: takes the next request in the order of arrival, as long as there is one.
asio::awaitable<void> work(Shared& shared) {
  asio::steady_timer timer(shared.client.io());
  while (shared.next < shared.prompts.size()) {
    const std::size_t index = shared.next++;
    const std::chrono::duration<double> offset(shared.options.arrivals_s[index]);
    const Clock::time_point arrival = shared.start + std::chrono::duration_cast<Clock::duration>(offset);
    if (arrival > Clock::now()) {
      timer.expires_at(arrival);
      co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
    }
    Outcome outcome = co_await shared.client.send(shared.prompts[index]);
    shared.result.outcomes[index] = std::move(outcome);
    shared.result.seconds = std::chrono::duration<double>(Clock::now() - shared.start).count();
    ++shared.over;
    if (shared.options.done) shared.options.done(shared.over);
  }
}

template <typename T>
asio::awaitable<void> store(asio::awaitable<T> task, std::optional<T>& to) {
  T value = co_await std::move(task);
  to = std::move(value);
}

// Runs `task` to its end, alone.
template <typename T>
T block_on(Client& client, asio::awaitable<T> task) {
  std::optional<T> value;
  asio::co_spawn(client.io(), store(std::move(task), value), asio::detached);
  client.io().restart();
  client.io().run();
  CHECK(value.has_value());
  return std::move(*value);
}

}  // namespace

RunResult run(Client& client, std::span<const Prompt> prompts, const RunOptions& options) {
  CHECK(options.arrivals_s.size() == prompts.size());
  Shared shared{.client = client, .prompts = prompts, .options = options, .result = {}};
  shared.result.outcomes.resize(prompts.size());
  const std::size_t places = options.max_concurrency == 0 ? prompts.size() : options.max_concurrency;
  for (std::size_t i = 0; i < std::min(places, prompts.size()); ++i)
    asio::co_spawn(client.io(), work(shared), asio::detached);
  client.io().restart();
  client.io().run();
  CHECK(shared.over == prompts.size());
  return std::move(shared.result);
}

Outcome send_one(Client& client, const Prompt& prompt) { return block_on(client, client.send(prompt)); }

base::Result<std::string> ask_model(Client& client) {
  const base::Result<std::string> answer = block_on(client, client.get("/v1/models"));
  if (!answer.ok()) return answer.status();
  return first_model(answer.value());
}

}  // namespace pagoda::load
