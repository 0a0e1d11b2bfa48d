#pragma once
// Terms with their translations, found in the test lines themselves: words that the references nearly always
// translate by the same word (Boston and 波士顿), and names that stay as they are. Pure.

#include <optional>
#include <vector>

#include "evaluate/test_file.h"
#include "translate/task.h"

namespace pagoda::evaluate {

// For each line of the direction a term that its source has and whose translation its reference has, or
// nothing.
std::vector<std::optional<translate::Term>> find_term_pairs(const Direction& direction);

// The words of a text as the glossary sees them; where the script has no spaces, all pieces of 2 to 4
// characters.
std::vector<std::u32string> candidate_terms(std::string_view text);

}  // namespace pagoda::evaluate
