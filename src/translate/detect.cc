#include "translate/detect.h"

#include <cstdio>  // compact_lang_det.h uses FILE and does not include it

#include <cld2/public/compact_lang_det.h>
#include <cld2/public/encodings.h>
#include <unicode/translit.h>
#include <unicode/unistr.h>

#include <algorithm>
#include <memory>

namespace pagoda::translate {
namespace {

constexpr std::size_t kMaxBytes = 64 << 10;
// Below this many letters CLD2 takes related languages for each other (short Spanish for Galician, say).
constexpr std::int64_t kShortLetters = 60;

struct Cld2Answer {
  std::string code;  // "" if unknown
  bool reliable = false;
  int percent = 0;
};

Cld2Answer ask_cld2(std::string_view text, int flags) {
  const CLD2::CLDHints hints{nullptr, nullptr, CLD2::UNKNOWN_ENCODING, CLD2::UNKNOWN_LANGUAGE};
  CLD2::Language top[3];
  int percents[3], text_bytes = 0, valid_bytes = 0;
  double scores[3];
  bool reliable = false;
  const CLD2::Language language = CLD2::ExtDetectLanguageSummaryCheckUTF8(
      text.data(), static_cast<int>(text.size()), /*is_plain_text=*/true, &hints, flags, top, percents,
      scores,
      /*resultchunkvector=*/nullptr, &text_bytes, &reliable, &valid_bytes);
  if (language == CLD2::UNKNOWN_LANGUAGE) return {};
  return {CLD2::LanguageCode(language), reliable, language == top[0] ? percents[0] : 50};
}

// ICU's conversion between the two ways of writing Chinese. Building one parses its rules (a millisecond),
// and one is not for two threads at once: each thread keeps its own.
class ChineseConversion {
 public:
  explicit ChineseConversion(const char* id) {
    UErrorCode error = U_ZERO_ERROR;
    transliterator_.reset(icu::Transliterator::createInstance(id, UTRANS_FORWARD, error));
    if (U_FAILURE(error)) transliterator_.reset();  // ICU without data: nothing changes
  }
  // Characters that come out different, that is: that the other way of writing does not use.
  std::size_t changes(const std::u32string& text) const {
    if (transliterator_ == nullptr) return 0;
    auto converted = icu::UnicodeString::fromUTF8(encode(text));
    transliterator_->transliterate(converted);
    std::string utf8;
    const std::u32string after = decode(converted.toUTF8String(utf8));
    std::size_t changed = 0;
    for (std::size_t i = 0; i < std::min(after.size(), text.size()); ++i)
      changed += after[i] != text[i] ? 1 : 0;
    return changed;
  }

 private:
  std::unique_ptr<icu::Transliterator> transliterator_;
};

std::size_t count_of(std::u32string_view text, std::u32string_view characters) {
  return static_cast<std::size_t>(std::count_if(
      text.begin(), text.end(), [&](char32_t c) { return characters.find(c) != std::u32string_view::npos; }));
}

// Written Cantonese has words of its own with characters that standard Chinese does not use.
bool looks_cantonese(std::u32string_view text, std::int64_t letters) {
  const auto own = static_cast<std::int64_t>(count_of(text, U"嘅咗喺冇唔佢哋啲嚟嘢咁嗰睇畀攞瞓噉嘥"));
  return own >= 2 ? own * 25 >= letters : own == 1 && letters <= 8;
}

const Language& chinese_by_characters(const std::u32string& text, std::int64_t letters) {
  if (looks_cantonese(text, letters)) return language("yue");
  thread_local const ChineseConversion to_simplified("Traditional-Simplified");
  thread_local const ChineseConversion to_traditional("Simplified-Traditional");
  const std::u32string sample = text.substr(0, 200);
  return to_simplified.changes(sample) > to_traditional.changes(sample) ? language("zh-Hant")
                                                                        : language("zh");
}

// Letters that, among the languages of the table, only the named one uses.
const Language& arabic_by_letters(std::u32string_view text) {
  if (count_of(text, U"ېۇۆۈۋەڭ") > 0) return language("ug");
  if (count_of(text, U"ٹڈڑےںہھ") > 0) return language("ur");
  return count_of(text, U"پچژگکی") > 0 ? language("fa") : language("ar");
}

const Language& cyrillic_by_letters(std::u32string_view text) {
  if (count_of(text, U"әғқңұһӘҒҚҢҰҺ") > 0) return language("kk");
  if (count_of(text, U"їєґЇЄҐ") > 0) return language("uk");
  if (count_of(text, U"өүӨҮ") > 0) return language("mn");
  return count_of(text, U"іІ") > 0 ? language("uk") : language("ru");
}

// The language that the letters alone suggest; null for Latin, other scripts, and no letters.
const Language* by_script(const std::u32string& text, const ScriptCounts& counts) {
  switch (counts.largest()) {
    case Script::kHan:
      // Japanese has kana in nearly every sentence; a kana or two in Chinese is decoration.
      if (counts.of(Script::kKana) * 10 > counts.of(Script::kHan)) return &language("ja");
      return &chinese_by_characters(text, counts.letters);
    case Script::kKana:
      return &language("ja");
    case Script::kArabic:
      return &arabic_by_letters(text);
    case Script::kCyrillic:
      return &cyrillic_by_letters(text);
    case Script::kLatin:
    case Script::kOther:
    case Script::kNone:
      return nullptr;
    default:
      break;
  }
  for (const Language& entry : languages())
    if (entry.main_script == counts.largest()) return &entry;  // of Devanagari's two, Hindi comes first
  return nullptr;
}

// In these scripts one language of the table is all there is, or letters tell.
bool script_decides(Script script) {
  constexpr ScriptSet kShared = script_set(Script::kLatin, Script::kDevanagari, Script::kCyrillic,
                                           Script::kArabic, Script::kOther, Script::kNone);
  return !contains(kShared, script);
}

Detection make(const Language* found, std::string code, bool reliable, double share) {
  return {found, std::move(code), reliable, reliable ? share : std::min(share, 0.5)};
}

Detection from_letters(const Language& found, const ScriptCounts& counts, bool reliable) {
  const double share = static_cast<double>(counts.weight_of(found.scripts)) /
                       static_cast<double>(std::max<std::int64_t>(1, counts.weight()));
  return make(&found, std::string(found.code), reliable, share);
}

// CLD2 names what it sees, whatever the table; `script` guards against answers that the letters exclude.
Detection from_cld2(const Cld2Answer& answer, const ScriptCounts& counts, bool reliable) {
  const base::Result<const Language*> found = find_language(answer.code);
  const double share = answer.percent / 100.0;
  if (!found.ok()) return make(nullptr, answer.code, reliable && counts.letters >= kShortLetters, share);
  const bool possible = contains((*found)->scripts, counts.largest());
  return possible ? make(*found, std::string((*found)->code), reliable, share) : Detection{};
}

std::string_view first_bytes(std::string_view text) {
  if (text.size() <= kMaxBytes) return text;
  std::size_t end = kMaxBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace

Detection detect_language(std::string_view utf8) {
  const std::u32string text = decode(first_bytes(utf8));
  const ScriptCounts counts = count_scripts(text);
  if (counts.letters == 0) return {};
  const Language* script_guess = by_script(text, counts);
  if (script_guess != nullptr && script_decides(counts.largest()))
    return from_letters(*script_guess, counts, true);

  const std::string valid = encode(text);  // CLD2 gives up on invalid UTF-8
  const Cld2Answer sure = ask_cld2(valid, /*flags=*/0);
  if (sure.reliable) {
    const Detection detection = from_cld2(sure, counts, true);
    if (detection.language != nullptr || detection.reliable) return detection;
  }
  if (script_guess != nullptr && counts.largest() != Script::kDevanagari)
    return from_letters(*script_guess, counts, false);
  const Detection guess = from_cld2(ask_cld2(valid, CLD2::kCLDFlagBestEffort), counts, false);
  if (guess.language != nullptr) return guess;
  if (script_guess != nullptr) return from_letters(*script_guess, counts, false);
  if (!guess.code.empty()) return guess;
  return counts.largest() == Script::kLatin ? from_letters(language("en"), counts, false) : Detection{};
}

}  // namespace pagoda::translate
