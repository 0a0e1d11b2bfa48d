#pragma once
// JSON bodies: a parser with limits, and typed access to an object's fields whose messages name the field.
// Shared by all dialects. Pure; any thread.

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace pagoda::serve {

// No dialect nests deeper than ten; a deep one would cost the parser's stack.
inline constexpr std::size_t kMaxJsonDepth = 32;

// kInvalidArgument with the position where the text is not UTF-8, not JSON, or not an object.
base::Result<boost::json::object> parse_json_body(std::string_view body);

// Reads fields of one object, which must outlive it. Absent fields and nulls leave `out` as it is; a wrong
// type or range is kInvalidArgument naming the field. Fields that nobody reads are ignored.
class JsonFields {
 public:
  explicit JsonFields(const boost::json::object& object) : object_(&object) {}

  base::Status read(std::string_view name, bool* out) const;
  base::Status read(std::string_view name, float* out) const;
  base::Status read(std::string_view name, std::string* out) const;
  // 12 and 12.0 are integers.
  base::Status read(std::string_view name, std::int64_t min, std::int64_t max, std::int32_t* out) const;
  base::Status read(std::string_view name, std::optional<std::uint64_t>* out) const;
  // The same from -2^63 on; a negative number is taken modulo 2^64.
  base::Status read_signed_seed(std::string_view name, std::optional<std::uint64_t>* out) const;
  // A string, or an array of at most `max` strings.
  base::Status read(std::string_view name, std::size_t max, std::vector<std::string>* out) const;
  bool has(std::string_view name) const { return find(name) != nullptr; }

 private:
  const boost::json::value* find(std::string_view name) const;
  base::Status read_seed(std::string_view name, std::int64_t min, std::optional<std::uint64_t>* out) const;

  const boost::json::object* object_;
};

}  // namespace pagoda::serve
