#pragma once
// From the model's answer to the translation: what models add comes off, what belongs to the source's place
// in its document comes back. Pure functions; any thread.

#include <string>
#include <string_view>

#include "translate/tags.h"
#include "translate/task.h"

namespace pagoda::translate {

// White space at the edges of a text (Unicode's, U+3000 included); the three parts are the text again.
struct Edges {
  std::string_view leading, body, trailing;
};
Edges split_edges(std::string_view text);

struct Cleaned {
  std::string text;
  TagReport tags;  // of a formatted task; ok() otherwise
};
// The answer without white space and <target></target> around it, its tags verified if the task is formatted,
// between the leading and trailing white space of the source. An answer of nothing stays empty.
Cleaned clean_answer(const Task& task, std::string_view answer);

}  // namespace pagoda::translate
