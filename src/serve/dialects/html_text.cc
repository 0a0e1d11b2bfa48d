#include "serve/dialects/html_text.h"

#include <charconv>
#include <cstdint>
#include <utility>

#include "translate/unicode.h"

namespace pagoda::serve {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

constexpr std::pair<std::string_view, std::string_view> kNamed[] = {
    {"amp", "&"}, {"lt", "<"}, {"gt", ">"}, {"quot", "\""}, {"apos", "'"}, {"nbsp", "\xC2\xA0"}};

// What stands between '&' and ';', if it looks like an entity at all.
std::optional<std::string_view> entity_name(std::string_view text) {
  const std::size_t end = text.find(';');
  if (end == std::string_view::npos || end == 0 || end > 32) return std::nullopt;
  const std::string_view name = text.substr(0, end);
  for (std::size_t i = 0; i < name.size(); ++i)
    if (!is_letter(name[i]) && !is_digit(name[i]) && !(i == 0 && name[i] == '#')) return std::nullopt;
  return name;
}

// Nothing for a name or number that is not known.
std::optional<std::string> character_of(std::string_view name) {
  for (const auto& [known, character] : kNamed)
    if (name == known) return std::string(character);
  if (!name.starts_with('#') || name.size() < 2) return std::nullopt;
  const bool hex = name[1] == 'x' || name[1] == 'X';
  const std::string_view digits = name.substr(hex ? 2 : 1);
  std::uint32_t code = 0;
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), code, hex ? 16 : 10);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  if (code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) return std::nullopt;
  const char32_t character = code;
  return translate::encode(std::u32string_view(&character, 1));
}

// What may stand behind the '<' of a tag.
bool begins_tag(char c) { return is_letter(c) || c == '/' || c == '!' || c == '?'; }

}  // namespace

std::optional<std::string> plain_text_of_html(std::string_view html) {
  std::string text;
  text.reserve(html.size());
  // A '<' behind the last '>' is a sign that nobody escaped: "a <b".
  const std::size_t last_end = html.rfind('>');
  const std::size_t tags_end = last_end == std::string_view::npos ? 0 : last_end;
  for (std::size_t i = 0; i < html.size(); ++i) {
    if (html[i] == '<' && i < tags_end && begins_tag(html[i + 1])) return std::nullopt;
    const std::optional<std::string_view> name =
        html[i] == '&' ? entity_name(html.substr(i + 1)) : std::nullopt;
    if (!name) {
      text += html[i];
      continue;
    }
    const std::optional<std::string> character = character_of(*name);
    if (!character) return std::nullopt;
    text += *character;
    i += name->size() + 1;
  }
  return text;
}

std::string html_of_plain_text(std::string_view text) {
  std::string html;
  html.reserve(text.size());
  for (const char c : text) {
    if (c == '&') {
      html += "&amp;";
    } else if (c == '<') {
      html += "&lt;";
    } else if (c == '>') {
      html += "&gt;";
    } else {
      html += c;
    }
  }
  return html;
}

}  // namespace pagoda::serve
