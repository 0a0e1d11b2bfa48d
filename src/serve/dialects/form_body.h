#pragma once
// Bodies of requests that clients write as JSON, as a form or as multipart, turned into one JSON object.
// Pure; any thread.

#include <boost/json/object.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace pagoda::serve {

// More fields than a request of many texts has; each costs memory beyond its bytes.
inline constexpr std::size_t kMaxFormFields = 8192;

struct FormPart {
  std::string name;
  std::string filename;  // empty: a field and not a file
  std::string value;
};

// By the content type; a body that begins with '{' is JSON whatever the type says, except multipart (curl -d
// calls everything a form). A form's fields are strings; one that comes several times is an array of them.
// Files of a multipart body are left out. An empty body has no fields. kInvalidArgument says what is broken.
base::Result<boost::json::object> parse_body_fields(std::string_view content_type, std::string_view body);
// "a=1&b=2"; kInvalidArgument for too many fields or one that is not UTF-8.
base::Result<boost::json::object> parse_form_fields(std::string_view form);
// multipart/form-data; the boundary is in the content type.
base::Result<std::vector<FormPart>> parse_multipart(std::string_view content_type, std::string_view body);

}  // namespace pagoda::serve
