#pragma once
// Between a connection and the dialects: gives each request an id, answers OPTIONS, finds the route, asks for
// the key, turns away what comes while the server loads or drains, and counts and logs what was answered.
// Knows nothing of sockets. Any thread.

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <memory>
#include <mutex>
#include <variant>

#include "serve/http/access_keys.h"
#include "serve/http/cors.h"
#include "serve/http/drain_gate.h"
#include "serve/http/metrics.h"
#include "serve/http/request_log.h"
#include "serve/http/router.h"

namespace pagoda::serve {

struct FrontDoorOptions {
  AccessKeys keys;
  CorsPolicy cors;
  RequestLogOptions log;
};

class FrontDoor {
 public:
  FrontDoor(FrontDoorOptions options, Metrics& metrics)
      : options_(std::move(options)), log_(options_.log), metrics_(metrics) {}

  // The routes from now on; requests that run keep theirs. Before the first call, and for a null router,
  // everything is 503.
  void open(std::shared_ptr<const Router> router);
  // The name of the state that routes of probes report.
  DrainGate& gate() { return gate_; }
  const AccessKeys& keys() const { return options_.keys; }

  // One request on its way. Keeps alive what the handler needs.
  struct Visit {
    std::shared_ptr<const Router> router;
    Router::Match match;
    std::chrono::steady_clock::time_point begin = std::chrono::steady_clock::now();
  };
  // Fills the front door's part of the request. A response: that is the answer; no response: the route is to
  // be asked (Visit::match.route).
  std::optional<HttpResponse> enter(HttpRequest& request, Visit& visit) const;
  // enter(), and the route's handler.
  boost::asio::awaitable<HttpResponse> answer(HttpRequest& request, Visit& visit) const;
  // Instead of answer() and finish(), for a request that could not be read whole.
  HttpResponse refuse(HttpRequest& request, int status, std::string_view message) const;
  // Headers that every answer has.
  void finish(const HttpRequest& request, HttpResponse& response) const;
  // The answer is with the client, or the client is gone (status 499).
  void left(const HttpRequest& request, const Visit& visit, int status) const;

 private:
  FrontDoorOptions options_;
  RequestLog log_;
  Metrics& metrics_;
  mutable DrainGate gate_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Router> router_;
};

}  // namespace pagoda::serve
