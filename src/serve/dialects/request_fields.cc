#include "serve/dialects/request_fields.h"

#include <boost/beast/core/string.hpp>
#include <boost/json/value.hpp>
#include <charconv>

#include "serve/dialects/form_body.h"
#include "serve/json_body.h"

namespace pagoda::serve {
namespace json = boost::json;

base::Result<RequestFields> RequestFields::of(const HttpRequest& request) {
  ASSIGN_OR_RETURN(json::object fields, parse_body_fields(request.header("Content-Type"), request.body));
  ASSIGN_OR_RETURN(const json::object query, parse_form_fields(request.query));
  for (const auto& [name, value] : query)
    if (!fields.contains(name)) fields.emplace(name, value);
  return RequestFields(std::move(fields));
}

const json::value* RequestFields::find(std::string_view name) const {
  const json::value* value = object_.if_contains(json::string_view(name.data(), name.size()));
  return value == nullptr || value->is_null() ? nullptr : value;
}

bool RequestFields::has(std::string_view name) const { return find(name) != nullptr; }

bool RequestFields::is_list(std::string_view name) const {
  const json::value* value = find(name);
  return value != nullptr && value->is_array();
}

base::Status RequestFields::read(std::string_view name, std::string* out) const {
  return JsonFields(object_).read(name, out);
}

base::Status RequestFields::read(std::string_view name, bool* out) const {
  const json::value* value = find(name);
  if (value == nullptr) return {};
  const json::string word = value->is_string() ? value->get_string() : json::string();
  const bool yes = boost::beast::iequals(word, "true") || word == "1";
  const bool no = boost::beast::iequals(word, "false") || word == "0";
  if (yes || no || (value->is_int64() && (value->get_int64() == 0 || value->get_int64() == 1))) {
    *out = value->is_int64() ? value->get_int64() == 1 : yes;
    return {};
  }
  return JsonFields(object_).read(name, out);
}

base::Status RequestFields::read(std::string_view name, std::int64_t min, std::int64_t max,
                                 std::int32_t* out) const {
  const json::value* value = find(name);
  if (value == nullptr || !value->is_string()) return JsonFields(object_).read(name, min, max, out);
  const json::string& text = value->get_string();
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < min || number > max)
    return base::invalid("{} is \"{}\", it must be an integer from {} to {}", name,
                         std::string_view(text.data(), std::min<std::size_t>(text.size(), 40)), min, max);
  *out = static_cast<std::int32_t>(number);
  return {};
}

base::Status RequestFields::read(std::string_view name, std::size_t max,
                                 std::vector<std::string>* out) const {
  return JsonFields(object_).read(name, max, out);
}

base::Status RequestFields::require(std::string_view name, std::string* out) const {
  if (!has(name)) return base::invalid("{} is missing", name);
  return read(name, out);
}

}  // namespace pagoda::serve
