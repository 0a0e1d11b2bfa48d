#include "text/detokenizer.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "text/utf8.h"

namespace pagoda::text {

Detokenizer::Detokenizer(const Tokenizer& tokenizer, std::vector<std::string> stop_strings, bool include_stop)
    : tokenizer_(tokenizer), stop_strings_(std::move(stop_strings)), include_stop_(include_stop) {
  for (std::string& stop : stop_strings_) {
    CHECK(!stop.empty());
    // The text is always well-formed; a broken stop string must not match inside a character of it.
    std::string valid;
    append_valid_utf8(valid, stop);
    stop = std::move(valid);
  }
}

std::string Detokenizer::push(TokenId token) {
  if (stopped_) return {};
  bytes_ += tokenizer_.token_bytes(token);
  return release(take_complete_characters(), /*final=*/false);
}

std::string Detokenizer::finish() {
  if (stopped_) return {};
  std::string text;
  append_valid_utf8(text, bytes_);
  bytes_.clear();
  return release(std::move(text), /*final=*/true);
}

// Moves all but a character that may still be completed out of bytes_.
std::string Detokenizer::take_complete_characters() {
  std::string text;
  std::string_view rest = bytes_;
  while (!rest.empty()) {
    const std::size_t valid = valid_utf8_prefix(rest);
    text.append(rest.substr(0, valid));
    rest.remove_prefix(valid);
    if (rest.empty()) break;
    const Utf8Step step = next_utf8(rest);
    if (step.kind == Utf8Kind::kIncomplete) break;
    text.append(kReplacement);
    rest.remove_prefix(step.length);
  }
  bytes_.erase(0, bytes_.size() - rest.size());
  return text;
}

// The stop string that is completed first wins, and the longest of those that end there: so the outcome does
// not depend on how the text was cut into tokens.
std::string Detokenizer::release(std::string text, bool final) {
  if (stop_strings_.empty()) return text;
  held_ += text;
  std::size_t begin = 0, end = std::string::npos;
  for (const std::string& stop : stop_strings_) {
    const std::size_t found = held_.find(stop);
    if (found == std::string::npos) continue;
    const std::size_t found_end = found + stop.size();
    if (found_end > end || (found_end == end && found >= begin)) continue;
    begin = found;
    end = found_end;
    matched_stop_ = stop;
  }
  if (end != std::string::npos) {
    stopped_ = true;
    held_.resize(include_stop_ ? end : begin);
    return std::exchange(held_, {});
  }
  std::size_t keep = 0;  // the longest end of the text that begins a stop string
  for (const std::string& stop : stop_strings_) {
    for (std::size_t length = std::min(stop.size() - 1, held_.size()); !final && length > keep; --length)
      if (held_.compare(held_.size() - length, length, stop, 0, length) == 0) keep = length;
  }
  std::string result = held_.substr(0, held_.size() - keep);
  held_.erase(0, result.size());
  return result;
}

}  // namespace pagoda::text
