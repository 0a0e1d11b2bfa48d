#pragma once
// What a Hugging Face tokenizer.json says, checked and turned into tables. Whatever in it would change the
// encoding and is not supported here is refused by name.

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"
#include "text/token_table.h"

namespace pagoda::text {

struct TokenizerFile {
  TokenTable tokens;
  std::size_t vocab_count = 0;
  MergeTable merges;
  std::size_t merge_count = 0;
  bool ignore_merges = false;  // a whole piece that is a vocabulary entry is taken as it is
  std::array<std::int32_t, 256> byte_tokens{};
  std::vector<AddedToken> added;
  std::vector<NormalForm> normalizers;
  PreTokenizerSpec pre_tokenizer;
};

// `name` is what error messages call the file.
base::Result<TokenizerFile> parse_tokenizer_file(std::string_view json, const std::string& name);

}  // namespace pagoda::text
