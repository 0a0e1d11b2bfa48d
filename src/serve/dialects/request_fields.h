#pragma once
// The fields of a request wherever a client of a translation dialect puts them: body (JSON, form, multipart)
// or query. Typed access whose messages name the field. A value; any thread.

#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "serve/http/http_message.h"

namespace pagoda::serve {

class RequestFields {
 public:
  RequestFields() = default;  // no fields
  explicit RequestFields(boost::json::object object) : object_(std::move(object)) {}
  // A field that the body has is not looked for in the query. kInvalidArgument for a broken body.
  static base::Result<RequestFields> of(const HttpRequest& request);

  // Null counts as absent.
  bool has(std::string_view name) const;
  bool is_list(std::string_view name) const;  // an array, or given several times in a form

  // Absent fields leave `out` as it is; a wrong type or range is kInvalidArgument naming the field. Forms
  // know strings alone, so "3" is an integer, and "true", "1", "false" and "0" are booleans; so are 1 and 0.
  base::Status read(std::string_view name, std::string* out) const;
  base::Status read(std::string_view name, bool* out) const;
  base::Status read(std::string_view name, std::int64_t min, std::int64_t max, std::int32_t* out) const;
  // A string, or an array of at most `max` strings.
  base::Status read(std::string_view name, std::size_t max, std::vector<std::string>* out) const;
  // As read, but kInvalidArgument if it is absent.
  base::Status require(std::string_view name, std::string* out) const;

 private:
  const boost::json::value* find(std::string_view name) const;

  boost::json::object object_;
};

}  // namespace pagoda::serve
