#include "translate/languages.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <set>
#include <string>

namespace pagoda::translate {
namespace {

using ::testing::HasSubstr;

// The 38 rows of the table in the models' READMEs.
constexpr const char* kCodes[] = {"zh", "en", "fr", "pt", "es", "ja", "tr", "ru", "ar",      "ko",
                                  "th", "it", "de", "vi", "ms", "id", "tl", "hi", "zh-Hant", "pl",
                                  "cs", "nl", "km", "my", "fa", "gu", "ur", "te", "mr",      "he",
                                  "bn", "ta", "uk", "bo", "kk", "mn", "ug", "yue"};

std::string code_of(std::string_view text) {
  const auto found = find_language(text);
  return found.ok() ? std::string((*found)->code) : found.status().message();
}

TEST(Languages, AreThoseOfTheModelTableInItsOrder) {
  ASSERT_EQ(languages().size(), std::size(kCodes));
  for (std::size_t i = 0; i < std::size(kCodes); ++i) EXPECT_EQ(languages()[i].code, kCodes[i]);
}

TEST(Languages, AreCompleteAndUnique) {
  std::set<std::string_view> codes, english, chinese, native;
  for (const Language& entry : languages()) {
    EXPECT_TRUE(codes.insert(entry.code).second) << entry.code;
    EXPECT_TRUE(english.insert(entry.english_name).second) << entry.code;
    EXPECT_TRUE(chinese.insert(entry.chinese_name).second) << entry.code;
    EXPECT_TRUE(native.insert(entry.native_name).second) << entry.code;
    EXPECT_EQ(entry.iso639_3.size(), 3u) << entry.code;
    EXPECT_TRUE(contains(entry.scripts, entry.main_script)) << entry.code;
  }
}

TEST(Languages, AreWrittenInTheirScripts) {
  for (const Language& entry : languages()) {
    const ScriptCounts counts = count_scripts(entry.native_name);
    EXPECT_EQ(counts.of_set(entry.scripts), counts.letters) << entry.native_name;
    const ScriptCounts name = count_scripts(entry.chinese_name);
    EXPECT_EQ(name.of(Script::kHan), name.letters) << entry.chinese_name;
  }
}

TEST(Languages, EverySpellingLeadsBack) {
  for (const Language& entry : languages()) {
    EXPECT_EQ(code_of(entry.code), entry.code);
    EXPECT_EQ(code_of(entry.english_name), entry.code);
    EXPECT_EQ(code_of(entry.chinese_name), entry.code);
    EXPECT_EQ(code_of(entry.native_name), entry.code);
    EXPECT_EQ(code_of(entry.iso639_3), entry.code == "zh-Hant" ? "zh" : entry.code);
    // No alias is shadowed by another language's name.
    std::string_view rest = entry.aliases;
    while (!rest.empty()) {
      const std::size_t bar = rest.find('|');
      EXPECT_EQ(code_of(rest.substr(0, bar)), entry.code) << rest.substr(0, bar);
      rest = bar == std::string_view::npos ? std::string_view() : rest.substr(bar + 1);
    }
  }
}

TEST(Languages, FoundByWhatClientsSend) {
  const struct {
    const char* text;
    const char* code;
  } cases[] = {
      {"zh-CN", "zh"},
      {"zh-Hans", "zh"},
      {"ZH-HANS", "zh"},
      {"zh_Hans_CN", "zh"},
      {"zho_Hans", "zh"},
      {"chi", "zh"},
      {"cn", "zh"},
      {"Chinese (Simplified)", "zh"},
      {"中文(简体)", "zh"},
      {"中文（简体）", "zh"},
      {"zh-SG", "zh"},
      {"zh_TW", "zh-Hant"},
      {"zh-HK", "zh-Hant"},
      {"zh-mo", "zh-Hant"},
      {"ZH-HANT", "zh-Hant"},
      {"zho_Hant", "zh-Hant"},
      {"zt", "zh-Hant"},
      {"zh-Hans-HK", "zh"},
      {"zh-Hant-HK", "zh-Hant"},
      {"繁體中文", "zh-Hant"},
      {"yue", "yue"},
      {"zh-yue", "yue"},
      {"yue-Hant-HK", "yue"},
      {"pt-BR", "pt"},
      {"PT-PT", "pt"},
      {"pb", "pt"},
      {"en-US", "en"},
      {"EN-GB", "en"},
      {"eng_Latn", "en"},
      {"es-419", "es"},
      {"iw", "he"},
      {"fil", "tl"},
      {"Tagalog", "tl"},
      {"in", "id"},
      {"French", "fr"},
      {"français", "fr"},
      {"FRANCAIS", "fr"},
      {"法语", "fr"},
      {"fra", "fr"},
      {"fre", "fr"},
      {"deu", "de"},
      {"ger", "de"},
      {"jpn", "ja"},
      {"jp", "ja"},
      {"日本語", "ja"},
      {"espanol", "es"},
      {" ru ", "ru"},
      {"kk-Latn", "kk"},
      {"mn-Mong", "mn"},
      {"ca_nothing", nullptr},
      {"en us", nullptr},
      {"en-toolongsubtag", nullptr},
      {"-", nullptr},
      {"", nullptr},
      {"auto", nullptr},
  };
  for (const auto& c : cases) {
    if (c.code == nullptr) {
      EXPECT_FALSE(find_language(c.text).ok()) << c.text;
    } else {
      EXPECT_EQ(code_of(c.text), c.code) << c.text;
    }
  }
}

TEST(Languages, UnknownOnesAreNamedWithTheNearest) {
  EXPECT_THAT(code_of("Frensh"), HasSubstr("unknown language \"Frensh\"; did you mean French (fr)?"));
  EXPECT_THAT(code_of("Portugese"), HasSubstr("Portuguese (pt)"));
  EXPECT_THAT(code_of("sv"), HasSubstr("language \"sv\" (Swedish) is not one of the 38"));
  EXPECT_THAT(code_of("nb-NO"), HasSubstr("language \"nb-NO\" (Norwegian Bokmål)"));
  EXPECT_EQ(code_of("qqqqqqqqqqqqqqq").find("did you mean"), std::string::npos);
  EXPECT_EQ(code_of("xq").find("did you mean"), std::string::npos);
  for (const char* text : {"Frensh", "sv", "qq"}) {
    EXPECT_THAT(code_of(text), HasSubstr(std::string(kHowToListLanguages)));
    EXPECT_EQ(find_language(text).status().code(), base::Code::kInvalidArgument);
  }
  EXPECT_LT(code_of(std::string(100000, 'x')).size(), 200u);
  EXPECT_FALSE(find_language("\xff\xfe").ok());
}

TEST(Languages, AutoIsNoLanguage) {
  for (const char* text : {"auto", "AUTO", "detect", "auto-detect", "", " "})
    EXPECT_TRUE(means_auto(text)) << text;
  for (const char* text : {"en", "automatic"}) EXPECT_FALSE(means_auto(text)) << text;
}

std::string table_of_docs() {
  std::string table =
      "| code | language | in Chinese prompts | own name | script | right to left "
      "|\n|---|---|---|---|---|---|\n";
  for (const Language& entry : languages())
    table +=
        fmt::format("| {} | {} | {} | {} | {} | {} |\n", entry.code, entry.english_name, entry.chinese_name,
                    entry.native_name, script_name(entry.main_script), entry.right_to_left ? "yes" : "");
  return table;
}

TEST(Languages, AreListedInDocs) {
  std::ifstream file(PAGODA_SOURCE_DIR "/docs/languages.md");
  ASSERT_TRUE(file) << "docs/languages.md is missing";
  const std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  EXPECT_THAT(text, HasSubstr(table_of_docs()));
}

}  // namespace
}  // namespace pagoda::translate
