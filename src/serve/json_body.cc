#include "serve/json_body.h"

#include <algorithm>
#include <boost/json/stream_parser.hpp>
#include <cmath>
#include <exception>
#include <limits>

#include "text/utf8.h"

namespace pagoda::serve {
namespace json = boost::json;
namespace {

const char* kind_name(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null:
      return "null";
    case json::kind::bool_:
      return "a boolean";
    case json::kind::int64:
    case json::kind::uint64:
    case json::kind::double_:
      return "a number";
    case json::kind::string:
      return "a string";
    case json::kind::array:
      return "an array";
    case json::kind::object:
      return "an object";
  }
  return "unknown";
}

base::Status wrong_type(std::string_view name, const json::value& value, const char* wanted) {
  return base::invalid("{} is {}, it must be {}", name, kind_name(value), wanted);
}

double as_double(const json::value& number) {
  if (number.is_int64()) return static_cast<double>(number.get_int64());
  if (number.is_uint64()) return static_cast<double>(number.get_uint64());
  return number.get_double();
}

// As the client would write it: 0.5, 7, 1e+300.
std::string number_text(const json::value& number) {
  if (number.is_int64()) return fmt::format("{}", number.get_int64());
  if (number.is_uint64()) return fmt::format("{}", number.get_uint64());
  return fmt::format("{}", number.get_double());
}

// A double that is an integer which a double can tell from its neighbours (2^53), as one.
std::optional<std::int64_t> as_integer(const json::value& number) {
  if (number.is_int64()) return number.get_int64();
  if (!number.is_double()) return std::nullopt;
  const double value = number.get_double();
  if (!(std::abs(value) <= 0x1p53) || std::trunc(value) != value) return std::nullopt;
  return static_cast<std::int64_t>(value);
}

std::string to_string(const json::value& value) {
  return std::string(value.get_string().data(), value.get_string().size());
}

}  // namespace

base::Result<json::object> parse_json_body(std::string_view body) {
  if (body.empty()) return base::invalid("the body is empty, it must be a JSON object");
  const std::size_t valid = text::valid_utf8_prefix(body);
  if (valid != body.size()) return base::invalid("the body is not UTF-8: byte {} is wrong", valid);
  try {
    json::parse_options options;
    options.max_depth = kMaxJsonDepth;
    json::stream_parser parser({}, options);
    json::error_code error;
    const std::size_t consumed = parser.write(body.data(), body.size(), error);
    if (!error) parser.finish(error);
    if (error) return base::invalid("the body is not valid JSON at byte {}: {}", consumed, error.message());
    json::value root = parser.release();
    if (!root.is_object()) return wrong_type("the body", root, "a JSON object");
    return std::move(root.get_object());
  } catch (const std::exception& failure) {  // out of memory, or a limit inside the library
    return base::invalid("the body cannot be parsed: {}", failure.what());
  }
}

const json::value* JsonFields::find(std::string_view name) const {
  const json::value* value = object_->if_contains(json::string_view(name.data(), name.size()));
  return value == nullptr || value->is_null() ? nullptr : value;
}

base::Status JsonFields::read(std::string_view name, bool* out) const {
  const json::value* value = find(name);
  if (value == nullptr) return {};
  if (!value->is_bool()) return wrong_type(name, *value, "true or false");
  *out = value->get_bool();
  return {};
}

base::Status JsonFields::read(std::string_view name, float* out) const {
  const json::value* value = find(name);
  if (value == nullptr) return {};
  if (!value->is_number()) return wrong_type(name, *value, "a number");
  const double number = as_double(*value);
  constexpr double kLargest = std::numeric_limits<float>::max();
  if (!(std::abs(number) <= kLargest))
    return base::invalid("{} is {}, that is too large", name, number_text(*value));
  *out = static_cast<float>(number);
  return {};
}

base::Status JsonFields::read(std::string_view name, std::string* out) const {
  const json::value* value = find(name);
  if (value == nullptr) return {};
  if (!value->is_string()) return wrong_type(name, *value, "a string");
  *out = to_string(*value);
  return {};
}

base::Status JsonFields::read(std::string_view name, std::int64_t min, std::int64_t max,
                              std::int32_t* out) const {
  const json::value* value = find(name);
  if (value == nullptr) return {};
  if (!value->is_number()) return wrong_type(name, *value, "an integer");
  const std::optional<std::int64_t> integer = as_integer(*value);
  if (!integer || *integer < min || *integer > max)
    return base::invalid("{} is {}, it must be an integer from {} to {}", name, number_text(*value), min,
                         max);
  *out = static_cast<std::int32_t>(*integer);
  return {};
}

base::Status JsonFields::read(std::string_view name, std::optional<std::uint64_t>* out) const {
  return read_seed(name, 0, out);
}

base::Status JsonFields::read_signed_seed(std::string_view name, std::optional<std::uint64_t>* out) const {
  return read_seed(name, std::numeric_limits<std::int64_t>::min(), out);
}

base::Status JsonFields::read_seed(std::string_view name, std::int64_t min,
                                   std::optional<std::uint64_t>* out) const {
  const json::value* value = find(name);
  if (value == nullptr) return {};
  if (!value->is_number()) return wrong_type(name, *value, "an integer");
  if (value->is_uint64()) {
    *out = value->get_uint64();
    return {};
  }
  // To JSON 1e19 is an integer like any other; that others become the same double does not matter to a seed.
  if (value->is_double() && value->get_double() >= 0x1p53 && value->get_double() < 0x1p64) {
    *out = static_cast<std::uint64_t>(value->get_double());
    return {};
  }
  std::optional<std::int64_t> integer = as_integer(*value);
  if (!integer && value->is_double() && value->get_double() >= -0x1p63 && value->get_double() <= -0x1p53)
    integer = static_cast<std::int64_t>(value->get_double());
  if (!integer || *integer < min)
    return base::invalid("{} is {}, it must be an integer from {} to 18446744073709551615", name,
                         number_text(*value), min);
  *out = static_cast<std::uint64_t>(*integer);
  return {};
}

base::Status JsonFields::read(std::string_view name, std::size_t max, std::vector<std::string>* out) const {
  const json::value* value = find(name);
  if (value == nullptr) return {};
  if (value->is_string()) {
    out->assign(1, to_string(*value));
    return {};
  }
  if (!value->is_array()) return wrong_type(name, *value, "a string or an array of strings");
  const json::array& array = value->get_array();
  if (array.size() > max) return base::invalid("{} has {} strings, the limit is {}", name, array.size(), max);
  std::vector<std::string> strings;
  for (const json::value& element : array) {
    if (!element.is_string())
      return wrong_type(fmt::format("{}[{}]", name, strings.size()), element, "a string");
    strings.push_back(to_string(element));
  }
  *out = std::move(strings);
  return {};
}

}  // namespace pagoda::serve
