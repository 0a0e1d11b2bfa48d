#include "serve/dialects/form_body.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/json/array.hpp>
#include <boost/json/string.hpp>
#include <optional>
#include <utility>

#include "serve/http/query.h"
#include "serve/json_body.h"
#include "text/utf8.h"

namespace pagoda::serve {
namespace json = boost::json;
namespace {

constexpr std::size_t kMaxBoundaryBytes = 70;  // RFC 2046

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  return text.substr(0, text.find_last_not_of(kSpace) + 1);
}

bool iequals(std::string_view a, std::string_view b) {
  return boost::beast::iequals({a.data(), a.size()}, {b.data(), b.size()});
}

// "multipart/form-data; boundary=x" is "multipart/form-data".
std::string_view media_type(std::string_view header) { return trimmed(header.substr(0, header.find(';'))); }

// The value of `name` in "kind; name=value; other=\"quoted \\\" value\"". A ';' inside quotes is a character.
std::optional<std::string> parameter(std::string_view header, std::string_view name) {
  std::size_t at = header.find(';');
  while (at < header.size()) {
    const std::size_t equals = header.find('=', at);
    if (equals == std::string_view::npos) return std::nullopt;
    const std::string_view key = trimmed(header.substr(at + 1, equals - at - 1));
    std::string value;
    std::size_t end = equals + 1;
    if (end < header.size() && header[end] == '"') {
      for (++end; end < header.size() && header[end] != '"'; ++end) {
        // Browsers write a quote as %22 and no backslashes; others escape.
        if (header[end] == '\\' && end + 1 < header.size() &&
            (header[end + 1] == '"' || header[end + 1] == '\\'))
          ++end;
        value += header[end];
      }
      end = header.find(';', std::min(end, header.size()));
    } else {
      end = header.find(';', end);
      value = trimmed(header.substr(equals + 1, end == std::string_view::npos ? end : end - equals - 1));
    }
    if (iequals(key, name)) return value;
    at = end;
  }
  return std::nullopt;
}

base::Status add_field(std::string_view name, std::string_view value, json::object& fields) {
  if (text::valid_utf8_prefix(name) != name.size()) return base::invalid("the name of a field is not UTF-8");
  if (const std::size_t valid = text::valid_utf8_prefix(value); valid != value.size())
    return base::invalid("{} is not UTF-8: byte {} is wrong", name, valid);
  const json::string text(value.data(), value.size());
  const json::string_view key(name.data(), name.size());
  json::value* known = fields.if_contains(key);
  if (known == nullptr) {
    fields.emplace(key, text);
  } else if (known->is_array()) {
    known->get_array().push_back(text);
  } else {
    *known = json::array{std::move(*known), text};
  }
  return {};
}

base::Status too_many_fields() { return base::invalid("the form has more than {} fields", kMaxFormFields); }

// One part between two boundaries: headers, an empty line, the value.
base::Result<FormPart> parse_part(std::string_view part) {
  FormPart parsed;
  bool named = false;
  while (true) {
    const std::size_t end = part.find("\r\n");
    if (end == std::string_view::npos) return base::invalid("a part of the multipart body has no empty line");
    const std::string_view line = part.substr(0, end);
    part.remove_prefix(end + 2);
    if (line.empty()) break;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !iequals(trimmed(line.substr(0, colon)), "Content-Disposition"))
      continue;
    std::optional<std::string> name = parameter(line.substr(colon + 1), "name");
    named = name.has_value();
    parsed.name = std::move(name).value_or("");
    parsed.filename = parameter(line.substr(colon + 1), "filename").value_or("");
  }
  if (!named) return base::invalid("a part of the multipart body has no name");
  parsed.value = part;
  return parsed;
}

}  // namespace

base::Result<json::object> parse_form_fields(std::string_view form) {
  if (static_cast<std::size_t>(std::count(form.begin(), form.end(), '&')) >= kMaxFormFields)
    return too_many_fields();
  json::object fields;
  for (const auto& [name, value] : parse_query(form)) RETURN_IF_ERROR(add_field(name, value, fields));
  return fields;
}

base::Result<std::vector<FormPart>> parse_multipart(std::string_view content_type, std::string_view body) {
  const std::string boundary = parameter(content_type, "boundary").value_or("");
  if (boundary.empty() || boundary.size() > kMaxBoundaryBytes)
    return base::invalid("multipart/form-data needs a boundary of 1 to {} bytes", kMaxBoundaryBytes);
  const std::string delimiter = "\r\n--" + boundary;
  // The first one may stand at the very beginning.
  std::size_t at = 0;
  if (body.starts_with(std::string_view(delimiter).substr(2))) {
    at = delimiter.size() - 2;
  } else {
    at = body.find(delimiter);
    if (at == std::string_view::npos) return base::invalid("the multipart body does not hold its boundary");
    at += delimiter.size();
  }
  std::vector<FormPart> parts;
  while (true) {
    std::string_view rest = body.substr(at);
    if (rest.starts_with("--")) return parts;
    const std::size_t line_end = rest.find("\r\n");
    if (line_end == std::string_view::npos || !trimmed(rest.substr(0, line_end)).empty())
      return base::invalid("the multipart body has text behind a boundary");
    // The line end stays: the value of a part that has no headers begins right behind it.
    const std::size_t end = rest.find(delimiter, line_end);
    if (end == std::string_view::npos) return base::invalid("the multipart body ends without its boundary");
    if (parts.size() >= kMaxFormFields) return too_many_fields();
    if (end < line_end + 2) return base::invalid("a part of the multipart body is empty");
    ASSIGN_OR_RETURN(FormPart part, parse_part(rest.substr(line_end + 2, end - line_end - 2)));
    parts.push_back(std::move(part));
    at += end + delimiter.size();
  }
}

base::Result<json::object> parse_body_fields(std::string_view content_type, std::string_view body) {
  const std::string_view type = media_type(content_type);
  if (iequals(type, "multipart/form-data")) {
    ASSIGN_OR_RETURN(const std::vector<FormPart> parts, parse_multipart(content_type, body));
    json::object fields;
    for (const FormPart& part : parts)
      if (part.filename.empty()) RETURN_IF_ERROR(add_field(part.name, part.value, fields));
    return fields;
  }
  const std::string_view text = trimmed(body);
  if (text.empty()) return json::object();
  const bool form = iequals(type, "application/x-www-form-urlencoded") || type.empty();
  if (text.starts_with('{') || !form) return parse_json_body(body);
  return parse_form_fields(text);
}

}  // namespace pagoda::serve
