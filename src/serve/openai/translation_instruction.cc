#include "serve/openai/translation_instruction.h"

#include <algorithm>
#include <array>
#include <string>

#include "text/utf8.h"
#include "translate/unicode.h"

namespace pagoda::serve {
namespace {

using translate::Language;

// An instruction stands at the beginning; what is further behind is the text's own words.
constexpr std::size_t kMaxInstructionBytes = 4096;

struct Marker {
  std::string_view word;  // in lower case
  bool needs_verb;        // means something only behind "translate"
};
constexpr std::array<Marker, 14> kMarkers = {{{"into", true},
                                              {"to", true},
                                              {"target language", false},
                                              {"翻译成", false},
                                              {"翻译为", false},
                                              {"翻译到", false},
                                              {"译成", false},
                                              {"译为", false},
                                              {"翻譯成", false},
                                              {"翻譯為", false},
                                              {"譯成", false},
                                              {"譯為", false},
                                              {"目标语言", false},
                                              {"目標語言", false}}};
constexpr std::string_view kVerb = "translat";  // e, ing, ion, or

// Codes that are words of English: "translate it to me" asks for no Burmese.
constexpr std::array<std::string_view, 8> kWordCodes = {"it", "my", "in", "he", "hi", "id", "may", "per"};

constexpr std::array<std::string_view, 21> kOpening = {" ",  ":",  "：", "=",  "\"", "'",    "`",
                                                       "*",  "[",  "<",  "{",  "(",  "“",    "‘",
                                                       "「", "『", "【", "《", "是", "the ", "is "};
constexpr std::array<std::string_view, 16> kClosing = {"\"", "'", "`",  "*",  "]",  ">",  "}",  ")",
                                                       "”",  "’", "」", "』", "】", "》", "）", "\u00a0"};
constexpr std::string_view kWordEnd = " \t\r\n,.;:!?\"'`]}>*|/";

std::string ascii_lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower;
}
bool is_ascii_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

template <typename Strings>
std::size_t skip_any(std::string_view text, std::size_t at, const Strings& strings) {
  for (bool found = true; found;) {
    found = false;
    for (const std::string_view string : strings) {
      if (!text.substr(at).starts_with(string)) continue;
      at += string.size();
      found = true;
    }
  }
  return at;
}

// Scripts without spaces: the longest name that the text begins with.
std::optional<TargetMention> name_by_prefix(std::string_view text, std::size_t at) {
  constexpr std::size_t kMaxCharacters = 12;
  std::array<std::size_t, kMaxCharacters> ends{};
  std::size_t count = 0;
  for (std::size_t end = at; count < kMaxCharacters && end < text.size() && text[end] != '\n'; ++count) {
    end += text::next_utf8(text.substr(end)).length;
    ends[count] = end;
  }
  for (; count > 1; --count)
    if (const Language* language = translate::known_language(text.substr(at, ends[count - 1] - at)))
      return TargetMention{language, ends[count - 1]};
  return std::nullopt;
}

// Whether a code of two or three letters can be meant. `weak`: also those that are words.
bool code_is_meant(std::string_view code, std::string_view rest, bool quoted, bool weak) {
  if (quoted) return true;
  const std::size_t next = rest.find_first_not_of(' ');
  if (next > 0 && next != std::string_view::npos && is_ascii_word(rest[next])) return false;  // "to be ..."
  return weak || std::find(kWordCodes.begin(), kWordCodes.end(), ascii_lower(code)) == kWordCodes.end();
}

// Up to three words: "French", "Simplified Chinese", "Chinese (Simplified)", "zh-CN".
std::optional<TargetMention> name_by_words(std::string_view text, std::size_t at, bool quoted, bool weak) {
  std::array<std::size_t, 3> ends{};
  std::size_t count = 0;
  for (std::size_t end = at; count < ends.size(); ++count) {
    if (count > 0) {
      if (end >= text.size() || text[end] != ' ') break;
      ++end;
    }
    const std::size_t begin = end;
    while (end < text.size() && kWordEnd.find(text[end]) == std::string_view::npos &&
           !text.substr(end).starts_with("，") && !text.substr(end).starts_with("。") &&
           !text.substr(end).starts_with("："))
      ++end;
    if (end == begin) break;
    ends[count] = end;
  }
  for (; count > 0; --count) {
    std::string_view name = text.substr(at, ends[count - 1] - at);
    if (name.ends_with(')') && name.find('(') == std::string_view::npos) name.remove_suffix(1);
    const Language* language = translate::known_language(name);
    if (language == nullptr) continue;
    const std::size_t end = at + name.size();
    if (name.size() <= 3 && !code_is_meant(name, text.substr(end), quoted, weak)) continue;
    return TargetMention{language, end};
  }
  return std::nullopt;
}

std::optional<TargetMention> name_at(std::string_view text, std::size_t marker_end, bool weak) {
  const std::size_t at = skip_any(text, marker_end, kOpening);
  if (at >= text.size()) return std::nullopt;
  const std::string_view between = text.substr(marker_end, at - marker_end);
  // More than words stands between: quotes, a colon.
  const bool quoted =
      !std::all_of(between.begin(), between.end(), [](char c) { return c == ' ' || is_ascii_word(c); });
  // Thai and everything behind it in Unicode, Latin's additions excepted.
  const auto lead = static_cast<unsigned char>(text[at]);
  const bool by_prefix = lead >= 0xe0 && !text.substr(at).starts_with("\xe1\xb8") &&
                         !text.substr(at).starts_with("\xe1\xb9") &&
                         !text.substr(at).starts_with("\xe1\xba") && !text.substr(at).starts_with("\xe1\xbb");
  std::optional<TargetMention> found =
      by_prefix ? name_by_prefix(text, at) : name_by_words(text, at, quoted, weak);
  if (found) found->end = skip_any(text, found->end, kClosing);
  return found;
}

std::size_t marker_at(const std::string& lower, std::size_t at, std::size_t verb) {
  for (const Marker& marker : kMarkers) {
    if (lower.compare(at, marker.word.size(), marker.word) != 0) continue;
    if (marker.needs_verb && verb > at) continue;
    const std::size_t end = at + marker.word.size();
    const bool latin = is_ascii_word(marker.word.front());
    if (latin && at > 0 && is_ascii_word(lower[at - 1])) continue;
    if (latin && end < lower.size() && is_ascii_word(lower[end])) continue;
    return end;
  }
  return 0;
}

// Where the rest of a text that begins with a line break goes on.
std::size_t next_line(std::string_view text) {
  return std::min(text.find_first_not_of("\r\n \t", 0), text.size());
}

bool is_rule(std::string_view line) {
  const std::size_t digits = line.find_first_not_of("0123456789");
  return line.starts_with("- ") || line.starts_with("* ") || line.starts_with("#") ||
         (digits > 0 && digits < line.size() && (line[digits] == '.' || line[digits] == ')'));
}

std::string_view without_labels(std::string_view text) {
  text = translate::trim(text);
  const std::string lower = ascii_lower(text);
  for (const std::string_view label : {"source text:", "text to translate:", "原文：", "原文:"}) {
    if (!lower.starts_with(label)) continue;
    text.remove_prefix(label.size());
    break;
  }
  for (const std::string_view label : {"translated text:", "translation:", "译文：", "译文:"}) {
    if (!lower.ends_with(label) || text.size() < label.size()) continue;
    text.remove_suffix(label.size());
    break;
  }
  return translate::trim(text);
}

// Behind the colon that ends the instruction in its sentence; `line_end`: behind that sentence's line
// otherwise.
std::optional<std::size_t> behind_colon(std::string_view rest) {
  for (std::size_t i = 0; i < rest.size(); ++i) {
    const std::string_view from = rest.substr(i);
    if (from.starts_with("：")) return i + std::string_view("：").size();
    const bool word_ends = from.size() < 2 || from[1] == ' ' || from[1] == '\n' || from[1] == '\r';
    if (from[0] == ':' && (word_ends || i == 0)) return i + 1;
    const bool sentence_ends = (from[0] == '.' || from[0] == '!' || from[0] == '?') && word_ends;
    if (from[0] == '\n' || sentence_ends || from.starts_with("。")) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::optional<TargetMention> find_target_language(std::string_view text) {
  text = text.substr(0, kMaxInstructionBytes);
  const std::string lower = ascii_lower(text);
  const std::size_t verb = lower.find(kVerb);
  for (const bool weak : {false, true}) {
    for (std::size_t at = 0; at < lower.size(); ++at) {
      const std::size_t end = marker_at(lower, at, verb);
      if (end == 0) continue;
      if (const std::optional<TargetMention> found = name_at(text, end, weak)) return found;
    }
  }
  return std::nullopt;
}

std::optional<std::string_view> text_behind_instruction(std::string_view message, std::size_t end) {
  std::string_view rest = message.substr(std::min(end, message.size()));
  std::size_t begin = 0;
  if (const std::optional<std::size_t> colon = behind_colon(rest)) {
    begin = *colon;
  } else {
    const std::size_t line_end = std::min(rest.find('\n'), rest.size());
    const std::size_t label = ascii_lower(rest.substr(0, line_end)).find("source text:");
    begin = label != std::string::npos ? label : line_end;
    if (label == std::string::npos) {
      std::size_t next = begin + next_line(rest.substr(begin));
      const bool blank = std::count(rest.begin() + static_cast<std::ptrdiff_t>(begin),
                                    rest.begin() + static_cast<std::ptrdiff_t>(next), '\n') > 1;
      if (!blank && is_rule(rest.substr(next))) {
        next = rest.find("\n\n", next);
        if (next == std::string_view::npos) return std::nullopt;
      }
      begin = next;
    }
  }
  const std::string_view text = without_labels(rest.substr(std::min(begin, rest.size())));
  if (text.empty()) return std::nullopt;
  return text;
}

}  // namespace pagoda::serve
