#pragma once
// A running server and a client for tests of the translation dialects. The model is random but greedy, so
// what a dialect must answer is known: the same as the translator says.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <string>
#include <vector>

#include "http_client.h"
#include "running_server.h"

namespace pagoda::serve {

inline constexpr const char* kJson = "application/json";
inline constexpr const char* kForm = "application/x-www-form-urlencoded";

class DialectServer {
 public:
  explicit DialectServer(RunningOptions options = {}) : running(std::move(options)), client(running.port()) {}

  // `headers`: whole lines with their ends.
  Reply send(const std::string& method, const std::string& path, const std::string& body = "",
             const std::string& type = kJson, const std::string& headers = "") {
    client.send(method + " " + path + " HTTP/1.1\r\nHost: test\r\nContent-Type: " + type +
                "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + headers + "\r\n" + body);
    return client.receive();
  }
  Reply post(const std::string& path, const std::string& body, const std::string& type = kJson) {
    return send("POST", path, body, type);
  }
  // What the dialect must make of a text of one line.
  std::string translation(const std::string& text, const char* from, const char* to,
                          const std::string& context = "", std::vector<translate::Term> terms = {},
                          bool formatted = false) {
    translate::Task task;
    task.source = text;
    task.from = &translate::language(from);
    task.to = &translate::language(to);
    task.context = context;
    task.terms = std::move(terms);
    task.formatted = formatted;
    const translate::Translator translator(running.engine(), {});
    const auto translated = translator.translate({task}, {});
    EXPECT_TRUE(translated.ok()) << translated.status().message();
    return translated.ok() ? translated.value()[0].text : "";
  }

  RunningServer running;
  HttpClient client;
};

inline RunningOptions with_keys(std::vector<std::string> keys) {
  RunningOptions options;
  options.door.keys = AccessKeys::make(std::move(keys)).value();
  return options;
}

inline boost::json::value json_of(const Reply& reply, int status = 200) {
  EXPECT_EQ(reply.status, status) << reply.body;
  boost::json::error_code error;
  boost::json::value value = boost::json::parse(reply.body, error);
  EXPECT_FALSE(error) << reply.body;
  return value;
}
inline std::string quoted(const std::string& text) {
  return boost::json::serialize(boost::json::string(text));
}
// A failure: status and whole body.
inline void expect_error(const Reply& reply, int status, const std::string& body) {
  EXPECT_EQ(reply.status, status) << reply.body;
  EXPECT_EQ(reply.body, body);
}
// [“x”, “x”, ...] of so many.
inline std::string many_texts(std::size_t count) {
  std::string list = "[";
  for (std::size_t i = 0; i < count; ++i) list += i == 0 ? "\"x\"" : ",\"x\"";
  return list + "]";
}

// Keeps every place of the engine and of its queue taken while it lives.
class FullQueue {
 public:
  explicit FullQueue(RunningServer& running) : running_(running) {
    for (int i = 0; i < 9; ++i) {
      clients_.push_back(std::make_unique<HttpClient>(running.port()));
      clients_.back()->send("POST /generate HTTP/1.1\r\nAuthorization: Bearer k\r\nContent-Length: " +
                            std::to_string(std::string(kEndless).size()) + "\r\n\r\n" + kEndless);
      EXPECT_TRUE(eventually([&] {
        const engine::Stats stats = running.engine().stats();
        return stats.running + stats.waiting == i + 1 && (i >= 8 || stats.waiting == 0);
      }));
    }
  }
  ~FullQueue() {
    for (auto& client : clients_) client->close();
    EXPECT_TRUE(eventually([&] { return running_.idle(); }));
  }

 private:
  RunningServer& running_;
  std::vector<std::unique_ptr<HttpClient>> clients_;
};

}  // namespace pagoda::serve
