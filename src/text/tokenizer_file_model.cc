// The "model" of a tokenizer.json: vocabulary and merges.

#include "text/byte_alphabet.h"
#include "text/json_access.h"
#include "text/tokenizer_file.h"

namespace pagoda::text {
namespace {

namespace json = boost::json;
using base::data_loss;
using base::Status;

// Settings that would change the encoding; each must be absent, or as in byte-level BPE.
Status check_settings(const json::object& model, const JsonPlace& place) {
  if (const json::value* dropout = find_member(model, "dropout"))
    if (!dropout->is_number() || dropout->to_number<double>() != 0)
      return unsupported(place.at("dropout"), "set", "null");
  for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
    const json::value* value = find_member(model, key);
    if (value != nullptr && !(value->is_string() && value->get_string().empty()))
      return unsupported(place.at(key), "set", "null");
  }
  return Status();
}

Status read_vocabulary(const json::object& model, const JsonPlace& place, TokenizerFile& file) {
  const json::value* vocab = find_member(model, "vocab");
  if (vocab == nullptr || !vocab->is_object()) return wrong_type(place.at("vocab"), "an object");
  file.vocab_count = vocab->get_object().size();
  std::size_t bytes = 0;
  for (const auto& entry : vocab->get_object()) bytes += entry.key().size();
  file.tokens.reserve(file.vocab_count, bytes);
  std::string token;
  for (const auto& entry : vocab->get_object()) {
    const std::string_view text(entry.key().data(), entry.key().size());
    if (!entry.value().is_int64() || entry.value().get_int64() < 0 ||
        entry.value().get_int64() > TokenTable::kMaxId)
      return data_loss("{}: model.vocab gives {} an id that is not a number from 0 to {}", place.file, text,
                       TokenTable::kMaxId);
    const std::int32_t id = static_cast<std::int32_t>(entry.value().get_int64());
    if (file.tokens.kind(id) != TokenTable::Kind::kHole)
      return data_loss("{}: model.vocab gives the id {} twice", place.file, id);
    // Only strings in the byte alphabet can come out of plain text; the others are names ("<｜hy_User｜>").
    if (text.empty() || !bytes_from_alphabet(text, token)) {
      file.tokens.set_added(id, text, /*special=*/false);
    } else if (!file.tokens.add(id, token)) {
      return data_loss("{}: model.vocab has {} twice", place.file, text);
    }
  }
  for (int byte = 0; byte < 256; ++byte) {
    const char value = static_cast<char>(byte);
    const std::int32_t id = file.tokens.find(std::string_view(&value, 1));
    if (id == TokenTable::kNone)
      return data_loss("{}: model.vocab lacks the byte {:#04x}, written {}", place.file, byte,
                       alphabet_character(static_cast<unsigned char>(byte)));
    file.byte_tokens[static_cast<std::size_t>(byte)] = id;
  }
  return Status();
}

// Both spellings: "a b", and ["a", "b"].
bool split_merge(const json::value& value, std::string_view& left, std::string_view& right) {
  if (value.is_string()) {
    const std::string_view text = text_of(value.get_string());
    const std::size_t space = text.find(' ');
    if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) return false;
    left = text.substr(0, space);
    right = text.substr(space + 1);
    return true;
  }
  if (!value.is_array() || value.get_array().size() != 2) return false;
  const json::array& pair = value.get_array();
  if (!pair[0].is_string() || !pair[1].is_string()) return false;
  left = text_of(pair[0].get_string());
  right = text_of(pair[1].get_string());
  return true;
}

}  // namespace

Status read_model(const json::object& model, const JsonPlace& place, TokenizerFile& file) {
  // Files of before 2021 have no type; those with merges are BPE.
  if (find_member(model, "type") != nullptr || find_member(model, "merges") == nullptr) {
    ASSIGN_OR_RETURN(const std::string type, string_member(model, "type", place));
    if (type != "BPE") return unsupported(place.at("type"), type, "BPE");
  }
  RETURN_IF_ERROR(check_settings(model, place));
  ASSIGN_OR_RETURN(file.ignore_merges, bool_member(model, "ignore_merges", false, place));
  return read_vocabulary(model, place, file);
}

Status read_merges(const json::object& model, const JsonPlace& place, TokenizerFile& file) {
  const json::value* merges = find_member(model, "merges");
  if (merges == nullptr || !merges->is_array()) return wrong_type(place.at("merges"), "an array");
  file.merge_count = merges->get_array().size();
  file.merges.reserve(file.merge_count);
  std::string left_bytes, right_bytes;
  std::uint32_t rank = 0;
  for (const json::value& value : merges->get_array()) {
    std::string_view left, right;
    if (!split_merge(value, left, right))
      return data_loss("{}: model.merges[{}] is neither \"a b\" nor [\"a\", \"b\"]", place.file, rank);
    if (!bytes_from_alphabet(left, left_bytes) || !bytes_from_alphabet(right, right_bytes))
      return data_loss("{}: model.merges[{}] is not written in the byte alphabet", place.file, rank);
    const std::int32_t left_id = file.tokens.find(left_bytes);
    const std::int32_t right_id = file.tokens.find(right_bytes);
    left_bytes += right_bytes;
    const std::int32_t merged = file.tokens.find(left_bytes);
    if (left_id == TokenTable::kNone || right_id == TokenTable::kNone || merged == TokenTable::kNone)
      return data_loss("{}: model.merges[{}] names a token that model.vocab lacks", place.file, rank);
    // Plain text never becomes an added token, so a merge that makes one is left out.
    if (file.tokens.kind(merged) == TokenTable::Kind::kOrdinary)
      file.merges.set(left_id, right_id, {rank, merged});
    ++rank;
  }
  return Status();
}

}  // namespace pagoda::text
