// POST /generate from end to end.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <vector>

#include "engine/generate.h"
#include "http_client.h"
#include "running_server.h"

namespace pagoda::serve {
namespace {

using ::testing::HasSubstr;

std::string text_of(const Reply& reply) {
  EXPECT_EQ(reply.status, 200) << reply.body;
  const boost::json::value body = boost::json::parse(reply.body);
  return std::string(body.at("text").as_string());
}

TEST(Generate, AnswersWithTextTimeAndUsage) {
  RunningServer running;
  HttpClient client(running.port());
  const Reply reply = client.generate(R"({"prompt": "Hello", "max_tokens": 12, "unknown": {"field": 1}})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  const boost::json::value body = boost::json::parse(reply.body);
  EXPECT_GT(body.at("generation_time").as_double(), 0);
  EXPECT_GT(body.at("tokens_per_second").as_double(), 0);
  EXPECT_EQ(body.at("finish_reason").as_string(), "length");
  EXPECT_EQ(body.at("usage").at("completion_tokens").as_int64(), 12);
  EXPECT_EQ(body.at("usage").at("cached_tokens").as_int64(), 0);

  // The same as the engine says for the prompt in the model's template.
  engine::Request request;
  const auto ids =
      running.engine().chat_template().render(running.engine().tokenizer(), {{text::Role::kUser, "Hello"}});
  ASSERT_TRUE(ids.ok());
  request.prompt = ids.value();
  request.max_tokens = 12;
  const base::Result<engine::Completion> expected = engine::generate(running.engine(), request);
  ASSERT_TRUE(expected.ok());
  EXPECT_EQ(body.at("text").as_string(), expected.value().text);
  EXPECT_EQ(body.at("usage").at("prompt_tokens").as_int64(), static_cast<std::int64_t>(ids.value().size()));
}

TEST(Generate, SpecialTokensAreTextUnlessRaw) {
  RunningServer running;
  HttpClient client(running.port());
  const auto prompt_tokens = [&](const char* body) {
    return boost::json::parse(client.generate(body).body).at("usage").at("prompt_tokens").as_int64();
  };
  EXPECT_EQ(prompt_tokens(R"({"prompt": "<｜hy_User｜>", "raw": true, "max_tokens": 1})"), 1);
  EXPECT_GT(prompt_tokens(R"({"prompt": "<｜hy_User｜>", "max_tokens": 1})"), 4);
}

TEST(Generate, SamplingIsByTheSeed) {
  RunningServer running;
  HttpClient client(running.port());
  const auto text = [&](const std::string& more) {
    return text_of(client.generate(R"({"prompt": "x", "max_tokens": 40)" + more + "}"));
  };
  EXPECT_EQ(text(""), text(R"(, "temperature": 0, "seed": 5)"));
  EXPECT_EQ(text(R"(, "temperature": 1, "seed": 5)"), text(R"(, "temperature": 1.0, "seed": 5)"));
  EXPECT_NE(text(R"(, "temperature": 1, "seed": 5)"), text(R"(, "temperature": 1, "seed": 6)"));
  EXPECT_NE(text(R"(, "temperature": 1)"), text(R"(, "temperature": 1)"));  // each its own seed
}

TEST(Generate, StopStringsEndTheAnswer) {
  RunningServer running;
  HttpClient client(running.port());
  const std::string whole =
      text_of(client.generate(R"({"prompt": "x", "max_tokens": 40, "seed": 3, "temperature": 1})"));
  std::size_t at = whole.size() / 2;
  while (at < whole.size() && static_cast<unsigned char>(whole[at]) >= 0x80) ++at;  // an ASCII character
  ASSERT_LT(at, whole.size());
  const std::string stop = whole.substr(at, 1);
  const Reply reply =
      client.generate(R"({"prompt": "x", "max_tokens": 40, "seed": 3, "temperature": 1, "stop": )" +
                      boost::json::serialize(boost::json::string(stop)) + "}");
  EXPECT_EQ(text_of(reply), whole.substr(0, whole.find(stop)));
  EXPECT_THAT(reply.body, HasSubstr(R"("finish_reason":"stop")"));
}

TEST(Generate, WhatIsWrongIsNamed) {
  RunningServer running;
  HttpClient client(running.port());
  const std::pair<const char*, const char*> cases[] = {
      {"", "the body is empty"},
      {R"({"prompt": "x", })", "not valid JSON at byte"},
      {R"(["prompt"])", "the body is an array"},
      {"{\"prompt\": \"\xff\"}", "not UTF-8: byte 12"},
      {R"({})", "prompt is missing"},
      {R"({"prompt": null})", "prompt is missing"},
      {R"({"prompt": ""})", "prompt is empty"},
      {R"({"prompt": ["x"]})", "prompt is an array, it must be a string"},
      {R"({"prompt": "x", "temperature": -1})", "temperature is -1"},
      {R"({"prompt": "x", "temperature": 1e300})", "temperature is 1e+300"},
      {R"({"prompt": "x", "max_tokens": 0})", "max_tokens is 0"},
      {R"({"prompt": "x", "max_tokens": 1e6})", "65536"},
      {R"({"prompt": "x", "stop": ["a", 1]})", "stop[1] is a number"},
      {R"({"prompt": "x", "stop": ""})", "stop holds an empty string"},
  };
  for (const auto& [body, message] : cases) {
    const Reply reply = client.generate(body);
    EXPECT_EQ(reply.status, 400) << body;
    EXPECT_THAT(reply.body, HasSubstr(message)) << body;
  }
  EXPECT_EQ(client.generate(R"({"prompt": "x", "max_tokens": 1})").status, 200);
}

TEST(Generate, ALongPromptIsRefusedWithItsLength) {
  RunningServer running;
  HttpClient client(running.port());
  std::string prompt;
  for (int i = 0; i < 70000; ++i) prompt += " 1";
  const Reply reply = client.generate(R"({"prompt": ")" + prompt + "\"}");
  EXPECT_EQ(reply.status, 400);
  EXPECT_THAT(reply.body, HasSubstr("65536"));
}

TEST(Generate, SixteenAtATime) {
  RunningServer running;
  std::vector<std::string> alone(16), together(16);
  const auto body = [](int i) {
    return R"({"prompt": "Number )" + std::to_string(i) +
           R"(", "max_tokens": 64, "temperature": 0.7, "seed": 9})";
  };
  for (int i = 0; i < 16; ++i) alone[i] = text_of(HttpClient(running.port()).generate(body(i)));
  std::vector<std::thread> clients;
  for (int i = 0; i < 16; ++i)
    clients.emplace_back([&, i] { together[i] = text_of(HttpClient(running.port()).generate(body(i))); });
  for (std::thread& client : clients) client.join();
  for (int i = 0; i < 16; ++i) EXPECT_EQ(alone[i], together[i]) << i;
  EXPECT_TRUE(eventually([&] { return running.idle(); }));
}

TEST(Generate, AClientThatLeavesCancelsItsRequest) {
  RunningServer running;
  HttpClient client(running.port());
  client.send(std::string("POST /generate HTTP/1.1\r\nContent-Length: ") +
              std::to_string(std::string(kEndless).size()) + "\r\n\r\n" + kEndless);
  ASSERT_TRUE(eventually([&] { return running.engine().stats().running == 1; }));
  client.close();
  EXPECT_TRUE(eventually([&] { return running.idle(); }));
  EXPECT_EQ(running.engine().stats().finished[static_cast<int>(engine::FinishReason::kCancelled)], 1);
  EXPECT_TRUE(eventually([&] { return running.connections() == 0; }));
}

TEST(Generate, HalfAnotherRequestIsNoDisconnect) {
  RunningServer running;
  HttpClient client(running.port());
  const std::string body = R"({"prompt": "x", "max_tokens": 400})";
  client.send("POST /generate HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
              body + "GET /hea");
  EXPECT_EQ(client.receive().status, 200);
  client.send("lth HTTP/1.1\r\n\r\n");
  EXPECT_EQ(client.receive().status, 200);
}

TEST(Generate, AFullQueueIs429) {
  RunningOptions options;
  options.max_waiting = 1;
  RunningServer running(options);
  std::vector<std::unique_ptr<HttpClient>> clients;
  const std::string message =
      "POST /generate HTTP/1.1\r\nContent-Length: " + std::to_string(std::string(kEndless).size()) +
      "\r\n\r\n" + kEndless;
  // Eight run, one waits.
  for (int i = 0; i < 9; ++i) {
    clients.push_back(std::make_unique<HttpClient>(running.port()));
    clients.back()->send(message);
    ASSERT_TRUE(eventually([&] {
      const engine::Stats stats = running.engine().stats();
      return stats.running + stats.waiting == i + 1 && (i >= 8 || stats.waiting == 0);
    })) << i;
  }
  HttpClient client(running.port());
  const Reply reply = client.generate(kEndless);
  EXPECT_EQ(reply.status, 429) << reply.body;
  EXPECT_TRUE(reply.has("Retry-After: 1")) << reply.head;
  EXPECT_THAT(reply.body, HasSubstr("rate_limit_error"));
  for (auto& other : clients) other->close();
  EXPECT_TRUE(eventually([&] { return running.idle(); }));
  EXPECT_EQ(client.generate(R"({"prompt": "x", "max_tokens": 1})").status, 200);
}

}  // namespace
}  // namespace pagoda::serve
