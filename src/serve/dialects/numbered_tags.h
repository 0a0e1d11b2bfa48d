#pragma once
// Browser plugins put numbered tags where a page has markup: <b0>here</b0>, <i1>, <a2/>. The models were
// trained on <s1>, <s2> ...: so tags are renamed on the way in and get their names back on the way out.
// Pure; any thread.

#include <string>
#include <string_view>
#include <vector>

namespace pagoda::serve {

struct NumberedTags {
  std::string text;                // with <sN> tags
  std::vector<std::string> names;  // what <s1>, <s2>, ... were called: "b0"
};
// A tag is one to eight letters and one to four digits between <> or </> or </>; other markup stays as it is.
NumberedTags to_model_tags(std::string_view text);
// Tags of numbers that have no name stay as they are.
std::string from_model_tags(std::string_view text, const std::vector<std::string>& names);

}  // namespace pagoda::serve
