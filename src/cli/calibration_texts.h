#pragma once
// What `pagoda quantize` calibrates with: translations as the model sees them, prompt and answer, from texts
// of the user or from sentences that come with the program.

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "quantize/layer_pass.h"

namespace pagoda::cli {

struct CalibrationFlags {
  std::string file;       // empty: the bundled sentences
  std::string languages;  // codes, comma-separated; empty: all
  int samples = 256;
};
void add_calibration_flags(CLI::App& command, CalibrationFlags* flags);

// The samples, for the tokenizer and the prompts of the model in `directory`; the same for the
// same flags. kInvalidArgument for files and languages that cannot be used.
base::Result<std::vector<quantize::CalibrationText>> calibration_texts(const std::string& directory,
                                                                       const CalibrationFlags& flags);

}  // namespace pagoda::cli
