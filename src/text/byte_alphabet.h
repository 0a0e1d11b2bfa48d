#pragma once
// The GPT-2 byte alphabet: each byte is written in vocabulary files as one printable character (a space as
// U+0120), the 188 printable Latin-1 characters as themselves and the other 68 as U+0100 and up, in byte
// order.

#include <string>
#include <string_view>

namespace pagoda::text {

// Translates a token of a vocabulary file into the bytes it stands for; false if a character is outside the
// alphabet
// (`out` is then unspecified).
bool bytes_from_alphabet(std::string_view token, std::string& out);

// The character of the alphabet for one byte, in UTF-8.
std::string alphabet_character(unsigned char byte);

}  // namespace pagoda::text
