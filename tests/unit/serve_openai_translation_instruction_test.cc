#include "serve/openai/translation_instruction.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "serve/openai/translation.h"

namespace pagoda::serve {
namespace {

using ::testing::HasSubstr;
using text::Role;

std::string target(std::string_view text) {
  const auto found = find_target_language(text);
  return found ? std::string(found->language->code) : "";
}

TEST(TranslationInstruction, FindsTheTargetLanguage) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"Translate to French: hello", "fr"},
      {"translate the following text into simplified chinese", "zh"},
      {"Translate from English to Traditional Chinese.", "zh-Hant"},
      {"Translate into Chinese (Simplified), please", "zh"},
      {"Translate to \"zh-TW\"", "zh-Hant"},
      {"You translate to zh. Keep the formulas.", "zh"},
      {"You translate to it. Keep the formulas.", "it"},
      {"Translate it to me", ""},
      {"I want to translate it to my mother into German", "de"},
      {"Translate to [ja]:", "ja"},
      {"Translate to **Korean**", "ko"},
      {"Translate into the Spanish language", "es"},
      {"Translate to Tiếng Việt", "vi"},
      {"Translate to Русский", "ru"},
      {"Target language: pt", "pt"},
      {"target language is Thai", "th"},
      {"Answer to English questions by translating into French", "fr"},
      {"You are a translator. Go to France", ""},
      {"Welcome to French", ""},
      {"将以下文本翻译为法语，注意只需要输出翻译后的结果", "fr"},
      {"请翻译成简体中文", "zh"},
      {"把下面的文本翻译成“英文”：", "en"},
      {"譯成日文", "ja"},
      {"目标语言：de", "de"},
      {"翻译成火星文", ""},
      {"", ""},
      {"translate to", ""},
      {"translate into \xe4", ""},
  };
  for (const auto& [text, code] : cases) EXPECT_EQ(target(text), code) << text;
}

std::string text_of(std::string_view message) {
  const auto found = find_target_language(message);
  if (!found) return "no language";
  const auto text = text_behind_instruction(message, found->end);
  return text ? std::string(*text) : "no text";
}

TEST(TranslationInstruction, FindsWhereTheTextBegins) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"Translate to French: Hello", "Hello"},
      {"Translate to French:Hello", "Hello"},
      {"Translate to French, no talk: Hello: you\n\nBye", "Hello: you\n\nBye"},
      {"Translate to French\nHello\n\nBye", "Hello\n\nBye"},
      {"Translate to French (output translation only):\n\nHello", "Hello"},
      {"Translate the segment into French, without additional explanation.\n\nHello.\nBye", "Hello.\nBye"},
      {"Translate to French.\nHello: you", "Hello: you"},
      {"Translate to French. Rules:\n- keep tags\n- be short\n\nHello", "Hello"},
      {"Translate to French.\n\n- a list\n\nBye", "- a list\n\nBye"},
      {"Translate to French.\n1. keep tags", "no text"},
      {"将以下文本翻译为法语，不要额外解释：\n\n今天", "今天"},
      {"把下面的文本翻译成英文。\n今天", "今天"},
      {"Hello. Translate to French", "no text"},
      {"Translate Hello to French.", "no text"},
      {"Translate to French:", "no text"},
      {"You are an engine.\n\nTranslate the text to zh. Keep {v*}. No talk.\n\nSource Text: A: "
       "b\n\nTranslated Text:",
       "A: b"},
      {"You are an engine. Translate the text to zh. Keep {v*}. Source Text: A Translated Text:", "A"},
  };
  for (const auto& [message, text] : cases) EXPECT_EQ(text_of(message), text) << message;
}

TEST(TranslationInstruction, AnythingIsTaken) {
  // Cut everywhere, also inside characters: no part of it may confuse the search.
  const std::string message =
      "You are an engine.\n\nTranslate to \"zh-Hant\" (“x”), 翻译成中文（简体）：\n- rule\n\nSource Text: "
      "你好\n译文：";
  for (std::size_t i = 0; i <= message.size(); ++i) {
    text_of(message.substr(0, i));
    text_of(message.substr(i));
  }
}

OpenAiRequest chat(std::vector<text::Message> messages, const char* options = nullptr) {
  std::string body = R"({"messages": [{"role": "user", "content": "x"}])";
  if (options != nullptr) body += std::string(R"(, "translation_options": )") + options;
  base::Result<OpenAiRequest> parsed = parse_openai(OpenAiKind::kChat, body + "}", translate::kGreedy);
  EXPECT_TRUE(parsed.ok()) << parsed.status().message();
  parsed->messages = std::move(messages);
  return std::move(parsed).value();
}
TextJob job(const OpenAiRequest& request, bool translate_chat) {
  base::Result<std::optional<TextJob>> job = openai_translation_job(request, translate_chat);
  EXPECT_TRUE(job.ok()) << job.status().message();
  EXPECT_TRUE(job.ok() && job.value().has_value());
  return job.ok() && *job ? std::move(**job) : TextJob();
}
OpenAiError refusal(const OpenAiRequest& request) {
  const base::Result<std::optional<TextJob>> job = openai_translation_job(request, true);
  EXPECT_FALSE(job.ok());
  return job.ok() ? OpenAiError() : openai_error(job.status());
}

TEST(OpenAiTranslationJob, PlainChatsAreLeftAlone) {
  const auto job = openai_translation_job(chat({{Role::kUser, "Translate to French: x"}}), false);
  ASSERT_TRUE(job.ok());
  EXPECT_FALSE(job.value().has_value());
}

TEST(OpenAiTranslationJob, OptionsSayAll) {
  const TextJob found = job(chat({{Role::kUser, "Translate to French: x"}},
                                 R"({"source_lang": "English", "target_lang": "de", "domains": "IT",
                                     "terms": [{"source": "x", "target": "y"}]})"),
                            false);
  EXPECT_EQ(found.text, "Translate to French: x");
  EXPECT_EQ(found.from->code, "en");
  EXPECT_EQ(found.to->code, "de");
  EXPECT_EQ(found.context, "IT");
  EXPECT_NE(found.glossary, nullptr);
  EXPECT_EQ(job(chat({{Role::kUser, "x"}}, R"({"source_lang": "auto", "target_lang": "de"})"), true).from,
            nullptr);
  for (const auto& [options, message] : std::vector<std::pair<const char*, const char*>>{
           {"{}", "target language is missing"},
           {R"({"target_lang": "Klingon"})", "Klingon"},
           {R"({"target_lang": 1})", "translation_options.target_lang is a number"},
           {R"({"target_lang": "de", "terms": 1})", "glossary must be"}}) {
    const OpenAiError error = refusal(chat({{Role::kUser, "x"}}, options));
    EXPECT_EQ(error.status, 400);
    EXPECT_THAT(error.message, HasSubstr(message));
    EXPECT_THAT(error.param, HasSubstr("translation_options"));
  }
}

TEST(OpenAiTranslationJob, InstructionsOfTheConversation) {
  TextJob found =
      job(chat({{Role::kSystem, "You translate into German."}, {Role::kUser, "Hello\nyou"}}), true);
  EXPECT_EQ(found.to->code, "de");
  EXPECT_EQ(found.text, "Hello\nyou");
  found =
      job(chat({{Role::kSystem, "You translate into German."}, {Role::kUser, "Translate to German:\n\nHi"}}),
          true);
  EXPECT_EQ(found.text, "Hi");
  // A sentence of the text, not an instruction.
  found = job(chat({{Role::kSystem, "You translate into German."},
                    {Role::kUser, "It was translated into French: a success."}}),
              true);
  EXPECT_EQ(found.to->code, "de");
  EXPECT_EQ(found.text, "It was translated into French: a success.");
  found = job(chat({{Role::kUser, "Translate what follows to Japanese"},
                    {Role::kAssistant, "I translate into French."},
                    {Role::kUser, "Hi"}}),
              true);
  EXPECT_EQ(found.to->code, "ja");
  EXPECT_EQ(found.text, "Hi");
}

TEST(OpenAiTranslationJob, WhatCannotBeToldIsSaid) {
  OpenAiError error = refusal(chat({{Role::kUser, "Hello"}}));
  EXPECT_EQ(error.param, "messages");
  EXPECT_THAT(error.message, HasSubstr("translation_options"));
  error = refusal(chat({{Role::kUser, "Translate Hello to French."}}));
  EXPECT_EQ(error.param, "messages[0]");
  EXPECT_EQ(refusal(chat({{Role::kAssistant, "Hello"}})).param, "messages[0]");
  OpenAiRequest several = chat({{Role::kUser, "Translate to French: x"}});
  several.n = 2;
  EXPECT_EQ(refusal(several).param, "n");
  several.n = 1;
  several.request.sampling.logprobs = 0;
  EXPECT_EQ(refusal(several).param, "logprobs");
}

}  // namespace
}  // namespace pagoda::serve
