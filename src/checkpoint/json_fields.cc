#include "checkpoint/json_fields.h"

#include <boost/json/stream_parser.hpp>
#include <cmath>
#include <exception>

namespace pagoda::checkpoint {
namespace json = boost::json;

base::Result<json::value> parse_json_object(std::string_view text, const std::string& name) {
  if (text.size() > kMaxJsonBytes)
    return base::data_loss("{} has {} bytes, more than the limit of {}", name, text.size(), kMaxJsonBytes);
  try {
    json::parse_options options;
    options.max_depth = kMaxJsonDepth;
    json::stream_parser parser({}, options);
    json::error_code error;
    const std::size_t consumed = parser.write(text.data(), text.size(), error);
    if (!error) parser.finish(error);
    if (error)
      return base::data_loss("{} is not valid JSON near byte {}: {}", name, consumed, error.message());
    json::value root = parser.release();
    if (!root.is_object()) return base::data_loss("{} does not hold a JSON object", name);
    return root;
  } catch (const std::exception& failure) {  // out of memory, or a limit inside the library
    return base::data_loss("{} cannot be parsed: {}", name, failure.what());
  }
}

std::optional<std::int64_t> json_integer(const json::value& value) {
  if (value.is_int64()) return value.get_int64();
  // 2^53: above it a double no longer tells which integer was meant.
  if (value.is_double() && std::abs(value.get_double()) <= 0x1p53 &&
      std::trunc(value.get_double()) == value.get_double())
    return static_cast<std::int64_t>(value.get_double());
  return std::nullopt;
}

const json::value* JsonFields::find(std::string_view key) const {
  const json::value* value = object_->if_contains(json::string_view(key.data(), key.size()));
  return value == nullptr || value->is_null() ? nullptr : value;
}

std::string JsonFields::label(std::string_view key) const {
  return fmt::format("{}: {}{}", name_, prefix_, key);
}

base::Status JsonFields::read(std::string_view key, bool* out) const {
  const json::value* value = find(key);
  if (value == nullptr) return {};
  if (!value->is_bool()) return base::data_loss("{} is not true or false", label(key));
  *out = value->get_bool();
  return {};
}

base::Status JsonFields::read(std::string_view key, std::int64_t* out) const {
  const json::value* value = find(key);
  if (value == nullptr) return {};
  const std::optional<std::int64_t> integer = json_integer(*value);
  if (!integer.has_value()) return base::data_loss("{} is not an integer", label(key));
  *out = *integer;
  return {};
}

base::Status JsonFields::read(std::string_view key, double* out) const {
  const json::value* value = find(key);
  if (value == nullptr) return {};
  if (!value->is_number()) return base::data_loss("{} is not a number", label(key));
  const double number = value->is_double()  ? value->get_double()
                        : value->is_int64() ? static_cast<double>(value->get_int64())
                                            : static_cast<double>(value->get_uint64());
  if (!std::isfinite(number)) return base::data_loss("{} is not a finite number", label(key));
  *out = number;
  return {};
}

base::Status JsonFields::read(std::string_view key, std::string* out) const {
  const json::value* value = find(key);
  if (value == nullptr) return {};
  if (!value->is_string()) return base::data_loss("{} is not a string", label(key));
  *out = std::string(value->get_string().data(), value->get_string().size());
  return {};
}

base::Status JsonFields::read(std::string_view key, std::optional<JsonFields>* out) const {
  const json::value* value = find(key);
  if (value == nullptr) return {};
  if (!value->is_object()) return base::data_loss("{} is not an object", label(key));
  out->emplace(value->get_object(), name_, fmt::format("{}{}.", prefix_, key));
  return {};
}

}  // namespace pagoda::checkpoint
