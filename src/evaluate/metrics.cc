#include "evaluate/metrics.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <unordered_map>
#include <vector>

#include "translate/unicode.h"

namespace pagoda::evaluate {
namespace {

using Counts = std::unordered_map<std::u32string, std::int64_t>;

// A word of a sentence never holds this character, so n-grams of words can be strings.
constexpr char32_t kBetweenWords = U' ';

Counts count_word_ngrams(const std::vector<std::u32string>& words, std::size_t n) {
  Counts counts;
  for (std::size_t i = 0; i + n <= words.size(); ++i) {
    std::u32string key = words[i];
    for (std::size_t j = 1; j < n; ++j) {
      key += kBetweenWords;
      key += words[i + j];
    }
    ++counts[std::move(key)];
  }
  return counts;
}

Counts count_character_ngrams(const std::u32string& text, std::size_t n) {
  Counts counts;
  for (std::size_t i = 0; i + n <= text.size(); ++i) ++counts[text.substr(i, n)];
  return counts;
}

std::int64_t count_matches(const Counts& hypothesis, const Counts& reference) {
  std::int64_t matches = 0;
  for (const auto& [key, count] : hypothesis) {
    const auto found = reference.find(key);
    if (found != reference.end()) matches += std::min(count, found->second);
  }
  return matches;
}

std::u32string without_space(std::string_view utf8) {
  std::u32string text = translate::decode(utf8);
  std::erase_if(text, is_python_space);
  return text;
}

std::int64_t ngrams_in(std::size_t length, std::size_t n) {
  return length < n ? 0 : static_cast<std::int64_t>(length - n + 1);
}

BleuCounts count_bleu(BleuTokenizer tokenizer, std::string_view hypothesis, std::string_view reference) {
  const std::vector<std::u32string> ours = tokenize(tokenizer, hypothesis);
  const std::vector<std::u32string> theirs = tokenize(tokenizer, reference);
  BleuCounts counts;
  counts.hypothesis_words = static_cast<std::int64_t>(ours.size());
  counts.reference_words = static_cast<std::int64_t>(theirs.size());
  for (std::size_t n = 1; n <= BleuCounts::kOrder; ++n) {
    counts.total[n - 1] = ngrams_in(ours.size(), n);
    counts.matched[n - 1] = count_matches(count_word_ngrams(ours, n), count_word_ngrams(theirs, n));
  }
  return counts;
}

ChrfCounts count_chrf(std::string_view hypothesis, std::string_view reference) {
  const std::u32string ours = without_space(hypothesis);
  const std::u32string theirs = without_space(reference);
  ChrfCounts counts;
  for (std::size_t n = 1; n <= ChrfCounts::kOrder; ++n) {
    counts.reference[n - 1] = ngrams_in(theirs.size(), n);
    // Where the reference is too short for an n-gram the hypothesis is not blamed for having some.
    counts.hypothesis[n - 1] = theirs.size() < n ? 0 : ngrams_in(ours.size(), n);
    counts.matched[n - 1] = count_matches(count_character_ngrams(ours, n), count_character_ngrams(theirs, n));
  }
  return counts;
}

template <std::size_t kSize>
void add(std::array<std::int64_t, kSize>& sum, const std::array<std::int64_t, kSize>& more) {
  for (std::size_t i = 0; i < kSize; ++i) sum[i] += more[i];
}

double ratio(std::int64_t part, std::int64_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

BleuCounts& BleuCounts::operator+=(const BleuCounts& other) {
  hypothesis_words += other.hypothesis_words;
  reference_words += other.reference_words;
  add(matched, other.matched);
  add(total, other.total);
  return *this;
}

double BleuCounts::score() const {
  if (std::all_of(matched.begin(), matched.end(), [](std::int64_t n) { return n == 0; })) return 0;
  double log_precision = 0, smoothing = 1;
  for (std::size_t i = 0; i < kOrder; ++i) {
    if (total[i] == 0) return 0;  // no line has n words: there is no BLEU, and sacrebleu says 0
    if (matched[i] == 0) smoothing *= 2;
    log_precision += matched[i] == 0 ? std::log(1 / (smoothing * static_cast<double>(total[i])))
                                     : std::log(ratio(matched[i], total[i]));
  }
  const double brevity =
      hypothesis_words < reference_words ? std::exp(1 - ratio(reference_words, hypothesis_words)) : 1;
  return 100 * brevity * std::exp(log_precision / kOrder);
}

ChrfCounts& ChrfCounts::operator+=(const ChrfCounts& other) {
  add(hypothesis, other.hypothesis);
  add(reference, other.reference);
  add(matched, other.matched);
  return *this;
}

double ChrfCounts::score() const {
  constexpr double kBetaSquared = 4;
  double precision = 0, recall = 0;
  int orders = 0;
  for (std::size_t i = 0; i < kOrder; ++i) {
    if (hypothesis[i] == 0 || reference[i] == 0) continue;
    precision += ratio(matched[i], hypothesis[i]);
    recall += ratio(matched[i], reference[i]);
    ++orders;
  }
  if (orders == 0 || precision + recall == 0) return 0;
  precision /= orders;
  recall /= orders;
  return 100 * (1 + kBetaSquared) * precision * recall / (kBetaSquared * precision + recall);
}

LineCounts& LineCounts::operator+=(const LineCounts& other) {
  bleu += other.bleu;
  chrf += other.chrf;
  return *this;
}

LineCounts count_line(BleuTokenizer tokenizer, std::string_view hypothesis, std::string_view reference) {
  return {count_bleu(tokenizer, hypothesis, reference), count_chrf(hypothesis, reference)};
}

}  // namespace pagoda::evaluate
