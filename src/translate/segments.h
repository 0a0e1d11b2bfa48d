#pragma once
// A text of any length as pieces that a model translates well, and the way back: lines stay lines, and a line
// that is too long is cut between sentences. Pure; any thread.

#include <string>
#include <string_view>
#include <vector>

#include "translate/languages.h"

namespace pagoda::translate {

// The models were trained on segments; answers to much longer texts stop early
// (Tencent-Hunyuan/Hunyuan-MT#40).
inline constexpr std::size_t kMaxSegmentCharacters = 400;

struct Segment {
  std::string source;    // without white space at its edges; empty for a line without text
  std::string leading;   // white space before it
  std::string trailing;  // white space and line ends after it
  bool sentence =
      false;  // another sentence of the same line follows: what is between depends on the language
};

// The segments' leading + source + trailing, one after another, are the text again.
std::vector<Segment> split_segments(std::string_view text,
                                    std::size_t max_characters = kMaxSegmentCharacters);
// What stands behind a translated segment: its `trailing`, or, between two sentences, what the language `to`
// puts there (a space, or nothing in Chinese and Japanese).
std::string separator_after(const Segment& segment, const Language& to);

}  // namespace pagoda::translate
