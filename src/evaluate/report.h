#pragma once
// What `pagoda eval` found out about a model, as a table for people and as JSON for programs. Pure.

#include <boost/json.hpp>
#include <cstddef>
#include <string>
#include <vector>

#include "evaluate/evaluation.h"
#include "evaluate/skills.h"

namespace pagoda::evaluate {

struct ModelReport {
  std::string model;   // as it was asked for
  std::string device;  // "cpu avx2, 2 threads"
  std::string format;  // of the linear weights: "int8"
  std::size_t weights_bytes = 0;
  std::size_t memory_bytes = 0;  // weights, KV cache and activations
  Evaluation evaluation;
  std::vector<SkillRate> skills;          // empty: not measured
  double operations_per_second = 0;       // multiplications and additions of the whole run over its time
  double int8_operations_per_second = 0;  // what this machine can do in INT8; 0: not measured

  double fraction_of_int8_rate() const {
    return int8_operations_per_second > 0 ? operations_per_second / int8_operations_per_second : 0;
  }
};

// Direction, lines, BLEU and chrF, the mean, and what the run took.
std::string score_table(const ModelReport& report);
std::string skill_table(const ModelReport& report);
boost::json::object to_json(const ModelReport& report);

// Scores are true to a hundredth; more digits are noise in a file that is compared.
double rounded(double score);

// One object over several lines, for files that people read and compare.
std::string pretty(const boost::json::value& value);

}  // namespace pagoda::evaluate
