#include "text/tokenizer_file.h"

#include <boost/json.hpp>
#include <optional>

#include "text/byte_alphabet.h"
#include "text/json_access.h"

namespace pagoda::text {
namespace {

namespace json = boost::json;
using base::data_loss;
using base::Status;

Status read_added_token(const json::object& object, const JsonPlace& place, AddedToken& token) {
  const json::value* id = find_member(object, "id");
  if (id == nullptr || !id->is_int64() || id->get_int64() < 0 || id->get_int64() > TokenTable::kMaxId)
    return data_loss("{}: {}.id is not a number from 0 to {}", place.file, place.key, TokenTable::kMaxId);
  token.id = static_cast<std::int32_t>(id->get_int64());
  ASSIGN_OR_RETURN(token.content, string_member(object, "content", place));
  if (token.content.empty()) return data_loss("{}: {}.content is empty", place.file, place.key);
  ASSIGN_OR_RETURN(token.special, bool_member(object, "special", false, place));
  ASSIGN_OR_RETURN(token.normalized, bool_member(object, "normalized", !token.special, place));
  ASSIGN_OR_RETURN(token.lstrip, bool_member(object, "lstrip", false, place));
  ASSIGN_OR_RETURN(token.rstrip, bool_member(object, "rstrip", false, place));
  ASSIGN_OR_RETURN(const bool single_word, bool_member(object, "single_word", false, place));
  if (single_word) return unsupported(place.at("single_word"), "true", "false");
  return Status();
}

// The added token against the vocabulary: one string, one id.
Status check_added_token(const AddedToken& token, const JsonPlace& place, const TokenizerFile& file) {
  std::string bytes;
  const bool spelled = bytes_from_alphabet(token.content, bytes);
  if (spelled && bytes.size() == 1)
    return data_loss("{}: {}.content is {}, one of the 256 bytes", place.file, place.key, token.content);
  const std::int32_t known = spelled ? file.tokens.find(bytes) : TokenTable::kNone;
  if (known != TokenTable::kNone && known != token.id)
    return data_loss("{}: {} gives {} the id {}, and model.vocab gives it {}", place.file, place.key,
                     token.content, token.id, known);
  if (file.tokens.kind(token.id) != TokenTable::Kind::kHole && file.tokens.bytes(token.id) != token.content)
    return data_loss("{}: {} gives {} the id {}, which another token has", place.file, place.key,
                     token.content, token.id);
  return Status();
}

Status read_added_tokens(const json::object& root, const JsonPlace& place, TokenizerFile& file) {
  const json::value* value = find_member(root, "added_tokens");
  if (value == nullptr) return Status();
  const JsonPlace list = place.at("added_tokens");
  if (!value->is_array()) return wrong_type(list, "an array");
  for (const json::value& entry : value->get_array()) {
    const JsonPlace here{place.file, list.key + '[' + std::to_string(file.added.size()) + ']'};
    if (!entry.is_object()) return wrong_type(here, "an object");
    AddedToken token;
    RETURN_IF_ERROR(read_added_token(entry.get_object(), here, token));
    RETURN_IF_ERROR(check_added_token(token, here, file));
    file.tokens.set_added(token.id, token.content, token.special);
    file.added.push_back(std::move(token));
  }
  return Status();
}

Status read_normalizer(const json::value* value, const JsonPlace& place, TokenizerFile& file) {
  if (value == nullptr) return Status();
  if (!value->is_object()) return wrong_type(place, "an object");
  const json::object& object = value->get_object();
  ASSIGN_OR_RETURN(const std::string type, string_member(object, "type", place));
  for (NormalForm form : {NormalForm::kNfc, NormalForm::kNfd, NormalForm::kNfkc, NormalForm::kNfkd}) {
    if (type != normal_form_name(form)) continue;
    file.normalizers.push_back(form);
    return Status();
  }
  if (type != "Sequence") return unsupported(place.at("type"), type, "NFC, NFD, NFKC, NFKD or Sequence");
  const json::value* list = find_member(object, "normalizers");
  if (list == nullptr || !list->is_array()) return wrong_type(place.at("normalizers"), "an array");
  for (const json::value& entry : list->get_array())
    RETURN_IF_ERROR(read_normalizer(&entry, place.at("normalizers[]"), file));
  return Status();
}

Status read_split(const json::object& object, const JsonPlace& place, TokenizerFile& file) {
  ASSIGN_OR_RETURN(const std::string behavior, string_member(object, "behavior", place));
  if (behavior != "Isolated") return unsupported(place.at("behavior"), behavior, "Isolated");
  ASSIGN_OR_RETURN(const bool invert, bool_member(object, "invert", false, place));
  if (invert) return unsupported(place.at("invert"), "true", "false");
  const json::value* pattern = find_member(object, "pattern");
  if (pattern == nullptr || !pattern->is_object()) return wrong_type(place.at("pattern"), "an object");
  SplitPattern split;
  split.is_regex = find_member(pattern->get_object(), "Regex") != nullptr;
  ASSIGN_OR_RETURN(split.pattern, string_member(pattern->get_object(), split.is_regex ? "Regex" : "String",
                                                place.at("pattern")));
  if (split.pattern.empty()) return data_loss("{}: {} is empty", place.file, place.at("pattern").key);
  file.pre_tokenizer.splits.push_back(std::move(split));
  return Status();
}

Status read_byte_level(const json::object& object, const JsonPlace& place, TokenizerFile& file) {
  ASSIGN_OR_RETURN(file.pre_tokenizer.add_prefix_space, bool_member(object, "add_prefix_space", true, place));
  ASSIGN_OR_RETURN(file.pre_tokenizer.use_gpt2_regex, bool_member(object, "use_regex", true, place));
  return Status();
}

// One step; `byte_level` tells whether the last step was met already.
Status read_step(const json::value& value, const JsonPlace& place, bool& byte_level, TokenizerFile& file) {
  if (!value.is_object()) return wrong_type(place, "an object");
  const json::object& object = value.get_object();
  ASSIGN_OR_RETURN(const std::string type, string_member(object, "type", place));
  if (type != "Sequence" && byte_level)
    return base::error(base::Code::kUnimplemented, "{}: {} has a step {} after ByteLevel", place.file,
                       place.key, type);
  if (type == "Split") return read_split(object, place, file);
  if (type == "ByteLevel") {
    byte_level = true;
    return read_byte_level(object, place, file);
  }
  if (type != "Sequence") return unsupported(place.at("type"), type, "Sequence, Split or ByteLevel");
  const json::value* list = find_member(object, "pretokenizers");
  if (list == nullptr || !list->is_array()) return wrong_type(place.at("pretokenizers"), "an array");
  std::size_t index = 0;
  for (const json::value& entry : list->get_array()) {
    const JsonPlace here = place.at("pretokenizers[" + std::to_string(index++) + ']');
    RETURN_IF_ERROR(read_step(entry, here, byte_level, file));
  }
  return Status();
}

Status read_pre_tokenizer(const json::value* value, const JsonPlace& place, TokenizerFile& file) {
  bool byte_level = false;
  if (value != nullptr) RETURN_IF_ERROR(read_step(*value, place, byte_level, file));
  // Without it the vocabulary would be in characters, not bytes.
  if (!byte_level)
    return base::error(base::Code::kUnimplemented,
                       "{}: {} has no ByteLevel step, and only byte-level BPE is supported", place.file,
                       place.key);
  return Status();
}

}  // namespace

base::Result<TokenizerFile> parse_tokenizer_file(std::string_view text, const std::string& name) {
  // The document is read once and dropped: a pool is several times faster than a heap block per string.
  json::monotonic_resource pool;
  json::error_code failure;
  const json::value document = json::parse({text.data(), text.size()}, failure, &pool);
  if (failure) return data_loss("{}: not valid JSON: {}", name, failure.message());
  const JsonPlace place{name, ""};
  if (!document.is_object()) return wrong_type(place, "an object");
  const json::object& root = document.get_object();
  const json::value* model = find_member(root, "model");
  if (model == nullptr || !model->is_object()) return wrong_type(place.at("model"), "an object");
  TokenizerFile file;
  RETURN_IF_ERROR(read_normalizer(find_member(root, "normalizer"), place.at("normalizer"), file));
  RETURN_IF_ERROR(read_pre_tokenizer(find_member(root, "pre_tokenizer"), place.at("pre_tokenizer"), file));
  RETURN_IF_ERROR(read_model(model->get_object(), place.at("model"), file));
  RETURN_IF_ERROR(read_added_tokens(root, place, file));
  RETURN_IF_ERROR(read_merges(model->get_object(), place.at("model"), file));
  return file;
}

}  // namespace pagoda::text
