#include "serve/dialects/language_codes.h"

#include <gtest/gtest.h>

namespace pagoda::serve {
namespace {

TEST(LanguageCodes, EachDialectHasItsOwn) {
  EXPECT_EQ(deepl_code("fr"), "FR");
  EXPECT_EQ(deepl_code("zh"), "ZH");
  EXPECT_EQ(deepl_code("zh-Hant"), "ZH");
  EXPECT_EQ(deepl_code("sv"), "SV");
  EXPECT_EQ(deepl_code(""), "");
  EXPECT_EQ(browser_code("zh"), "zh-CN");
  EXPECT_EQ(browser_code("zh-Hant"), "zh-TW");
  EXPECT_EQ(browser_code("he"), "he");
  EXPECT_EQ(google_code("he"), "iw");
  EXPECT_EQ(google_code("zh"), "zh-CN");
  EXPECT_EQ(google_code(""), "und");
  EXPECT_EQ(mtran_code("zh"), "zh-Hans");
  EXPECT_EQ(mtran_code("zh-Hant"), "zh-Hant");
  EXPECT_EQ(hcfy_name("zh"), "中文(简体)");
  EXPECT_EQ(hcfy_name("zh-Hant"), "中文(繁体)");
  EXPECT_EQ(hcfy_name("en"), "英语");
  EXPECT_EQ(hcfy_name("sv"), "sv");
}

// What is said in an answer must be understood when it comes back as a question.
TEST(LanguageCodes, AreUnderstoodThemselves) {
  for (const translate::Language& language : translate::languages()) {
    for (const std::string& code : {browser_code(language.code), google_code(language.code),
                                    mtran_code(language.code), hcfy_name(language.code)}) {
      const auto found = translate::find_language(code);
      ASSERT_TRUE(found.ok()) << code;
      EXPECT_EQ(*found, &language) << code;
    }
    EXPECT_TRUE(translate::find_language(deepl_code(language.code)).ok()) << language.code;
    EXPECT_EQ(table_language(language.code), &language);
  }
  EXPECT_EQ(table_language("sv"), nullptr);
  for (const char* variant : {"EN-GB", "EN-US", "PT-BR", "PT-PT", "ZH-HANS", "ZH-HANT"})
    EXPECT_TRUE(translate::find_language(variant).ok()) << variant;
}

}  // namespace
}  // namespace pagoda::serve
