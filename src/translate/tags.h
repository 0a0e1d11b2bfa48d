#pragma once
// Inline markup on its way through a model: the official wording for formatted text knows the tags <s1>,
// </s1>, <s2> ... and an answer wrapped in <target></target>. Documents number their own markup that way
// before translation and put it back after; here the tags are found, compared, and removed where the model
// has broken them. Pure functions; any thread.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace pagoda::translate {

struct Tag {
  enum class Kind { kOpen, kClose, kEmpty };  // <s1>  </s1>  <s1/>
  Kind kind;
  int number;
  std::size_t begin, end;  // bytes [begin, end) of the text
};

// Exactly these forms; anything else, such as <s> or <s 1>, is text.
std::vector<Tag> find_tags(std::string_view text);
std::string without_tags(std::string_view text);
// Every tag is closed, in the right order.
bool well_nested(const std::vector<Tag>& tags);

struct TagReport {
  std::vector<std::string>
      lost;  // in the source and not in the output: "<s1>", "</s2>"; repeated if lost repeatedly
  std::vector<std::string> added;  // the other way round
  bool badly_nested = false;       // the output crosses or reverses tags which the source nests well

  bool ok() const { return lost.empty() && added.empty() && !badly_nested; }
  std::string describe() const;  // "lost <s1> </s1>; badly nested", empty if ok
};
// An <s1/> stands for <s1></s1>.
TagReport compare_tags(std::string_view source, std::string_view output);

// The inside of <target>...</target>; what is outside is the model's own talk. If one of the two is missing
// (the answer was cut), the other is removed. A text that has none is returned as it is.
std::string_view unwrap_target(std::string_view answer);

struct Restored {
  std::string text;  // with all tags of the source, or without any
  TagReport report;  // of the answer, before the tags were removed
};
// Unwraps the answer to a formatted task and verifies its tags. Broken tags are removed, all of them: a text
// without format is of use, a text with half of it breaks the document.
Restored restore_tags(std::string_view source, std::string_view answer);

}  // namespace pagoda::translate
