#pragma once
// One model of `pagoda eval`: loaded, put to the test lines, and let go again, so that several can be
// compared in the memory of one.

#include <memory>
#include <string>
#include <vector>

#include "cli/engine_flags.h"
#include "evaluate/report.h"

namespace pagoda::cli {

// A model as --model and each value of --compare name it. Two specs may differ in anything that EngineFlags
// hold.
struct ModelSpec {
  std::string name;  // for people
  EngineFlags flags;
  std::string directory;  // where the model lies
};

// `text`: a directory or ORG/NAME, which is pulled if it is not cached; "=int8", "=int4", "=fp8" or "=none"
// behind it is its own --quantization. All else is as in `base`.
base::Result<ModelSpec> find_model_spec(const std::string& text, const EngineFlags& base);

struct EvalModelOptions {
  std::string style = "auto";  // of prompts
  std::int32_t max_tokens = 0;
  bool skills = false;
  bool block_size_given = false;  // otherwise the block size is chosen here
  bool quiet = false;
};

base::Result<evaluate::ModelReport> eval_model(const ModelSpec& spec,
                                               const std::vector<evaluate::Direction>& directions,
                                               const EvalModelOptions& options);

}  // namespace pagoda::cli
