#pragma once
// JSON written piece by piece, for answers that are sent once a token: no tree, one buffer. Pure; any thread.

#include <string>
#include <string_view>

namespace pagoda::serve {

// The text in quotes, escaped. `text` must be UTF-8.
void append_json_string(std::string& out, std::string_view text);
std::string json_string(std::string_view text);

}  // namespace pagoda::serve
