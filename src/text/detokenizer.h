#pragma once
// Turns a stream of tokens into a stream of text that never splits a character, and watches for stop strings:
// text that may be the beginning of one is held back until it is known. One per request; not thread-safe.

#include <string>
#include <vector>

#include "text/tokenizer.h"

namespace pagoda::text {

class Detokenizer {
 public:
  // `tokenizer` must outlive it. `stop_strings` must be non-empty strings. With `include_stop`, the matched
  // stop string stays in the text.
  Detokenizer(const Tokenizer& tokenizer, std::vector<std::string> stop_strings, bool include_stop = false);

  // Feeds a token; returns the text that is now certain (may be empty). Bytes that cannot be UTF-8 come out
  // as U+FFFD.
  std::string push(TokenId token);
  // End of the stream: what was held back (incomplete characters become U+FFFD; nothing after a matched stop
  // string).
  std::string finish();
  // A stop string was found; further tokens are ignored.
  bool stopped() const { return stopped_; }
  // The stop string that matched, if any.
  const std::string& matched_stop() const { return matched_stop_; }

 private:
  std::string take_complete_characters();
  std::string release(std::string text, bool final);

  const Tokenizer& tokenizer_;
  std::vector<std::string> stop_strings_;
  bool include_stop_;
  bool stopped_ = false;
  std::string matched_stop_;
  std::string bytes_;  // not yet a whole character
  std::string held_;   // characters that may begin a stop string
};

}  // namespace pagoda::text
