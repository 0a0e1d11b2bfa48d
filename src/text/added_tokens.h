#pragma once
// Finds added tokens ("<|eos|>") in raw text: at the leftmost place, the longest one. Immutable once built.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace pagoda::text {

struct AddedToken {
  std::int32_t id = 0;
  std::string content;
  bool special = false;
  bool normalized = false;  // looked for after normalisation, not before
  bool lstrip = false;      // takes the white space before it along
  bool rstrip = false;      // and after it
};

class AddedTokenMatcher {
 public:
  void add(const AddedToken& token);
  bool empty() const { return tokens_.empty(); }

  struct Match {
    bool found = false;
    std::size_t begin = 0, end = 0;  // with stripped white space
    std::int32_t id = 0;
  };
  // The first match in `text`, which may be any bytes.
  Match find(std::string_view text) const;

 private:
  std::unordered_map<std::string, AddedToken> tokens_;
  std::array<std::vector<std::size_t>, 256> lengths_;  // of the tokens, by their first byte, longest first
};

}  // namespace pagoda::text
