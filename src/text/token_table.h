#pragma once
// The strings of a vocabulary: id to bytes, and bytes to id for the ordinary tokens. Built once, then
// immutable.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace pagoda::text {

class TokenTable {
 public:
  enum class Kind : std::uint8_t {
    kHole,      // no token has this id
    kOrdinary,  // in the vocabulary, reachable from plain text
    kAdded,     // an added token: never produced from plain text
    kSpecial,   // an added token that decoding leaves out
  };
  static constexpr std::int32_t kNone = -1;
  static constexpr std::int32_t kMaxId =
      (1 << 24) - 1;  // a file cannot make us allocate more than a table of this

  void reserve(std::size_t tokens, std::size_t bytes);
  // Ordinary token; false if the id or the bytes are taken.
  bool add(std::int32_t id, std::string_view bytes);
  // Names `id` an added token. A new one gets `text`; a known one keeps its bytes, by which find() knows it.
  void set_added(std::int32_t id, std::string_view text, bool special);

  // The token of the vocabulary with these bytes, or kNone. Added tokens that are also in the vocabulary are
  // found.
  std::int32_t find(std::string_view bytes) const;
  std::string_view bytes(std::int32_t id) const;
  Kind kind(std::int32_t id) const {
    return contains(id) ? tokens_[static_cast<std::size_t>(id)].kind : Kind::kHole;
  }
  std::int32_t size() const { return static_cast<std::int32_t>(tokens_.size()); }  // largest id + 1

 private:
  struct Token {
    std::uint32_t offset = 0, length = 0;
    Kind kind = Kind::kHole;
  };
  bool contains(std::int32_t id) const { return id >= 0 && id < size(); }
  Token& at(std::int32_t id);
  std::size_t slot_of(std::string_view bytes) const;
  void grow();

  std::string arena_;
  std::vector<Token> tokens_;        // by id
  std::vector<std::int32_t> slots_;  // open addressing, a power of two; kNone is free
  std::size_t used_ = 0;
};

}  // namespace pagoda::text
