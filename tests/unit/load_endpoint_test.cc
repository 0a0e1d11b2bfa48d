#include "load/endpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace pagoda::load {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

boost::json::value body_of(Endpoint endpoint, bool ignore_eos = false, std::int32_t max_tokens = 9) {
  RequestShape shape;
  shape.endpoint = endpoint;
  shape.model = "nano";
  shape.to = "fr";
  shape.api_key = "k";
  shape.ignore_eos = ignore_eos;
  return boost::json::parse(request_body(shape, {"say \"hi\"\n", max_tokens}));
}

TEST(LoadEndpoint, NamesGoBothWays) {
  for (const char* name : {"generate", "completions", "chat", "translate"})
    EXPECT_STREQ(endpoint_name(parse_endpoint(name).value()), name);
  EXPECT_EQ(parse_endpoint("embeddings").status().code(), base::Code::kInvalidArgument);
}

TEST(LoadEndpoint, Bodies) {
  EXPECT_EQ(body_of(Endpoint::kGenerate), boost::json::parse(R"({"prompt":"say \"hi\"\n","max_tokens":9,
      "temperature":0,"stream":true})"));
  EXPECT_EQ(body_of(Endpoint::kCompletions, true),
            boost::json::parse(R"({"model":"nano","prompt":"say \"hi\"\n","max_tokens":9,"temperature":0,
      "stream":true,"stream_options":{"include_usage":true},"ignore_eos":true})"));
  EXPECT_EQ(body_of(Endpoint::kChat, false, 0),
            boost::json::parse(R"({"model":"nano","messages":[{"role":"user","content":"say \"hi\"\n"}],
      "temperature":0,"stream":true,"stream_options":{"include_usage":true}})"));
  EXPECT_EQ(body_of(Endpoint::kTranslate), boost::json::parse(R"({"q":"say \"hi\"\n","source":"auto",
      "target":"fr","format":"text","api_key":"k"})"));
}

TEST(LoadEndpoint, PiecesOfGenerate) {
  Piece piece = read_piece(Endpoint::kGenerate, R"({"text": "a"})").value();
  EXPECT_TRUE(piece.has_text);
  EXPECT_FALSE(piece.is_last);
  EXPECT_FALSE(piece.usage);
  piece = read_piece(Endpoint::kGenerate,
                     R"({"text":"","finish_reason":"stop","generation_time":1.5,
                     "usage":{"prompt_tokens":4,"completion_tokens":2,"cached_tokens":0}})")
              .value();
  EXPECT_FALSE(piece.has_text);
  EXPECT_TRUE(piece.is_last);
  EXPECT_EQ(piece.usage->prompt, 4);
  EXPECT_EQ(piece.usage->completion, 2);
}

TEST(LoadEndpoint, PiecesOfOpenAi) {
  const auto completions = [](std::string_view data) {
    return read_piece(Endpoint::kCompletions, data).value();
  };
  const auto chat = [](std::string_view data) { return read_piece(Endpoint::kChat, data).value(); };
  EXPECT_TRUE(completions(R"({"choices":[{"index":0,"text":"a"}],"usage":null})").has_text);
  EXPECT_FALSE(completions(R"({"choices":[{"index":0,"text":"a"}],"usage":null})").usage);
  EXPECT_TRUE(completions(R"({"choices":[{"text":"","finish_reason":"length"}]})").is_last);
  EXPECT_TRUE(completions(R"({"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}})").usage);
  EXPECT_FALSE(chat(R"({"choices":[{"delta":{"role":"assistant"},"finish_reason":null}]})").has_text);
  EXPECT_FALSE(chat(R"({"choices":[{"delta":{"content":null}}]})").has_text);
  EXPECT_TRUE(chat(R"({"choices":[{"delta":{"content":"a"}}]})").has_text);
  EXPECT_TRUE(chat(R"({"choices":[{"delta":{},"finish_reason":"stop"}]})").is_last);
  EXPECT_FALSE(chat(R"({"choices":[{"text":"a"}]})").has_text);
}

TEST(LoadEndpoint, OddShapesAreNoCrash) {
  for (const char* data :
       {"{}", R"({"choices":null})", R"({"choices":[null]})", R"({"choices":[[]]})", R"({"choices":{}})",
        R"({"choices":[{"delta":[]}]})", R"({"text":5,"finish_reason":5})", R"({"usage":[]})",
        R"({"usage":{"prompt_tokens":"x","completion_tokens":1e300}})", R"({"error":null})"})
    for (const Endpoint endpoint : {Endpoint::kGenerate, Endpoint::kCompletions, Endpoint::kChat}) {
      const base::Result<Piece> piece = read_piece(endpoint, data);
      ASSERT_TRUE(piece.ok()) << data;
      EXPECT_FALSE(piece->has_text || piece->is_last) << data;
    }
}

TEST(LoadEndpoint, PiecesThatAreFailures) {
  EXPECT_EQ(read_piece(Endpoint::kChat, "nonsense").status().code(), base::Code::kDataLoss);
  EXPECT_EQ(read_piece(Endpoint::kChat, "").status().code(), base::Code::kDataLoss);
  EXPECT_EQ(read_piece(Endpoint::kChat, "[]").status().code(), base::Code::kDataLoss);
  const auto failed = read_piece(Endpoint::kChat, R"({"error":{"message":"no memory","code":500}})");
  EXPECT_EQ(failed.status().message(), "no memory");
}

TEST(LoadEndpoint, APieceMayBeLargerThanTheStack) {
  const std::string text(1u << 20, 'x');
  EXPECT_TRUE(read_piece(Endpoint::kGenerate, R"({"text":")" + text + "\"}").value().has_text);
}

TEST(LoadEndpoint, SentencesOfFailures) {
  EXPECT_EQ(error_sentence(R"({"error":{"code":429,"message":"too many"}})"), "too many");
  EXPECT_EQ(error_sentence(R"({"error":"Invalid key"})"), "Invalid key");
  EXPECT_EQ(error_sentence(R"({"error":{"code":1}})"), R"({"code":1})");
  EXPECT_EQ(error_sentence("<html>502</html>"), "<html>502</html>");
  EXPECT_THAT(error_sentence(std::string(1000, 'x')), SizeIs(203));
  EXPECT_EQ(error_sentence(""), "");
}

TEST(LoadEndpoint, AnswersOfTranslate) {
  EXPECT_TRUE(check_answer(Endpoint::kTranslate, R"({"translatedText":""})").ok());
  for (const char* body : {"", "[]", "{}", R"({"translatedText":["a"]})", "Bonjour"})
    EXPECT_EQ(check_answer(Endpoint::kTranslate, body).code(), base::Code::kDataLoss) << body;
}

TEST(LoadEndpoint, FirstModel) {
  EXPECT_EQ(first_model(R"({"object":"list","data":[{"id":"a"},{"id":"b"}]})").value(), "a");
  for (const char* body : {"", "{}", R"({"data":[]})", R"({"data":[{}]})", R"({"data":["a"]})"})
    EXPECT_THAT(first_model(body).status().message(), HasSubstr("--model")) << body;
}

}  // namespace
}  // namespace pagoda::load
