#pragma once
// Placeholders that programs put into texts and that must come through a translation unchanged: {0} {name}
// {{count}}
// ${var} %s %d %1$s %(name)s %{name} and addresses (http://..., https://...). Pure functions; any thread.

#include <string>
#include <string_view>
#include <vector>

namespace pagoda::translate {

// In order of occurrence, repeated if they repeat.
std::vector<std::string> find_placeholders(std::string_view text);
// Those of the source that the output lacks (the same one twice needs two).
std::vector<std::string> lost_placeholders(std::string_view source, std::string_view output);

}  // namespace pagoda::translate
