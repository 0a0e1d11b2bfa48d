#include "translate/unicode.h"

#include <unicode/normalizer2.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

namespace pagoda::translate {

std::string_view script_name(Script script) {
  static constexpr std::array<std::string_view, kScripts> kNames = {
      "none",   "Latin",   "Han",        "kana",      "Hangul",   "Cyrillic", "Arabic",
      "Hebrew", "Thai",    "Devanagari", "Bengali",   "Gujarati", "Tamil",    "Telugu",
      "Khmer",  "Burmese", "Tibetan",    "Mongolian", "other"};
  return kNames[static_cast<std::size_t>(script)];
}

Script script_of(char32_t c) {
  UErrorCode error = U_ZERO_ERROR;
  switch (uscript_getScript(static_cast<UChar32>(c), &error)) {
    case USCRIPT_COMMON:
    case USCRIPT_INHERITED:
      // The prolonged sound mark is shared by the two kana, and by nothing else.
      return c == 0x30FC || c == 0xFF70 ? Script::kKana : Script::kNone;
    case USCRIPT_LATIN:
      return Script::kLatin;
    case USCRIPT_HAN:
      return Script::kHan;
    case USCRIPT_HIRAGANA:
    case USCRIPT_KATAKANA:
      return Script::kKana;
    case USCRIPT_HANGUL:
      return Script::kHangul;
    case USCRIPT_CYRILLIC:
      return Script::kCyrillic;
    case USCRIPT_ARABIC:
      return Script::kArabic;
    case USCRIPT_HEBREW:
      return Script::kHebrew;
    case USCRIPT_THAI:
      return Script::kThai;
    case USCRIPT_DEVANAGARI:
      return Script::kDevanagari;
    case USCRIPT_BENGALI:
      return Script::kBengali;
    case USCRIPT_GUJARATI:
      return Script::kGujarati;
    case USCRIPT_TAMIL:
      return Script::kTamil;
    case USCRIPT_TELUGU:
      return Script::kTelugu;
    case USCRIPT_KHMER:
      return Script::kKhmer;
    case USCRIPT_MYANMAR:
      return Script::kMyanmar;
    case USCRIPT_TIBETAN:
      return Script::kTibetan;
    case USCRIPT_MONGOLIAN:
      return Script::kMongolian;
    default:
      return u_isdefined(static_cast<UChar32>(c)) ? Script::kOther : Script::kNone;
  }
}

bool is_mark(char32_t c) { return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_M_MASK) != 0; }
bool is_letter(char32_t c) {
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & (U_GC_L_MASK | U_GC_M_MASK)) != 0;
}
bool is_space(char32_t c) { return c == 0xFEFF || u_isUWhiteSpace(static_cast<UChar32>(c)); }
bool is_upper(char32_t c) { return u_isUUppercase(static_cast<UChar32>(c)); }
bool is_word(char32_t c) { return c == U'_' || is_letter(c) || u_isdigit(static_cast<UChar32>(c)); }

bool has_spaces(Script script) {
  constexpr ScriptSet kWithout = script_set(Script::kHan, Script::kKana, Script::kThai, Script::kKhmer,
                                            Script::kMyanmar, Script::kTibetan);
  return !contains(kWithout, script);
}

std::u32string decode(std::string_view utf8) {
  std::u32string out;
  out.reserve(utf8.size());
  const auto length = static_cast<std::int32_t>(utf8.size());
  for (std::int32_t i = 0; i < length;) {
    UChar32 c;
    U8_NEXT_OR_FFFD(utf8.data(), i, length, c);
    out.push_back(static_cast<char32_t>(c));
  }
  return out;
}

std::string encode(std::u32string_view text) {
  std::string out;
  out.reserve(text.size() * 2);
  for (const char32_t c : text) {
    std::uint8_t bytes[4];
    int length = 0;
    U8_APPEND_UNSAFE(bytes, length, static_cast<UChar32>(c));
    out.append(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(length));
  }
  return out;
}

char32_t fold(char32_t c) {
  return static_cast<char32_t>(u_foldCase(static_cast<UChar32>(c), U_FOLD_CASE_DEFAULT));
}

std::u32string fold(std::u32string_view text) {
  std::u32string out(text);
  for (char32_t& c : out) c = fold(c);
  return out;
}

std::string fold_name(std::string_view utf8) {
  UErrorCode error = U_ZERO_ERROR;
  const icu::Normalizer2* casefold = icu::Normalizer2::getNFKCCasefoldInstance(error);
  const icu::Normalizer2* decompose = icu::Normalizer2::getNFDInstance(error);
  if (U_FAILURE(error)) return std::string(utf8);  // ICU without data: names match as written
  const std::string_view trimmed = trim(utf8);
  auto text = icu::UnicodeString::fromUTF8(
      icu::StringPiece(trimmed.data(), static_cast<std::int32_t>(trimmed.size())));
  text = decompose->normalize(casefold->normalize(text, error), error);
  icu::UnicodeString bare;
  for (std::int32_t i = 0; i < text.length(); ++i)
    if (text[i] < 0x300 || text[i] > 0x36F) bare.append(text[i]);
  std::string out;
  bare.toUTF8String(out);
  return out;
}

std::string_view trim(std::string_view utf8) {
  const auto length = static_cast<std::int32_t>(utf8.size());
  std::int32_t begin = 0, end = length;
  for (std::int32_t i = 0; i < length; begin = i) {
    UChar32 c;
    U8_NEXT_OR_FFFD(utf8.data(), i, length, c);
    if (!is_space(static_cast<char32_t>(c))) break;
  }
  for (std::int32_t i = length; i > begin; end = i) {
    UChar32 c;
    U8_PREV_OR_FFFD(utf8.data(), begin, i, c);
    if (!is_space(static_cast<char32_t>(c))) break;
  }
  return utf8.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
}

std::int64_t ScriptCounts::of_set(ScriptSet set) const {
  std::int64_t sum = 0;
  for (std::size_t i = 1; i < kScripts; ++i)
    if (contains(set, static_cast<Script>(i))) sum += by_script[i];
  return sum;
}

std::int64_t ScriptCounts::weight_of(ScriptSet set) const {
  constexpr ScriptSet kSyllables = script_set(Script::kHan, Script::kKana, Script::kHangul);
  return of_set(set) + 2 * of_set(set & kSyllables);
}

Script ScriptCounts::largest() const {
  Script best = Script::kNone;
  std::int64_t best_weight = 0;
  for (std::size_t i = 1; i < kScripts; ++i) {
    const Script script = static_cast<Script>(i);
    const std::int64_t weight = weight_of(script_set(script));
    if (weight <= best_weight) continue;
    best = script;
    best_weight = weight;
  }
  return best;
}

ScriptCounts count_scripts(std::u32string_view text) {
  ScriptCounts counts;
  for (const char32_t c : text) {
    if (!is_letter(c)) continue;
    const Script script = script_of(c);
    ++counts.by_script[static_cast<std::size_t>(script)];
    if (script != Script::kNone) ++counts.letters;
  }
  return counts;
}

ScriptCounts count_scripts(std::string_view utf8) { return count_scripts(decode(utf8)); }

}  // namespace pagoda::translate
