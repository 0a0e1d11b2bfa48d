#pragma once
// Byte-level BPE as written in a Hugging Face tokenizer.json: optional Unicode normaliser, a sequence of
// Split regexes applied one after another (each isolates its matches inside the pieces of the one before),
// the GPT-2 byte alphabet, merges by rank. Read from the file, never assumed. Immutable after load: any
// thread may encode and decode (per-call scratch only).

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "base/strong_id.h"

namespace pagoda::text {

using TokenId = base::StrongId<struct TokenTag>;

class Tokenizer {
 public:
  static base::Result<Tokenizer> load(const std::string& path);  // tokenizer.json
  static base::Result<Tokenizer> parse(std::string_view json, const std::string& name);
  Tokenizer(Tokenizer&&) noexcept;
  Tokenizer& operator=(Tokenizer&&) noexcept;
  ~Tokenizer();

  // Plain text to ids. Special-token strings inside are ordinary text (promise 7): "<|eos|>" becomes pieces.
  // Invalid UTF-8 is kept byte for byte.
  std::vector<TokenId> encode(std::string_view text) const;
  // The same, but added / special tokens of the file are recognised (for raw prompts of trusted callers).
  std::vector<TokenId> encode_with_specials(std::string_view text) const;

  // The bytes a token stands for; special tokens give their text if `with_specials`, else nothing. An id
  // outside the vocabulary gives nothing.
  std::string_view token_bytes(TokenId id, bool with_specials = false) const;
  // Concatenated bytes, special tokens skipped; invalid UTF-8 replaced by U+FFFD.
  std::string decode(const std::vector<TokenId>& ids) const;

  std::optional<TokenId> special_id(std::string_view content) const;  // of an added token
  bool is_special(TokenId id) const;
  // One more than the largest id (vocabulary and added tokens).
  std::int32_t vocab_size() const;

  struct Facts {  // for `pagoda inspect`
    std::size_t vocab = 0, merges = 0, added = 0;
    std::vector<std::string> splits;  // the regexes
    std::string normalizer;           // "none", "NFC", ...
  };
  Facts facts() const;

 private:
  struct State;
  explicit Tokenizer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace pagoda::text
