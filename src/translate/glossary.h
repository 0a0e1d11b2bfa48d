#pragma once
// Terms that a translation must use, from a tab-separated file. Only those that occur in a source text are
// sent to the model, and the output is checked for them. Immutable after parsing: any thread may match.
//
//   source<TAB>target[<TAB>note]     one term a line; a target equal to the source means: leave untranslated
//   # comment                        also empty lines; UTF-8, with or without BOM; LF or CRLF
//
// A term with capitals after its first letter (API, iPhone) matches in that spelling alone, any other in any
// case. Where the script has spaces a term matches whole words, so "cat" is not found in "concatenate" nor in
// "cats": inflected forms are terms of their own. Korean particles may follow a term directly.

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/status.h"
#include "translate/task.h"

namespace pagoda::translate {

class Glossary {
 public:
  // More terms than this drown the source text in the prompt; the bundled model has seen four.
  static constexpr std::size_t kMaxTermsSent = 32;
  static constexpr std::size_t kMaxTermCharacters = 200;

  Glossary() = default;  // no terms
  static base::Result<Glossary> load(const std::string& path);
  // `name` is used in messages. kInvalidArgument names the first bad lines: no tab, an empty side, a term too
  // long, bad UTF-8, or another target for a source given before (the same line twice is fine).
  static base::Result<Glossary> parse(std::string_view tsv, const std::string& name);
  static base::Result<Glossary> from_terms(std::vector<Term> terms, const std::string& name);

  std::size_t size() const { return entries_.size(); }

  // The terms that occur in the text, each once, in order of first occurrence, at most `limit`. Where matches
  // overlap the longer one counts, then the earlier.
  std::vector<Term> matches(std::string_view text, std::size_t limit = kMaxTermsSent) const;

 private:
  struct Entry {
    Term term;
    std::u32string spelling;  // decoded source
    bool case_sensitive;
  };
  struct Match {
    std::size_t begin, length, entry;
  };
  base::Status add(Term term);
  // The entry that matches text[begin, begin + length), or nothing.
  const Entry* entry_at(std::u32string_view text, std::u32string_view folded, std::size_t begin,
                        std::size_t length) const;
  std::vector<Match> all_matches(std::u32string_view text) const;

  std::vector<Entry> entries_;
  std::unordered_multimap<std::u32string, std::size_t> by_folded_;  // folded source -> index
  std::vector<std::size_t> lengths_;                                // of sources, in characters, descending
};

// The terms whose target is not in the output. Case and inflected endings are forgiven: the target may be
// part of a word.
std::vector<Term> missing_terms(const std::vector<Term>& terms, std::string_view output);

}  // namespace pagoda::translate
