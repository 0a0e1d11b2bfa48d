#include "evaluate/bleu_tokenizer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "translate/unicode.h"

namespace pagoda::evaluate {
namespace {

bool is_digit(char32_t c) { return c >= U'0' && c <= U'9'; }
bool is_point(char32_t c) { return c == U'.' || c == U','; }

// ASCII that always stands alone: everything but letters, digits, and ' , - . which depend on what is
// around them.
bool is_symbol(char32_t c) {
  return (c >= U' ' && c <= U'&') || (c >= U'(' && c <= U'+') || c == U'/' || (c >= U':' && c <= U'@') ||
         (c >= U'[' && c <= U'`') || (c >= U'{' && c <= U'~');
}

// The characters that "zh" sets apart. The third range is how sacrebleu reads its own entry for Extension B
// (five hexadecimal digits after \u are a character and a digit): punctuation such as curly quotes, dashes
// and the ellipsis falls under it, Extension B itself does not.
bool is_chinese(char32_t c) {
  static constexpr std::array<std::pair<char32_t, char32_t>, 16> kRanges = {{{0x3400, 0x4db5},
                                                                             {0x4e00, 0x9fbb},
                                                                             {0x2001, 0x2a6d},
                                                                             {0xf900, 0xfa2d},
                                                                             {0xfa30, 0xfa6a},
                                                                             {0xfa70, 0xfad9},
                                                                             {0xff00, 0xffef},
                                                                             {0x2e80, 0x2eff},
                                                                             {0x3000, 0x303f},
                                                                             {0x31c0, 0x31ef},
                                                                             {0x2f00, 0x2fdf},
                                                                             {0x2ff0, 0x2fff},
                                                                             {0x3100, 0x312f},
                                                                             {0x31a0, 0x31bf},
                                                                             {0xfe10, 0xfe1f},
                                                                             {0xfe30, 0xfe4f}}};
  if (c >= 0x3200 && c <= 0x33ff) return true;
  return std::any_of(kRanges.begin(), kRanges.end(),
                     [c](const auto& range) { return c >= range.first && c <= range.second; });
}

void replace_all(std::u32string& text, std::u32string_view from, std::u32string_view to) {
  for (std::size_t at = text.find(from); at != std::u32string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

// Puts spaces around each pair of neighbours (a, b) with is_pair(a, b), as replace a b by "before a between b
// after". Pairs are found from left to right and do not overlap.
template <typename IsPair>
std::u32string space_pairs(const std::u32string& text, const IsPair& is_pair, std::u32string_view before,
                           std::u32string_view after) {
  std::u32string spaced;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (i + 1 < text.size() && is_pair(text[i], text[i + 1])) {
      spaced += before;
      spaced += text[i];
      spaced += U' ';
      spaced += text[++i];
      spaced += after;
    } else {
      spaced += text[i];
    }
  }
  return spaced;
}

std::vector<std::u32string> split(std::u32string_view text) {
  std::vector<std::u32string> words;
  for (std::size_t i = 0; i < text.size();) {
    if (is_python_space(text[i])) {
      ++i;
      continue;
    }
    const std::size_t begin = i;
    while (i < text.size() && !is_python_space(text[i])) ++i;
    words.emplace_back(text.substr(begin, i - begin));
  }
  return words;
}

// What 13a and zh have in common: symbols stand alone; a point or comma does unless it is between digits; so
// does a hyphen behind a digit.
std::vector<std::u32string> split_western(const std::u32string& text) {
  std::u32string spaced;
  for (const char32_t c : text) {
    if (is_symbol(c)) {
      spaced += U' ';
      spaced += c;
      spaced += U' ';
    } else {
      spaced += c;
    }
  }
  spaced = space_pairs(
      spaced, [](char32_t a, char32_t b) { return !is_digit(a) && is_point(b); }, U"", U" ");
  spaced = space_pairs(
      spaced, [](char32_t a, char32_t b) { return is_point(a) && !is_digit(b); }, U" ", U"");
  spaced = space_pairs(
      spaced, [](char32_t a, char32_t b) { return is_digit(a) && b == U'-'; }, U"", U" ");
  return split(spaced);
}

std::vector<std::u32string> tokenize_13a(std::u32string text) {
  replace_all(text, U"<skipped>", U"");
  replace_all(text, U"-\n", U"");
  replace_all(text, U"\n", U" ");
  // One after another: "&amp;lt;" becomes "<".
  replace_all(text, U"&quot;", U"\"");
  replace_all(text, U"&amp;", U"&");
  replace_all(text, U"&lt;", U"<");
  replace_all(text, U"&gt;", U">");
  return split_western(U' ' + text + U' ');
}

std::vector<std::u32string> tokenize_zh(std::u32string_view text) {
  std::size_t begin = 0;
  while (begin < text.size() && is_python_space(text[begin])) ++begin;
  std::u32string spaced;
  for (const char32_t c : text.substr(begin)) {
    if (is_chinese(c)) {
      spaced += U' ';
      spaced += c;
      spaced += U' ';
    } else {
      spaced += c;
    }
  }
  return split_western(spaced);
}

}  // namespace

const char* bleu_tokenizer_name(BleuTokenizer tokenizer) {
  switch (tokenizer) {
    case BleuTokenizer::kZh:
      return "zh";
    case BleuTokenizer::kChar:
      return "char";
    case BleuTokenizer::k13a:
      break;
  }
  return "13a";
}

BleuTokenizer bleu_tokenizer_for(const translate::Language& target) {
  if (target.is_chinese) return BleuTokenizer::kZh;
  if (target.code == "ja" || target.code == "ko") return BleuTokenizer::kChar;
  return BleuTokenizer::k13a;
}

bool is_python_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0d) || (c >= 0x1c && c <= 0x20) || c == 0x85 || c == 0xa0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f ||
         c == 0x3000;
}

std::vector<std::u32string> tokenize(BleuTokenizer tokenizer, std::string_view sentence) {
  std::u32string text = translate::decode(sentence);
  while (!text.empty() && is_python_space(text.back())) text.pop_back();
  switch (tokenizer) {
    case BleuTokenizer::kZh:
      return tokenize_zh(text);
    case BleuTokenizer::kChar: {
      std::vector<std::u32string> characters;
      for (const char32_t c : text)
        if (!is_python_space(c)) characters.emplace_back(1, c);
      return characters;
    }
    case BleuTokenizer::k13a:
      break;
  }
  return tokenize_13a(std::move(text));
}

}  // namespace pagoda::evaluate
