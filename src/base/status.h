#pragma once
// Errors that a user, a file or the network can cause. Functions that can fail return Status or Result<T>;
// exceptions do not cross folder boundaries. Our own bugs are CHECKs (base/check.h), never a Status.

#include <fmt/core.h>

#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "base/check.h"

namespace pagoda::base {

enum class Code {
  kOk,
  kInvalidArgument,     // the caller's input is wrong, whatever the state: HTTP 400
  kNotFound,            // a named thing does not exist: HTTP 404
  kDataLoss,            // a file is truncated, lies about itself, or has the wrong type
  kUnimplemented,       // known, and not supported by this build or model: HTTP 501
  kResourceExhausted,   // a queue or a memory budget is full: HTTP 429
  kFailedPrecondition,  // not in this state (loading, draining): HTTP 503
  kCancelled,
  kInternal,
};

const char* code_name(Code code);

class [[nodiscard]] Status {
 public:
  Status() = default;  // ok
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  // One sentence, without a final full stop, that names the thing that is wrong.
  const std::string& message() const { return message_; }

 private:
  Code code_ = Code::kOk;
  std::string message_;
};

template <typename... Args>
Status error(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return Status(code, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
Status invalid(fmt::format_string<Args...> format, Args&&... args) {
  return Status(Code::kInvalidArgument, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
Status data_loss(fmt::format_string<Args...> format, Args&&... args) {
  return Status(Code::kDataLoss, fmt::format(format, std::forward<Args>(args)...));
}

// A value or the reason why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}                                 // NOLINT: implicit by design
  Result(Status status) : status_(std::move(status)) { CHECK(!status_.ok()); }  // NOLINT

  bool ok() const { return value_.has_value(); }
  const Status& status() const { return status_; }
  T& value() & {
    CHECK(ok());
    return *value_;
  }
  const T& value() const& {
    CHECK(ok());
    return *value_;
  }
  T&& value() && {
    CHECK(ok());
    return std::move(*value_);
  }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace pagoda::base

#define RETURN_IF_ERROR(expr)                      \
  do {                                             \
    ::pagoda::base::Status status_macro_ = (expr); \
    if (!status_macro_.ok()) return status_macro_; \
  } while (false)

#define PAGODA_CONCAT_(a, b) a##b
#define PAGODA_CONCAT(a, b) PAGODA_CONCAT_(a, b)
#define ASSIGN_OR_RETURN_(tmp, lhs, expr) \
  auto tmp = (expr);                      \
  if (!tmp.ok()) return tmp.status();     \
  lhs = std::move(tmp).value()
// ASSIGN_OR_RETURN(auto config, load_config(dir));
#define ASSIGN_OR_RETURN(lhs, expr) ASSIGN_OR_RETURN_(PAGODA_CONCAT(result_, __LINE__), lhs, expr)
