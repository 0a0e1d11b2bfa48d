#include "serve/http/cors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pagoda::serve {
namespace {

using ::testing::Contains;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;

HttpRequest from(const std::string& origin, HttpHeaders more = {}) {
  HttpRequest request;
  request.headers = std::move(more);
  if (!origin.empty()) request.headers.emplace_back("Origin", origin);
  return request;
}

HttpHeaders answer(const CorsPolicy& policy, const HttpRequest& request) {
  HttpResponse response;
  policy.add_headers(request, response);
  return response.headers;
}

TEST(Cors, ByDefaultEveryPageMayAsk) {
  const CorsPolicy policy;
  EXPECT_TRUE(policy.allows("https://example.org"));
  EXPECT_TRUE(policy.allows("null"));
  EXPECT_TRUE(policy.allows(""));
  for (const char* origin : {"", "https://example.org"})
    EXPECT_THAT(answer(policy, from(origin)), Contains(Pair("Access-Control-Allow-Origin", "*")));
}

TEST(Cors, AListAllowsItsOriginsAlone) {
  const CorsPolicy policy({"https://a.example", "http://localhost:3000"});
  EXPECT_TRUE(policy.allows(""));  // no browser
  EXPECT_TRUE(policy.allows("http://localhost:3000"));
  for (const char* origin : {"http://a.example", "https://a.example.evil.org", "https://a.example:444",
                             "https://A.example", "null", "*"})
    EXPECT_FALSE(policy.allows(origin)) << origin;
  const HttpHeaders allowed = answer(policy, from("https://a.example"));
  EXPECT_THAT(allowed, Contains(Pair("Access-Control-Allow-Origin", "https://a.example")));
  EXPECT_THAT(allowed, Contains(Pair("Vary", "Origin")));  // caches must keep the answers apart
  const HttpHeaders refused = answer(policy, from("https://evil.example"));
  EXPECT_THAT(refused, Not(Contains(Key("Access-Control-Allow-Origin"))));
  EXPECT_THAT(refused, Contains(Pair("Vary", "Origin")));
}

TEST(Cors, PagesMaySeeTheHeadersTheyNeed) {
  EXPECT_THAT(answer(CorsPolicy(), from("https://a.example")),
              Contains(Pair("Access-Control-Expose-Headers", "X-Request-Id, Retry-After")));
}

TEST(Cors, ThePreflightGrantsWhatWasAskedFor) {
  const HttpResponse response = CorsPolicy().preflight(
      from("https://a.example", {{"Access-Control-Request-Headers", "x-custom, authorization"}}), "POST");
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(response.body, "");
  EXPECT_EQ(response.content_type, "");
  EXPECT_THAT(response.headers, Contains(Pair("Access-Control-Allow-Methods", "POST")));
  EXPECT_THAT(response.headers, Contains(Pair("Access-Control-Allow-Headers", "x-custom, authorization")));
  EXPECT_THAT(response.headers, Contains(Pair("Access-Control-Max-Age", "86400")));
  EXPECT_THAT(response.headers, Not(Contains(Key("Access-Control-Allow-Private-Network"))));
  EXPECT_THAT(CorsPolicy().preflight(from(""), "POST").headers,
              Contains(Pair("Access-Control-Allow-Headers", "Authorization, Content-Type")));
}

TEST(Cors, ThePreflightSpeaksOfPrivateNetworksWhenAsked) {
  const HttpHeaders asked = {{"Access-Control-Request-Private-Network", "true"}};
  EXPECT_THAT(CorsPolicy().preflight(from("https://a.example", asked), "POST").headers,
              Contains(Pair("Access-Control-Allow-Private-Network", "true")));
  const CorsPolicy listed({"https://a.example"});
  EXPECT_THAT(listed.preflight(from("https://evil.example", asked), "POST").headers,
              Not(Contains(Key("Access-Control-Allow-Private-Network"))));
}

TEST(Cors, ThePreflightGrantsAStrangerNothing) {
  const HttpResponse response =
      CorsPolicy({"https://a.example"}).preflight(from("https://evil.example"), "POST");
  EXPECT_EQ(response.status, 204);
  EXPECT_EQ(response.headers, HttpHeaders({{"Allow", "POST"}}));
}

}  // namespace
}  // namespace pagoda::serve
