#include "serve/engine_call.h"

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/cancellation_state.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>

namespace pagoda::serve {
namespace asio = boost::asio;
namespace {

// Shared by the engine's sink and the coroutine. The completion is the engine thread's until `over` was
// posted.
struct Call {
  explicit Call(const asio::any_io_executor& executor)
      : ended(executor, asio::steady_timer::time_point::max()) {}
  engine::Completion completion;
  asio::steady_timer ended;  // never expires; cancelled when the request is over
  bool over = false;         // the strand's
};

// Collects on the engine's thread and wakes the strand once, at the end: a post for every token would wake a
// server thread as often as the engine makes a step, and take its core.
engine::Sink collect(const std::shared_ptr<Call>& call, const asio::any_io_executor& executor) {
  return [call, executor](const engine::Delta& delta) {
    engine::Completion& completion = call->completion;
    completion.text += delta.text;
    if (!delta.finish) return;
    completion.finish = *delta.finish;
    completion.error = delta.error;
    completion.usage = delta.usage;
    asio::post(executor, [call] {
      call->over = true;
      call->ended.cancel();
    });
  };
}

}  // namespace

asio::awaitable<base::Result<engine::Completion>> complete(engine::Engine& engine, engine::Request request) {
  const asio::any_io_executor executor = co_await asio::this_coro::executor;
  // A cancelled wait below returns instead of throwing.
  co_await asio::this_coro::throw_if_cancelled(false);
  auto call = std::make_shared<Call>(executor);
  const base::Result<engine::RequestId> id = engine.submit(std::move(request), collect(call, executor));
  if (!id.ok()) co_return id.status();

  const auto quietly = asio::as_tuple(asio::use_awaitable);
  if (!call->over) co_await call->ended.async_wait(quietly);
  if (!call->over) {
    engine.cancel(id.value());
    co_await asio::this_coro::reset_cancellation_state(asio::disable_cancellation());
    while (!call->over) co_await call->ended.async_wait(quietly);
  }
  co_return std::move(call->completion);
}

}  // namespace pagoda::serve
