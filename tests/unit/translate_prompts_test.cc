// The wordings, byte for byte.

#include "translate/prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "translate/sampling.h"

namespace pagoda::translate {
namespace {

constexpr PromptStyle k15 = PromptStyle::kHyMt15, k2 = PromptStyle::kHyMt2;

Task task(std::string source, std::string_view from, std::string_view to) {
  Task made;
  made.source = std::move(source);
  if (!from.empty()) made.from = &language(from);
  made.to = &language(to);
  return made;
}

TEST(Prompts, Plain) {
  const struct {
    const char *from, *to, *source;
    PromptStyle style;
    const char* text;
  } cases[] = {
      {"en", "zh", "Hello", k15, "将以下文本翻译为中文，注意只需要输出翻译后的结果，不要额外解释：\n\nHello"},
      {"zh", "fr", "你好", k15, "将以下文本翻译为法语，注意只需要输出翻译后的结果，不要额外解释：\n\n你好"},
      {"", "zh-Hant", "Hi", k15,
       "将以下文本翻译为繁体中文，注意只需要输出翻译后的结果，不要额外解释：\n\nHi"},
      {"yue", "en", "唔該", k15, "将以下文本翻译为英语，注意只需要输出翻译后的结果，不要额外解释：\n\n唔該"},
      {"en", "de", "Hello", k15,
       "Translate the following segment into German, without additional explanation.\n\nHello"},
      {"", "ja", "Hello", k15,
       "Translate the following segment into Japanese, without additional explanation.\n\nHello"},
      {"en", "zh", "Hello", k2,
       "将以下文本翻译为 中文，注意**只需要输出翻译后的结果，不要额外解释**：\n\nHello"},
      {"zh", "ko", "你好", k2,
       "将以下文本翻译为 韩语，注意**只需要输出翻译后的结果，不要额外解释**：\n\n你好"},
      {"en", "de", "Hello", k2,
       "Translate the following text into German. Note that you should **only output the translated result "
       "without any "
       "additional explanation**:\n\nHello"},
  };
  for (const auto& c : cases) EXPECT_EQ(user_text(task(c.source, c.from, c.to), c.style), c.text);
}

TEST(Prompts, EdgesOfTheSourceAreNotSent) {
  EXPECT_EQ(user_text(task("  a\n b\u3000\n", "en", "de"), k15),
            "Translate the following segment into German, without additional explanation.\n\na\n b");
}

TEST(Prompts, Terms) {
  Task chinese = task("混元珠在此", "zh", "en");
  chinese.terms = {{"混元珠", "Chaos Pearl"}, {"此", "here"}};
  EXPECT_EQ(user_text(chinese, k15),
            "参考下面的翻译：\n混元珠 翻译成 Chaos Pearl\n此 翻译成 here\n\n"
            "将以下文本翻译为英语，注意只需要输出翻译后的结果，不要额外解释：\n混元珠在此");
  EXPECT_EQ(user_text(chinese, k2),
            "参考下面的翻译：\n混元珠 翻译成 Chaos Pearl\n此 翻译成 here\n"
            "将以下文本翻译为 英语，注意**只需要输出翻译后的结果，不要额外解释**：\n\n混元珠在此");
  Task other = task("The cat sat.", "en", "de");
  other.terms = {{"cat", "Kater"}, {"sat", "saß"}};
  for (const PromptStyle style : {k15, k2})
    EXPECT_EQ(user_text(other, style),
              "Reference the following translations:\ncat translates to Kater\nsat translates to saß\n\n"
              "Translate the following text into German. Note that you must **ONLY output the translated "
              "result without "
              "any additional explanation**:\n\nThe cat sat.");
}

TEST(Prompts, ATermStaysOnItsLine) {
  Task made = task("a b", "en", "de");
  made.terms = {{"a\nb", " c\td\r"}};
  EXPECT_THAT(user_text(made, k15), ::testing::HasSubstr("\na b translates to c d\n\n"));
}

TEST(Prompts, Context) {
  Task made = task("Pilots", "en", "zh");
  made.context = "New TV series of the season.\n";
  EXPECT_EQ(user_text(made, k15),
            "New TV series of the "
            "season.\n参考上面的信息，把下面的文本翻译成中文，注意不需要翻译上文，也不要额外解释：\nPilots");
  EXPECT_EQ(user_text(made, k2),
            "【背景信息】\nNew TV series of the season.\n\n请结合背景信息将以下文本翻译为 "
            "中文。\n\n【待翻译文本】\nPilots");
  made.to = &language("de");
  EXPECT_EQ(user_text(made, k15),
            "New TV series of the "
            "season.\n参考上面的信息，把下面的文本翻译成德语，注意不需要翻译上文，也不要额外解释：\nPilots");
  EXPECT_EQ(user_text(made, k2),
            "[Background Information]\nNew TV series of the season.\n\nPlease translate the following text "
            "into German, "
            "taking the provided background information into consideration.\n\n[Source Text]\nPilots");
}

TEST(Prompts, Formatted) {
  Task made = task("<s1>Hello</s1> there", "en", "zh");
  made.formatted = true;
  const std::string text =
      "将以下<source></source>之间的文本翻译为中文，注意只需要输出翻译后的结果，不要额外解释，"
      "原文中的<sn></sn>标签表示标签内文本包含格式信息，需要在译文中相应的位置尽量保留该标签。"
      "输出格式为：<target>str</target>\n\n<source><s1>Hello</s1> there</source>";
  EXPECT_EQ(user_text(made, k15), text);
  EXPECT_EQ(user_text(made, k2), text);
}

TEST(Prompts, Combinations) {
  Task made = task("x", "en", "fr");
  made.terms = {{"a", "b"}};
  made.context = std::string("c");
  EXPECT_EQ(user_text(made, k15),
            "参考下面的翻译：\na 翻译成 "
            "b\n\nc\n参考上面的信息，把下面的文本翻译成法语，注意不需要翻译上文，也不要额外解释：\nx");
  EXPECT_EQ(user_text(made, k2),
            "Reference the following translations:\na translates to b\n\n[Background "
            "Information]\nc\n\nPlease translate the "
            "following text into French, taking the provided background information into "
            "consideration.\n\n[Source Text]\nx");
  made.to = &language("zh");
  EXPECT_EQ(user_text(made, k2),
            "参考下面的翻译：\na 翻译成 b\n\n【背景信息】\nc\n\n请结合背景信息将以下文本翻译为 "
            "中文。\n\n【待翻译文本】\nx");
  made.formatted = true;
  EXPECT_EQ(user_text(made, k15),
            "参考下面的翻译：\na 翻译成 b\n\nc\n参考上面的信息，将以下<source></source>之间的文本翻译为中文，"
            "注意只需要输出翻译后的结果，不要额外解释，原文中的<sn></sn>标签表示标签内文本包含格式信息，"
            "需要在译文中相应的位置尽量保留该标签。输出格式为：<target>str</target>\n\n<source>x</source>");
}

TEST(Prompts, OneMessageOfTheUser) {
  const Task made = task("Hello", "en", "de");
  const auto messages = build_messages(made, k15);
  ASSERT_EQ(messages.size(), 1u);
  EXPECT_EQ(messages[0].role, text::Role::kUser);
  EXPECT_EQ(messages[0].content, user_text(made, k15));
}

TEST(Prompts, StyleIsChosenByFlagThenByName) {
  const struct {
    const char *flag, *model;
    PromptStyle style;
  } cases[] = {
      {"auto", "models/Hy-MT2-7B", k2},
      {"auto", "hy-mt2-1.8b-fp8", k2},
      {"", "HY-MT1.5-1.8B", k15},
      {"auto", "nano", k15},
      {"hy-mt2", "HY-MT1.5-1.8B", k2},
      {"HY-MT1.5", "Hy-MT2-7B", k15},
      {"auto", "", k15},
  };
  for (const auto& c : cases) {
    const auto style = choose_prompt_style(c.flag, c.model);
    ASSERT_TRUE(style.ok());
    EXPECT_EQ(*style, c.style) << c.flag << " " << c.model;
  }
  const auto wrong = choose_prompt_style("mt3", "x");
  ASSERT_FALSE(wrong.ok());
  EXPECT_EQ(wrong.status().message(), "prompt style \"mt3\" is none of hy-mt1.5, hy-mt2, auto");
  for (const PromptStyle style : {k15, k2})
    EXPECT_EQ(*choose_prompt_style(prompt_style_name(style), ""), style);
}

TEST(Sampling, IsThatOfTheModelCards) {
  for (const text::Family family : {text::Family::kHyDense, text::Family::kTiktoken}) {
    const OfficialSampling sampling = official_sampling(family);
    EXPECT_EQ(sampling.temperature, 0.7);
    EXPECT_EQ(sampling.top_p, 0.6);
    EXPECT_EQ(sampling.top_k, 20);
    EXPECT_EQ(sampling.repetition_penalty, 1.05);
  }
  const OfficialSampling moe = official_sampling(text::Family::kHyMoe);
  EXPECT_EQ(moe.top_p, 1.0);
  EXPECT_EQ(moe.top_k, -1);
  EXPECT_EQ(moe.repetition_penalty, 1.0);
  EXPECT_EQ(kGreedy.temperature, 0.0);
}

}  // namespace
}  // namespace pagoda::translate
