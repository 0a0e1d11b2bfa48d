// OpenAI's endpoints from end to end, on random weights.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <sstream>
#include <vector>

#include "engine/generate.h"
#include "http_client.h"
#include "running_server.h"

namespace pagoda::serve {
namespace {

namespace json = boost::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kChatPath = "/v1/chat/completions";
constexpr const char* kCompletionPath = "/v1/completions";

std::string chat_body(const std::string& more, const std::string& text = "Hello") {
  return R"({"model": "tiny", "messages": [{"role": "user", "content": ")" + text + R"("}])" + more + "}";
}

json::value post(RunningServer& running, const std::string& path, const std::string& body, int status = 200) {
  const Reply reply = HttpClient(running.port()).request("POST", path, body);
  EXPECT_EQ(reply.status, status) << body << "\n" << reply.body;
  return json::parse(reply.body);
}
std::string param_of(RunningServer& running, const std::string& path, const std::string& body) {
  const json::value error = post(running, path, body, 400).at("error");
  EXPECT_EQ(error.at("type").as_string(), "invalid_request_error");
  return error.at("param").is_null() ? "" : std::string(error.at("param").as_string());
}

// The events of an answer to HTTP/1.0, which ends with the connection.
std::vector<std::string> events(RunningServer& running, const std::string& path, const std::string& body) {
  boost::asio::ip::tcp::iostream socket(boost::asio::ip::address_v4::loopback().to_string(),
                                        std::to_string(running.port()));
  socket << "POST " << path << " HTTP/1.0\r\nContent-Length: " << body.size() << "\r\n\r\n"
         << body << std::flush;
  std::stringstream all;
  all << socket.rdbuf();
  std::string text = all.str();
  EXPECT_THAT(text, HasSubstr("200 OK"));
  EXPECT_THAT(text, HasSubstr("text/event-stream"));
  text.erase(0, text.find("\r\n\r\n") + 4);
  std::vector<std::string> list;
  for (std::size_t end; (end = text.find("\n\n")) != std::string::npos; text.erase(0, end + 2)) {
    if (text.starts_with(":")) continue;
    EXPECT_TRUE(text.starts_with("data: ")) << text;
    list.push_back(text.substr(6, end - 6));
  }
  EXPECT_EQ(text, "");
  EXPECT_FALSE(list.empty());
  EXPECT_EQ(list.back(), "[DONE]");
  return list;
}

struct Streamed {
  std::vector<std::string> texts, finishes;
  std::vector<int> roles;
  json::array logprobs;  // of choice 0, chat
  json::value usage;
};
Streamed streamed(RunningServer& running, const std::string& path, const std::string& body,
                  std::size_t choices = 1) {
  Streamed result;
  result.texts.resize(choices);
  result.finishes.resize(choices);
  result.roles.resize(choices);
  for (const std::string& event : events(running, path, body)) {
    if (event == "[DONE]") break;
    const json::value piece = json::parse(event);
    if (piece.at("choices").as_array().empty()) {
      result.usage = piece.at("usage");
      continue;
    }
    const json::value& choice = piece.at("choices").at(0);
    const auto index = static_cast<std::size_t>(choice.at("index").as_int64());
    EXPECT_EQ(result.finishes.at(index), "") << "a piece behind the last one";
    const json::value* delta = choice.as_object().if_contains("delta");
    const json::value* text =
        delta != nullptr ? delta->as_object().if_contains("content") : choice.as_object().if_contains("text");
    if (delta != nullptr && delta->as_object().contains("role")) ++result.roles[index];
    if (text != nullptr) result.texts[index] += std::string(text->as_string());
    if (!choice.at("finish_reason").is_null())
      result.finishes[index] = std::string(choice.at("finish_reason").as_string());
    if (index == 0 && choice.at("logprobs").is_object() && delta != nullptr)
      for (const json::value& token : choice.at("logprobs").at("content").as_array())
        result.logprobs.push_back(token);
  }
  return result;
}

TEST(OpenAi, ChatPassesTheMessagesAsTheyAre) {
  RunningServer running;
  const json::value body = post(running, kChatPath,
                                R"({"max_tokens": 12, "messages": [{"role": "system", "content": "S"},
                                    {"role": "user", "content": "Hello <｜hy_User｜>"}]})");
  EXPECT_EQ(body.at("object").as_string(), "chat.completion");
  EXPECT_EQ(body.at("model").as_string(), "tiny");
  EXPECT_TRUE(std::string(body.at("id").as_string()).starts_with("chatcmpl-"));
  const json::value& choice = body.at("choices").at(0);
  EXPECT_EQ(choice.at("index").as_int64(), 0);
  EXPECT_EQ(choice.at("finish_reason").as_string(), "length");
  EXPECT_TRUE(choice.at("logprobs").is_null());
  EXPECT_EQ(choice.at("message").at("role").as_string(), "assistant");

  engine::Request request;
  const auto ids = running.engine().chat_template().render(
      running.engine().tokenizer(), {{text::Role::kSystem, "S"}, {text::Role::kUser, "Hello <｜hy_User｜>"}});
  ASSERT_TRUE(ids.ok());
  request.prompt = ids.value();
  request.max_tokens = 12;
  const base::Result<engine::Completion> expected = engine::generate(running.engine(), request);
  ASSERT_TRUE(expected.ok());
  EXPECT_EQ(choice.at("message").at("content").as_string(), expected->text);
  const auto prompt_tokens = static_cast<std::int64_t>(ids->size());
  EXPECT_EQ(body.at("usage").at("prompt_tokens").as_int64(), prompt_tokens);
  EXPECT_EQ(body.at("usage").at("completion_tokens").as_int64(), 12);
  EXPECT_EQ(body.at("usage").at("total_tokens").as_int64(), prompt_tokens + 12);
  EXPECT_EQ(body.at("usage").at("prompt_tokens_details").at("cached_tokens").as_int64(), 0);
}

TEST(OpenAi, AStreamedChatIsTheWholeOne) {
  RunningServer running;
  const std::string more = R"(, "max_tokens": 40, "temperature": 1, "seed": 5, "n": 3, "logprobs": true)";
  const json::value whole = post(running, kChatPath, chat_body(more));
  const Streamed pieces =
      streamed(running, kChatPath,
               chat_body(more + R"(, "stream": true, "stream_options": {"include_usage": true})"), 3);
  for (std::size_t i = 0; i < 3; ++i) {
    const json::value& choice = whole.at("choices").at(i);
    EXPECT_EQ(choice.at("index").as_int64(), static_cast<std::int64_t>(i));
    EXPECT_EQ(pieces.texts[i], choice.at("message").at("content").as_string());
    EXPECT_EQ(pieces.finishes[i], choice.at("finish_reason").as_string());
    EXPECT_EQ(pieces.roles[i], 1);
  }
  EXPECT_NE(pieces.texts[0], pieces.texts[1]);
  EXPECT_NE(pieces.texts[1], pieces.texts[2]);
  EXPECT_EQ(json::value(pieces.logprobs), whole.at("choices").at(0).at("logprobs").at("content"));
  EXPECT_EQ(pieces.logprobs.size(), 40u);
  ASSERT_TRUE(pieces.usage.is_object());
  EXPECT_EQ(pieces.usage.at("prompt_tokens"), whole.at("usage").at("prompt_tokens"));
  EXPECT_EQ(pieces.usage.at("completion_tokens").as_int64(), 120);
  // The first choice is the answer of the seed, whatever n is.
  const json::value one =
      post(running, kChatPath, chat_body(R"(, "max_tokens": 40, "temperature": 1, "seed": 5)"));
  EXPECT_EQ(pieces.texts[0], one.at("choices").at(0).at("message").at("content").as_string());
}

TEST(OpenAi, TheUsageIsInEveryPieceOrInNone) {
  RunningServer running;
  for (const bool wanted : {false, true}) {
    const std::vector<std::string> list = events(
        running, kChatPath,
        chat_body(std::string(R"(, "max_tokens": 3, "stream": true, "stream_options": {"include_usage": )") +
                  (wanted ? "true}" : "false}")));
    for (std::size_t i = 0; i + 1 < list.size(); ++i) {
      const json::value piece = json::parse(list[i]);
      EXPECT_EQ(piece.at("object").as_string(), "chat.completion.chunk");
      EXPECT_EQ(piece.at("id"), json::parse(list[0]).at("id"));
      EXPECT_EQ(piece.as_object().contains("usage"), wanted) << list[i];
      const bool last = wanted && i + 2 == list.size();
      EXPECT_EQ(piece.at("choices").as_array().empty(), last) << list[i];
      if (wanted) {
        EXPECT_EQ(piece.at("usage").is_null(), !last);
      }
    }
  }
}

TEST(OpenAi, LogprobsAreOfTheTextThatWasSent) {
  RunningServer running;
  const std::string more =
      R"(, "max_tokens": 40, "temperature": 1, "seed": 3, "logprobs": true, "top_logprobs": 2)";
  const json::value whole = post(running, kChatPath, chat_body(more));
  const json::value& content = whole.at("choices").at(0).at("logprobs").at("content");
  ASSERT_EQ(content.as_array().size(), 40u);
  for (const json::value& token : content.as_array()) {
    EXPECT_LE(token.at("logprob").to_number<double>(), 0);
    ASSERT_EQ(token.at("top_logprobs").as_array().size(), 2u);
    EXPECT_GE(token.at("top_logprobs").at(0).at("logprob").to_number<double>(),
              token.at("top_logprobs").at(1).at("logprob").to_number<double>());
  }
  // A stop string in the middle: neither its text nor its tokens are in the answer.
  const std::string text(whole.at("choices").at(0).at("message").at("content").as_string());
  std::size_t at = text.size() / 2;
  while (at < text.size() && static_cast<unsigned char>(text[at]) >= 0x80) ++at;
  ASSERT_LT(at, text.size());
  const std::string stop = text.substr(at, 1);
  const std::string stopping = more + R"(, "stop": [)" + json::serialize(json::string(stop)) + "]";
  const json::value cut = post(running, kChatPath, chat_body(stopping)).at("choices").at(0);
  EXPECT_EQ(cut.at("finish_reason").as_string(), "stop");
  EXPECT_EQ(cut.at("message").at("content").as_string(), text.substr(0, text.find(stop)));
  const Streamed pieces = streamed(running, kChatPath, chat_body(stopping + R"(, "stream": true)"));
  EXPECT_EQ(pieces.texts[0], cut.at("message").at("content").as_string());
  EXPECT_EQ(json::value(pieces.logprobs), cut.at("logprobs").at("content"));
  EXPECT_LT(pieces.logprobs.size(), 40u);
  // A token that ends the answer is no part of it either.
  const json::value first =
      post(running, kCompletionPath, R"({"prompt": "x", "logprobs": 0, "max_tokens": 1})");
  const auto id = running.engine().tokenizer().encode_with_specials(
      std::string(first.at("choices").at(0).at("logprobs").at("tokens").at(0).as_string()));
  if (id.size() == 1) {
    const json::value ended =
        post(running, kCompletionPath,
             R"({"prompt": "x", "logprobs": 0, "stop_token_ids": [)" + std::to_string(id[0].value) + "]}");
    EXPECT_EQ(ended.at("choices").at(0).at("text").as_string(), "");
    EXPECT_EQ(ended.at("choices").at(0).at("finish_reason").as_string(), "stop");
    EXPECT_TRUE(ended.at("choices").at(0).at("logprobs").at("tokens").as_array().empty());
  }
}

TEST(OpenAi, CompletionsOfEveryKindOfPrompt) {
  RunningServer running;
  const auto ids = running.engine().tokenizer().encode("Hello");
  std::string list = "[";
  for (const text::TokenId id : ids) list += (list.size() > 1 ? "," : "") + std::to_string(id.value);
  list += "]";
  const auto answer = [&](const std::string& prompt, const std::string& more = "") {
    return post(running, kCompletionPath, R"({"model": "tiny", "prompt": )" + prompt + more + "}");
  };
  const json::value one = answer(R"("Hello")");
  EXPECT_EQ(one.at("object").as_string(), "text_completion");
  EXPECT_EQ(one.at("usage").at("completion_tokens").as_int64(), 16);
  const json::value text = one.at("choices").at(0).at("text");
  EXPECT_EQ(answer(list).at("choices").at(0).at("text"), text);
  const json::value four =
      answer("[" + list + ", " + list + "]", R"(, "n": 2, "temperature": 1, "top_p": 0)");
  ASSERT_EQ(four.at("choices").as_array().size(), 4u);
  for (std::size_t i = 0; i < 4; ++i) {
    EXPECT_EQ(four.at("choices").at(i).at("index").as_int64(), static_cast<std::int64_t>(i));
    EXPECT_EQ(four.at("choices").at(i).at("text"), text);  // top_p 0 is greedy
  }
  EXPECT_EQ(four.at("usage").at("prompt_tokens").as_int64(), static_cast<std::int64_t>(2 * ids.size()));
  EXPECT_EQ(four.at("usage").at("completion_tokens").as_int64(), 64);
  const std::string echoed = "Hello" + std::string(text.as_string());
  EXPECT_EQ(answer(R"("Hello")", R"(, "echo": true)").at("choices").at(0).at("text").as_string(), echoed);
  EXPECT_EQ(answer(list, R"(, "echo": true)").at("choices").at(0).at("text").as_string(), echoed);
  const Streamed pieces =
      streamed(running, kCompletionPath, R"({"prompt": ["Hello", "x"], "echo": true, "stream": true})", 2);
  EXPECT_EQ(pieces.texts[0], echoed);
  EXPECT_TRUE(pieces.texts[1].starts_with("x"));
  EXPECT_THAT(pieces.finishes, ElementsAre("length", "length"));
  // Special tokens are recognised here: a client that writes whole prompts needs them.
  EXPECT_EQ(answer(R"("<｜hy_User｜>")").at("usage").at("prompt_tokens").as_int64(), 1);
}

TEST(OpenAi, ModelsAreListed) {
  RunningServer running;
  HttpClient client(running.port());
  const json::value list = json::parse(client.request("GET", "/v1/models").body);
  EXPECT_EQ(list.at("object").as_string(), "list");
  ASSERT_EQ(list.at("data").as_array().size(), 1u);
  EXPECT_EQ(list.at("data").at(0).at("id").as_string(), "tiny");
  EXPECT_EQ(list.at("data").at(0).at("object").as_string(), "model");
  EXPECT_EQ(list.at("data").at(0).at("created").as_int64(), 1'700'000'000);
  EXPECT_EQ(json::parse(client.request("GET", "/v1/models/tiny").body), list.at("data").at(0));
  const Reply missing = client.request("GET", "/v1/models/gpt");
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(json::parse(missing.body).at("error").at("code").as_string(), "model_not_found");
  const Reply broken = client.request("GET", "/v1/models/%FF%22");
  EXPECT_EQ(broken.status, 404);
  EXPECT_THAT(std::string(json::parse(broken.body).at("error").at("message").as_string()),
              HasSubstr("\uFFFD\""));
}

TEST(OpenAi, RefusalsNameTheField) {
  RunningServer running;
  for (const char* path : {kChatPath, kCompletionPath}) {
    EXPECT_EQ(param_of(running, path, R"({"temperature": -1})"), "temperature");
    EXPECT_EQ(param_of(running, path, "[]"), "");
    EXPECT_EQ(param_of(running, path, ""), "");
    const json::value missing =
        post(running, path,
             R"({"model": "gpt-4o", "prompt": "x", "messages": [{"role":"user","content":"x"}]})", 404);
    EXPECT_EQ(missing.at("error").at("code").as_string(), "model_not_found");
    EXPECT_EQ(missing.at("error").at("param").as_string(), "model");
  }
  EXPECT_EQ(param_of(running, kChatPath, R"({"messages": [{"role": "assistant", "content": "x"}]})"), "");
  EXPECT_EQ(
      param_of(running, kChatPath,
               R"({"messages": [{"role": "user", "content": "x"}, {"role": "system", "content": "x"}]})"),
      "messages[1]");
  EXPECT_EQ(param_of(running, kChatPath, chat_body(R"(, "tools": [{}])")), "tools");
  EXPECT_THAT(std::string(post(running, kCompletionPath, R"({"prompt": [2147483647]})", 400)
                              .at("error")
                              .at("message")
                              .as_string()),
              HasSubstr("token id 2147483647"));
  // Also where a stream was asked for: the status says it.
  EXPECT_EQ(param_of(running, kChatPath, chat_body(R"(, "stream": true, "n": 20)")), "n");
}

TEST(OpenAi, APromptWithoutRoomIsToldInNumbers) {
  RunningServer running;
  const json::value error = post(running, kChatPath, chat_body(R"(, "max_tokens": 65536)"), 400).at("error");
  EXPECT_EQ(error.at("code").as_string(), "context_length_exceeded");
  EXPECT_EQ(error.at("param").as_string(), "messages");
  EXPECT_THAT(std::string(error.at("message").as_string()),
              HasSubstr("This model's maximum context length is 65536 tokens. However, you requested "));
  std::string prompt;
  for (int i = 0; i < 65536; ++i) prompt += i > 0 ? ",1" : "1";
  EXPECT_EQ(param_of(running, kCompletionPath, R"({"max_tokens": 1, "prompt": [)" + prompt + "]}"), "prompt");
}

TEST(OpenAi, KeysAreAskedForInItsOwnShape) {
  RunningOptions options;
  options.door.keys = AccessKeys::make({"secret"}).value();
  RunningServer running(std::move(options));
  HttpClient client(running.port());
  const Reply refused = client.request("POST", kChatPath, chat_body(""));
  EXPECT_EQ(refused.status, 401);
  EXPECT_EQ(json::parse(refused.body).at("error").at("code").as_string(), "invalid_api_key");
  client.send("GET /v1/models HTTP/1.1\r\nAuthorization: Bearer secret\r\n\r\n");
  EXPECT_EQ(client.receive().status, 200);
}

TEST(OpenAi, AClientThatLeavesAStreamCancelsAllItsChoices) {
  RunningServer running;
  HttpClient client(running.port());
  const std::string body =
      chat_body(R"(, "stream": true, "n": 4, "temperature": 1, "max_tokens": 60000, "ignore_eos": true)");
  client.send(std::string("POST ") + kChatPath +
              " HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  ASSERT_TRUE(eventually([&] { return running.engine().stats().running == 4; }));
  client.close();
  EXPECT_TRUE(eventually([&] { return running.idle(); }));
  EXPECT_EQ(running.engine().stats().finished[static_cast<int>(engine::FinishReason::kCancelled)], 4);
}

TEST(OpenAi, AFullQueueIs429AndLeavesNothingBehind) {
  RunningOptions options;
  options.max_waiting = 4;
  RunningServer running(std::move(options));
  HttpClient client(running.port());
  std::string prompts = "\"a\"";
  for (int i = 0; i < 99; ++i) prompts += ",\"a\"";
  const std::string more = R"(], "max_tokens": 60000, "ignore_eos": true})";
  const Reply reply = client.request("POST", kCompletionPath, R"({"prompt": [)" + prompts + more);
  EXPECT_EQ(reply.status, 429) << reply.body;
  EXPECT_TRUE(reply.has("Retry-After: 1"));
  EXPECT_THAT(reply.body, HasSubstr("rate_limit_exceeded"));
  EXPECT_TRUE(eventually([&] { return running.idle(); }));
  EXPECT_EQ(client.request("POST", kCompletionPath, R"({"prompt": "a"})").status, 200);
}

TEST(OpenAi, SilenceIsFilledWithPings) {
  RunningOptions options;
  options.limits.ping_interval = std::chrono::milliseconds(5);
  RunningServer running(std::move(options));
  // Eight endless ones fill the step, so the ninth has to wait.
  std::vector<std::unique_ptr<HttpClient>> others;
  const std::string body = kEndless;
  for (int i = 0; i < 8; ++i) {
    others.push_back(std::make_unique<HttpClient>(running.port()));
    others.back()->send("POST /generate HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) +
                        "\r\n\r\n" + body);
  }
  ASSERT_TRUE(eventually([&] { return running.engine().stats().running == 8; }));
  boost::asio::ip::tcp::iostream socket(boost::asio::ip::address_v4::loopback().to_string(),
                                        std::to_string(running.port()));
  const std::string waiting = chat_body(R"(, "stream": true, "max_tokens": 2)");
  socket << "POST " << kChatPath << " HTTP/1.0\r\nContent-Length: " << waiting.size() << "\r\n\r\n"
         << waiting << std::flush;
  std::string line;
  bool pinged = false;
  while (!pinged && std::getline(socket, line)) pinged = line == ": ping";
  EXPECT_TRUE(pinged);
  for (auto& other : others) other->close();
  bool done = false;
  while (!done && std::getline(socket, line)) done = line == "data: [DONE]";
  EXPECT_TRUE(done);
}

TEST(OpenAi, ATranslatedChatKeepsItsLines) {
  RunningOptions options;
  options.translate_chat = true;
  RunningServer running(std::move(options));
  const std::string text = R"(Translate to French:\n\nHello\n\n%%\n\n42\nBye)";
  const json::value body = post(running, kChatPath, chat_body("", text));
  const std::string content(body.at("choices").at(0).at("message").at("content").as_string());
  EXPECT_THAT(content, HasSubstr("\n\n%%\n\n42\n"));  // what has no letters is not asked for
  EXPECT_GT(body.at("usage").at("completion_tokens").as_int64(), 0);
  const Streamed pieces = streamed(
      running, kChatPath, chat_body(R"(, "stream": true, "stream_options": {"include_usage": true})", text));
  EXPECT_EQ(pieces.texts[0], content);
  EXPECT_EQ(pieces.roles[0], 1);
  EXPECT_NE(pieces.finishes[0], "");
  EXPECT_EQ(pieces.usage.at("completion_tokens"), body.at("usage").at("completion_tokens"));
  EXPECT_EQ(param_of(running, kChatPath, chat_body("", "Hello")), "messages");
  const json::value nothing =
      post(running, kChatPath, chat_body(R"(, "translation_options": {"target_lang": "fr"})", "42"));
  EXPECT_EQ(nothing.at("choices").at(0).at("message").at("content").as_string(), "42");
  EXPECT_EQ(nothing.at("usage").at("completion_tokens").as_int64(), 0);
}

TEST(OpenAi, ATranslationThatFindsTheQueueFullIs429) {
  RunningOptions options;
  options.max_waiting = 1;
  RunningServer running(std::move(options));
  std::vector<std::unique_ptr<HttpClient>> others;
  const std::string body = kEndless;
  for (int i = 0; i < 9; ++i) {
    others.push_back(std::make_unique<HttpClient>(running.port()));
    others.back()->send("POST /generate HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) +
                        "\r\n\r\n" + body);
    ASSERT_TRUE(eventually([&] {
      const engine::Stats stats = running.engine().stats();
      return stats.running + stats.waiting == i + 1 && (i >= 8 || stats.waiting == 0);
    }));
  }
  const json::value error =
      post(running, kChatPath, chat_body(R"(, "stream": true, "translation_options": {"target_lang": "fr"})"),
           429);
  EXPECT_EQ(error.at("error").at("code").as_string(), "rate_limit_exceeded");
}

}  // namespace
}  // namespace pagoda::serve
