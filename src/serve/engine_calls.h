#pragma once
// The bridge between coroutines on a connection's strand and the engine's thread: a set of requests of one
// client, and what the engine says of them. All member functions belong to the strand.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/generate.h"
#include "serve/service.h"

namespace pagoda::serve {

using CallId = engine::RequestId;

struct CallEvent {
  CallId call;
  std::string text;                           // all that came since the last event of this call
  std::vector<execute::SampledToken> tokens;  // the same as tokens; only of requests that want logprobs
  std::optional<engine::FinishReason> finish;
  std::string error;
  engine::Usage usage;
  engine::Times times;
};

class EngineCalls {
 public:
  enum class Deltas {
    kEach,   // events as text comes; a client that is slow to take them gets fewer and larger ones
    kAtEnd,  // one event, with all the text: the engine wakes nobody before
  };
  static constexpr std::chrono::milliseconds kForever = std::chrono::hours(24);

  // `service` outlives it; `trace` gets the tokens of requests that end. `client` keeps prefixes apart.
  EngineCalls(Service& service, const HttpRequest& http, boost::asio::any_io_executor strand);
  // Cancels what is not over: nothing of a client that left stays in the engine for more than two steps.
  ~EngineCalls();
  EngineCalls(const EngineCalls&) = delete;

  // The refusals of Engine::submit come as its status.
  base::Result<CallId> submit(engine::Request request, Deltas deltas);
  // Waits for something to happen to any of the calls. Nothing: `patience` is over, wake() was called, or
  // the coroutine was cancelled (not thrown: whoever loops must ask cancelled()). One waiter at a time.
  boost::asio::awaitable<std::optional<CallEvent>> next(std::chrono::milliseconds patience = kForever);
  // Ends the wait of next(), or the next one.
  void wake();
  // The call still ends with an event (kCancelled, if it was not over).
  void cancel(CallId call);
  std::size_t live() const { return live_.size(); }

 private:
  struct Shared;  // with the sinks, on the engine's thread
  void finished(const CallEvent& event);

  Service& service_;
  std::shared_ptr<Trace> trace_;
  const std::uint64_t client_;
  std::shared_ptr<Shared> shared_;
  std::set<CallId> live_;
};

// Whether this coroutine has been cancelled: the client left, or the server must stop.
boost::asio::awaitable<bool> cancelled();

// One request, to its end. The answer's `finish` is kCancelled when the coroutine was cancelled.
boost::asio::awaitable<base::Result<engine::Completion>> complete(Service& service, const HttpRequest& http,
                                                                  engine::Request request);

}  // namespace pagoda::serve
