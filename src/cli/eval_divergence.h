#pragma once
// `pagoda eval --divergence`: how far models are from the first one in what they find likely, token by token
// of the references, instead of in what they answer. Some thousand times as many numbers as lines, so it
// tells apart what BLEU needs tens of thousands of lines for; it says nothing of the quality of the first
// model.

#include <vector>

#include "cli/eval_model.h"

namespace pagoda::cli {

struct Divergence {
  std::string model;
  std::size_t weights_bytes = 0;
  std::int64_t tokens = 0;      // of the references, the end of each included
  double cross_entropy = 0;     // nats a token of the reference
  double divergence = 0;        // mean of KL(first || this), nats a token; 0 for the first itself
  double divergence_error = 0;  // standard error of that mean, lines being independent
  double same_choice = 0;       // share of tokens where both find the same token the likeliest
};

// In the order of `specs`, which hold one model at least, all of one tokenizer. All of them are in memory
// together, and are computed on the CPU. kInvalidArgument where vocabularies differ.
base::Result<std::vector<Divergence>> measure_divergence(const std::vector<ModelSpec>& specs,
                                                         const std::vector<evaluate::Direction>& directions,
                                                         const EvalModelOptions& options);

}  // namespace pagoda::cli
