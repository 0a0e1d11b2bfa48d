#include "serve/health_route.h"

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

namespace pagoda::serve {
namespace asio = boost::asio;
namespace {

HttpResponse health(const engine::Engine& engine, const std::string& model, const std::string& device) {
  const engine::Stats stats = engine.stats();
  HttpResponse response;
  response.body = boost::json::serialize(boost::json::object{
      {"status", "ok"},
      {"model", model},
      {"device", device},
      {"running", stats.running},
      {"waiting", stats.waiting},
      {"kv_blocks", boost::json::object{{"total", stats.kv_blocks_total},
                                        {"used", stats.kv_blocks_used},
                                        {"cached", stats.kv_blocks_cached}}},
  });
  return response;
}

}  // namespace

void add_health_route(Router& router, const engine::Engine& engine, const std::string& model) {
  router.add(
      "GET", "/health",
      {[&engine, model, device = engine.device()](const HttpRequest&) -> asio::awaitable<HttpResponse> {
        // The captures live as long as the router, so a coroutine may use them.
        co_return health(engine, model, device);
      }});
}

}  // namespace pagoda::serve
