#include "serve/http/front_door.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <cctype>

#include "base/random.h"

namespace pagoda::serve {
namespace asio = boost::asio;
namespace {

bool sane_id(std::string_view id) {
  return !id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
}

// The client's name for the request, or one of our own.
void name(HttpRequest& request) {
  const std::string_view id = request.header("X-Request-Id");
  request.id = sane_id(id) ? std::string(id) : fmt::format("{:016x}", base::random_u64());
}

// The origin of a page that this server itself has sent, by whatever name it was reached.
bool is_own_page(const HttpRequest& request) {
  const std::string_view origin = request.header("Origin"), host = request.header("Host");
  const std::size_t slashes = origin.find("://");
  return slashes != std::string_view::npos && !host.empty() && origin.substr(slashes + 3) == host;
}

// Handlers report by HttpResponse; an exception is memory running out, or a library that throws.
asio::awaitable<HttpResponse> guarded(const Route& route, const HttpRequest& request) {
  try {
    HttpResponse response = co_await route.handler(request);
    co_return response;
  } catch (const std::exception& failure) {
    co_return route.error(500, std::string("the request failed: ") + failure.what());
  }
}

}  // namespace

void FrontDoor::open(std::shared_ptr<const Router> router) {
  const std::lock_guard lock(mutex_);
  router_ = std::move(router);
}

std::optional<HttpResponse> FrontDoor::enter(HttpRequest& request, Visit& visit) const {
  name(request);
  {
    const std::lock_guard lock(mutex_);
    visit.router = router_;
  }
  if (visit.router == nullptr) return error_response(503, "the server is starting");
  visit.match = visit.router->find(request.method, request.path);
  const Router::Match& match = visit.match;
  if (request.method == "OPTIONS" && match.route == nullptr) {
    // A browser that asks first shall get as far as the 503.
    if (match.pattern.empty() && !visit.router->unavailable().empty())
      return options_.cors.preflight(request, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
    if (match.pattern.empty()) return error_response(404, "there is no " + request.path + " here");
    return options_.cors.preflight(request, match.allow + ", OPTIONS");
  }
  if (match.route == nullptr) {
    if (match.allow.empty()) {
      if (!visit.router->unavailable().empty()) return error_response(503, visit.router->unavailable());
      return error_response(404, "there is no " + request.path + " here");
    }
    HttpResponse response =
        error_response(405, request.path + " does not answer " + request.method + ", only " + match.allow);
    response.headers.emplace_back("Allow", match.allow);
    return response;
  }
  const Route& route = *match.route;
  request.path_parts = match.path_parts;
  if (gate_.closed() && !route.while_draining) return route.error(503, "the server is shutting down");
  if (route.access != Access::kOpen) {
    const std::string key = presented_key(request);
    const std::optional<std::uint64_t> client = options_.keys.admit(key);
    // A key that is wrong is wrong wherever another one may be.
    if (!client && (route.access == Access::kKey || !key.empty()))
      return route.error(401, key.empty() ? "an API key is needed" : "the API key is not known here");
    request.client = client.value_or(0);
  }
  if (route.socket && !is_own_page(request) && !options_.cors.allows(request.header("Origin")))
    return route.error(403, "pages of this origin may not use the server");
  return std::nullopt;
}

asio::awaitable<HttpResponse> FrontDoor::answer(HttpRequest& request, Visit& visit) const {
  co_await asio::this_coro::throw_if_cancelled(false);
  std::optional<HttpResponse> refusal = enter(request, visit);
  if (refusal) co_return std::move(*refusal);
  if (!visit.match.route->handler)
    co_return visit.match.route->error(426,
                                       request.path + " is a WebSocket; the request asks for no upgrade");
  HttpResponse response = co_await guarded(*visit.match.route, request);
  co_return response;
}

HttpResponse FrontDoor::refuse(HttpRequest& request, int status, std::string_view message) const {
  name(request);
  HttpResponse response = error_response(status, message);
  finish(request, response);
  return response;
}

void FrontDoor::finish(const HttpRequest& request, HttpResponse& response) const {
  response.headers.emplace_back("X-Request-Id", request.id);
  options_.cors.add_headers(request, response);
  // nginx would collect a stream before it passes it on.
  if (response.stream) response.headers.emplace_back("X-Accel-Buffering", "no");
}

void FrontDoor::left(const HttpRequest& request, const Visit& visit, int status) const {
  // Methods are the client's words; only those of a route are worth a series of their own.
  const bool known = visit.match.route != nullptr || request.method == "OPTIONS";
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - visit.begin).count();
  metrics_.answered(known ? request.method : "", visit.match.pattern, status, seconds);
  log_.answered(request, visit.match.pattern, status, seconds);
}

}  // namespace pagoda::serve
