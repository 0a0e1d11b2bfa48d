#pragma once
// One text to translate: what prompts.h turns into a message and check.h holds the answer against. A plain
// value.

#include <string>
#include <vector>

#include "translate/languages.h"

namespace pagoda::translate {

struct Term {
  std::string source;
  std::string target;
  bool operator==(const Term&) const = default;
};

struct Task {
  std::string source;  // white space at its edges is not sent; clean.h puts it back
  const Language* from =
      nullptr;  // null: not known; fill it by detect.h where possible, it chooses the wording
  const Language* to = nullptr;  // never null
  std::string context;           // text around the source, not translated; may be empty
  std::vector<Term> terms;       // those that occur in the source (Glossary::matches)
  bool formatted = false;        // the source carries <sN></sN> tags to be kept (tags.h)
};

}  // namespace pagoda::translate
