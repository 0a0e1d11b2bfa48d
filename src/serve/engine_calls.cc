#include "serve/engine_calls.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

namespace pagoda::serve {
namespace asio = boost::asio;

// Sinks leave events here and wake the strand, at most once until it has looked: an engine that makes a
// thousand steps a second shall not wake a server thread as often for each of its requests.
struct EngineCalls::Shared : std::enable_shared_from_this<Shared> {
  struct Pending {
    CallEvent event;
    bool ready = false;  // its id is in `ready`
  };

  explicit Shared(asio::any_io_executor strand)
      : executor(std::move(strand)), timer(std::in_place, executor, asio::steady_timer::time_point::max()) {}

  // On the strand. The engine may keep this longer than the strand's context lives: nothing of that stays
  // here.
  void close() {
    const std::lock_guard lock(mutex);
    timer.reset();
    executor = {};
  }

  // On the engine's thread.
  void put(const engine::Delta& delta, Deltas deltas, bool with_tokens) {
    {
      const std::lock_guard lock(mutex);
      if (!executor) return;  // nobody listens any more
      Pending& waiting = pending[delta.id];
      CallEvent& event = waiting.event;
      event.call = delta.id;
      event.text += delta.text;
      if (with_tokens) event.tokens.insert(event.tokens.end(), delta.tokens.begin(), delta.tokens.end());
      event.finish = delta.finish;
      event.error = delta.error;
      event.usage = delta.usage;
      event.times = delta.times;
      if (waiting.ready || (deltas == Deltas::kAtEnd && !delta.finish)) return;
      waiting.ready = true;
      ready.push_back(delta.id);
      if (ready.size() > 1) return;  // the first of them rang
      asio::post(executor, [self = shared_from_this()] {
        if (self->timer) self->timer->cancel();
      });
    }
  }
  std::optional<CallEvent> take() {
    const std::lock_guard lock(mutex);
    if (ready.empty()) return std::nullopt;
    const auto waiting = pending.find(ready.front());
    ready.pop_front();
    CallEvent event = std::move(waiting->second.event);
    pending.erase(waiting);
    return event;
  }

  asio::any_io_executor executor;           // empty once closed
  std::optional<asio::steady_timer> timer;  // the strand's
  bool woken = false;                       // by wake()

  std::mutex mutex;
  std::map<CallId, Pending> pending;
  std::deque<CallId> ready;  // those of `pending` that have something to say, longest first
};

EngineCalls::EngineCalls(Service& service, const HttpRequest& http, asio::any_io_executor strand)
    : service_(service),
      trace_(http.trace),
      client_(http.client),
      shared_(std::make_shared<Shared>(std::move(strand))) {}

EngineCalls::~EngineCalls() {
  for (const CallId call : live_) service_.engine.cancel(call);
  shared_->close();
}

base::Result<CallId> EngineCalls::submit(engine::Request request, Deltas deltas) {
  request.salt = client_;
  const bool with_tokens = request.sampling.logprobs >= 0;
  auto meter = std::make_shared<RequestMeter>(service_.metrics, request.max_tokens);
  base::Result<CallId> call = service_.engine.submit(
      std::move(request), [shared = shared_, deltas, with_tokens, meter](const engine::Delta& delta) {
        meter->see(delta);
        shared->put(delta, deltas, with_tokens);
      });
  if (call.ok()) live_.insert(call.value());
  return call;
}

asio::awaitable<std::optional<CallEvent>> EngineCalls::next(std::chrono::milliseconds patience) {
  const auto deadline = asio::steady_timer::clock_type::now() + patience;
  while (true) {
    std::optional<CallEvent> event = shared_->take();
    if (event && event->finish) finished(*event);
    if (event) co_return event;
    if (std::exchange(shared_->woken, false)) co_return std::nullopt;
    const bool over = co_await cancelled();
    if (over || asio::steady_timer::clock_type::now() >= deadline) co_return std::nullopt;
    shared_->timer->expires_at(deadline);
    co_await shared_->timer->async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

void EngineCalls::wake() {
  shared_->woken = true;
  shared_->timer->cancel();
}

void EngineCalls::cancel(CallId call) {
  if (live_.contains(call)) service_.engine.cancel(call);
}

void EngineCalls::finished(const CallEvent& event) {
  live_.erase(event.call);
  trace_->prompt_tokens += event.usage.prompt_tokens;
  trace_->cached_tokens += event.usage.cached_tokens;
  trace_->completion_tokens += event.usage.completion_tokens;
  trace_->finish = engine::finish_reason_name(*event.finish);
}

asio::awaitable<bool> cancelled() {
  const asio::cancellation_state state = co_await asio::this_coro::cancellation_state;
  co_return state.cancelled() != asio::cancellation_type::none;
}

asio::awaitable<base::Result<engine::Completion>> complete(Service& service, const HttpRequest& http,
                                                           engine::Request request) {
  EngineCalls calls(service, http, co_await asio::this_coro::executor);
  const base::Result<CallId> call = calls.submit(std::move(request), EngineCalls::Deltas::kAtEnd);
  if (!call.ok()) co_return call.status();
  engine::Completion completion;
  completion.finish = engine::FinishReason::kCancelled;
  while (calls.live() > 0) {
    std::optional<CallEvent> event = co_await calls.next();
    if (event) {
      completion = {std::move(event->text), std::move(event->tokens),
                    *event->finish,         std::move(event->error),
                    event->usage,           event->times};
      break;
    }
    const bool over = co_await cancelled();
    if (over) break;
  }
  co_return completion;
}

}  // namespace pagoda::serve
