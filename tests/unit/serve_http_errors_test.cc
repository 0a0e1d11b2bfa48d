#include "serve/http/errors.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace pagoda::serve {
namespace {

using base::Code;

TEST(Errors, EachCodeHasItsStatusAndType) {
  const struct {
    Code code;
    int status;
    const char* type;
  } cases[] = {
      {Code::kInvalidArgument, 400, "invalid_request_error"},
      {Code::kNotFound, 404, "not_found_error"},
      {Code::kDataLoss, 500, "server_error"},
      {Code::kUnimplemented, 501, "not_supported_error"},
      {Code::kResourceExhausted, 429, "rate_limit_error"},
      {Code::kFailedPrecondition, 503, "unavailable_error"},
      {Code::kCancelled, 499, "cancelled_error"},
      {Code::kInternal, 500, "server_error"},
  };
  for (const auto& c : cases) {
    const HttpResponse response = error_response(base::Status(c.code, "why \"so\""));
    EXPECT_EQ(response.status, c.status);
    EXPECT_EQ(response.content_type, "application/json");
    const boost::json::value body = boost::json::parse(response.body);
    EXPECT_EQ(body.as_object().size(), 1u);
    EXPECT_EQ(body.at("error").at("code").as_int64(), c.status);
    EXPECT_EQ(body.at("error").at("type").as_string(), c.type);
    EXPECT_EQ(body.at("error").at("message").as_string(), "why \"so\"");
    const bool may_retry = c.status == 429 || c.status == 503;
    EXPECT_EQ(response.headers, may_retry ? HttpHeaders({{"Retry-After", "1"}}) : HttpHeaders());
  }
}

TEST(Errors, TheOtherClientErrorsAreInvalidRequests) {
  for (const int status : {405, 411, 413, 431}) EXPECT_EQ(error_type(status), "invalid_request_error");
  EXPECT_EQ(error_type(408), "timeout_error");
  EXPECT_EQ(error_type(502), "server_error");
}

}  // namespace
}  // namespace pagoda::serve
