// HTTP as such: limits, malformed requests, keep-alive, slow clients, the ends of connections.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <vector>

#include "http_client.h"
#include "running_server.h"

namespace pagoda::serve {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

void expect_error(const Reply& reply, int status, const std::string& type, const std::string& part) {
  ASSERT_EQ(reply.status, status) << reply.head << reply.body;
  EXPECT_TRUE(reply.has("Content-Type: application/json")) << reply.head;
  const boost::json::value body = boost::json::parse(reply.body);
  EXPECT_EQ(body.at("error").at("code").as_int64(), status);
  EXPECT_EQ(body.at("error").at("type").as_string(), type);
  EXPECT_THAT(body.at("error").at("message").as_string().c_str(), HasSubstr(part));
}

TEST(Http, HealthTellsTheLoad) {
  RunningServer running;
  HttpClient client(running.port());
  const Reply reply = client.request("GET", "/health");
  ASSERT_EQ(reply.status, 200);
  const boost::json::value body = boost::json::parse(reply.body);
  EXPECT_EQ(body.at("status").as_string(), "ok");
  EXPECT_EQ(body.at("model").as_string(), "tiny");
  EXPECT_FALSE(body.at("device").as_string().empty());
  EXPECT_EQ(body.at("running").as_int64(), 0);
  EXPECT_EQ(body.at("waiting").as_int64(), 0);
  EXPECT_EQ(body.at("kv_blocks").at("total").as_int64(), 8192);
  EXPECT_EQ(body.at("kv_blocks").at("used").as_int64(), 0);
}

TEST(Http, HeadHasTheHeaderAlone) {
  RunningServer running;
  HttpClient client(running.port());
  const Reply head = client.request("HEAD", "/health");
  EXPECT_EQ(head.status, 200);
  EXPECT_FALSE(head.has("Content-Length: 0\r\n"));
  EXPECT_EQ(client.request("GET", "/health").status, 200);  // nothing of a body stands before it
}

TEST(Http, AnswersManyRequestsOnAConnection) {
  RunningServer running;
  HttpClient client(running.port());
  for (int i = 0; i < 20; ++i) ASSERT_EQ(client.request("GET", "/health?x=1").status, 200);
  EXPECT_EQ(running.connections(), 1u);
  client.send("GET /health HTTP/1.1\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_TRUE(client.at_end());
}

TEST(Http, AnswersPipelinedRequestsInOrder) {
  RunningServer running;
  HttpClient client(running.port());
  client.send(
      "GET /health HTTP/1.1\r\n\r\nGET /nothing HTTP/1.1\r\n\r\nGET http://x/health HTTP/1.1\r\n\r\n");
  EXPECT_EQ(client.receive().status, 200);
  EXPECT_EQ(client.receive().status, 404);
  EXPECT_EQ(client.receive().status, 200);
}

TEST(Http, UnknownPathsAndMethods) {
  RunningServer running;
  HttpClient client(running.port());
  expect_error(client.request("GET", "/nothing"), 404, "not_found_error", "/nothing");
  const Reply get = client.request("GET", "/generate");
  expect_error(get, 405, "invalid_request_error", "/generate does not answer GET");
  EXPECT_TRUE(get.has("Allow: POST\r\n")) << get.head;
  const Reply remove = client.request("DELETE", "/health");
  expect_error(remove, 405, "invalid_request_error", "DELETE");
  EXPECT_TRUE(remove.has("Allow: GET, HEAD\r\n")) << remove.head;
}

TEST(Http, RefusesWhatIsNotHttp) {
  RunningServer running;
  for (const char* bytes :
       {"hello\r\n\r\n", "GET /health HTTP/9.9\r\n\r\n", "GET  HTTP/1.1\r\n\r\n",
        "GET /health HTTP/1.1\r\nno colon\r\n\r\n", "POST /generate HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        "POST /generate HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        "POST /generate HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST /generate HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        "POST /generate HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"}) {
    HttpClient client(running.port());
    client.send(bytes);
    const Reply reply = client.receive();
    EXPECT_EQ(reply.status, 400) << bytes << reply.head;
    EXPECT_TRUE(reply.has("Connection: close")) << bytes;
  }
  HttpClient client(running.port());
  client.send("POST /generate HTTP/1.1\r\n\r\n");
  expect_error(client.receive(), 411, "invalid_request_error", "Content-Length");
}

TEST(Http, RefusesLargeHeadersAndBodies) {
  RunningServer running;
  {
    HttpClient client(running.port());
    client.send("GET /health HTTP/1.1\r\nX: " + std::string(17 << 10, 'x') + "\r\n\r\n");
    expect_error(client.receive(), 431, "invalid_request_error", "16384");
  }
  const std::string body = R"({"prompt": ")" + std::string(9 << 20, 'x') + "\"}";
  {
    HttpClient client(running.port());  // sends all of it before it reads
    expect_error(client.generate(body), 413, "invalid_request_error", "8388608");
    EXPECT_TRUE(client.at_end());
  }
  HttpClient client(running.port());
  client.send("POST /generate HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n900000\r\n");
  client.send(body);
  expect_error(client.receive(), 413, "invalid_request_error", "8388608");
}

TEST(Http, TakesChunksAndExpectations) {
  RunningServer running;
  HttpClient client(running.port());
  client.send("POST /generate HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n");
  client.send("2\r\n{}\r\n0\r\n\r\n");
  expect_error(client.receive(), 400, "invalid_request_error", "prompt is missing");
  client.send("POST /generate HTTP/1.1\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(client.receive().status, 100);
  client.send("{}");
  expect_error(client.receive(), 400, "invalid_request_error", "prompt is missing");
}

TEST(Http, SlowRequestsEnd) {
  RunningOptions options;
  options.server.session.idle_timeout = milliseconds(200);
  RunningServer running(options);
  HttpClient silent(running.port());
  EXPECT_TRUE(silent.at_end());  // nothing was asked, nothing is said
  HttpClient header(running.port());
  // A byte now and then does not put the end off.
  std::thread trickle([&] {
    for (int i = 0; i < 15; ++i) {
      header.send("G");
      std::this_thread::sleep_for(milliseconds(20));
    }
  });
  expect_error(header.receive(), 408, "timeout_error", "200 ms");
  trickle.join();
  HttpClient body(running.port());
  body.send("POST /generate HTTP/1.1\r\nContent-Length: 100\r\n\r\n{");
  expect_error(body.receive(), 408, "timeout_error", "200 ms");
  EXPECT_TRUE(body.at_end());
  body.close();
  header.close();
  EXPECT_TRUE(eventually([&] { return running.connections() == 0; }));
}

TEST(Http, LimitsConnections) {
  RunningOptions options;
  options.server.max_connections = 2;
  RunningServer running(options);
  HttpClient first(running.port()), second(running.port());
  EXPECT_EQ(first.request("GET", "/health").status, 200);
  EXPECT_EQ(second.request("GET", "/health").status, 200);
  HttpClient third(running.port());
  const Reply reply = third.receive();
  expect_error(reply, 503, "unavailable_error", "too many connections");
  EXPECT_TRUE(reply.has("Retry-After: 1"));
  third.close();
  first.close();
  EXPECT_TRUE(eventually([&] { return running.connections() == 1; }));
  HttpClient fourth(running.port());
  EXPECT_EQ(fourth.request("GET", "/health").status, 200);
}

TEST(Http, ATakenPortIsNamed) {
  RunningServer running;
  ServerOptions options;
  options.port = running.port();
  Metrics metrics("none");
  FrontDoor door({}, metrics);
  HttpServer other(options, door);
  const base::Status status = other.bind();
  EXPECT_EQ(status.code(), base::Code::kFailedPrecondition);
  EXPECT_THAT(status.message(),
              HasSubstr("port " + std::to_string(running.port()) + " on 127.0.0.1 is taken"));
  options.host = "no such host";
  HttpServer nowhere(options, door);
  EXPECT_EQ(nowhere.bind().code(), base::Code::kInvalidArgument);
}

TEST(Http, AHandlerThatThrowsIsOneFailedRequest) {
  auto router = std::make_shared<Router>();
  router->add("GET", "/throws", {[](const HttpRequest&) -> boost::asio::awaitable<HttpResponse> {
                throw std::runtime_error("on purpose");
                co_return HttpResponse();
              }});
  ServerOptions options;
  options.port = 0;
  Metrics metrics("none");
  FrontDoor door({}, metrics);
  door.open(std::move(router));
  HttpServer server(options, door);
  ASSERT_TRUE(server.bind().ok());
  ASSERT_TRUE(server.start().ok());
  HttpClient client(server.port());
  expect_error(client.request("GET", "/throws"), 500, "server_error", "on purpose");
  EXPECT_EQ(client.request("GET", "/nothing").status, 404);
}

}  // namespace
}  // namespace pagoda::serve
