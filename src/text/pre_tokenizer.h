#pragma once
// Cuts text into the pieces that BPE works in: splits applied one after another, each isolating its matches
// inside the pieces of the one before (a lookahead sees the end of its piece as the end of the text).
// Immutable after create().

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "text/regex.h"

namespace pagoda::text {

struct SplitPattern {
  std::string pattern;
  bool is_regex = true;  // else a literal string
};

struct PreTokenizerSpec {
  std::vector<SplitPattern> splits;
  // The ByteLevel step, which is always the last one.
  bool add_prefix_space = false;
  bool use_gpt2_regex = false;
};

class PreTokenizer {
 public:
  static base::Result<PreTokenizer> create(const PreTokenizerSpec& spec);

  // Calls sink(piece) for each piece in order; a piece is never empty. `text` must be well-formed UTF-8. The
  // pieces concatenate to `text`, but for prefix spaces.
  template <typename Sink>
  void for_each_piece(std::string_view text, Regex::Scratch& scratch, const Sink& sink) const {
    if (!text.empty()) apply(0, text, scratch, sink);
  }

 private:
  struct Split {
    std::optional<Regex> regex;
    std::string literal;
  };
  Regex::Match find(const Split& split, std::string_view text, std::size_t from,
                    Regex::Scratch& scratch) const;

  template <typename Sink>
  void apply(std::size_t level, std::string_view text, Regex::Scratch& scratch, const Sink& sink) const {
    if (level == byte_level_ && add_prefix_space_ && text.front() != ' ') {
      const std::string prefixed = ' ' + std::string(text);
      return isolate(level, prefixed, scratch, sink);
    }
    isolate(level, text, scratch, sink);
  }

  // Hands matches and the gaps between them to the next level.
  template <typename Sink>
  void isolate(std::size_t level, std::string_view text, Regex::Scratch& scratch, const Sink& sink) const {
    if (level == splits_.size()) return sink(text);
    const auto pass_on = [&](std::size_t begin, std::size_t end) {
      if (begin < end) apply(level + 1, text.substr(begin, end - begin), scratch, sink);
    };
    std::size_t done = 0, from = 0;
    while (from < text.size()) {
      const Regex::Match match = find(splits_[level], text, from, scratch);
      if (!match.found) break;
      pass_on(done, match.begin);
      pass_on(match.begin, match.end);
      done = match.end;
      // An empty match still cuts; the search goes on after the next character.
      from = match.end > match.begin ? match.end : after_character(text, match.end);
    }
    pass_on(done, text.size());
  }
  static std::size_t after_character(std::string_view text, std::size_t position);

  std::vector<Split> splits_;
  std::size_t byte_level_ = 0;  // the level at which the prefix space is added
  bool add_prefix_space_ = false;
};

}  // namespace pagoda::text
