#pragma once
// Members of a JSON object by type, with the sentence that says what is wrong. Private to this folder.

#include <boost/json.hpp>
#include <string>
#include <string_view>

#include "base/status.h"

namespace pagoda::text {

// Where a value stands: the file and the path of keys, for messages.
struct JsonPlace {
  const std::string& file;
  std::string key;
  JsonPlace at(std::string_view member) const {
    return {file, key.empty() ? std::string(member) : key + '.' + std::string(member)};
  }
};

inline base::Status wrong_type(const JsonPlace& place, std::string_view expected) {
  return base::data_loss("{}: {} is not {}", place.file, place.key.empty() ? "the document" : place.key,
                         expected);
}
inline base::Status unsupported(const JsonPlace& place, std::string_view value, std::string_view supported) {
  return base::error(base::Code::kUnimplemented, "{}: {} is {}, and only {} is supported", place.file,
                     place.key, value, supported);
}

// The member, or null when it is absent or JSON's null.
inline const boost::json::value* find_member(const boost::json::object& object, std::string_view key) {
  const boost::json::value* value = object.if_contains(boost::json::string_view(key.data(), key.size()));
  return value != nullptr && value->is_null() ? nullptr : value;
}

inline std::string_view text_of(const boost::json::string& string) { return {string.data(), string.size()}; }

inline base::Result<bool> bool_member(const boost::json::object& object, std::string_view key, bool otherwise,
                                      const JsonPlace& place) {
  const boost::json::value* value = find_member(object, key);
  if (value == nullptr) return otherwise;
  if (!value->is_bool()) return wrong_type(place.at(key), "true or false");
  return value->get_bool();
}

inline base::Result<std::string> string_member(const boost::json::object& object, std::string_view key,
                                               const JsonPlace& place) {
  const boost::json::value* value = find_member(object, key);
  if (value == nullptr || !value->is_string()) return wrong_type(place.at(key), "a string");
  return std::string(text_of(value->get_string()));
}

// The parts of tokenizer.json that take a file of their own.
struct TokenizerFile;
base::Status read_model(const boost::json::object& model, const JsonPlace& place, TokenizerFile& file);
// Comes after the added tokens: merges that make one are left out.
base::Status read_merges(const boost::json::object& model, const JsonPlace& place, TokenizerFile& file);

}  // namespace pagoda::text
