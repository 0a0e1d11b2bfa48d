#pragma once
// Reading of JSON files in this folder: a parser with limits, and typed access that explains what is wrong.
// Internal: the headers that other folders include do not show Boost.

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace pagoda::checkpoint {

// The largest index file known (18,673 tensors) has 2 MiB.
inline constexpr std::size_t kMaxJsonBytes = 16u << 20;
inline constexpr std::size_t kMaxJsonDepth = 32;

// Parses `text`, whose root must be an object. `name` is the file, for messages.
base::Result<boost::json::value> parse_json_object(std::string_view text, const std::string& name);

// The members of one JSON object. `null` counts as absent everywhere, as in the Python that writes these
// files. Points into the parsed value, which must outlive it.
class JsonFields {
 public:
  JsonFields(const boost::json::object& object, std::string name, std::string prefix = "")
      : object_(&object), name_(std::move(name)), prefix_(std::move(prefix)) {}

  const boost::json::value* find(std::string_view key) const;
  bool has(std::string_view key) const { return find(key) != nullptr; }
  // "config.json: rope_scaling.alpha", the subject of an error message.
  std::string label(std::string_view key) const;

  // Each leaves *out as it is where the key is absent, and fails where its type is another. Numbers are
  // finite; integers may be written 4096.0.
  base::Status read(std::string_view key, bool* out) const;
  base::Status read(std::string_view key, std::int64_t* out) const;
  base::Status read(std::string_view key, double* out) const;
  base::Status read(std::string_view key, std::string* out) const;
  base::Status read(std::string_view key, std::optional<JsonFields>* out) const;
  template <typename T>
  base::Status read(std::string_view key, std::optional<T>* out) const {
    if (!has(key)) return {};
    T value{};
    RETURN_IF_ERROR(read(key, &value));
    *out = std::move(value);
    return {};
  }

 private:
  const boost::json::object* object_;
  std::string name_;
  std::string prefix_;
};

// An integer, also one written as 4096.0; nothing for other types and beyond 64 bits.
std::optional<std::int64_t> json_integer(const boost::json::value& value);

}  // namespace pagoda::checkpoint
