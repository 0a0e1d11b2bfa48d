#include "serve/http/errors.h"

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

#include "text/utf8.h"

namespace pagoda::serve {

int http_status(base::Code code) {
  switch (code) {
    case base::Code::kOk:
      return 200;
    case base::Code::kInvalidArgument:
      return 400;
    case base::Code::kNotFound:
      return 404;
    case base::Code::kUnimplemented:
      return 501;
    case base::Code::kResourceExhausted:
      return 429;
    case base::Code::kFailedPrecondition:
      return 503;
    case base::Code::kCancelled:
      return 499;  // nginx's number for a client that left; it is seen in logs only
    case base::Code::kDataLoss:
    case base::Code::kInternal:
      return 500;
  }
  return 500;
}

std::string_view error_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 408:
      return "timeout_error";
    case 429:
      return "rate_limit_error";
    case 499:
      return "cancelled_error";
    case 501:
      return "not_supported_error";
    case 503:
      return "unavailable_error";
    default:
      return status >= 400 && status < 500 ? "invalid_request_error" : "server_error";
  }
}

HttpResponse error_response(int status, std::string_view message) {
  const std::string_view type = error_type(status);
  // It may repeat what a client sent; an answer is UTF-8 whatever that was.
  std::string valid;
  text::append_valid_utf8(valid, message);
  boost::json::object error;
  error["code"] = status;
  error["type"] = boost::json::string_view(type.data(), type.size());
  error["message"] = boost::json::string_view(valid.data(), valid.size());
  HttpResponse response;
  response.status = status;
  response.body = boost::json::serialize(boost::json::object{{"error", std::move(error)}});
  add_error_headers(response);
  return response;
}

void add_error_headers(HttpResponse& response) {
  if (response.status == 429 || response.status == 503) response.headers.emplace_back("Retry-After", "1");
  if (response.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
}

HttpResponse error_response(const base::Status& status) {
  return error_response(http_status(status.code()), status.message());
}

}  // namespace pagoda::serve
