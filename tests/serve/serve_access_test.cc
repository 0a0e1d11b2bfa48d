// The front door over sockets: keys, origins, ids, probes, metrics and log lines.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <cstdlib>
#include <sstream>

#include "exposition.h"
#include "http_client.h"
#include "running_server.h"
#include "ws_client.h"

namespace pagoda::serve {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Exposition scrape(std::uint16_t port, const std::string& headers = "") {
  const Reply reply = HttpClient(port).request("GET", "/metrics", "", headers);
  EXPECT_EQ(reply.status, 200);
  EXPECT_TRUE(reply.has("Content-Type: text/plain; version=0.0.4")) << reply.head;
  return Exposition(reply.body);
}

TEST(Access, AKeyOpensWhatIsNotOpen) {
  RunningOptions options;
  options.door.keys = AccessKeys::make({"k1", "k2"}).value();
  RunningServer running(options);
  HttpClient client(running.port());
  for (const char* path : {"/health", "/livez", "/readyz", "/version"})
    EXPECT_EQ(client.request("GET", path).status, 200) << path;
  for (const char* path : {"/stats", "/metrics"}) {
    EXPECT_EQ(client.request("GET", path).status, 401) << path;
    EXPECT_EQ(client.request("GET", path, "", "Authorization: Bearer wrong\r\n").status, 401) << path;
    EXPECT_EQ(client.request("GET", path, "", "Authorization: Bearer k2\r\n").status, 200) << path;
    EXPECT_EQ(client.request("GET", std::string(path) + "?api_key=k1").status, 200) << path;
  }
  const std::string body = R"({"prompt": "x", "max_tokens": 1})";
  const Reply refused = client.request("POST", "/generate", body);
  EXPECT_EQ(refused.status, 401);
  EXPECT_TRUE(refused.has("WWW-Authenticate: Bearer")) << refused.head;
  EXPECT_THAT(refused.body, HasSubstr("authentication_error"));
  EXPECT_EQ(client.request("POST", "/generate", body, "X-API-Key: k1\r\n").status, 200);
}

TEST(Access, PrefixesAreSharedWithinAKeyAlone) {
  RunningOptions options;
  options.door.keys = AccessKeys::make({"k1", "k2"}).value();
  RunningServer running(options);
  HttpClient client(running.port());
  std::string prompt;
  for (int i = 0; i < 100; ++i) prompt += "number " + std::to_string(i) + " ";
  const auto cached = [&](const std::string& key) {
    const Reply reply =
        client.request("POST", "/generate", R"({"prompt": ")" + prompt + R"(", "max_tokens": 1})",
                       "X-API-Key: " + key + "\r\n");
    EXPECT_EQ(reply.status, 200) << reply.body;
    return boost::json::parse(reply.body).at("usage").at("cached_tokens").as_int64();
  };
  EXPECT_EQ(cached("k1"), 0);
  EXPECT_GT(cached("k1"), 0);
  EXPECT_EQ(cached("k2"), 0);  // what others asked cannot be found out by the time an answer takes
  EXPECT_GT(cached("k2"), 0);
}

TEST(Access, PagesOfOtherOriginsSeeAnswersAndRefusals) {
  RunningServer running;
  const std::string origin = "Origin: https://page.example\r\n";
  HttpClient client(running.port());
  const Reply preflight = client.request("OPTIONS", "/generate", "",
                                         origin + "Access-Control-Request-Method: POST\r\n" +
                                             "Access-Control-Request-Headers: x-api-key\r\n" +
                                             "Access-Control-Request-Private-Network: true\r\n");
  EXPECT_EQ(preflight.status, 204);
  for (const char* header :
       {"Access-Control-Allow-Origin: *", "Access-Control-Allow-Methods: POST, OPTIONS",
        "Access-Control-Allow-Headers: x-api-key", "Access-Control-Allow-Private-Network: true"})
    EXPECT_TRUE(preflight.has(header)) << preflight.head;
  EXPECT_FALSE(preflight.has("Content-Length: ")) << preflight.head;  // 204 has none
  for (const Reply& reply :
       {client.request("GET", "/health", "", origin), client.request("GET", "/nothing", "", origin),
        client.request("POST", "/generate", "{", origin)}) {
    EXPECT_TRUE(reply.has("Access-Control-Allow-Origin: *")) << reply.head;
    EXPECT_TRUE(reply.has("Access-Control-Expose-Headers: X-Request-Id, Retry-After")) << reply.head;
  }
}

TEST(Access, WhatCouldNotBeReadIsCountedAndMarkedToo) {
  RunningOptions options;
  options.server.session.body_bytes = 1000;
  options.server.max_connections = 3;
  RunningServer running(options);
  const std::string origin = "Origin: https://page.example\r\nX-Request-Id: mine\r\n";
  {
    HttpClient large(running.port());
    large.send(HttpClient::message("POST", "/generate", std::string(2000, 'x'), origin));
    const Reply reply = large.receive();
    EXPECT_EQ(reply.status, 413);
    // Without it a page learns nothing of why.
    EXPECT_TRUE(reply.has("Access-Control-Allow-Origin: *")) << reply.head;
    EXPECT_TRUE(reply.has("X-Request-Id: mine")) << reply.head;
  }
  {
    HttpClient broken(running.port());
    broken.send("nonsense\r\n\r\n");
    const Reply reply = broken.receive();
    EXPECT_EQ(reply.status, 400);
    EXPECT_TRUE(reply.has("X-Request-Id: ")) << reply.head;
  }
  ASSERT_TRUE(eventually([&] { return running.connections() == 0; }));
  {
    HttpClient first(running.port()), second(running.port()), third(running.port());
    ASSERT_TRUE(eventually([&] { return running.connections() == 3; }));
    const Reply reply = HttpClient(running.port()).receive();
    EXPECT_EQ(reply.status, 503);
    EXPECT_TRUE(reply.has("Access-Control-Allow-Origin: *")) << reply.head;
  }
  ASSERT_TRUE(eventually([&] { return running.connections() == 0; }));
  const Exposition page = scrape(running.port());
  for (const char* status : {"413", "400", "503"})
    EXPECT_EQ(page.value("pagoda:http_requests_total",
                         {R"(method="")", R"(route="")", "status=\"" + std::string(status) + "\""}),
              1)
        << status;
}

TEST(Access, Http10ConnectionsAreKeptWhereAskedFor) {
  RunningServer running;
  HttpClient keeps(running.port());
  for (int i = 0; i < 2; ++i) {
    keeps.send("GET /livez HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    const Reply reply = keeps.receive();
    EXPECT_EQ(reply.status, 200);
    // Such a client waits for the end of the connection unless it is told this.
    EXPECT_TRUE(reply.has("Connection: keep-alive")) << reply.head;
  }
  HttpClient plain(running.port());
  plain.send("GET /livez HTTP/1.0\r\n\r\n");
  EXPECT_EQ(plain.receive().status, 200);
  EXPECT_TRUE(plain.at_end());
}

TEST(Access, ReadyzSaysWhenItDrains) {
  RunningServer running;
  HttpClient client(running.port()), busy(running.port());
  EXPECT_EQ(client.request("GET", "/readyz").body, R"({"status":"ok"})");
  EXPECT_EQ(busy.request("GET", "/livez").status,
            200);  // accepted: one that was only connected may be closed
  running.service().gate.close();
  const Reply reply = client.request("GET", "/readyz");
  EXPECT_EQ(reply.status, 503);
  EXPECT_EQ(reply.body, R"({"status":"draining"})");
  EXPECT_TRUE(reply.has("Retry-After: 1")) << reply.head;
  EXPECT_TRUE(reply.has("Connection: close")) << reply.head;
  EXPECT_EQ(busy.request("POST", "/generate", R"({"prompt":"x"})").status, 503);
}

TEST(Access, MetricsAddUp) {
  RunningServer running;
  HttpClient client(running.port());
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.generate(R"({"prompt": "x", "max_tokens": 5})").status, 200);
  EXPECT_EQ(client.generate("{").status, 400);
  EXPECT_EQ(client.request("GET", "/nothing").status, 404);
  {
    HttpClient leaves(running.port());
    leaves.send(HttpClient::message("POST", "/generate", kEndless));
    ASSERT_TRUE(eventually([&] { return running.engine().stats().running == 1; }));
  }
  ASSERT_TRUE(eventually([&] { return running.idle() && running.connections() == 1; }));
  WsClient socket(running.port());
  socket.translate("a", "Hello.");
  hear(socket, 1);
  const engine::Stats stats = running.engine().stats();

  const Exposition page = scrape(running.port());
  const char* const http = "pagoda:http_requests_total";
  EXPECT_EQ(page.value(http, {R"(route="/generate")", R"(status="200")"}), 3);
  EXPECT_EQ(page.value(http, {R"(route="/generate")", R"(status="400")"}), 1);
  EXPECT_EQ(page.value(http, {R"(route="/generate")", R"(status="499")"}), 1);
  EXPECT_EQ(page.value(http, {R"(route="")", R"(status="404")"}), 1);
  EXPECT_EQ(page.value(http), 6);  // the WebSocket is not over, and the scrape itself neither
  EXPECT_EQ(page.value("pagoda:http_request_duration_seconds_count"), 6);
  EXPECT_EQ(page.value("pagoda:connections", {R"(kind="websocket")"}), 1);
  EXPECT_EQ(page.value("pagoda:connections", {R"(kind="http")"}), 2);
  const double ended = page.value("pagoda:request_success_total");
  EXPECT_EQ(ended, 4 + static_cast<double>(stats.finished[0] + stats.finished[1]) - 3);
  EXPECT_EQ(page.value("pagoda:request_success_total", {R"(finished_reason="abort")"}), 1);
  EXPECT_EQ(page.value("pagoda:request_generation_tokens_count"), ended);
  EXPECT_EQ(page.value("pagoda:request_generation_tokens_sum"), page.value("pagoda:generation_tokens_total"));
  EXPECT_EQ(page.value("pagoda:request_prompt_tokens_sum"), page.value("pagoda:prompt_tokens_total"));
  EXPECT_EQ(page.value("pagoda:prompt_tokens_total"), static_cast<double>(stats.prompt_tokens));
  EXPECT_EQ(page.value("pagoda:time_to_first_token_seconds_count"), ended);
  // Each token but the first of a request follows another.
  EXPECT_EQ(page.value("pagoda:inter_token_latency_seconds_count"),
            page.value("pagoda:generation_tokens_total") - ended);
  EXPECT_EQ(page.value("pagoda:num_requests_running"), 0);
  EXPECT_EQ(page.value("pagoda:num_requests_waiting"), 0);
  EXPECT_EQ(page.value("pagoda:kv_cache_usage_perc"), 0);
  EXPECT_EQ(page.value("pagoda:kv_cache_blocks"), 8192);
}

TEST(Access, MetricsHaveTheNamesOfVllm) {
  RunningServer running;
  const Exposition page = scrape(running.port());
  for (const char* name :
       {"num_requests_running", "num_requests_waiting", "kv_cache_usage_perc", "cache_config_info"})
    EXPECT_TRUE(page.has(std::string("pagoda:") + name, "gauge")) << name;
  for (const char* name : {"prompt_tokens_total", "generation_tokens_total", "prefix_cache_queries_total",
                           "prefix_cache_hits_total", "num_preemptions_total", "request_success_total"})
    EXPECT_TRUE(page.has(std::string("pagoda:") + name, "counter")) << name;
  for (const char* name :
       {"time_to_first_token_seconds", "inter_token_latency_seconds", "request_time_per_output_token_seconds",
        "e2e_request_latency_seconds", "request_queue_time_seconds", "request_inference_time_seconds",
        "request_prefill_time_seconds", "request_decode_time_seconds", "request_prompt_tokens",
        "request_generation_tokens", "request_params_max_tokens"})
    EXPECT_TRUE(page.has(std::string("pagoda:") + name, "histogram")) << name;
}

TEST(Access, StatsTellMemoryAndLoad) {
  RunningServer running;
  HttpClient client(running.port());
  EXPECT_EQ(client.generate(R"({"prompt": "x", "max_tokens": 5})").status, 200);
  const boost::json::value body = boost::json::parse(client.request("GET", "/stats").body);
  EXPECT_EQ(body.at("model").as_string(), "tiny");
  EXPECT_EQ(body.at("version").as_string(), "0.0.0");
  EXPECT_FALSE(body.at("device").as_string().empty());
  EXPECT_GT(body.at("uptime_seconds").to_number<double>(), 0);
  std::vector<std::string> tags;
  for (const boost::json::value& entry : body.at("memory").as_array()) {
    tags.emplace_back(entry.at("tag").as_string());
    EXPECT_GT(entry.at("bytes").to_number<std::int64_t>(), 0) << tags.back();
  }
  EXPECT_EQ(tags, std::vector<std::string>({"weights", "kv_cache", "activations"}));
  const boost::json::value& kv = body.at("kv");
  const auto blocks = [&](const char* state) { return kv.at(state).to_number<std::int64_t>(); };
  EXPECT_EQ(blocks("blocks_total"), 8192);
  EXPECT_EQ(blocks("blocks_used") + blocks("blocks_cached") + blocks("blocks_free"), 8192);
  EXPECT_EQ(blocks("block_tokens"), 16);
  EXPECT_GT(blocks("bytes"), 0);
  EXPECT_EQ(body.at("running").to_number<int>(), 0);
  EXPECT_EQ(body.at("waiting").to_number<int>(), 0);
  EXPECT_EQ(body.at("connections").to_number<int>(), 1);
  EXPECT_EQ(body.at("generated_tokens").to_number<int>(), 5);
  EXPECT_GT(body.at("prompt_tokens").to_number<int>(), 0);
  for (const char* name : {"preemptions", "prefix_queries_tokens", "prefix_hits_tokens"})
    EXPECT_TRUE(body.at(name).is_number()) << name;
}

// What a server writes to its log for a few requests.
std::string log_of(bool texts) {
  char* data = nullptr;
  std::size_t size = 0;
  std::FILE* stream = open_memstream(&data, &size);
  {
    RunningOptions options;
    options.door.log = {1, texts, stream};
    RunningServer running(options);
    HttpClient client(running.port());
    client.request("GET", "/nothing/secret-path?token=secret-key");
    client.request("POST", "/generate", R"({"prompt": "secret prompt", "max_tokens": 20})",
                   "X-Request-Id: g1\r\n");
    client.request("POST", "/generate", R"({"prompt": "secret prompt", "max_tokens": 20, "stream": true})");
    WsClient socket(running.port(), "/ws", {{"X-Request-Id", "w1"}});
    socket.translate("a", "A secret sentence.");
    hear(socket, 1);
    socket.close();
    eventually([&] { return running.connections() == 1; });
  }
  std::fclose(stream);
  std::string text(data, size);
  std::free(data);
  return text;
}

TEST(Access, TheLogHasALineARequestAndNoTexts) {
  const std::string log = log_of(false);
  EXPECT_THAT(log, Not(HasSubstr("secret")));
  std::istringstream stream(log);
  std::vector<boost::json::object> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(boost::json::parse(line).as_object());
  ASSERT_EQ(lines.size(), 4u) << log;
  EXPECT_EQ(lines[0].at("status").as_int64(), 404);
  EXPECT_EQ(text_of(lines[1], "id"), "g1");
  EXPECT_EQ(text_of(lines[1], "route"), "/generate");
  EXPECT_EQ(lines[1].at("completion_tokens").as_int64(), 20);
  EXPECT_EQ(lines[2].at("completion_tokens").as_int64(), 20);
  EXPECT_EQ(text_of(lines[3], "id"), "w1");
  EXPECT_EQ(lines[3].at("status").as_int64(), 101);
  EXPECT_GT(lines[3].at("completion_tokens").as_int64(), 0);
}

TEST(Access, TheLogHasTextsWhereAskedFor) {
  const std::string log = log_of(true);
  std::istringstream stream(log);
  std::vector<boost::json::object> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(boost::json::parse(line).as_object());
  ASSERT_EQ(lines.size(), 4u) << log;
  for (const int i : {1, 2}) {
    EXPECT_EQ(text_of(lines[i], "input"), "secret prompt");
    EXPECT_NE(text_of(lines[i], "output"), "");
  }
  EXPECT_EQ(text_of(lines[1], "output"), text_of(lines[2], "output"));
  EXPECT_EQ(text_of(lines[3], "input"), "A secret sentence.\n");
  EXPECT_NE(text_of(lines[3], "output"), "");
  EXPECT_THAT(log, Not(HasSubstr("secret-key")));
}

}  // namespace
}  // namespace pagoda::serve
