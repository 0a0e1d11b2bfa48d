#include "evaluate/term_pairs.h"

#include <algorithm>
#include <map>
#include <set>
#include <unordered_map>

#include "translate/unicode.h"

namespace pagoda::evaluate {
namespace {

// A pair counts if both occur in so many lines at least, and hardly one without the other: 2 * together /
// (lines of one + lines of the other). Words that only tend to go together (not, 不) stay below.
constexpr int kLeastLines = 3;
constexpr double kLeastDice = 0.85;
constexpr std::size_t kLeastLetters = 3;  // of a word with spaces around it: leaves out most particles
constexpr std::size_t kLongestPiece = 4;

using Words = std::set<std::u32string>;
using Lines = std::map<std::u32string, std::vector<std::size_t>>;

Words words_of(std::string_view text) {
  const std::vector<std::u32string> words = candidate_terms(text);
  return {words.begin(), words.end()};
}

Lines lines_by_word(const std::vector<Words>& texts) {
  Lines lines;
  for (std::size_t i = 0; i < texts.size(); ++i)
    for (const std::u32string& word : texts[i]) lines[word].push_back(i);
  return lines;
}

// The word of the references that goes best with the lines of a source word, if any does well enough.
std::optional<std::u32string> partner(const std::vector<std::size_t>& source_lines,
                                      const std::vector<Words>& references, const Lines& reference_lines) {
  std::map<std::u32string, int> together;
  for (const std::size_t line : source_lines)
    for (const std::u32string& word : references[line]) ++together[word];
  std::optional<std::u32string> best;
  double best_dice = 0;
  for (const auto& [word, count] : together) {
    if (count < kLeastLines) continue;
    const double dice =
        2.0 * count / static_cast<double>(source_lines.size() + reference_lines.at(word).size());
    // Of pieces that go equally well the longest is the whole word.
    if (dice > best_dice || (dice == best_dice && best && word.size() > best->size())) {
      best = word;
      best_dice = dice;
    }
  }
  return best_dice >= kLeastDice ? best : std::nullopt;
}

bool is_name(const std::u32string& word) {
  return translate::is_upper(word.front()) && translate::script_of(word.front()) == translate::Script::kLatin;
}

}  // namespace

std::vector<std::u32string> candidate_terms(std::string_view text) {
  const std::u32string characters = translate::decode(text);
  std::vector<std::u32string> words;
  for (std::size_t i = 0; i < characters.size();) {
    if (!translate::is_letter(characters[i])) {
      ++i;
      continue;
    }
    const bool spaced = translate::has_spaces(translate::script_of(characters[i]));
    std::size_t end = i;
    while (end < characters.size() && translate::is_letter(characters[end]) &&
           (translate::is_mark(characters[end]) ||
            translate::has_spaces(translate::script_of(characters[end])) == spaced))
      ++end;
    if (spaced) {
      if (end - i >= kLeastLetters) words.push_back(characters.substr(i, end - i));
    } else {
      for (std::size_t begin = i; begin < end; ++begin)
        for (std::size_t size = 2; size <= kLongestPiece && begin + size <= end; ++size)
          words.push_back(characters.substr(begin, size));
    }
    i = end;
  }
  return words;
}

std::vector<std::optional<translate::Term>> find_term_pairs(const Direction& direction) {
  std::vector<Words> sources, references;
  for (const TestLine& line : direction.lines) {
    sources.push_back(words_of(line.source));
    references.push_back(words_of(line.reference));
  }
  const Lines source_lines = lines_by_word(sources), reference_lines = lines_by_word(references);
  std::map<std::u32string, std::u32string> partners;
  for (const auto& [word, lines] : source_lines)
    if (static_cast<int>(lines.size()) >= kLeastLines)
      if (auto found = partner(lines, references, reference_lines)) partners[word] = std::move(*found);

  std::vector<std::optional<translate::Term>> terms(direction.lines.size());
  for (std::size_t i = 0; i < terms.size(); ++i) {
    std::u32string best;  // the longest: of pieces of a word the whole
    std::u32string target;
    for (const std::u32string& word : sources[i]) {
      const auto found = partners.find(word);
      const bool stays = references[i].contains(word) && is_name(word);
      if (word.size() <= best.size()) continue;
      if (found != partners.end() && references[i].contains(found->second)) {
        best = word;
        target = found->second;
      } else if (stays) {
        best = target = word;
      }
    }
    if (!best.empty()) terms[i] = translate::Term{translate::encode(best), translate::encode(target)};
  }
  return terms;
}

}  // namespace pagoda::evaluate
