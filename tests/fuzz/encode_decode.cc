// Any bytes through the two small tokenizers of tests/data: encoding loses nothing, and streaming says the
// same as decoding at once.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "text/detokenizer.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace {

using namespace pagoda::text;

Tokenizer load(const char* name) {
  return Tokenizer::load(std::string(PAGODA_SOURCE_DIR) + "/tests/data/tokenizer/" + name).value();
}

std::string bytes_of(const Tokenizer& tokenizer, const std::vector<TokenId>& ids, bool with_specials) {
  std::string bytes;
  for (const TokenId id : ids) bytes += tokenizer.token_bytes(id, with_specials);
  return bytes;
}

std::string streamed(const Tokenizer& tokenizer, const std::vector<TokenId>& ids,
                     std::vector<std::string> stops) {
  Detokenizer detokenizer(tokenizer, std::move(stops));
  std::string text;
  for (const TokenId id : ids) {
    const std::string part = detokenizer.push(id);
    CHECK(valid_utf8_prefix(part) == part.size());
    text += part;
  }
  return text + detokenizer.finish();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const Tokenizer hy = load("hy.json");
  static const Tokenizer tiktoken = load("tiktoken.json");
  const std::string_view text(reinterpret_cast<const char*>(data), size);

  const std::vector<TokenId> plain = hy.encode(text);
  const std::vector<TokenId> specials = hy.encode_with_specials(text);
  CHECK(bytes_of(hy, plain, false) == text);
  CHECK(bytes_of(hy, specials, true) == text);
  std::string valid;
  append_valid_utf8(valid, text);
  CHECK(hy.decode(plain) == valid);
  CHECK(streamed(hy, plain, {}) == valid);
  CHECK(streamed(hy, specials, {}) == hy.decode(specials));

  // Stop strings out of the text itself; byte by byte must give the same.
  if (size >= 4) {
    const std::vector<std::string> stops = {std::string(text.substr(size / 2, 2)),
                                            std::string(text.substr(size / 3, 3))};
    std::vector<TokenId> single;
    for (const char byte : text) single.push_back(hy.encode(std::string_view(&byte, 1))[0]);
    CHECK(streamed(hy, plain, stops) == streamed(hy, single, stops));
  }

  // NFC: what comes out is normal already. (Only above the normaliser's block might a cut show.)
  if (size < 1024) {
    const std::string normal = bytes_of(tiktoken, tiktoken.encode(text), false);
    CHECK(bytes_of(tiktoken, tiktoken.encode(normal), false) == normal);
  }
  return 0;
}
