#include "load/prompts.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>

namespace pagoda::load {
namespace {

// Common enough to be one token each, or few, in most vocabularies.
constexpr std::array<std::string_view, 64> kWords = {
    "time",     "year",    "people",   "way",    "day",        "man",    "thing",   "woman",
    "life",     "child",   "world",    "school", "state",      "family", "student", "group",
    "country",  "problem", "hand",     "part",   "place",      "case",   "week",    "company",
    "system",   "program", "question", "work",   "government", "number", "night",   "point",
    "home",     "water",   "room",     "mother", "area",       "money",  "story",   "fact",
    "month",    "lot",     "right",    "study",  "book",       "eye",    "job",     "word",
    "business", "issue",   "side",     "kind",   "head",       "house",  "service", "friend",
    "father",   "power",   "hour",     "game",   "line",       "end",    "member",  "law"};

}  // namespace

base::Result<std::vector<std::string>> read_lines(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return base::error(base::Code::kNotFound, "cannot read {}", path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (line.ends_with('\r')) line.pop_back();
    if (line.find_first_not_of(" \t") != std::string::npos) lines.push_back(std::move(line));
  }
  if (file.bad()) return base::data_loss("reading {} failed", path);
  if (lines.empty()) return base::invalid("{} holds no line with text", path);
  return lines;
}

base::Result<std::string> fill_template(std::string_view pattern, std::string_view text) {
  constexpr std::string_view kPlace = "{text}";
  std::string filled;
  std::size_t begin = 0;
  for (std::size_t at; (at = pattern.find(kPlace, begin)) != std::string_view::npos;
       begin = at + kPlace.size()) {
    filled += pattern.substr(begin, at - begin);
    filled += text;
  }
  if (begin == 0) return base::invalid("--template {} does not hold {{text}}", std::string(pattern));
  return filled + std::string(pattern.substr(begin));
}

std::size_t TokenFit::words_for(double tokens) const {
  return static_cast<std::size_t>(std::max(1.0, std::round((tokens - fixed) / per_word)));
}

base::Result<TokenFit> fit_tokens(std::size_t words_a, double tokens_a, std::size_t words_b,
                                  double tokens_b) {
  const double words = static_cast<double>(words_b) - static_cast<double>(words_a);
  TokenFit fit;
  fit.per_word = (tokens_b - tokens_a) / words;
  fit.fixed = tokens_a - fit.per_word * static_cast<double>(words_a);
  // A word is a token or a few; a count beside that is none of the prompt.
  if (!std::isfinite(fit.per_word) || fit.per_word < 0.2 || fit.per_word > 20)
    return base::error(base::Code::kFailedPrecondition,
                       "the server counts {} tokens for {} words and {} for {}", tokens_a, words_a, tokens_b,
                       words_b);
  return fit;
}

std::string RandomPrompts::words(std::size_t count) {
  std::uniform_int_distribution<std::size_t> pick(0, kWords.size() - 1);
  std::string text;
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) text += ' ';
    text += kWords[pick(generator_)];
  }
  return text;
}

Prompt RandomPrompts::draw(const RandomLengths& lengths, const TokenFit& fit) {
  Prompt prompt;
  const std::int32_t input = length(lengths.input_tokens, lengths.range_ratio);
  prompt.max_tokens = length(lengths.output_tokens, lengths.range_ratio);
  prompt.text = words(fit.words_for(input));
  return prompt;
}

std::int32_t RandomPrompts::length(std::int32_t tokens, double range_ratio) {
  const auto low = static_cast<std::int32_t>(std::floor(tokens * (1 - range_ratio)));
  const auto high = static_cast<std::int32_t>(std::ceil(tokens * (1 + range_ratio)));
  return std::uniform_int_distribution<std::int32_t>(std::max(low, 1), std::max(high, 1))(generator_);
}

}  // namespace pagoda::load
