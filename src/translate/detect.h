#pragma once
// Which language a text is in: CLD2 where it is sure, the scripts of the letters where the text is too short
// for it. Pure; any thread.

#include <string>
#include <string_view>

#include "translate/languages.h"

namespace pagoda::translate {

struct Detection {
  const Language* language = nullptr;  // null: unknown, or not one of the table
  std::string code;                    // of the table, CLD2's own code outside it ("sv"), "" if unknown
  // Statistics of CLD2 or letters that only one language of the table uses; false for a guess from a few
  // letters.
  bool reliable = false;
  double confidence = 0;  // 0..1: the share of the text in this language; at most 0.5 if not reliable
};

// Looks at the first 64 KiB at most. Tags should be removed first (tags.h).
Detection detect_language(std::string_view text);

}  // namespace pagoda::translate
