// tokenizer.json: whatever it says, loading ends in a tokenizer or in one sentence, and a tokenizer that was
// loaded loses no byte of a text.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/check.h"
#include "text/byte_alphabet.h"
#include "text/chat_template.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace {

using pagoda::text::Tokenizer;

// The beginning of a file with the 256 bytes every vocabulary needs, so that the fuzzer need not invent them.
const std::string& beginning() {
  static const std::string text = [] {
    std::string json = "{\"model\":{\"type\":\"BPE\",\"vocab\":{";
    for (int byte = 0; byte < 256; ++byte) {
      const std::string name = pagoda::text::alphabet_character(static_cast<unsigned char>(byte));
      json += byte > 0 ? ",\"" : "\"";
      if (name == "\"" || name == "\\") json += '\\';
      json += name + "\":" + std::to_string(byte);
    }
    return json;
  }();
  return text;
}

std::string without_spaces(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  return text;
}

void try_file(std::string_view json) {
  const pagoda::base::Result<Tokenizer> tokenizer = Tokenizer::parse(json, "tokenizer.json");
  if (!tokenizer.ok()) {
    CHECK(!tokenizer.status().message().empty());
    return;
  }
  const std::string_view text =
      "The old  captain's\n 12345 caf\xC3\xA9 \xE8\x80\x81\xE8\x88\xB9\xE9\x95\xBF <x> \xFF";
  std::string bytes;
  for (const auto id : tokenizer->encode(text)) {
    CHECK(id.value >= 0 && id.value < tokenizer->vocab_size() && !tokenizer->is_special(id));
    bytes += tokenizer->token_bytes(id);
  }
  // A normaliser changes the text, and a prefix space adds to it, on purpose; nothing else may.
  if (tokenizer->facts().normalizer == "none")
    CHECK(without_spaces(bytes) == without_spaces(std::string(text)));
  const std::string decoded = tokenizer->decode(tokenizer->encode_with_specials(text));
  CHECK(pagoda::text::valid_utf8_prefix(decoded) == decoded.size());
  static_cast<void>(pagoda::text::ChatTemplate::detect(*tokenizer).ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  try_file(input);
  try_file(beginning() + std::string(input));
  return 0;
}
