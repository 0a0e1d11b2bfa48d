#pragma once
// The directory that a quantised model is written to: checked before work begins, and filled with what goes
// along with the weights.

#include <boost/json/object.hpp>
#include <string>

#include "base/status.h"

namespace pagoda::quantize {

// Creates `directory`. kInvalidArgument if it cannot be, or holds a model already.
base::Status prepare_directory(const std::string& directory);
// tokenizer.json (without its white space, which is half of it), chat template and other small files.
base::Status copy_small_files(const std::string& from, const std::string& to);
// config.json of `from` with this quantization_config.
base::Status write_config(const std::string& from, const std::string& to,
                          const boost::json::object& quantization);
base::Status write_text(const std::string& path, const std::string& text);

}  // namespace pagoda::quantize
