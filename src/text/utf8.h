#pragma once
// UTF-8 by the rules of the WHATWG decoder: an ill-formed sequence counts as one error per maximal subpart,
// so that everybody who replaces errors by U+FFFD agrees on how many there are. Pure functions.

#include <cstddef>
#include <string>
#include <string_view>

namespace pagoda::text {

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

enum class Utf8Kind {
  kCharacter,   // a whole, well-formed character
  kInvalid,     // bytes that cannot begin one, whatever follows
  kIncomplete,  // the beginning of a character, cut off by the end of the input
};
struct Utf8Step {
  Utf8Kind kind;
  std::size_t length;  // bytes it covers, at least 1
};
// What stands at the beginning of `bytes`, which must not be empty.
Utf8Step next_utf8(std::string_view bytes);

// Length of the longest prefix that is well-formed.
std::size_t valid_utf8_prefix(std::string_view bytes);

// Appends `bytes` with each ill-formed (or cut off) subpart replaced by U+FFFD.
void append_valid_utf8(std::string& out, std::string_view bytes);

}  // namespace pagoda::text
