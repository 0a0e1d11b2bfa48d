#include "serve/probe_routes.h"

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

namespace pagoda::serve {
namespace asio = boost::asio;
namespace json = boost::json;
namespace {

HttpResponse json_response(json::object body, int status = 200) {
  HttpResponse response;
  response.status = status;
  response.body = json::serialize(body);
  if (status == 503) add_error_headers(response);
  return response;
}

// A route of no secrets that answers at once.
template <typename Answer>
Route probe(Answer answer, Access access = Access::kOpen) {
  Route route;
  // The lambda lives as long as the router, so a coroutine may use its captures.
  route.handler = [answer](const HttpRequest&) -> asio::awaitable<HttpResponse> { co_return answer(); };
  route.access = access;
  route.while_draining = true;
  return route;
}

json::object kv_blocks(const engine::Stats& stats) {
  return {
      {"total", stats.kv_blocks_total}, {"used", stats.kv_blocks_used}, {"cached", stats.kv_blocks_cached}};
}

HttpResponse health(const Service& service) {
  const engine::Stats stats = service.engine.stats();
  return json_response({{"status", service.gate.closed() ? "draining" : "ok"},
                        {"model", service.model_name},
                        {"device", service.engine.device()},
                        {"running", stats.running},
                        {"waiting", stats.waiting},
                        {"kv_blocks", kv_blocks(stats)}},
                       service.gate.closed() ? 503 : 200);
}

HttpResponse ready(const Service& service) {
  const bool draining = service.gate.closed();
  return json_response({{"status", draining ? "draining" : "ok"}}, draining ? 503 : 200);
}

json::object memory_tag(const char* tag, std::size_t bytes) { return {{"tag", tag}, {"bytes", bytes}}; }

HttpResponse stats(const Service& service, const Metrics::Connections& connections, double uptime_seconds) {
  const engine::Stats stats = service.engine.stats();
  const execute::MemoryPlan& memory = service.engine.memory();
  json::array tags{memory_tag("weights", memory.weights_bytes), memory_tag("kv_cache", memory.kv_cache_bytes),
                   memory_tag("activations", memory.activations_bytes)};
  if (memory.driver_bytes > 0) tags.push_back(memory_tag("graphs", memory.driver_bytes));
  const std::int32_t free = stats.kv_blocks_total - stats.kv_blocks_used - stats.kv_blocks_cached;
  return json_response({{"model", service.model_name},
                        {"device", service.engine.device()},
                        {"version", service.version},
                        {"uptime_seconds", uptime_seconds},
                        {"memory", std::move(tags)},
                        {"kv", json::object{{"bytes", memory.kv_cache_bytes},
                                            {"block_tokens", memory.kv_block_size},
                                            {"blocks_total", stats.kv_blocks_total},
                                            {"blocks_used", stats.kv_blocks_used},
                                            {"blocks_cached", stats.kv_blocks_cached},
                                            {"blocks_free", free}}},
                        {"running", stats.running},
                        {"waiting", stats.waiting},
                        {"connections", connections.http + connections.websocket},
                        {"preemptions", stats.preemptions},
                        {"prompt_tokens", stats.prompt_tokens},
                        {"generated_tokens", stats.generated_tokens},
                        {"prefix_queries_tokens", stats.prefix_queries_tokens},
                        {"prefix_hits_tokens", stats.prefix_hits_tokens}});
}

}  // namespace

void add_loading_routes(Router& router, const std::string& version) {
  router.set_unavailable("the model is loading");
  const auto loading = [] { return json_response({{"status", "loading"}}, 503); };
  router.add("GET", "/livez", probe([] { return json_response({{"status", "ok"}}); }));
  router.add("GET", "/readyz", probe(loading));
  router.add("GET", "/health", probe(loading));
  router.add("GET", "/version", probe([version] { return json_response({{"version", version}}); }));
}

void add_probe_routes(Router& router, Service& service, std::function<Metrics::Connections()> connections) {
  const auto start = std::chrono::steady_clock::now();
  router.add("GET", "/livez", probe([] { return json_response({{"status", "ok"}}); }));
  router.add("GET", "/readyz", probe([&service] { return ready(service); }));
  router.add("GET", "/health", probe([&service] { return health(service); }));
  router.add("GET", "/version", probe([&service] { return json_response({{"version", service.version}}); }));
  router.add("GET", "/stats",
             probe(
                 [&service, connections, start] {
                   const std::chrono::duration<double> uptime = std::chrono::steady_clock::now() - start;
                   return stats(service, connections(), uptime.count());
                 },
                 Access::kKey));
  router.add("GET", "/metrics",
             probe(
                 [&service, connections] {
                   HttpResponse response;
                   response.content_type = "text/plain; version=0.0.4; charset=utf-8";
                   response.body = service.metrics.text(&service.engine, connections());
                   return response;
                 },
                 Access::kKey));
}

}  // namespace pagoda::serve
