#include "text/added_tokens.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <functional>

namespace pagoda::text {
namespace {

std::size_t strip_left(std::string_view text, std::size_t end) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  std::int32_t position = static_cast<std::int32_t>(end);
  while (position > 0) {
    std::int32_t before = position;
    UChar32 character;
    U8_PREV(bytes, 0, before, character);
    if (character < 0 || !u_isUWhiteSpace(character)) break;
    position = before;
  }
  return static_cast<std::size_t>(position);
}

std::size_t strip_right(std::string_view text, std::size_t begin) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(text.data());
  const std::int32_t size = static_cast<std::int32_t>(text.size());
  std::int32_t position = static_cast<std::int32_t>(begin);
  while (position < size) {
    std::int32_t after = position;
    UChar32 character;
    U8_NEXT(bytes, after, size, character);
    if (character < 0 || !u_isUWhiteSpace(character)) break;
    position = after;
  }
  return static_cast<std::size_t>(position);
}

}  // namespace

void AddedTokenMatcher::add(const AddedToken& token) {
  tokens_[token.content] = token;
  std::vector<std::size_t>& lengths = lengths_[static_cast<unsigned char>(token.content[0])];
  const auto place = std::lower_bound(lengths.begin(), lengths.end(), token.content.size(), std::greater<>());
  if (place == lengths.end() || *place != token.content.size()) lengths.insert(place, token.content.size());
}

AddedTokenMatcher::Match AddedTokenMatcher::find(std::string_view text) const {
  if (tokens_.empty()) return {};
  std::string candidate;
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    for (const std::size_t length : lengths_[static_cast<unsigned char>(text[begin])]) {
      if (length > text.size() - begin) continue;
      candidate.assign(text.substr(begin, length));
      const auto found = tokens_.find(candidate);
      if (found == tokens_.end()) continue;
      const AddedToken& token = found->second;
      const std::size_t end = begin + length;
      return {true, token.lstrip ? strip_left(text, begin) : begin,
              token.rstrip ? strip_right(text, end) : end, token.id};
    }
  }
  return {};
}

}  // namespace pagoda::text
