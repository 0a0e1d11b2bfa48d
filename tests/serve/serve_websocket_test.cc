// /ws: translations over a WebSocket, and what clients do wrong with it.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <future>

#include "http_client.h"
#include "running_server.h"
#include "ws_client.h"

namespace pagoda::serve {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

// One sentence whose translation takes the tiny model a second or more: answers may be four times as long.
std::string long_text() {
  std::string text;
  for (int i = 0; i < 900; ++i) text += "word" + std::to_string(i) + " ";
  return text;
}

// The only message that is expected now.
boost::json::object reply(WsClient& client) {
  std::optional<boost::json::object> message = client.receive();
  EXPECT_TRUE(message.has_value());
  return message.value_or(boost::json::object());
}

void expect_error(const boost::json::object& message, const std::string& id, int code,
                  const std::string& part) {
  ASSERT_EQ(text_of(message, "type"), "error") << boost::json::serialize(message);
  EXPECT_EQ(text_of(message, "id"), id);
  const boost::json::object& error = message.at("error").as_object();
  EXPECT_EQ(error.at("code").as_int64(), code);
  EXPECT_FALSE(text_of(error, "type").empty());
  EXPECT_THAT(text_of(error, "message"), HasSubstr(part));
}

TEST(WebSocket, ATranslationStartsGrowsAndIsDone) {
  RunningServer running;
  WsClient client(running.port());
  ASSERT_EQ(client.status(), 101);
  // Long enough to grow while it is read, however fast the tiny model is.
  client.translate("a1", "The weather is fine and the children play in the garden with " + long_text());
  const boost::json::object start = reply(client);
  EXPECT_EQ(text_of(start, "type"), "start");
  EXPECT_EQ(text_of(start, "id"), "a1");
  EXPECT_EQ(text_of(start, "from"), "en");
  EXPECT_GT(start.at("confidence").to_number<double>(), 0.5);
  const Heard heard = hear(client, 1)["a1"];
  EXPECT_EQ(heard.type(), "done");
  EXPECT_GE(heard.deltas, 1);
  EXPECT_EQ(heard.text, text_of(heard.end, "text"));
  EXPECT_EQ(text_of(heard.end, "from"), "en");
  EXPECT_TRUE(heard.end.at("problems").is_array());
  EXPECT_TRUE(heard.end.at("retried").is_bool());
  EXPECT_GT(heard.end.at("usage").at("prompt_tokens").as_int64(), 10);
  EXPECT_GT(heard.end.at("usage").at("completion_tokens").as_int64(), 1);
  EXPECT_TRUE(heard.end.at("usage").at("cached_tokens").is_int64());
  const double whole = heard.end.at("generation_time").to_number<double>();
  const double first = heard.end.at("time_to_first_token").to_number<double>();
  EXPECT_GT(first, 0);
  EXPECT_LE(first, whole);
  EXPECT_GT(heard.end.at("tokens_per_second").to_number<double>(), 0);
  const std::string finish = text_of(heard.end, "finish_reason");
  EXPECT_TRUE(finish == "stop" || finish == "length") << finish;
}

TEST(WebSocket, ALanguageThatIsGivenIsNotDetected) {
  RunningServer running;
  WsClient client(running.port());
  client.translate("a", "Guten Tag", R"(,"from":"nl")");
  const boost::json::object start = reply(client);
  EXPECT_EQ(text_of(start, "from"), "nl");
  EXPECT_EQ(start.at("confidence").to_number<double>(), 1);
}

TEST(WebSocket, LineBreaksComeBack) {
  RunningServer running;
  WsClient client(running.port());
  const std::string text = "\n  First line.\r\n\r\nSecond line.\n\tThird\n\n";
  client.translate("a", text);
  const Heard heard = hear(client, 1)["a"];
  ASSERT_EQ(heard.type(), "done");
  EXPECT_EQ(heard.text, text_of(heard.end, "text"));
  const std::string& out = heard.text;
  EXPECT_TRUE(out.starts_with("\n  ")) << out;
  EXPECT_TRUE(out.ends_with("\n\n")) << out;
  EXPECT_THAT(out, HasSubstr("\r\n\r\n"));
  EXPECT_THAT(out, HasSubstr("\n\t"));
  client.translate("empty", "");
  client.translate("blank", " \n ");
  std::map<std::string, Heard> both = hear(client, 2);
  EXPECT_EQ(text_of(both["empty"].end, "text"), "");
  EXPECT_EQ(both["blank"].text, " \n ");
  EXPECT_EQ(both["blank"].end.at("usage").at("prompt_tokens").as_int64(), 0);
}

TEST(WebSocket, SeveralAtOnceDoNotMix) {
  RunningServer running;
  const auto text = [](int i) {
    return "Sentence number " + std::to_string(i) + " of the list.\nAnd line " + std::to_string(i * 7) + ".";
  };
  std::vector<std::string> alone(20);
  for (int i = 0; i < 20; ++i) {
    WsClient client(running.port());
    client.translate("x", text(i));
    alone[static_cast<std::size_t>(i)] = text_of(hear(client, 1)["x"].end, "text");
  }
  WsClient client(running.port());
  for (int i = 0; i < 20; ++i) client.translate("id" + std::to_string(i), text(i));
  std::map<std::string, Heard> all = hear(client, 20);
  ASSERT_EQ(all.size(), 20u);
  for (int i = 0; i < 20; ++i) {
    const Heard& heard = all["id" + std::to_string(i)];
    EXPECT_EQ(heard.type(), "done") << i;
    EXPECT_EQ(heard.types.front(), "start") << i;
    EXPECT_EQ(heard.text, text_of(heard.end, "text")) << i;
    EXPECT_EQ(heard.text, alone[static_cast<std::size_t>(i)]) << i;
  }
  EXPECT_TRUE(eventually([&] { return running.idle(); }));
}

TEST(WebSocket, ACancelEndsOneTranslation) {
  RunningServer running;
  WsClient client(running.port());
  client.translate("long", long_text());
  client.translate("short", "Hello there.");
  EXPECT_EQ(text_of(reply(client), "type"), "start");
  ASSERT_TRUE(eventually([&] { return running.engine().stats().running > 0; }));
  client.send(R"({"type":"cancel","id":"long"})");
  client.send(R"({"type":"cancel","id":"long"})");   // twice is once
  client.send(R"({"type":"cancel","id":"other"})");  // it may just have ended
  std::map<std::string, Heard> all = hear(client, 2);
  EXPECT_EQ(all["long"].type(), "cancelled");
  EXPECT_EQ(all["short"].type(), "done");
  EXPECT_TRUE(eventually([&] { return running.idle(); }));
  EXPECT_EQ(running.engine().stats().finished[static_cast<int>(engine::FinishReason::kCancelled)], 1);
  client.translate("long", "Hello again.");  // the id is free again
  EXPECT_EQ(hear(client, 1)["long"].type(), "done");
}

TEST(WebSocket, WhatIsWrongIsSaidAndTheSocketGoesOn) {
  RunningServer running;
  WsClient client(running.port());
  const std::string far(200, 'i');
  const struct {
    std::string message, id, part;
  } cases[] = {
      {"", "", "empty"},
      {"{", "", "not valid JSON"},
      {"[1]", "", "an array"},
      {"{}", "", R"(type is "")"},
      {R"({"type": 3})", "", "type is a number"},
      {R"({"type": "fly", "id": "x"})", "x", R"(type is "fly")"},
      {R"({"type": "translate", "id": 7, "text": "x", "to": "fr"})", "", "id is a number"},
      {R"({"type": "translate", "id": "x", "to": "fr"})", "x", "text is missing"},
      {R"({"type": "translate", "id": "x", "text": "x"})", "x", "target language is missing"},
      {R"({"type": "translate", "id": "x", "text": "x", "to": "tlh"})", "x", "tlh"},
      {R"({"type": "translate", "id": "x", "text": ["x"], "to": "fr"})", "x", "text is an array"},
      {R"({"type": "translate", "id": "x", "text": "x", "to": "fr", "temperature": -1})", "x",
       "temperature is -1"},
      {R"({"type": "translate", "id": "x", "text": "x", "to": "fr", "glossary": [1]})", "x", "glossary[0]"},
      {R"({"type": "translate", "id": "x", "text": "x", "to": "fr", "seed": "a"})", "x", "seed is a string"},
      {R"({"type": "translate", "text": "x", "to": "fr", "id": ")" + far + "\"}", "",
       "id is longer than 128"},
  };
  for (const auto& c : cases) {
    client.send(c.message);
    expect_error(reply(client), c.id, 400, c.part);
  }
  client.send(R"({"type":"ping"})");
  EXPECT_EQ(boost::json::serialize(reply(client)), R"({"type":"pong"})");
  EXPECT_EQ(running.engine().stats().steps, 0);
}

// Answers wait in memory until the client takes them: they must not be as large as what it sent.
TEST(WebSocket, AnErrorDoesNotRepeatWhatIsLong) {
  RunningServer running;
  WsClient client(running.port());
  const std::string large(100000, 'x');
  for (const std::string& message :
       {R"({"type": ")" + large + "\"}", R"({"type": "fly", "id": ")" + large + "\"}",
        R"({"type": "translate", "text": "x", "to": ")" + large + "\"}",
        R"({"type": "translate", "text": "x", "to": "fr", "id": ")" + large + "\"}"}) {
    client.send(message);
    const boost::json::object error = reply(client);
    EXPECT_EQ(text_of(error, "type"), "error");
    EXPECT_LT(boost::json::serialize(error).size(), 1000u);
  }
}

TEST(WebSocket, AnIdBelongsToOneTranslationAtATime) {
  RunningServer running;
  WsClient client(running.port());
  client.translate("a", long_text());
  EXPECT_EQ(text_of(reply(client), "type"), "start");
  client.translate("a", "Hello.");
  while (true) {
    const boost::json::object message = reply(client);
    if (text_of(message, "type") == "delta") continue;
    expect_error(message, "a", 400, "a translation with this id is running");
    break;
  }
}

TEST(WebSocket, TextsWithoutRoomAreRefused) {
  RunningServer running;
  WsClient client(running.port());
  std::string text;
  for (int i = 0; i < 70000; ++i) text += " 1";
  client.translate("a", text);
  expect_error(reply(client), "a", 400, "65536");
  RunningOptions options;
  options.limits.max_text_bytes = 100;
  RunningServer small(options);
  WsClient other(small.port());
  other.translate("a", std::string(101, 'x'));
  expect_error(reply(other), "a", 400, "the limit is 100");
  other.translate("b", "short", R"(,"context":")" + std::string(101, 'x') + "\"");
  expect_error(reply(other), "b", 400, "the limit is 100");
}

TEST(WebSocket, TooManyAtOnceAre429) {
  RunningServer running;
  WsClient client(running.port());
  const std::string text = long_text().substr(0, 3000);
  int sent = 0, starts = 0, refused = 0;
  while (starts + refused < 300) {
    // As many as both sides' buffers hold: who only sends would wait for the server, and that for the client.
    if (sent == starts + refused)
      for (const int end = sent + 20; sent < end; ++sent) client.translate(std::to_string(sent), text);
    const boost::json::object message = reply(client);
    const std::string type = text_of(message, "type");
    ASSERT_NE(type, "");
    ASSERT_NE(type, "done");  // they take too long for that
    starts += type == "start";
    if (type != "error") continue;
    ++refused;
    EXPECT_EQ(message.at("error").at("code").as_int64(), 429);
    EXPECT_EQ(text_of(message.at("error").as_object(), "type"), "rate_limit_error");
  }
  EXPECT_EQ(starts, 256);
  EXPECT_EQ(refused, 44);
  client.drop();
  EXPECT_TRUE(eventually([&] { return running.idle(); }));
}

TEST(WebSocket, AFullQueueIs429ForANewClient) {
  RunningOptions options;
  options.max_waiting = 1;
  RunningServer running(options);
  std::vector<std::unique_ptr<HttpClient>> others;
  for (int i = 0; i < 9; ++i) {
    others.push_back(std::make_unique<HttpClient>(running.port()));
    others.back()->send(HttpClient::message("POST", "/generate", kEndless));
    ASSERT_TRUE(eventually([&] {
      const engine::Stats stats = running.engine().stats();
      return stats.running + stats.waiting == i + 1 && (i >= 8 || stats.waiting == 0);
    })) << i;
  }
  WsClient client(running.port());
  client.translate("a", "Hello.");
  const Heard heard = hear(client, 1)["a"];
  expect_error(heard.end, "a", 429, "");
  for (auto& other : others) other->close();
  ASSERT_TRUE(eventually([&] { return running.idle(); }));
  client.translate("a", "Hello.");
  EXPECT_EQ(hear(client, 1)["a"].type(), "done");
}

TEST(WebSocket, ABinaryMessageEndsIt) {
  RunningServer running;
  WsClient client(running.port());
  client.send_binary(R"({"type":"ping"})");
  EXPECT_FALSE(client.receive().has_value());
  EXPECT_EQ(client.close_code(), 1003);
  EXPECT_TRUE(eventually([&] { return running.connections() == 0; }));
}

TEST(WebSocket, AMessageThatIsTooLargeEndsIt) {
  RunningOptions options;
  options.server.session.body_bytes = 10000;
  RunningServer running(options);
  WsClient client(running.port());
  client.send("{\"type\":\"ping\",\"x\":\"" + std::string(9000, 'x') + "\"}");
  EXPECT_EQ(text_of(reply(client), "type"), "pong");
  client.send("{\"type\":\"ping\",\"x\":\"" + std::string(11000, 'x') + "\"}");
  EXPECT_FALSE(client.receive().has_value());
  EXPECT_EQ(client.close_code(), 1009);
  EXPECT_TRUE(eventually([&] { return running.connections() == 0; }));
}

TEST(WebSocket, WhatIsNoFrameEndsIt) {
  RunningServer running;
  for (const std::string& bytes : {std::string(14, '\xff'), std::string("GET / HTTP/1.1\r\n\r\n"),
                                   std::string("\x81\x05hello", 7),                // not masked
                                   std::string("\x81\x82\0\0\0\0\xc3\x28", 8)}) {  // not UTF-8
    WsClient client(running.port());
    client.translate("a", long_text());
    client.send_raw(bytes);
    while (client.receive()) {
    }
    client.drop();
    EXPECT_TRUE(eventually([&] { return running.connections() == 0 && running.idle(); }));
  }
}

TEST(WebSocket, AClientThatLeavesFreesEverything) {
  RunningServer running;
  for (const bool politely : {false, true}) {
    WsClient client(running.port());
    for (int i = 0; i < 30; ++i) client.translate(std::to_string(i), long_text());
    ASSERT_TRUE(eventually([&] { return running.engine().stats().running > 4; }));
    if (politely)
      client.close();
    else
      client.drop();
    EXPECT_TRUE(eventually([&] { return running.idle() && running.connections() == 0; }));
    EXPECT_EQ(running.engine().stats().kv_blocks_used, 0);
  }
}

TEST(WebSocket, AClientThatDoesNotReadHoldsNobodyUp) {
  RunningOptions options;
  options.server.session.idle_timeout = milliseconds(1500);
  RunningServer running(options);
  WsClient sleeper(running.port(), "/ws", {}, 2048);
  for (int i = 0; i < 50; ++i) sleeper.translate(std::to_string(i), long_text());
  ASSERT_TRUE(eventually([&] { return running.engine().stats().running > 4; }));
  WsClient other(running.port());
  other.translate("a", "Hello there, how are you?");
  EXPECT_EQ(hear(other, 1)["a"].type(), "done");
  other.drop();
  // It answers no ping either, so it is dropped in the end.
  EXPECT_TRUE(eventually([&] { return running.connections() == 0 && running.idle(); }));
}

TEST(WebSocket, ADrainLetsTranslationsEndAndTakesNoNewOnes) {
  RunningServer running;
  WsClient client(running.port()), silent(running.port());
  client.translate("a", long_text());
  EXPECT_EQ(text_of(reply(client), "type"), "start");
  auto stopped = std::async(std::launch::async, [&] { running.server().stop(milliseconds(120000)); });
  ASSERT_TRUE(eventually([&] { return running.service().gate.closed(); }));
  client.translate("b", "Hello.");
  std::map<std::string, Heard> all = hear(client, 2);
  EXPECT_EQ(all["a"].type(), "done");
  EXPECT_EQ(all["a"].text, text_of(all["a"].end, "text"));
  expect_error(all["b"].end, "b", 503, "shutting down");
  for (WsClient* each : {&client, &silent}) {
    EXPECT_FALSE(each->receive().has_value());
    EXPECT_EQ(each->close_code(), 1001);
  }
  stopped.get();
  EXPECT_EQ(running.connections(), 0u);
}

TEST(WebSocket, ADrainThatIsOverEndsIt) {
  RunningServer running;
  WsClient client(running.port());
  for (int i = 0; i < 30; ++i) client.translate(std::to_string(i), long_text());
  ASSERT_TRUE(eventually([&] { return running.engine().stats().running > 4; }));
  auto read = std::async(std::launch::async, [&] {
    while (client.receive()) {
    }
  });
  const auto start = std::chrono::steady_clock::now();
  running.server().stop(milliseconds(50));
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(10));
  read.get();
  EXPECT_TRUE(eventually([&] { return running.idle(); }));
}

TEST(WebSocket, TheKeyMayStandInTheAddress) {
  RunningOptions options;
  options.door.keys = AccessKeys::make({"k1", "k2"}).value();
  RunningServer running(options);
  EXPECT_EQ(WsClient(running.port()).status(), 401);
  EXPECT_EQ(WsClient(running.port(), "/ws?token=k3").status(), 401);
  EXPECT_EQ(WsClient(running.port(), "/ws?token=k1").status(), 101);
  EXPECT_EQ(WsClient(running.port(), "/ws", {{"Authorization", "Bearer k2"}}).status(), 101);
}

TEST(WebSocket, PagesOfOtherOriginsAreRefused) {
  RunningOptions options;
  options.door.cors = CorsPolicy({"https://good.example"});
  RunningServer running(options);
  EXPECT_EQ(WsClient(running.port()).status(), 101);  // no browser
  EXPECT_EQ(WsClient(running.port(), "/ws", {{"Origin", "https://good.example"}}).status(), 101);
  EXPECT_EQ(WsClient(running.port(), "/ws", {{"Origin", "https://evil.example"}}).status(), 403);
}

TEST(WebSocket, OnlyItsPathIsOne) {
  RunningServer running;
  EXPECT_EQ(WsClient(running.port(), "/nothing").status(), 404);
  EXPECT_EQ(WsClient(running.port(), "/generate").status(), 405);
  EXPECT_EQ(WsClient(running.port(), "/health").status(), 200);  // an upgrade may be ignored
  HttpClient plain(running.port());
  EXPECT_EQ(plain.request("GET", "/ws").status, 426);
  // An upgrade without a key of its own is refused, and counted as such.
  plain.send("GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
  EXPECT_EQ(plain.receive().status, 400);
  HttpClient other(running.port());
  EXPECT_TRUE(eventually([&] {
    return other.request("GET", "/metrics").body.find(R"(route="/ws",status="400"} 1)") != std::string::npos;
  }));
}

}  // namespace
}  // namespace pagoda::serve
