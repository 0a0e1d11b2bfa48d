#include "serve/http/front_door.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/json/parse.hpp>
#include <future>
#include <set>

#include "serve/probe_routes.h"

namespace pagoda::serve {
namespace {

namespace asio = boost::asio;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;

Handler says(const std::string& text) {
  return [text](const HttpRequest& request) -> asio::awaitable<HttpResponse> {
    HttpResponse response;
    response.body = text + ":" + std::to_string(request.client);
    co_return response;
  };
}

HttpRequest request(const std::string& method, const std::string& path, HttpHeaders headers = {}) {
  HttpRequest made;
  made.method = method;
  made.path = path;
  made.headers = std::move(headers);
  return made;
}

class FrontDoorTest : public ::testing::Test {
 protected:
  explicit FrontDoorTest(std::vector<std::string> keys = {})
      : metrics_("none"), door_(options(keys), metrics_) {
    auto router = std::make_shared<Router>();
    router->add("GET", "/key", {says("key")});
    router->add("POST", "/key", {says("posted")});
    router->add("POST", "/body", {.handler = says("body"), .access = Access::kBody});
    router->add("GET", "/open", {.handler = says("open"), .access = Access::kOpen, .while_draining = true});
    router->add("GET", "/in/{token}/here", {says("path")});
    Route socket;
    socket.socket = [](const HttpRequest&, MessageSocket&) -> asio::awaitable<void> { co_return; };
    router->add("GET", "/socket", std::move(socket));
    router_ = std::move(router);
  }
  static FrontDoorOptions options(const std::vector<std::string>& keys) {
    FrontDoorOptions options;
    options.keys = AccessKeys::make(keys).value();
    options.cors = CorsPolicy({"https://good.example"});
    return options;
  }
  HttpResponse ask(HttpRequest request) {
    FrontDoor::Visit visit;
    asio::io_context io;
    std::future<HttpResponse> answer = asio::co_spawn(io, door_.answer(request, visit), asio::use_future);
    io.run();
    HttpResponse response = answer.get();
    door_.finish(request, response);
    door_.left(request, visit, response.status);
    return response;
  }

  Metrics metrics_;
  FrontDoor door_;
  std::shared_ptr<const Router> router_;
};

TEST_F(FrontDoorTest, IsClosedUntilItIsOpened) {
  const HttpResponse starting = ask(request("GET", "/open"));
  EXPECT_EQ(starting.status, 503);
  EXPECT_THAT(starting.headers, Contains(Pair("Retry-After", "1")));
  EXPECT_THAT(starting.body, HasSubstr("starting"));
  door_.open(router_);
  EXPECT_EQ(ask(request("GET", "/open")).body, "open:0");
}

TEST_F(FrontDoorTest, WhileTheModelLoadsProbesAnswerAndTheRestWaits) {
  auto loading = std::make_shared<Router>();
  add_loading_routes(*loading, "9.9");
  door_.open(loading);
  EXPECT_EQ(ask(request("GET", "/livez")).status, 200);
  EXPECT_EQ(ask(request("GET", "/version")).body, R"({"version":"9.9"})");
  for (const char* path : {"/readyz", "/health"}) {
    const HttpResponse response = ask(request("GET", path));
    EXPECT_EQ(response.status, 503);
    EXPECT_EQ(response.body, R"({"status":"loading"})");
    EXPECT_THAT(response.headers, Contains(Pair("Retry-After", "1")));
  }
  for (const char* path : {"/generate", "/v1/models", "/nothing"}) {
    const HttpResponse response = ask(request("POST", path));
    EXPECT_EQ(response.status, 503) << path;
    EXPECT_THAT(response.body, HasSubstr("the model is loading"));
    EXPECT_THAT(response.headers, Contains(Pair("Retry-After", "1")));
  }
  // A page that asks first must get as far as the 503, which tells it to come again.
  const HttpResponse preflight =
      ask(request("OPTIONS", "/generate",
                  {{"Origin", "https://good.example"}, {"Access-Control-Request-Method", "POST"}}));
  EXPECT_EQ(preflight.status, 204);
  EXPECT_THAT(preflight.headers, Contains(Pair("Access-Control-Allow-Methods", HasSubstr("POST"))));
}

TEST_F(FrontDoorTest, GivesEachRequestAnId) {
  door_.open(router_);
  std::set<std::string> ids;
  for (int i = 0; i < 100; ++i)
    for (const auto& [name, value] : ask(request("GET", "/open")).headers)
      if (name == "X-Request-Id") ids.insert(value);
  EXPECT_EQ(ids.size(), 100u);
  const std::string longest(64, 'a');
  for (const std::string& good : {std::string("Az09-_."), longest})
    EXPECT_THAT(ask(request("GET", "/open", {{"x-request-id", good}})).headers,
                Contains(Pair("X-Request-Id", good)));
  // What could break a log or a header is not repeated.
  for (const std::string& bad : {std::string(""), std::string("a b"), std::string("a\"b"), longest + "a",
                                 std::string("\xc3\xa9"), std::string("a\r\nSet-Cookie: x")}) {
    const HttpHeaders headers = ask(request("GET", "/open", {{"X-Request-Id", bad}})).headers;
    EXPECT_THAT(headers, Contains(Key("X-Request-Id")));
    EXPECT_THAT(headers, Not(Contains(Pair("X-Request-Id", bad)))) << bad;
  }
  // Refusals have one too.
  EXPECT_THAT(ask(request("GET", "/nothing", {{"X-Request-Id", "mine"}})).headers,
              Contains(Pair("X-Request-Id", "mine")));
}

TEST_F(FrontDoorTest, OptionsNamesTheMethods) {
  door_.open(router_);
  const HttpResponse response = ask(request("OPTIONS", "/key"));
  EXPECT_EQ(response.status, 204);
  EXPECT_THAT(response.headers, Contains(Pair("Allow", "GET, HEAD, POST, OPTIONS")));
  EXPECT_EQ(ask(request("OPTIONS", "/nothing")).status, 404);
}

TEST_F(FrontDoorTest, AWrongMethodIs405AndAWrongPath404) {
  door_.open(router_);
  const HttpResponse wrong = ask(request("DELETE", "/key"));
  EXPECT_EQ(wrong.status, 405);
  EXPECT_THAT(wrong.headers, Contains(Pair("Allow", "GET, HEAD, POST")));
  EXPECT_EQ(ask(request("GET", "/nothing")).status, 404);
  EXPECT_EQ(ask(request("GET", "/in//here")).status, 404);
  EXPECT_EQ(ask(request("GET", "/in/a/b/here")).status, 404);
}

TEST_F(FrontDoorTest, ARefusalIsJsonWhateverThePathHolds) {
  door_.open(router_);
  for (const std::string& path : {std::string("/\xff\xfe"), std::string("/\"\\"), std::string("/\xe4\xbd")}) {
    const HttpResponse response = ask(request("GET", path));
    EXPECT_EQ(response.status, 404);
    boost::json::error_code error;
    boost::json::parse(response.body, error);  // refuses what is not UTF-8
    EXPECT_FALSE(error) << response.body;
  }
}

TEST_F(FrontDoorTest, AnUpgradeIsNeededForASocketAndRefusedToStrangers) {
  door_.open(router_);
  EXPECT_EQ(ask(request("GET", "/socket")).status, 426);
  HttpRequest own = request("GET", "/socket"),
              good = request("GET", "/socket", {{"Origin", "https://good.example"}}),
              evil = request("GET", "/socket", {{"Origin", "https://evil.example"}});
  FrontDoor::Visit visit;
  EXPECT_FALSE(door_.enter(own, visit).has_value());
  EXPECT_FALSE(door_.enter(good, visit).has_value());
  const std::optional<HttpResponse> refused = door_.enter(evil, visit);
  ASSERT_TRUE(refused.has_value());
  EXPECT_EQ(refused->status, 403);
}

TEST_F(FrontDoorTest, OnceClosedOnlyProbesAnswer) {
  door_.open(router_);
  door_.gate().close();
  const HttpResponse refused = ask(request("GET", "/key"));
  EXPECT_EQ(refused.status, 503);
  EXPECT_THAT(refused.headers, Contains(Pair("Retry-After", "1")));
  EXPECT_THAT(refused.body, HasSubstr("shutting down"));
  EXPECT_EQ(ask(request("GET", "/open")).status, 200);
}

TEST_F(FrontDoorTest, AStreamIsNotCollectedByProxies) {
  HttpResponse response;
  response.stream = [](BodyWriter&) -> asio::awaitable<void> { co_return; };
  door_.finish(request("GET", "/open"), response);
  EXPECT_THAT(response.headers, Contains(Pair("X-Accel-Buffering", "no")));
}

TEST_F(FrontDoorTest, CountsByRouteAndNeverByTheClientsWords) {
  door_.open(router_);
  ask(request("GET", "/key"));
  ask(request("GET", "/in/a/here"));
  ask(request("BREW", "/key"));
  ask(request("GET", "/some/path"));
  const std::string text = metrics_.text(nullptr, {});
  EXPECT_THAT(text, HasSubstr(R"(method="GET",route="/key",status="200"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(method="GET",route="/in/{token}/here",status="200"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(method="",route="/key",status="405"} 1)"));
  EXPECT_THAT(text, HasSubstr(R"(method="",route="",status="404"} 1)"));
  EXPECT_THAT(text, Not(HasSubstr("BREW")));
  EXPECT_THAT(text, Not(HasSubstr("/some")));
}

class LockedFrontDoorTest : public FrontDoorTest {
 protected:
  LockedFrontDoorTest() : FrontDoorTest({"k1", "k2"}) { door_.open(router_); }
};

TEST_F(LockedFrontDoorTest, AsksForAKey) {
  const HttpResponse none = ask(request("GET", "/key"));
  EXPECT_EQ(none.status, 401);
  EXPECT_THAT(none.body, HasSubstr("an API key is needed"));
  EXPECT_THAT(none.headers, Contains(Pair("WWW-Authenticate", "Bearer")));
  const HttpResponse wrong = ask(request("GET", "/key", {{"Authorization", "Bearer k3"}}));
  EXPECT_EQ(wrong.status, 401);
  EXPECT_THAT(wrong.body, HasSubstr("not known"));
  EXPECT_THAT(wrong.body, Not(HasSubstr("k3")));
  EXPECT_EQ(ask(request("GET", "/key", {{"Authorization", "Bearer k2"}})).body, "key:2");
  HttpRequest query = request("GET", "/key");
  query.query = "a=b&token=k1";
  EXPECT_EQ(ask(query).body, "key:1");
  EXPECT_EQ(ask(request("GET", "/in/k2/here")).body, "path:2");
  EXPECT_EQ(ask(request("GET", "/in/k3/here")).status, 401);
}

TEST_F(LockedFrontDoorTest, OpenRoutesAndPreflightsNeedNone) {
  EXPECT_EQ(ask(request("GET", "/open")).status, 200);
  EXPECT_EQ(ask(request("OPTIONS", "/key")).status, 204);  // browsers send none with it
  EXPECT_EQ(ask(request("GET", "/nothing")).status, 404);
}

TEST_F(LockedFrontDoorTest, ABodyMayHoldTheKeyUnlessAWrongOneStandsElsewhere) {
  EXPECT_EQ(ask(request("POST", "/body")).body, "body:0");  // the handler looks
  EXPECT_EQ(ask(request("POST", "/body", {{"X-API-Key", "k1"}})).body, "body:1");
  EXPECT_EQ(ask(request("POST", "/body", {{"X-API-Key", "k3"}})).status, 401);
}

}  // namespace
}  // namespace pagoda::serve
