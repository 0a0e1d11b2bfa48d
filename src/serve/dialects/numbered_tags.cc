#include "serve/dialects/numbered_tags.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "translate/tags.h"

namespace pagoda::serve {
namespace {

struct Found {
  std::string_view name;     // "b0"
  std::string_view opening;  // "<" or "</"
  std::string_view closing;  // ">" or "/>"
  std::size_t length;
};

std::size_t count_while(std::string_view text, bool (*is)(char)) {
  return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), is) - text.begin());
}

// The tag that `text` begins with.
std::optional<Found> tag_at(std::string_view text) {
  const std::string_view opening = text.starts_with("</") ? "</" : "<";
  if (!text.starts_with(opening)) return std::nullopt;
  const std::string_view rest = text.substr(opening.size());
  const std::size_t letters =
      count_while(rest, [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
  const std::size_t digits = count_while(rest.substr(letters), [](char c) { return c >= '0' && c <= '9'; });
  if (letters < 1 || letters > 8 || digits < 1 || digits > 4) return std::nullopt;
  const std::string_view end = rest.substr(letters + digits);
  const std::string_view closing = end.starts_with("/>") ? "/>" : ">";
  if (!end.starts_with(closing) || (opening.size() == 2 && closing.size() == 2)) return std::nullopt;
  return Found{rest.substr(0, letters + digits), opening, closing,
               opening.size() + letters + digits + closing.size()};
}

}  // namespace

NumberedTags to_model_tags(std::string_view text) {
  NumberedTags result;
  std::vector<std::string>& names = result.names;
  while (!text.empty()) {
    const std::optional<Found> tag = tag_at(text);
    if (!tag) {
      result.text += text.front();
      text.remove_prefix(1);
      continue;
    }
    auto name = std::find(names.begin(), names.end(), tag->name);
    if (name == names.end()) name = names.emplace(names.end(), tag->name);
    result.text += fmt::format("{}s{}{}", tag->opening, name - names.begin() + 1, tag->closing);
    text.remove_prefix(tag->length);
  }
  return result;
}

std::string from_model_tags(std::string_view text, const std::vector<std::string>& names) {
  std::string named;
  std::size_t at = 0;
  for (const translate::Tag& tag : translate::find_tags(text)) {
    if (tag.number < 1 || static_cast<std::size_t>(tag.number) > names.size()) continue;
    const char* opening = tag.kind == translate::Tag::Kind::kClose ? "</" : "<";
    const char* closing = tag.kind == translate::Tag::Kind::kEmpty ? "/>" : ">";
    // <s00001> is not ours.
    if (text.substr(tag.begin, tag.end - tag.begin) != fmt::format("{}s{}{}", opening, tag.number, closing))
      continue;
    named += text.substr(at, tag.begin - at);
    named += opening + names[static_cast<std::size_t>(tag.number) - 1] + closing;
    at = tag.end;
  }
  return named + std::string(text.substr(at));
}

}  // namespace pagoda::serve
