// Answers that are written while they are made: events, pings, and clients that leave or do not read.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <future>

#include "http_client.h"
#include "running_server.h"

namespace pagoda::serve {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

const char* const kEndlessStream =
    R"({"prompt": "a", "temperature": 1, "seed": 1, "max_tokens": 60000, "stream": true})";

std::string endless_stream() { return HttpClient::message("POST", "/generate", kEndlessStream); }

// The data of each event, in order; comments are left out.
std::vector<std::string> events(const std::string& body) {
  std::vector<std::string> list;
  std::size_t at = 0;
  while (at < body.size()) {
    const std::size_t end = body.find("\n\n", at);
    EXPECT_NE(end, std::string::npos) << "an event without an end: " << body.substr(at);
    if (end == std::string::npos) break;
    const std::string event = body.substr(at, end - at);
    if (!event.starts_with(":")) {
      EXPECT_TRUE(event.starts_with("data: ")) << event;
      EXPECT_EQ(event.find('\n'), std::string::npos) << event;
      list.push_back(event.substr(6));
    }
    at = end + 2;
  }
  return list;
}

TEST(Stream, IsTheWholeAnswerInPieces) {
  RunningServer running;
  HttpClient client(running.port());
  const std::string fields = R"("prompt": "Hello", "max_tokens": 200, "temperature": 1, "seed": 4)";
  const Reply whole = client.generate("{" + fields + "}");
  const Reply reply = client.generate("{" + fields + R"(, "stream": true})");
  ASSERT_EQ(reply.status, 200) << reply.body;
  EXPECT_TRUE(reply.has("Content-Type: text/event-stream")) << reply.head;
  EXPECT_TRUE(reply.has("Cache-Control: no-cache")) << reply.head;
  EXPECT_TRUE(reply.has("X-Accel-Buffering: no")) << reply.head;
  EXPECT_TRUE(reply.has("X-Request-Id: ")) << reply.head;
  EXPECT_TRUE(reply.has("Transfer-Encoding: chunked")) << reply.head;
  EXPECT_FALSE(reply.has("Content-Length")) << reply.head;
  const std::vector<std::string> list = events(reply.body);
  ASSERT_GE(list.size(), 3u);
  EXPECT_EQ(list.back(), "[DONE]");
  std::string text;
  for (std::size_t i = 0; i + 2 < list.size(); ++i) {
    const boost::json::value event = boost::json::parse(list[i]);
    EXPECT_EQ(event.as_object().size(), 1u) << list[i];
    text += std::string(event.at("text").as_string());
  }
  const boost::json::value expected = boost::json::parse(whole.body);
  EXPECT_EQ(text, expected.at("text").as_string());
  const boost::json::value end = boost::json::parse(list[list.size() - 2]);
  EXPECT_EQ(end.at("text").as_string(), "");
  EXPECT_EQ(end.at("finish_reason"), expected.at("finish_reason"));
  EXPECT_EQ(end.at("usage").at("completion_tokens"), expected.at("usage").at("completion_tokens"));
  EXPECT_GT(end.at("generation_time").as_double(), 0);
  EXPECT_GT(end.at("tokens_per_second").as_double(), 0);
  // The connection goes on.
  EXPECT_EQ(client.request("GET", "/health").status, 200);
}

TEST(Stream, WhatIsWrongIsSaidBeforeItBegins) {
  RunningServer running;
  HttpClient client(running.port());
  const Reply reply = client.generate(R"({"prompt": "x", "max_tokens": 1000000, "stream": true})");
  EXPECT_EQ(reply.status, 400);
  EXPECT_TRUE(reply.has("Content-Type: application/json")) << reply.head;
}

TEST(Stream, TextComesBeforeTheEnd) {
  RunningServer running;
  HttpClient client(running.port());
  client.send(endless_stream());
  ASSERT_EQ(client.receive(/*head_only=*/true).status, 200);
  for (int i = 0; i < 3; ++i) {
    const std::optional<std::string> chunk = client.next_chunk();
    ASSERT_TRUE(chunk.has_value());
    EXPECT_THAT(*chunk, HasSubstr(R"(data: {"text":")"));
  }
  EXPECT_EQ(running.engine().stats().running, 1);
}

TEST(Stream, SaysThatItLivesWhileItWaits) {
  RunningOptions options;
  options.limits.ping_interval = milliseconds(30);
  RunningServer running(options);
  std::vector<std::unique_ptr<HttpClient>> busy;
  for (int i = 0; i < 8; ++i) {  // as many as run at a time
    busy.push_back(std::make_unique<HttpClient>(running.port()));
    busy.back()->send(HttpClient::message("POST", "/generate", kEndless));
  }
  ASSERT_TRUE(eventually([&] { return running.engine().stats().running == 8; }));
  HttpClient client(running.port());
  client.send(
      HttpClient::message("POST", "/generate", R"({"prompt": "x", "max_tokens": 3, "stream": true})"));
  ASSERT_EQ(client.receive(/*head_only=*/true).status, 200);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(client.next_chunk(), ": ping\n\n");
  for (auto& other : busy) other->close();
  std::string body;
  while (const std::optional<std::string> chunk = client.next_chunk()) body += *chunk;
  EXPECT_FALSE(client.ended_early());
  EXPECT_EQ(events(body).back(), "[DONE]");
}

TEST(Stream, AClientOfHttp10GetsPlainBytesAndTheEnd) {
  RunningServer running;
  HttpClient client(running.port());
  const std::string body = R"({"prompt": "x", "max_tokens": 20, "stream": true})";
  client.send("POST /generate HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body);
  const Reply reply = client.receive(/*head_only=*/true);
  EXPECT_EQ(reply.status, 200);
  EXPECT_TRUE(reply.head.starts_with("HTTP/1.0 ")) << reply.head;
  EXPECT_FALSE(reply.has("Transfer-Encoding")) << reply.head;
  EXPECT_FALSE(reply.has("keep-alive")) << reply.head;
  const std::vector<std::string> list = events(client.rest());
  ASSERT_GE(list.size(), 2u);
  EXPECT_EQ(list.back(), "[DONE]");
}

TEST(Stream, AClientThatLeavesFreesItsRequest) {
  RunningServer running;
  for (int i = 0; i < 5; ++i) {
    HttpClient client(running.port());
    client.send(endless_stream());
    ASSERT_EQ(client.receive(/*head_only=*/true).status, 200);
    ASSERT_TRUE(client.next_chunk().has_value());
    client.close();
    EXPECT_TRUE(eventually([&] { return running.idle(); }));
  }
  EXPECT_EQ(running.engine().stats().finished[static_cast<int>(engine::FinishReason::kCancelled)], 5);
  EXPECT_EQ(running.engine().stats().kv_blocks_used, 0);
  EXPECT_TRUE(eventually([&] { return running.connections() == 0; }));
  HttpClient after(running.port());
  EXPECT_THAT(after.request("GET", "/metrics").body,
              HasSubstr(R"(method="POST",route="/generate",status="499"} 5)"));
}

TEST(Stream, AClientThatDoesNotReadHoldsNobodyUp) {
  RunningOptions options;
  options.server.session.idle_timeout = milliseconds(1500);
  options.server.unsent_bytes = 4096;  // soon full, however slow the engine is
  RunningServer running(options);
  std::vector<std::unique_ptr<HttpClient>> sleepers;
  for (int i = 0; i < 4; ++i) {
    sleepers.push_back(std::make_unique<HttpClient>(running.port(), 2048));
    sleepers.back()->send(endless_stream());
  }
  ASSERT_TRUE(eventually([&] {  // all were heard; on a slow machine the first may be dropped by then
    const engine::Stats stats = running.engine().stats();
    return stats.running + stats.finished[static_cast<int>(engine::FinishReason::kCancelled)] == 4;
  }));
  std::vector<std::future<Reply>> others;
  for (int i = 0; i < 4; ++i)
    others.push_back(std::async(std::launch::async, [&] {
      return HttpClient(running.port()).generate(R"({"prompt": "x", "max_tokens": 100, "stream": true})");
    }));
  for (auto& other : others) EXPECT_EQ(events(other.get().body).back(), "[DONE]");
  // They are dropped when they have taken nothing for the idle timeout.
  EXPECT_TRUE(eventually([&] { return running.connections() == 0 && running.idle(); }))
      << running.connections() << " connections, " << running.engine().stats().running << " running";
}

TEST(Stream, ADrainLetsItEnd) {
  RunningServer running;
  HttpClient client(running.port());
  client.send(HttpClient::message(
      "POST", "/generate",
      R"({"prompt": "a", "temperature": 1, "seed": 1, "max_tokens": 2000, "stream": true})"));
  ASSERT_EQ(client.receive(/*head_only=*/true).status, 200);
  auto stopped = std::async(std::launch::async, [&] { running.server().stop(milliseconds(60000)); });
  std::string body;
  while (const std::optional<std::string> chunk = client.next_chunk()) body += *chunk;
  EXPECT_FALSE(client.ended_early());
  EXPECT_EQ(events(body).back(), "[DONE]");
  EXPECT_TRUE(client.at_end());
  stopped.get();
}

// Streams that write at every moment, so that the end of the server meets each of a stream's states.
TEST(Stream, ADrainThatIsOverCutsItOff) {
  for (int round = 0; round < 6; ++round) {
    RunningServer running;
    std::vector<std::unique_ptr<HttpClient>> clients;
    std::vector<std::future<bool>> cut;
    for (int i = 0; i < 8; ++i) {
      clients.push_back(std::make_unique<HttpClient>(running.port()));
      clients.back()->send(endless_stream());
      ASSERT_EQ(clients.back()->receive(/*head_only=*/true).status, 200);
      cut.push_back(std::async(std::launch::async, [client = clients.back().get()] {
        while (client->next_chunk()) {
        }
        return client->ended_early();
      }));
    }
    const auto start = std::chrono::steady_clock::now();
    running.server().stop(milliseconds(20 + round));
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5));
    // Without the last chunk, so that no client takes half an answer for a whole one.
    for (auto& one : cut) EXPECT_TRUE(one.get());
    EXPECT_TRUE(eventually([&] { return running.idle(); }));
  }
}

}  // namespace
}  // namespace pagoda::serve
