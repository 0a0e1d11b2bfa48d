// One client and a server that behaves well or badly: what is timed, counted and reported.

#include "load/client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "load/run.h"
#include "stand_in_server.h"

namespace pagoda::load {
namespace {

namespace asio = boost::asio;
using ::testing::HasSubstr;
using Exchange = StandInServer::Exchange;

ClientOptions options_for(const std::string& url, Endpoint endpoint = Endpoint::kGenerate) {
  ClientOptions options;
  options.url = parse_url(url).value();
  options.shape.endpoint = endpoint;
  options.timeout = std::chrono::seconds(10);
  return options;
}

Outcome send_to(const StandInServer& server, Endpoint endpoint = Endpoint::kGenerate) {
  Client client(options_for(server.url(), endpoint));
  EXPECT_TRUE(client.resolve().ok());
  return send_one(client, {"hello", 8});
}

asio::awaitable<void> answer_well(Exchange& exchange) {
  co_await exchange.write(kStreamHead + event(R"({"text":"a"})") + generate_end(5, 1));
}

TEST(LoadClient, TimesAStreamWithKnownDelays) {
  StandInServer server([](Exchange& exchange) -> asio::awaitable<void> {
    co_await exchange.sleep(60);
    co_await exchange.write(kStreamHead + event(R"({"text":"a"})"));
    co_await exchange.sleep(30);
    co_await exchange.write(event(R"({"text":"b"})"));
    co_await exchange.sleep(30);
    co_await exchange.write(event(R"({"text":"c"})"));
    co_await exchange.sleep(40);
    co_await exchange.write(generate_end(7, 4));
  });
  EXPECT_TRUE(once_in_ten([&] {
    const Outcome outcome = send_to(server);
    EXPECT_TRUE(outcome.ok()) << outcome.error;
    EXPECT_EQ(outcome.pieces, 3);
    EXPECT_EQ(outcome.gaps_s.size(), 2u);
    EXPECT_EQ(outcome.usage.value_or(TokenCounts{}).prompt, 7);
    EXPECT_EQ(outcome.usage.value_or(TokenCounts{}).completion, 4);
    // Late by whatever else the machine does, never early.
    EXPECT_GE(outcome.first_text_s, 0.060);
    EXPECT_GE(outcome.end_s, 0.160);
    return outcome.first_text_s < 0.085 && outcome.gaps_s.at(0) > 0.020 && outcome.gaps_s.at(0) < 0.045 &&
           outcome.gaps_s.at(1) > 0.020 && outcome.end_s < 0.200;
  }));
}

TEST(LoadClient, SpeaksCompletions) {
  std::string body, path;
  StandInServer server([&](Exchange& exchange) -> asio::awaitable<void> {
    body = exchange.body;
    path = exchange.path;
    co_await exchange.write(kStreamHead + event(R"({"choices":[{"text":"a","finish_reason":null}]})") +
                            event(R"({"choices":[{"text":"b","finish_reason":"stop"}]})") +
                            event(R"({"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}})") +
                            event("[DONE]") + kLastChunk);
  });
  const Outcome outcome = send_to(server, Endpoint::kCompletions);
  ASSERT_TRUE(outcome.ok()) << outcome.error;
  EXPECT_EQ(path, "/v1/completions");
  EXPECT_EQ(outcome.pieces, 2);
  EXPECT_EQ(outcome.usage->completion, 2);
  EXPECT_TRUE(boost::json::parse(body).at("stream_options").at("include_usage").as_bool());
}

TEST(LoadClient, SpeaksChat) {
  std::string path;
  StandInServer server([&](Exchange& exchange) -> asio::awaitable<void> {
    path = exchange.path;
    co_await exchange.write(kStreamHead +
                            event(R"({"choices":[{"delta":{"role":"assistant","content":""}}]})"));
    co_await exchange.sleep(30);  // the role is no text: the first token comes only now
    co_await exchange.write(event(R"({"choices":[{"delta":{"content":"a"}}]})") +
                            event(R"({"choices":[{"delta":{},"finish_reason":"stop"}]})") + event("[DONE]") +
                            kLastChunk);
  });
  const Outcome outcome = send_to(server, Endpoint::kChat);
  ASSERT_TRUE(outcome.ok()) << outcome.error;
  EXPECT_EQ(path, "/v1/chat/completions");
  EXPECT_EQ(outcome.pieces, 1);
  EXPECT_GE(outcome.first_text_s, 0.030);
  EXPECT_FALSE(outcome.usage);
}

TEST(LoadClient, SpeaksTranslate) {
  StandInServer server([](Exchange& exchange) -> asio::awaitable<void> {
    co_await exchange.sleep(20);
    co_await exchange.write(json_answer(200, R"({"translatedText":"Bonjour"})"));
  });
  const Outcome outcome = send_to(server, Endpoint::kTranslate);
  ASSERT_TRUE(outcome.ok()) << outcome.error;
  EXPECT_GE(outcome.end_s, 0.020);
  EXPECT_FALSE(outcome.usage);
}

TEST(LoadClient, SendsTheKeyAndTheUrlsPath) {
  std::string authorization, path;
  StandInServer server([&](Exchange& exchange) -> asio::awaitable<void> {
    authorization = exchange.authorization;
    path = exchange.path;
    co_await answer_well(exchange);
  });
  ClientOptions options = options_for(server.url() + "/models/a/");
  options.shape.api_key = "secret";
  Client client(options);
  ASSERT_TRUE(client.resolve().ok());
  EXPECT_TRUE(send_one(client, {"hello", 8}).ok());
  EXPECT_EQ(authorization, "Bearer secret");
  EXPECT_EQ(path, "/models/a/generate");
}

TEST(LoadClient, AsksForTheModel) {
  StandInServer server([](Exchange& exchange) -> asio::awaitable<void> {
    EXPECT_EQ(exchange.method, "GET");
    std::string answer = json_answer(404, "{}");
    if (exchange.path == "/v1/models") answer = json_answer(200, R"({"data":[{"id":"nano"},{"id":"b"}]})");
    co_await exchange.write(answer);
  });
  Client client(options_for(server.url()));
  ASSERT_TRUE(client.resolve().ok());
  const base::Result<std::string> model = ask_model(client);
  ASSERT_TRUE(model.ok()) << model.status().message();
  EXPECT_EQ(model.value(), "nano");
  Client lost(options_for(server.url() + "/elsewhere"));
  ASSERT_TRUE(lost.resolve().ok());
  EXPECT_FALSE(ask_model(lost).ok());
}

TEST(LoadClient, KeepsItsConnection) {
  StandInServer server(answer_well);
  Client client(options_for(server.url()));
  ASSERT_TRUE(client.resolve().ok());
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(send_one(client, {"hello", 8}).ok());
  EXPECT_EQ(client.connections_opened(), 1);
  EXPECT_EQ(server.requests(), 5);
}

TEST(LoadClient, OpensAnotherWhenTheServerClosedTheKeptOne) {
  StandInServer server([](Exchange& exchange) -> asio::awaitable<void> {
    co_await answer_well(exchange);
    if (exchange.number == 0) exchange.close();
  });
  Client client(options_for(server.url()));
  ASSERT_TRUE(client.resolve().ok());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(send_one(client, {"hello", 8}).ok()) << i;
  EXPECT_EQ(client.connections_opened(), 2);
}

TEST(LoadClient, ObeysConnectionClose) {
  StandInServer server([](Exchange& exchange) -> asio::awaitable<void> {
    co_await exchange.write(json_answer(200, R"({"translatedText":"a"})", "Connection: close\r\n"));
    exchange.close();
  });
  Client client(options_for(server.url(), Endpoint::kTranslate));
  ASSERT_TRUE(client.resolve().ok());
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(send_one(client, {"hello", 8}).ok());
  EXPECT_EQ(client.connections_opened(), 2);
}

TEST(LoadClient, ReadsAStreamThatEndsWithItsConnection) {
  StandInServer server([](Exchange& exchange) -> asio::awaitable<void> {
    co_await exchange.write(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n"
        "data: {\"text\":\"a\"}\r\n\r\ndata: {\"text\":\"\",\"finish_reason\":\"stop\"}\r\n\r\n");
    exchange.close();
  });
  EXPECT_TRUE(send_to(server).ok());
}

TEST(LoadClient, ReadsAStreamByteByByte) {
  StandInServer server([](Exchange& exchange) -> asio::awaitable<void> {
    const std::string all = kStreamHead + event(R"({"text":"é"})") + generate_end(2, 1);
    exchange.socket.set_option(asio::ip::tcp::no_delay(true));
    for (const char byte : all) co_await exchange.write(std::string(1, byte));
  });
  const Outcome outcome = send_to(server);
  ASSERT_TRUE(outcome.ok()) << outcome.error;
  EXPECT_EQ(outcome.pieces, 1);
  EXPECT_EQ(outcome.usage->prompt, 2);
}

TEST(LoadClient, ReportsARefusal) {
  StandInServer server([](Exchange& exchange) -> asio::awaitable<void> {
    co_await exchange.write(
        json_answer(429, R"({"error":{"code":429,"message":"too many requests"}})", "Retry-After: 1\r\n"));
  });
  const Outcome outcome = send_to(server);
  EXPECT_EQ(outcome.failure, "429");
  EXPECT_EQ(outcome.error, "too many requests");
}

TEST(LoadClient, ReportsAnErrorInsideTheStream) {
  StandInServer server([](Exchange& exchange) -> asio::awaitable<void> {
    co_await exchange.write(kStreamHead + event(R"({"text":"a"})") +
                            event(R"({"error":{"message":"the engine stopped"}})") + kLastChunk);
  });
  const Outcome outcome = send_to(server);
  EXPECT_EQ(outcome.failure, "answer");
  EXPECT_EQ(outcome.error, "the engine stopped");
}

TEST(LoadClient, ReportsACutStream) {
  StandInServer server([](Exchange& exchange) -> asio::awaitable<void> {
    co_await exchange.write(kStreamHead + event(R"({"text":"a"})"));
    exchange.close();
  });
  EXPECT_EQ(send_to(server).failure, "cut");
}

TEST(LoadClient, ReportsAStreamThatEndsWithoutItsEnd) {
  StandInServer server([](Exchange& exchange) -> asio::awaitable<void> {
    co_await exchange.write(kStreamHead + event(R"({"text":"a"})") + kLastChunk);
  });
  const Outcome outcome = send_to(server);
  EXPECT_EQ(outcome.failure, "cut");
  EXPECT_THAT(outcome.error, HasSubstr("finish reason"));
}

TEST(LoadClient, ReportsAConnectionThatIsClosedAtOnce) {
  StandInServer server([](Exchange& exchange) -> asio::awaitable<void> {
    exchange.close();
    co_return;
  });
  EXPECT_EQ(send_to(server).failure, "cut");
  EXPECT_EQ(server.requests(), 1);  // a new connection that breaks is not tried again
}

TEST(LoadClient, ReportsGarbage) {
  for (const std::string& garbage :
       {std::string("SSH-2.0-OpenSSH\r\n\r\n"), json_answer(200, R"({"text":"whole"})"),
        kStreamHead + event("no json") + kLastChunk, kStreamHead + event("[1, 2]") + kLastChunk,
        kStreamHead + "xyz\r\n"}) {
    StandInServer server([garbage](Exchange& exchange) -> asio::awaitable<void> {
      co_await exchange.write(garbage);
      exchange.close();
    });
    const Outcome outcome = send_to(server);
    EXPECT_EQ(outcome.failure, "answer") << garbage << outcome.error;
    EXPECT_FALSE(outcome.error.empty());
  }
}

TEST(LoadClient, ReportsATranslationWithoutText) {
  StandInServer server([](Exchange& exchange) -> asio::awaitable<void> {
    co_await exchange.write(json_answer(200, R"({"translated":"a"})"));
  });
  EXPECT_EQ(send_to(server, Endpoint::kTranslate).failure, "answer");
}

TEST(LoadClient, GivesUpOnAServerThatNeverAnswers) {
  for (const bool begins : {false, true}) {
    StandInServer server([begins](Exchange& exchange) -> asio::awaitable<void> {
      if (begins) co_await exchange.write(kStreamHead + event(R"({"text":"a"})"));
      co_await exchange.sleep(60'000);
    });
    ClientOptions options = options_for(server.url());
    options.timeout = std::chrono::milliseconds(100);
    Client client(options);
    ASSERT_TRUE(client.resolve().ok());
    const auto start = std::chrono::steady_clock::now();
    const Outcome outcome = send_one(client, {"hello", 8});
    EXPECT_EQ(outcome.failure, "timeout");
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
  }
}

TEST(LoadClient, TheTimeOfOneRequestIsNotTheNextOnes) {
  StandInServer server([](Exchange& exchange) -> asio::awaitable<void> {
    co_await exchange.sleep(120);
    co_await answer_well(exchange);
  });
  ClientOptions options = options_for(server.url());
  options.timeout = std::chrono::milliseconds(300);
  Client client(options);
  ASSERT_TRUE(client.resolve().ok());
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(send_one(client, {"hello", 8}).ok()) << i;
  EXPECT_EQ(client.connections_opened(), 1);
}

TEST(LoadClient, ReportsThatNobodyListens) {
  std::string url;
  {
    StandInServer gone(answer_well);
    url = gone.url();
  }
  Client client(options_for(url));
  ASSERT_TRUE(client.resolve().ok());
  const Outcome outcome = send_one(client, {"hello", 8});
  EXPECT_EQ(outcome.failure, "connect");
  EXPECT_THAT(outcome.error, HasSubstr("refused"));
}

TEST(LoadClient, NamesAHostThatHasNoAddress) {
  Client client(options_for("http://host.invalid:1"));
  const base::Status status = client.resolve();
  EXPECT_EQ(status.code(), base::Code::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("host.invalid"));
}

}  // namespace
}  // namespace pagoda::load
