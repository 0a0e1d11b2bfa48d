#pragma once
// What a model makes of test sentences: the answers, their scores, and what it took. evaluate_directions()
// blocks; one caller an engine.

#include <string>
#include <vector>

#include "evaluate/answers.h"
#include "evaluate/metrics.h"
#include "evaluate/test_file.h"

namespace pagoda::evaluate {

struct DirectionScore {
  std::string pair;                     // "en-fr"
  BleuTokenizer tokenizer{};            // of its BLEU
  std::vector<std::string> hypotheses;  // in the order of the lines
  std::vector<LineCounts> lines;        // what each line adds to the scores
  double bleu = 0, chrf = 0;
  std::size_t cut = 0;  // answers that ran into their limit of tokens
};

// Tokens and time of a run.
struct Work {
  double seconds = 0;
  std::int64_t prompt_tokens = 0;  // of all prompts
  std::int64_t cached_tokens = 0;  // of those, found in the prefix cache
  std::int64_t generated_tokens = 0;

  double tokens_per_second() const { return static_cast<double>(generated_tokens) / seconds; }
  double prompt_tokens_per_second() const { return static_cast<double>(prompt_tokens) / seconds; }
};

struct Evaluation {
  std::vector<DirectionScore> directions;
  Work work;

  std::size_t num_lines() const;
  // Means over directions, each counting the same whatever its number of lines.
  double mean_bleu() const;
  double mean_chrf() const;
};

DirectionScore score_direction(const Direction& direction, std::vector<std::string> hypotheses);

base::Result<Evaluation> evaluate_directions(engine::Engine& engine, const std::vector<Direction>& directions,
                                             const AnswerOptions& options,
                                             const std::function<void(std::size_t, std::int64_t)>& done);

}  // namespace pagoda::evaluate
