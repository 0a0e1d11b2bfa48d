#pragma once
// One model of `pagoda eval`: loaded, put to the test lines, and let go again, so that several can be
// compared in the memory of one.

#include <memory>
#include <string>
#include <vector>

#include "cli/engine_flags.h"
#include "evaluate/report.h"

namespace pagoda::cli {

// A model, or one in another format: what --model and each value of --compare name.
struct ModelSpec {
  std::string name;  // for people
  EngineFlags flags;
};

// `text`: a directory or ORG/NAME. All else is as in `base`.
ModelSpec parse_model_spec(const std::string& text, const EngineFlags& base);

struct EvalModelOptions {
  std::string style = "auto";  // of prompts
  std::int32_t max_tokens = 0;
  bool quiet = false;
};

base::Result<evaluate::ModelReport> eval_model(const ModelSpec& spec,
                                               const std::vector<evaluate::Direction>& directions,
                                               const EvalModelOptions& options);

}  // namespace pagoda::cli
