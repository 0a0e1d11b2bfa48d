#include "text/byte_alphabet.h"

#include <array>
#include <cstdint>

namespace pagoda::text {
namespace {

constexpr int kAlphabetEnd = 256 + 68;  // one more than its last code point

constexpr bool is_printable(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

struct Alphabet {
  std::array<std::int16_t, kAlphabetEnd> byte_of{};  // by code point; -1: not in the alphabet
  std::array<std::int16_t, 256> code_of{};           // by byte
  constexpr Alphabet() {
    for (auto& byte : byte_of) byte = -1;
    int next = 256;
    for (int byte = 0; byte < 256; ++byte) {
      const int code = is_printable(byte) ? byte : next++;
      code_of[static_cast<std::size_t>(byte)] = static_cast<std::int16_t>(code);
      byte_of[static_cast<std::size_t>(code)] = static_cast<std::int16_t>(byte);
    }
  }
};
constexpr Alphabet kAlphabet;

}  // namespace

bool bytes_from_alphabet(std::string_view token, std::string& out) {
  out.clear();
  for (std::size_t i = 0; i < token.size(); ++i) {
    int code = static_cast<unsigned char>(token[i]);
    if (code >= 0x80) {
      // All of the alphabet is below U+0800, so two bytes are enough.
      if (code < 0xC2 || code > 0xDF || i + 1 == token.size()) return false;
      const int second = static_cast<unsigned char>(token[++i]);
      if (second < 0x80 || second > 0xBF) return false;
      code = (code & 0x1F) << 6 | (second & 0x3F);
    }
    const int byte = code < kAlphabetEnd ? kAlphabet.byte_of[static_cast<std::size_t>(code)] : -1;
    if (byte < 0) return false;
    out.push_back(static_cast<char>(byte));
  }
  return true;
}

std::string alphabet_character(unsigned char byte) {
  const int code = kAlphabet.code_of[byte];
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  return {static_cast<char>(0xC0 | code >> 6), static_cast<char>(0x80 | (code & 0x3F))};
}

}  // namespace pagoda::text
