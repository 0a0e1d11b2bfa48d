#include "translate/detect.h"

#include <gtest/gtest.h>

namespace pagoda::translate {
namespace {

std::string detected(std::string_view text) { return detect_language(text).code; }

TEST(Detect, ShortTexts) {
  const struct {
    const char *text, *code;
  } cases[] = {
      {"今天天气很好", "zh"},
      {"Hello", "en"},
      {"今天天氣很好", "zh-Hant"},
      {"我們", "zh-Hant"},
      {"你好", "zh"},
      {"我哋今日去邊度", "yue"},
      {"こんにちは", "ja"},
      {"今日は天気がいい", "ja"},
      {"안녕", "ko"},
      {"مرحبا", "ar"},
      {"سلام چطوری", "fa"},
      {"ياخشىمۇسىز", "ug"},
      {"Привет", "ru"},
      {"Привіт, як справи?", "uk"},
      {"Сәлеметсіз бе", "kk"},
      {"ขอบคุณ", "th"},
      {"नमस्ते", "hi"},
      {"שלום", "he"},
      {"Julian错了吗", "zh"},
      {"བོད་སྐད", "bo"},
      {"ನಮಸ್ಕಾರ", "kn"},
      {"Bonjour", "fr"},
      {"Guten Tag", "de"},
      {"xin chào", "vi"},
      {"OK", "en"},
      {"ᠮᠣᠩᠭᠣᠯ", "mn"},
      {"ગુજરાતી", "gu"},
      {"বাংলা", "bn"},
      {"தமிழ்", "ta"},
      {"తెలుగు", "te"},
      {"ភាសា", "km"},
      {"မြန်မာ", "my"},
  };
  for (const auto& c : cases) EXPECT_EQ(detected(c.text), c.code) << c.text;
}

TEST(Detect, Sentences) {
  const struct {
    const char *text, *code;
  } cases[] = {
      {"The quick brown fox jumps over the lazy dog.", "en"},
      {"Il fait beau aujourd'hui, nous allons au marché.", "fr"},
      {"Wo ist der Bahnhof, bitte?", "de"},
      {"¿Dónde está la estación de tren más cercana, por favor?", "es"},
      {"Onde fica a estação de trem mais próxima?", "pt"},
      {"Saya pergi ke pasar untuk membeli sayur-sayuran.", "id"},
      {"Dokąd idziesz dzisiaj wieczorem?", "pl"},
      {"هذا الكتاب مفيد جدا للطلاب", "ar"},
      {"यह पुस्तक विद्यार्थियों के लिए बहुत उपयोगी है", "hi"},
      {"हे पुस्तक विद्यार्थ्यांसाठी खूप उपयुक्त आहे", "mr"},
  };
  for (const auto& c : cases) {
    const Detection detection = detect_language(c.text);
    EXPECT_EQ(detection.code, c.code) << c.text;
    ASSERT_NE(detection.language, nullptr);
    EXPECT_TRUE(detection.reliable) << c.text;
    EXPECT_GT(detection.confidence, 0.5);
    EXPECT_LE(detection.confidence, 1.0);
  }
}

TEST(Detect, LanguagesOutsideTheTableAreNamed) {
  const Detection swedish = detect_language(
      "Hej, hur mår du idag? Det är fint väder och vi ska gå till stranden med barnen efter maten.");
  EXPECT_EQ(swedish.language, nullptr);
  EXPECT_EQ(swedish.code, "sv");
  EXPECT_TRUE(swedish.reliable);
}

TEST(Detect, NothingFromNothing) {
  for (const char* text : {"", " ", "12345", "!?", "😀", "\xff\xfe"}) {
    const Detection detection = detect_language(text);
    EXPECT_EQ(detection.language, nullptr) << text;
    EXPECT_EQ(detection.code, "") << text;
    EXPECT_FALSE(detection.reliable);
    EXPECT_EQ(detection.confidence, 0);
  }
}

TEST(Detect, GuessesAreNotReliable) {
  for (const char* text : {"Hello", "OK", "Привет"}) {
    const Detection detection = detect_language(text);
    EXPECT_FALSE(detection.reliable) << text;
    EXPECT_LE(detection.confidence, 0.5) << text;
  }
}

TEST(Detect, LongAndBrokenTexts) {
  std::string text;
  while (text.size() < (1 << 20)) text += "This is a sentence, and another one follows it. ";
  EXPECT_EQ(detected(text), "en");
  text.clear();
  while (text.size() < (1 << 18)) text += "我们明天去公园散步吧。";
  EXPECT_EQ(detected(text), "zh");
  EXPECT_EQ(detected("The quick brown fox \xff jumps over the lazy dog \xe4\xbd"), "en");
}

}  // namespace
}  // namespace pagoda::translate
