// The bytes of a connection: through the session, the HTTP parser, the front door, router, keys, CORS,
// queries and the JSON layer, to cheap handlers. Whatever they are, each request has an answer that is HTTP
// or the connection ends, and nothing fails inside. Not covered: timeouts, the engine, the WebSocket's frames
// (websocket.cc).

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "over_socket.h"
#include "serve/generate_route.h"
#include "serve/http/query.h"
#include "serve/json_body.h"
#include "serve/probe_routes.h"
#include "serve/text_request.h"

namespace {

namespace asio = boost::asio;
using namespace pagoda;
using serve::HttpRequest;
using serve::HttpResponse;

HttpResponse says(int status) {
  HttpResponse response;
  response.status = status;
  response.body = "{}";
  return response;
}

asio::awaitable<HttpResponse> generate(const HttpRequest& request) {
  co_return says(serve::parse_generate(request.body).ok() ? 200 : 400);
}

// A body of fields, as JSON or as a form.
asio::awaitable<HttpResponse> translate(const HttpRequest& request) {
  std::string from = serve::query_value(request.body, "source").value_or("");
  std::string to = serve::query_value(request.query, "target").value_or(std::string(request.path_part("to")));
  if (request.header("Content-Type").starts_with("application/json")) {
    const auto object = serve::parse_json_body(request.body);
    if (!object.ok()) co_return says(400);
    const serve::JsonFields fields(object.value());
    if (!fields.read("source", &from).ok() || !fields.read("target", &to).ok()) co_return says(400);
    if (fields.has("glossary") && !serve::parse_terms(object->at("glossary")).ok()) co_return says(400);
  }
  serve::TextJob job;
  co_return says(serve::set_languages(from, to, job).ok() ? 200 : 400);
}

asio::awaitable<HttpResponse> stream(const HttpRequest&) {
  HttpResponse response;
  response.content_type = "text/event-stream";
  response.stream = [](serve::BodyWriter& writer) -> asio::awaitable<void> {
    for (int i = 0; i < 3; ++i) co_await writer.write("data: x\n\n");
  };
  co_return response;
}

asio::awaitable<void> echo(const HttpRequest&, serve::MessageSocket& socket) {
  while (std::optional<std::string> message = co_await socket.read()) {
    const bool written = co_await socket.write(std::move(*message));
    if (!written) co_return;
  }
}

struct World {
  World() : metrics("none"), door(options(), metrics), client(door) {
    auto router = std::make_shared<serve::Router>();
    serve::add_loading_routes(*router, "0");
    router->set_unavailable("");
    router->add("POST", "/generate", {generate});
    router->add("POST", "/translate", {.handler = translate, .access = serve::Access::kBody});
    router->add("PUT", "/{token}/to/{to}", {translate});
    router->add("GET", "/stream", {.handler = stream, .access = serve::Access::kOpen});
    router->add("GET", "/ws", {.access = serve::Access::kOpen, .socket = echo});
    door.open(std::move(router));
  }
  static serve::FrontDoorOptions options() {
    serve::FrontDoorOptions options;
    options.keys = serve::AccessKeys::make({"k"}).value();
    options.cors = serve::CorsPolicy({"https://a"});
    options.log.stream = stderr;
    return options;
  }
  serve::Metrics metrics;
  serve::FrontDoor door;
  fuzz::OverSocket client;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > fuzz::kMaxInputBytes) return 0;
  static World* const world = new World();
  // The first byte says where the bytes are cut in two.
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string said = world->client.answer(bytes, bytes.size() * data[0] / 255);
  CHECK(said.empty() || said.starts_with("HTTP/1."));
  CHECK(said.find("HTTP/1.1 500") ==
        std::string::npos);  // no answer repeats what a client sends with a space
  return 0;
}
