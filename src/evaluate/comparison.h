#pragma once
// Two models on the same lines: what the second loses or wins, direction by direction, worst first. Pure.

#include <boost/json.hpp>
#include <string>
#include <vector>

#include "evaluate/bootstrap.h"
#include "evaluate/report.h"

namespace pagoda::evaluate {

struct DirectionDifference {
  std::string pair;
  std::size_t lines = 0;
  double base_bleu = 0, bleu = 0;
  Difference bleu_difference;
  double chrf_difference = 0;
};

struct Comparison {
  std::string base, model;
  std::vector<DirectionDifference> directions;  // worst first
  Difference mean_bleu;                         // of the mean over directions
  double mean_chrf_difference = 0;
};

// The directions of both are those of one call of make_directions.
Comparison compare(const ModelReport& base, const ModelReport& other, const BootstrapOptions& options = {});

std::string comparison_table(const Comparison& comparison);
boost::json::object to_json(const Comparison& comparison);

}  // namespace pagoda::evaluate
