// What the OpenAI dialect writes: strings, whole answers, pieces, logprobs.

#include "serve/openai/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "serve/json_text.h"
#include "serve/openai/logprobs.h"
#include "text/tokenizer.h"

namespace pagoda::serve {
namespace {

using engine::FinishReason;
using execute::SampledToken;

const OpenAiHead kChat{OpenAiKind::kChat, "1", 5, "m\"", "9"};
const OpenAiHead kCompletion{OpenAiKind::kCompletion, "1", 5, "m\"", "9"};
const std::string kHead = R"("created":5,"model":"m\"","system_fingerprint":"pagoda-9","choices":[)";

TEST(JsonText, EveryByteComesBack) {
  std::string all;
  for (int c = 0; c < 128; ++c) all += static_cast<char>(c);
  all += "\u00e9\u4f60\U0001f600";
  EXPECT_EQ(boost::json::parse(json_string(all)).as_string(), all);
  EXPECT_EQ(json_string("a\n\"\x01"), R"("a\n\"\u0001")");
  EXPECT_EQ(json_string(""), R"("")");
}

TEST(OpenAiJson, WholeAnswers) {
  const engine::Usage usage{3, 2, 4};
  const std::string usage_json =
      R"("usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7,"prompt_tokens_details":{"cached_tokens":2}}})";
  EXPECT_EQ(
      openai_answer_json(kChat, {{"hi", "null", FinishReason::kStop}}, usage),
      R"({"id":"chatcmpl-1","object":"chat.completion",)" + kHead +
          R"({"index":0,"message":{"role":"assistant","content":"hi","refusal":null},"logprobs":null,)" +
          R"("finish_reason":"stop"}],)" + usage_json);
  EXPECT_EQ(openai_answer_json(
                kCompletion, {{"a", "null", FinishReason::kStop}, {"b", "{}", FinishReason::kLength}}, usage),
            R"({"id":"cmpl-1","object":"text_completion",)" + kHead +
                R"({"index":0,"text":"a","logprobs":null,"finish_reason":"stop"},)" +
                R"({"index":1,"text":"b","logprobs":{},"finish_reason":"length"}],)" + usage_json);
}

TEST(OpenAiJson, Events) {
  const std::string chat = R"(data: {"id":"chatcmpl-1","object":"chat.completion.chunk",)" + kHead;
  const std::string end = R"("finish_reason":null}]})" + std::string("\n\n");
  const OpenAiEvents events(kChat, false);
  std::string out;
  events.begin(2, out);
  EXPECT_EQ(out, chat + R"({"index":2,"delta":{"role":"assistant","content":""},"logprobs":null,)" + end);
  out.clear();
  events.text(0, "\"", "null", out);
  EXPECT_EQ(out, chat + R"({"index":0,"delta":{"content":"\""},"logprobs":null,)" + end);
  out.clear();
  events.finish(0, FinishReason::kLength, out);
  EXPECT_EQ(out, chat + R"({"index":0,"delta":{},"logprobs":null,"finish_reason":"length"}]})" + "\n\n");
  out.clear();
  events.end({}, out);
  EXPECT_EQ(out, "data: [DONE]\n\n");
}

TEST(OpenAiJson, EventsOfAClientThatWantsTheUsage) {
  const std::string head = R"(data: {"id":"cmpl-1","object":"text_completion",)" + kHead;
  const OpenAiEvents events(kCompletion, true);
  std::string out;
  events.begin(0, out);
  EXPECT_EQ(out, "");
  events.text(0, "a", "null", out);
  EXPECT_EQ(out,
            head + R"({"index":0,"text":"a","logprobs":null,"finish_reason":null}],"usage":null})" + "\n\n");
  out.clear();
  events.finish(0, FinishReason::kStop, out);
  EXPECT_EQ(out,
            head + R"({"index":0,"text":"","logprobs":null,"finish_reason":"stop"}],"usage":null})" + "\n\n");
  out.clear();
  events.end({3, 0, 4}, out);
  EXPECT_EQ(out, head + R"(],"usage":)" + openai_usage_json({3, 0, 4}) + "}\n\ndata: [DONE]\n\n");
}

class Logprobs : public ::testing::Test {
 protected:
  static text::Tokenizer load() {
    auto tokenizer = text::Tokenizer::load(std::string(PAGODA_SOURCE_DIR) + "/tests/data/tokenizer/hy.json");
    EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
    return std::move(tokenizer).value();
  }
  SampledToken token(std::string_view text, float logprob = -0.5f) const {
    for (std::int32_t id = 0; id < tokenizer_.vocab_size(); ++id)
      if (tokenizer_.token_bytes(text::TokenId(id)) == text) return {id, logprob, {}};
    ADD_FAILURE() << "no token is " << text;
    return {};
  }
  static std::vector<std::size_t> begins(const std::vector<PlacedToken>& tokens) {
    std::vector<std::size_t> characters;
    for (const PlacedToken& placed : tokens) characters.push_back(placed.begin_characters);
    return characters;
  }
  const text::Tokenizer tokenizer_ = load();
};

TEST_F(Logprobs, TokensComeWithTheTextThatTheyBegin) {
  AnswerTokens tokens(tokenizer_);
  tokens.add({token("a"), token("\xe4"), token("\xbd"), token("\xa0"), token("b"), token("c")});
  EXPECT_EQ(begins(tokens.take(0)), std::vector<std::size_t>{});
  EXPECT_EQ(begins(tokens.take(1)), (std::vector<std::size_t>{0}));
  EXPECT_EQ(begins(tokens.take(4)), (std::vector<std::size_t>{1, 1, 1}));
  tokens.drop_last();
  EXPECT_EQ(begins(tokens.take_all()), (std::vector<std::size_t>{2}));
  // A byte that is no character is U+FFFD, three bytes of the text.
  AnswerTokens broken(tokenizer_);
  broken.add({token("\xbd"), token("a")});
  EXPECT_EQ(begins(broken.take(3)), (std::vector<std::size_t>{0}));
  EXPECT_EQ(begins(broken.take(4)), (std::vector<std::size_t>{1}));
}

TEST_F(Logprobs, Chat) {
  SampledToken a = token("a", -0.25f);
  a.top_logprobs = {{a.token, -0.25f}, {token("\xe4").token, -std::numeric_limits<float>::infinity()}};
  AnswerTokens tokens(tokenizer_);
  tokens.add({a});
  EXPECT_EQ(openai_logprobs(OpenAiKind::kChat, tokenizer_, tokens.take_all()),
            R"({"content":[{"token":"a","logprob":-0.25,"bytes":[97],"top_logprobs":[)"
            R"({"token":"a","logprob":-0.25,"bytes":[97]},)"
            R"({"token":"\\xe4","logprob":-9999,"bytes":[228]}]}],"refusal":null})");
  EXPECT_EQ(openai_logprobs(OpenAiKind::kChat, tokenizer_, {}), R"({"content":[],"refusal":null})");
}

TEST_F(Logprobs, CompletionsHaveTheChosenTokenAmongTheLikeliest) {
  SampledToken a = token("a", -2), b = token("b", -0.5f);
  a.top_logprobs = {{token("\xe4").token, -1}};
  b.top_logprobs = {{b.token, -0.5f}};
  AnswerTokens tokens(tokenizer_);
  tokens.add({a, b});
  EXPECT_EQ(openai_logprobs(OpenAiKind::kCompletion, tokenizer_, tokens.take_all()),
            R"({"tokens":["a","b"],"token_logprobs":[-2,-0.5],)"
            R"("top_logprobs":[{"bytes:\\xe4":-1,"a":-2},{"b":-0.5}],"text_offset":[0,1]})");
}

}  // namespace
}  // namespace pagoda::serve
