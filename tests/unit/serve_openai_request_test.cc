#include "serve/openai/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "serve/openai/errors.h"

namespace pagoda::serve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using text::Role;
using text::TokenId;

constexpr translate::OfficialSampling kModel{0.7, 0.6, 20, 1.05, 4096};

std::string chat(const std::string& more) {
  return R"({"model": "m", "messages": [{"role": "user", "content": "x"}])" +
         (more.empty() ? "" : ", " + more) + "}";
}
std::string completion(const std::string& more) {
  return R"({"prompt": "x")" + (more.empty() ? "" : ", " + more) + "}";
}
OpenAiRequest parse(OpenAiKind kind, const std::string& body) {
  base::Result<OpenAiRequest> parsed = parse_openai(kind, body, kModel);
  EXPECT_TRUE(parsed.ok()) << body << ": " << parsed.status().message();
  return parsed.ok() ? std::move(parsed).value() : OpenAiRequest();
}
OpenAiError refusal(OpenAiKind kind, const std::string& body) {
  const base::Result<OpenAiRequest> parsed = parse_openai(kind, body, kModel);
  EXPECT_FALSE(parsed.ok()) << body;
  return parsed.ok() ? OpenAiError() : openai_error(parsed.status());
}

TEST(OpenAiRequest, FieldsThatAreNotGivenAreTheModels) {
  const OpenAiRequest parsed = parse(OpenAiKind::kChat, chat(""));
  EXPECT_EQ(parsed.model, "m");
  EXPECT_EQ(parsed.n, 1);
  EXPECT_FALSE(parsed.stream);
  EXPECT_FALSE(parsed.include_usage);
  EXPECT_FALSE(parsed.seed.has_value());
  EXPECT_FALSE(parsed.wants_logprobs());
  EXPECT_EQ(parsed.request.max_tokens, 0);  // as many as fit
  EXPECT_EQ(parsed.request.sampling.temperature, 0.7f);
  EXPECT_EQ(parsed.request.sampling.top_p, 0.6f);
  EXPECT_EQ(parsed.request.sampling.top_k, 20);
  EXPECT_EQ(parsed.request.sampling.repetition_penalty, 1.05f);
  EXPECT_EQ(parse(OpenAiKind::kCompletion, completion("")).request.max_tokens, 16);
}

TEST(OpenAiRequest, TakesEveryField) {
  const OpenAiRequest parsed = parse(
      OpenAiKind::kChat,
      chat(R"("max_tokens": 5, "max_completion_tokens": 9, "temperature": 0.5, "top_p": 0.25, "top_k": 3,
              "min_p": 0.125, "repetition_penalty": 1.5, "seed": 7, "stop": ["a", "b"], "n": 8, "stream": true,
              "stream_options": {"include_usage": true}, "logprobs": true, "top_logprobs": 5,
              "stop_token_ids": [1, 2], "ignore_eos": true, "user": "u", "metadata": {"a": 1}, "store": false,
              "translation_options": {"target_lang": "fr"})"));
  EXPECT_EQ(parsed.request.max_tokens, 9);
  EXPECT_EQ(parsed.request.sampling.temperature, 0.5f);
  EXPECT_EQ(parsed.request.sampling.top_p, 0.25f);
  EXPECT_EQ(parsed.request.sampling.top_k, 3);
  EXPECT_EQ(parsed.request.sampling.min_p, 0.125f);
  EXPECT_EQ(parsed.request.sampling.repetition_penalty, 1.5f);
  EXPECT_EQ(parsed.request.sampling.logprobs, 5);
  EXPECT_EQ(parsed.seed, 7u);
  EXPECT_THAT(parsed.request.stop, ElementsAre("a", "b"));
  EXPECT_THAT(parsed.request.stop_token_ids, ElementsAre(TokenId(1), TokenId(2)));
  EXPECT_TRUE(parsed.request.ignore_eos);
  EXPECT_EQ(parsed.n, 8);
  EXPECT_TRUE(parsed.stream);
  EXPECT_TRUE(parsed.include_usage);
  EXPECT_TRUE(parsed.translation_options.has_value());
}

TEST(OpenAiRequest, NeutralValuesOfWhatIsNotSupportedAreTaken) {
  parse(
      OpenAiKind::kChat,
      chat(R"("frequency_penalty": 0, "presence_penalty": 0.0, "logit_bias": {}, "tools": [], "functions": [],
                "response_format": {"type": "text"}, "tool_choice": "none", "logprobs": false,
                "top_logprobs": 0, "stop": null, "n": null)"));
  parse(OpenAiKind::kCompletion, completion(R"("suffix": "", "best_of": 1, "logprobs": null)"));
}

TEST(OpenAiRequest, WhatIsNotSupportedIsRefusedByName) {
  const std::vector<std::pair<std::string, std::string>> chats = {
      {"frequency_penalty", R"("frequency_penalty": 0.5)"},
      {"presence_penalty", R"("presence_penalty": -1)"},
      {"logit_bias", R"("logit_bias": {"5": 1})"},
      {"tools", R"("tools": [{"type": "function"}])"},
      {"functions", R"("functions": [{}])"},
      {"response_format", R"("response_format": {"type": "json_object"})"},
      {"response_format", R"("response_format": "text")"},
  };
  for (const auto& [name, field] : chats) {
    const OpenAiError error = refusal(OpenAiKind::kChat, chat(field));
    EXPECT_EQ(error.status, 400);
    EXPECT_EQ(error.param, name);
    EXPECT_EQ(error.code, "unsupported_parameter");
    EXPECT_THAT(error.message, HasSubstr("not supported"));
  }
  EXPECT_EQ(refusal(OpenAiKind::kCompletion, completion(R"("suffix": "y")")).param, "suffix");
  EXPECT_EQ(refusal(OpenAiKind::kCompletion, completion(R"("best_of": 2)")).param, "best_of");
  EXPECT_EQ(refusal(OpenAiKind::kCompletion, completion(R"("echo": true, "logprobs": 0)")).param, "echo");
}

TEST(OpenAiRequest, WrongFieldsAreNamed) {
  const std::vector<std::pair<std::string, std::string>> chats = {
      {"temperature", R"("temperature": -0.1)"},
      {"temperature", R"("temperature": "hot")"},
      {"top_p", R"("top_p": 1.5)"},
      {"top_k", R"("top_k": -2)"},
      {"min_p", R"("min_p": 2)"},
      {"n", R"("n": 0)"},
      {"n", R"("n": 9)"},
      {"max_tokens", R"("max_tokens": 0)"},
      {"max_completion_tokens", R"("max_completion_tokens": -1)"},
      {"seed", R"("seed": 0.5)"},
      {"stop[0]", R"("stop": [1])"},
      {"stop", R"("stop": "")"},
      {"stream", R"("stream": "yes")"},
      {"stream_options", R"("stream_options": true)"},
      {"top_logprobs", R"("logprobs": true, "top_logprobs": 21)"},
      {"top_logprobs", R"("top_logprobs": 1)"},
      {"logprobs", R"("logprobs": 1)"},
      {"stop_token_ids[1]", R"("stop_token_ids": [1, -1])"},
      {"stop_token_ids", R"("stop_token_ids": 1)"},
      {"translation_options", R"("translation_options": "fr")"},
  };
  for (const auto& [name, field] : chats) {
    const OpenAiError error = refusal(OpenAiKind::kChat, chat(field));
    EXPECT_EQ(error.status, 400) << field;
    EXPECT_EQ(error.param, name) << error.message;
    EXPECT_EQ(error.code, "");
  }
  EXPECT_EQ(refusal(OpenAiKind::kChat, "{").param, "");
  EXPECT_EQ(refusal(OpenAiKind::kCompletion, completion(R"("logprobs": true)")).param, "logprobs");
  EXPECT_EQ(refusal(OpenAiKind::kCompletion, completion(R"("logprobs": 21)")).param, "logprobs");
}

TEST(OpenAiRequest, SeedsAreSignedAndTopPMayBeZero) {
  EXPECT_EQ(parse(OpenAiKind::kChat, chat(R"("seed": -1)")).seed, 18446744073709551615u);
  EXPECT_EQ(parse(OpenAiKind::kChat, chat(R"("seed": -1.0)")).seed, 18446744073709551615u);
  EXPECT_EQ(parse(OpenAiKind::kChat, chat(R"("seed": -9223372036854775808.0)")).seed, 1ull << 63);
  EXPECT_EQ(parse(OpenAiKind::kChat, chat(R"("seed": 1e19)")).seed, 10000000000000000000u);
  EXPECT_EQ(parse(OpenAiKind::kChat, chat(R"("seed": 18446744073709551615)")).seed, 18446744073709551615u);
  EXPECT_GT(parse(OpenAiKind::kChat, chat(R"("top_p": 0)")).request.sampling.top_p, 0.0f);
  EXPECT_EQ(openai_choice_seed(5, 0), 5u);
  EXPECT_NE(openai_choice_seed(5, 1), openai_choice_seed(6, 0));
}

TEST(OpenAiRequest, Messages) {
  const OpenAiRequest parsed = parse(OpenAiKind::kChat, R"({"messages": [
      {"role": "developer", "content": "d"},
      {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
      {"role": "assistant", "content": "", "name": "n"},
      {"role": "user", "content": "q"}]})");
  ASSERT_EQ(parsed.messages.size(), 4u);
  EXPECT_EQ(parsed.messages[0].role, Role::kSystem);
  EXPECT_EQ(parsed.messages[1].role, Role::kUser);
  EXPECT_EQ(parsed.messages[1].content, "a\nb");
  EXPECT_EQ(parsed.messages[2].role, Role::kAssistant);
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {R"({})", "messages"},
      {R"({"messages": []})", "messages"},
      {R"({"messages": "x"})", "messages"},
      {R"({"messages": ["x"]})", "messages[0]"},
      {R"({"messages": [{"content": "x"}]})", "messages[0].role"},
      {R"({"messages": [{"role": "wizard", "content": "x"}]})", "messages[0].role"},
      {R"({"messages": [{"role": "tool", "content": "x"}]})", "messages[0].role"},
      {R"({"messages": [{"role": "user"}]})", "messages[0].content"},
      {R"({"messages": [{"role": "user", "content": 1}]})", "messages[0].content"},
      {R"({"messages": [{"role": "user", "content": ["x"]}]})", "messages[0].content[0]"},
      {R"({"messages": [{"role": "user", "content": [{"type": "text"}]}]})", "messages[0].content[0].text"},
      {R"({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]})",
       "messages[0].content[0]"},
  };
  for (const auto& [body, param] : wrong) EXPECT_EQ(refusal(OpenAiKind::kChat, body).param, param) << body;
}

TEST(OpenAiRequest, Prompts) {
  const auto prompts = [](const std::string& prompt) {
    return parse(OpenAiKind::kCompletion, R"({"prompt": )" + prompt + "}").prompts;
  };
  using Ids = std::vector<TokenId>;
  EXPECT_THAT(prompts(R"("a")"), ElementsAre(OpenAiPrompt("a")));
  EXPECT_THAT(prompts(R"(["a", "b"])"), ElementsAre(OpenAiPrompt("a"), OpenAiPrompt("b")));
  EXPECT_THAT(prompts("[1, 2]"), ElementsAre(OpenAiPrompt(Ids{TokenId(1), TokenId(2)})));
  EXPECT_THAT(prompts("[[1], [2]]"),
              ElementsAre(OpenAiPrompt(Ids{TokenId(1)}), OpenAiPrompt(Ids{TokenId(2)})));
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"null", "prompt"},     {R"("")", "prompt"},           {"[]", "prompt"},
      {"[[]]", "prompt[0]"},  {R"([""])", "prompt[0]"},      {R"([1, "a"])", "prompt[1]"},
      {"{}", "prompt"},       {R"(["a", 1])", "prompt[1]"},  {"[-1]", "prompt[0]"},
      {"[1.5]", "prompt[0]"}, {"[4294967296]", "prompt[0]"}, {"[[1], [\"a\"]]", "prompt[1][0]"},
  };
  for (const auto& [prompt, param] : wrong)
    EXPECT_EQ(refusal(OpenAiKind::kCompletion, R"({"prompt": )" + prompt + "}").param, param) << prompt;
  std::string many = "[\"a\"";
  for (int i = 1; i < 65; ++i) many += ",\"a\"";
  EXPECT_EQ(refusal(OpenAiKind::kCompletion, R"({"n": 2, "prompt": )" + many + "]}").param, "prompt");
}

TEST(OpenAiErrors, HaveTheClientsShape) {
  EXPECT_EQ(
      openai_error_json(openai_error(base::invalid("top_p is \"2\""))),
      R"({"error":{"message":"top_p is \"2\"","type":"invalid_request_error","param":"top_p","code":null}})");
  EXPECT_EQ(
      openai_error_response(401, "no").body,
      R"({"error":{"message":"no","type":"invalid_request_error","param":null,"code":"invalid_api_key"}})");
  const HttpResponse busy = openai_error_response(429, "full");
  EXPECT_THAT(busy.body, HasSubstr(R"("type":"rate_limit_error","param":null,"code":"rate_limit_exceeded")"));
  EXPECT_THAT(busy.headers, ElementsAre(std::pair<std::string, std::string>("Retry-After", "1")));
  const OpenAiError context = openai_context_error(90, 20, 100, "messages");
  EXPECT_EQ(context.message,
            "This model's maximum context length is 100 tokens. However, you requested 110 tokens (90 in the "
            "messages, 20 in the completion). Please reduce the length of the messages or completion.");
  EXPECT_EQ(context.code, "context_length_exceeded");
  // A message that only resembles a field's.
  EXPECT_EQ(openai_error(base::invalid("nothing is right")).param, "");
  EXPECT_EQ(openai_error(base::error(base::Code::kInternal, "n is odd")).param, "");
}

}  // namespace
}  // namespace pagoda::serve
