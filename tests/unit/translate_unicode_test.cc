#include "translate/unicode.h"

#include <gtest/gtest.h>

namespace pagoda::translate {
namespace {

TEST(Unicode, DecodesAndEncodes) {
  for (const std::string text : {"", "a", "é", "你好", "😀", "ไทย"}) EXPECT_EQ(encode(decode(text)), text);
  EXPECT_EQ(decode("a\xff\xe4\xbd"
                   "b"),
            U"a\uFFFD\uFFFDb");
  EXPECT_EQ(decode(std::string_view("a\0b", 3)).size(), 3u);
}

TEST(Unicode, TrimsAllWhiteSpace) {
  EXPECT_EQ(trim("\u3000 a\tb \u00a0\n"), "a\tb");
  EXPECT_EQ(trim(" \n"), "");
  EXPECT_EQ(trim(""), "");
  EXPECT_EQ(trim("\xff"), "\xff");
}

TEST(Unicode, Scripts) {
  const struct {
    char32_t character;
    Script script;
  } cases[] = {{U'a', Script::kLatin},   {U'é', Script::kLatin},     {U'你', Script::kHan},
               {U'あ', Script::kKana},   {U'ア', Script::kKana},     {U'ー', Script::kKana},
               {U'한', Script::kHangul}, {U'ж', Script::kCyrillic},  {U'ع', Script::kArabic},
               {U'ש', Script::kHebrew},  {U'ไ', Script::kThai},      {U'ह', Script::kDevanagari},
               {U'ব', Script::kBengali}, {U'ગ', Script::kGujarati},  {U'த', Script::kTamil},
               {U'త', Script::kTelugu},  {U'ខ', Script::kKhmer},     {U'မ', Script::kMyanmar},
               {U'བ', Script::kTibetan}, {U'ᠠ', Script::kMongolian}, {U'λ', Script::kOther},
               {U'1', Script::kNone},    {U'!', Script::kNone},      {U'。', Script::kNone}};
  for (const auto& c : cases)
    EXPECT_EQ(script_of(c.character), c.script) << static_cast<std::uint32_t>(c.character);
}

TEST(Unicode, CountsLettersByScript) {
  const ScriptCounts counts = count_scripts("abc 你好 12, λ");
  EXPECT_EQ(counts.letters, 6);
  EXPECT_EQ(counts.of(Script::kLatin), 3);
  EXPECT_EQ(counts.of_set(script_set(Script::kHan, Script::kOther)), 3);
  EXPECT_EQ(counts.weight(), 10);
  EXPECT_EQ(counts.largest(), Script::kHan);
  EXPECT_EQ(count_scripts("abcdefg 你好").largest(), Script::kLatin);
  EXPECT_EQ(count_scripts("123").largest(), Script::kNone);
}

TEST(Unicode, FoldsNames) {
  EXPECT_EQ(fold_name(" Español "), "espanol");
  EXPECT_EQ(fold_name("中文（简体）"), "中文(简体)");
  EXPECT_EQ(fold_name("ＦＲ"), "fr");
  EXPECT_EQ(fold(std::u32string_view(U"ÄB")), U"äb");
}

}  // namespace
}  // namespace pagoda::translate
