#pragma once
// What is sent: the lines of a file, or random words. Pure functions but for reading the file.

#include <cstddef>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "load/endpoint.h"

namespace pagoda::load {

// The lines of a file that are not blank, without their line ends; at least one.
base::Result<std::vector<std::string>> read_lines(const std::string& path);

// Puts `text` in place of each "{text}". kInvalidArgument if there is none.
base::Result<std::string> fill_template(std::string_view pattern, std::string_view text);

// How many tokens a server counts for a prompt of so many random words: `fixed` (its chat template) +
// `per_word` * words. Measured with two prompts, because the client has no tokenizer.
struct TokenFit {
  double fixed = 0, per_word = 1;
  std::size_t words_for(double tokens) const;  // at least 1
};
// From the counts of two prompts of different length; kFailedPrecondition if they make no sense.
base::Result<TokenFit> fit_tokens(std::size_t words_a, double tokens_a, std::size_t words_b, double tokens_b);

struct RandomLengths {
  std::int32_t input_tokens = 128, output_tokens = 128;
  // Lengths are uniform between (1 - ratio) and (1 + ratio) of these, ratio from 0 to below 1.
  double range_ratio = 0;
};

class RandomPrompts {
 public:
  explicit RandomPrompts(std::uint64_t seed) : generator_(seed) {}
  // So many short words, drawn from a list of common ones: no two prompts begin alike for long.
  std::string words(std::size_t count);
  Prompt draw(const RandomLengths& lengths, const TokenFit& fit);

 private:
  std::int32_t length(std::int32_t tokens, double range_ratio);
  std::mt19937_64 generator_;
};

}  // namespace pagoda::load
