#pragma once
// Texts that a client calls HTML and that are plain but for entities: "Tom &amp; Jerry". Pure; any thread.

#include <optional>
#include <string>
#include <string_view>

namespace pagoda::serve {

// The text itself: &amp; &lt; &gt; &quot; &apos; &nbsp; and numbered entities become their characters.
// Nothing if there is more markup: a tag, a comment, or an entity of another name.
std::optional<std::string> plain_text_of_html(std::string_view html);
// With &, < and > as entities.
std::string html_of_plain_text(std::string_view text);

}  // namespace pagoda::serve
