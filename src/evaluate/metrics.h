#pragma once
// BLEU (Papineni et al. 2002; exponential smoothing) and chrF2 (Popovic 2015: character n-grams up to 6, no
// word n-grams, beta 2, white space removed), the same numbers as sacrebleu's defaults give for one reference
// a line. Both are functions of sums over lines, so a corpus, and a resample of it, is scored by adding up.
// Pure; any thread.

#include <array>
#include <cstdint>
#include <string_view>

#include "evaluate/bleu_tokenizer.h"

namespace pagoda::evaluate {

struct BleuCounts {
  static constexpr int kOrder = 4;
  std::int64_t hypothesis_words = 0, reference_words = 0;
  std::array<std::int64_t, kOrder> matched{}, total{};  // n-grams of the hypothesis, n = 1..4

  BleuCounts& operator+=(const BleuCounts& other);
  double score() const;  // 0..100
};

struct ChrfCounts {
  static constexpr int kOrder = 6;
  std::array<std::int64_t, kOrder> hypothesis{}, reference{}, matched{};  // character n-grams, n = 1..6

  ChrfCounts& operator+=(const ChrfCounts& other);
  double score() const;  // 0..100
};

// What a line adds to both.
struct LineCounts {
  BleuCounts bleu;
  ChrfCounts chrf;

  LineCounts& operator+=(const LineCounts& other);
};
LineCounts count_line(BleuTokenizer tokenizer, std::string_view hypothesis, std::string_view reference);

}  // namespace pagoda::evaluate
