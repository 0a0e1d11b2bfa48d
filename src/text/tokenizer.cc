#include "text/tokenizer.h"

#include <utility>

#include "base/mapped_file.h"
#include "text/tokenizer_file.h"
#include "text/utf8.h"

namespace pagoda::text {
namespace {

// The largest file known (7B, every split of every token listed) has 16 MB.
constexpr std::size_t kMaxFileBytes = std::size_t{256} << 20;

struct EncodeScratch {
  Regex::Scratch regex;
  Bpe::Scratch bpe;
};

}  // namespace

struct Tokenizer::State {
  State(TokenizerFile file, PreTokenizer splits, Bpe bpe)
      : file(std::move(file)), splits(std::move(splits)), bpe(std::move(bpe)) {}

  TokenizerFile file;
  PreTokenizer splits;
  Bpe bpe;
  AddedTokenMatcher raw_added;         // looked for in the text as it comes
  AddedTokenMatcher normalized_added;  // looked for after normalisation

  using Ids = std::vector<TokenId>;
  std::string normalize_all(std::string_view text) const;
  void encode_piece(std::string_view piece, EncodeScratch& scratch, Ids& out) const;
  void encode_valid(std::string_view text, bool with_specials, EncodeScratch& scratch, Ids& out) const;
  void encode_bytes(std::string_view text, bool with_specials, EncodeScratch& scratch, Ids& out) const;
};

namespace {

// Cuts `text` at added tokens: their ids go to `out`, what is between them to `rest`.
template <typename Rest>
void cut_at_added(const AddedTokenMatcher& matcher, std::string_view text, std::vector<TokenId>& out,
                  const Rest& rest) {
  while (!text.empty()) {
    const AddedTokenMatcher::Match match = matcher.find(text);
    rest(text.substr(0, match.found ? match.begin : text.size()));
    if (!match.found) return;
    out.push_back(TokenId(match.id));
    text.remove_prefix(match.end);
  }
}

}  // namespace

std::string Tokenizer::State::normalize_all(std::string_view text) const {
  std::string result(text);
  for (const NormalForm form : file.normalizers) result = normalize(form, result);
  return result;
}

void Tokenizer::State::encode_piece(std::string_view piece, EncodeScratch& scratch, Ids& out) const {
  if (file.ignore_merges) {
    const std::int32_t id = file.tokens.find(piece);
    if (file.tokens.kind(id) == TokenTable::Kind::kOrdinary) {
      out.push_back(TokenId(id));
      return;
    }
  }
  bpe.encode(piece, scratch.bpe, out);
}

void Tokenizer::State::encode_valid(std::string_view text, bool with_specials, EncodeScratch& scratch,
                                    Ids& out) const {
  std::string normalized;
  if (!file.normalizers.empty()) {
    normalized = normalize_all(text);
    text = normalized;
  }
  const auto encode_plain = [&](std::string_view plain) {
    splits.for_each_piece(plain, scratch.regex,
                          [&](std::string_view piece) { encode_piece(piece, scratch, out); });
  };
  if (with_specials) {
    cut_at_added(normalized_added, text, out, encode_plain);
  } else {
    encode_plain(text);
  }
}

// Bytes that are not UTF-8 stand alone: no regex and no merge sees them.
void Tokenizer::State::encode_bytes(std::string_view text, bool with_specials, EncodeScratch& scratch,
                                    Ids& out) const {
  while (!text.empty()) {
    const std::size_t valid = valid_utf8_prefix(text);
    if (valid > 0) encode_valid(text.substr(0, valid), with_specials, scratch, out);
    text.remove_prefix(valid);
    if (text.empty()) return;
    const std::size_t broken = next_utf8(text).length;
    for (const char byte : text.substr(0, broken))
      out.push_back(TokenId(bpe.byte_token(static_cast<unsigned char>(byte))));
    text.remove_prefix(broken);
  }
}

Tokenizer::Tokenizer(std::unique_ptr<State> state) : state_(std::move(state)) {}
Tokenizer::Tokenizer(Tokenizer&&) noexcept = default;
Tokenizer& Tokenizer::operator=(Tokenizer&&) noexcept = default;
Tokenizer::~Tokenizer() = default;

base::Result<Tokenizer> Tokenizer::load(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string json, base::read_file(path, kMaxFileBytes));
  return parse(json, path);
}

base::Result<Tokenizer> Tokenizer::parse(std::string_view json, const std::string& name) {
  ASSIGN_OR_RETURN(TokenizerFile file, parse_tokenizer_file(json, name));
  base::Result<PreTokenizer> splits = PreTokenizer::create(file.pre_tokenizer);
  if (!splits.ok())
    return base::Status(splits.status().code(), name + ": pre_tokenizer: " + splits.status().message());
  Bpe bpe(std::move(file.merges), file.byte_tokens);
  auto state = std::make_unique<State>(std::move(file), std::move(splits).value(), std::move(bpe));
  for (AddedToken token : state->file.added) {
    if (token.normalized) {
      token.content = state->normalize_all(token.content);
      state->normalized_added.add(token);
    } else {
      state->raw_added.add(token);
    }
  }
  return Tokenizer(std::move(state));
}

std::vector<TokenId> Tokenizer::encode(std::string_view text) const {
  std::vector<TokenId> ids;
  ids.reserve(text.size() / 3 + 1);
  EncodeScratch scratch;
  state_->encode_bytes(text, /*with_specials=*/false, scratch, ids);
  return ids;
}

std::vector<TokenId> Tokenizer::encode_with_specials(std::string_view text) const {
  std::vector<TokenId> ids;
  EncodeScratch scratch;
  cut_at_added(state_->raw_added, text, ids, [&](std::string_view rest) {
    state_->encode_bytes(rest, /*with_specials=*/true, scratch, ids);
  });
  return ids;
}

std::string_view Tokenizer::token_bytes(TokenId id, bool with_specials) const {
  if (is_special(id) && !with_specials) return {};
  return state_->file.tokens.bytes(id.value);
}

std::string Tokenizer::decode(const std::vector<TokenId>& ids) const {
  std::string bytes;
  for (const TokenId id : ids) bytes += token_bytes(id);
  if (valid_utf8_prefix(bytes) == bytes.size()) return bytes;
  std::string text;
  append_valid_utf8(text, bytes);
  return text;
}

std::optional<TokenId> Tokenizer::special_id(std::string_view content) const {
  for (const AddedToken& token : state_->file.added)
    if (token.content == content) return TokenId(token.id);
  return std::nullopt;
}

bool Tokenizer::is_special(TokenId id) const {
  return state_->file.tokens.kind(id.value) == TokenTable::Kind::kSpecial;
}

std::int32_t Tokenizer::vocab_size() const { return state_->file.tokens.size(); }

Tokenizer::Facts Tokenizer::facts() const {
  const TokenizerFile& file = state_->file;
  Facts facts;
  facts.vocab = file.vocab_count;
  facts.merges = file.merge_count;
  facts.added = file.added.size();
  for (const SplitPattern& split : file.pre_tokenizer.splits) facts.splits.push_back(split.pattern);
  for (const NormalForm form : file.normalizers) {
    if (!facts.normalizer.empty()) facts.normalizer += ", ";
    facts.normalizer += normal_form_name(form);
  }
  if (facts.normalizer.empty()) facts.normalizer = "none";
  return facts;
}

}  // namespace pagoda::text
