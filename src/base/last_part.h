#pragma once
// The name of a model: the last part of its path or of ORG/NAME.

#include <string>

namespace pagoda::base {

// "nano" of "models/nano", "models/nano/" and "models/nano/."; of "." that of the current directory.
std::string last_part(const std::string& path);

}  // namespace pagoda::base
