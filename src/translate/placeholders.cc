#include "translate/placeholders.h"

#include <algorithm>

namespace pagoda::translate {
namespace {

constexpr std::size_t kMaxName = 64;  // longer braces hold text, not a name

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' ||
         c == '-' || c == ':';
}

// Length of a name between two delimiters at text[begin], both included; 0 if there is none.
std::size_t delimited(std::string_view text, std::size_t begin, std::string_view open,
                      std::string_view close) {
  if (text.substr(begin, open.size()) != open) return 0;
  std::size_t i = begin + open.size();
  const std::size_t name = i;
  while (i < text.size() && is_name(text[i])) ++i;
  if (i == name || i - name > kMaxName || text.substr(i, close.size()) != close) return 0;
  return i + close.size() - begin;
}

// %s %d %05.2f %1$s %ld; a percent sign after a number ("5% of") is none, nor is one before a space.
std::size_t printf_length(std::string_view text, std::size_t begin) {
  if (begin > 0 && is_digit(text[begin - 1])) return 0;
  std::size_t i = begin + 1;
  while (i < text.size() && (is_digit(text[i]) || text[i] == '$' || text[i] == '.' || text[i] == '-')) ++i;
  while (i < text.size() && (text[i] == 'l' || text[i] == 'z')) ++i;
  constexpr std::string_view kConversions = "sdiufxXcg@";
  if (i >= text.size() || kConversions.find(text[i]) == std::string_view::npos) return 0;
  ++i;
  const bool word_goes_on =
      i < text.size() && is_name(text[i]) && text[i] != '.' && text[i] != ':' && text[i] != '-';
  return word_goes_on ? 0 : i - begin;
}

std::size_t address_length(std::string_view text, std::size_t begin) {
  const std::string_view rest = text.substr(begin);
  if (rest.substr(0, 7) != "http://" && rest.substr(0, 8) != "https://") return 0;
  std::size_t end = 0;
  while (end < rest.size() && rest[end] > ' ' && rest[end] < 0x7F && rest[end] != '<' && rest[end] != '"')
    ++end;
  constexpr std::string_view kSentence = ".,;:!?)]}'";  // punctuation of the sentence around it
  while (end > 0 && kSentence.find(rest[end - 1]) != std::string_view::npos) --end;
  return end;
}

std::size_t placeholder_length(std::string_view text, std::size_t i) {
  switch (text[i]) {
    case '{':
      return std::max(delimited(text, i, "{{", "}}"), delimited(text, i, "{", "}"));
    case '$':
      return delimited(text, i, "${", "}");
    case '%':
      return std::max({delimited(text, i, "%(", ")s"), delimited(text, i, "%(", ")d"),
                       delimited(text, i, "%{", "}"), printf_length(text, i)});
    case 'h':
      return address_length(text, i);
    default:
      return 0;
  }
}

}  // namespace

std::vector<std::string> find_placeholders(std::string_view text) {
  std::vector<std::string> found;
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t length = placeholder_length(text, i);
    if (length > 0) found.emplace_back(text.substr(i, length));
    i += std::max<std::size_t>(1, length);
  }
  return found;
}

std::vector<std::string> lost_placeholders(std::string_view source, std::string_view output) {
  std::vector<std::string> got = find_placeholders(output), lost;
  for (const std::string& wanted : find_placeholders(source)) {
    const auto found = std::find(got.begin(), got.end(), wanted);
    if (found == got.end())
      lost.push_back(wanted);
    else
      got.erase(found);
  }
  return lost;
}

}  // namespace pagoda::translate
