#pragma once
// "a=1&b=x%20y": queries of addresses and bodies of forms. Pure; any thread.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pagoda::serve {

// In order, percent-decoded, '+' as space. A broken percent-encoding stands for itself.
std::vector<std::pair<std::string, std::string>> parse_query(std::string_view text);
std::optional<std::string> query_value(std::string_view text, std::string_view name);
std::string percent_decode(std::string_view text);

}  // namespace pagoda::serve
