#pragma once
// What this folder needs to know about characters: decoding, case folding, scripts. ICU stays behind this
// header. Pure functions; any thread.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace pagoda::translate {

// Scripts of the languages we translate; every other script is kOther, and characters shared by all scripts
// (digits, punctuation, symbols) are kNone.
enum class Script : std::uint8_t {
  kNone,
  kLatin,
  kHan,
  kKana,
  kHangul,
  kCyrillic,
  kArabic,
  kHebrew,
  kThai,
  kDevanagari,
  kBengali,
  kGujarati,
  kTamil,
  kTelugu,
  kKhmer,
  kMyanmar,
  kTibetan,
  kMongolian,
  kOther,
};
inline constexpr std::size_t kScripts = static_cast<std::size_t>(Script::kOther) + 1;
std::string_view script_name(Script script);

// A set of scripts, as bits.
using ScriptSet = std::uint32_t;
constexpr ScriptSet script_set(Script script) { return ScriptSet{1} << static_cast<unsigned>(script); }
template <typename... Scripts>
constexpr ScriptSet script_set(Script first, Scripts... more) {
  return script_set(first) | script_set(more...);
}
constexpr bool contains(ScriptSet set, Script script) { return (set & script_set(script)) != 0; }

Script script_of(char32_t c);
bool is_letter(char32_t c);  // letters and combining marks
bool is_mark(char32_t c);    // combining marks alone
bool is_space(char32_t c);   // Unicode white space, U+3000 and U+FEFF included
bool is_upper(char32_t c);
// Part of a word as the reader sees it: letter, mark, digit or underscore.
bool is_word(char32_t c);
// Words of this script are written with spaces between them (not so: Han, kana, Thai, Khmer, Burmese,
// Tibetan).
bool has_spaces(Script script);

// Invalid bytes become U+FFFD, one for each maximal wrong sequence.
std::u32string decode(std::string_view utf8);
std::string encode(std::u32string_view text);
// Simple case folding, one code point for each code point, so that positions stay.
char32_t fold(char32_t c);
std::u32string fold(std::u32string_view text);
// For comparing names: NFKC, case folded, accents of Latin letters removed ("Español" -> "espanol").
std::string fold_name(std::string_view utf8);

std::string_view trim(std::string_view utf8);

// Letters of a text by script. Marks that belong to several scripts count with none. Where scripts are
// compared, a letter of Han, kana or Hangul weighs as much as three: it stands for a syllable or a word, so
// that in "Julian错了吗" the Chinese is the larger part.
struct ScriptCounts {
  std::array<std::int64_t, kScripts> by_script{};
  std::int64_t letters = 0;  // sum of by_script without kNone

  std::int64_t of(Script script) const { return by_script[static_cast<std::size_t>(script)]; }
  std::int64_t of_set(ScriptSet set) const;
  std::int64_t weight_of(ScriptSet set) const;
  std::int64_t weight() const { return weight_of(~ScriptSet{0}); }
  Script largest() const;  // by weight; kNone if there are no letters
};
ScriptCounts count_scripts(std::u32string_view text);
ScriptCounts count_scripts(std::string_view utf8);

}  // namespace pagoda::translate
