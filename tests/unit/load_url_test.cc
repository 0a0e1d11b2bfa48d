#include "load/url.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pagoda::load {
namespace {

using ::testing::HasSubstr;

TEST(LoadUrl, TakesHostPortAndPath) {
  const struct {
    const char *text, *host, *port, *path, *authority;
  } cases[] = {
      {"http://127.0.0.1:8080", "127.0.0.1", "8080", "", "127.0.0.1:8080"},
      {"http://localhost", "localhost", "80", "", "localhost:80"},
      {"http://localhost/", "localhost", "80", "", "localhost:80"},
      {"http://a.b:1/x/y/", "a.b", "1", "/x/y", "a.b:1"},
      {"http://[::1]:8080", "::1", "8080", "", "[::1]:8080"},
      {"http://[::1]/x", "::1", "80", "/x", "[::1]:80"},
  };
  for (const auto& c : cases) {
    const base::Result<Url> url = parse_url(c.text);
    ASSERT_TRUE(url.ok()) << c.text << url.status().message();
    EXPECT_EQ(url->host, c.host) << c.text;
    EXPECT_EQ(url->port, c.port) << c.text;
    EXPECT_EQ(url->path, c.path) << c.text;
    EXPECT_EQ(url->authority(), c.authority) << c.text;
  }
}

TEST(LoadUrl, SaysThatHttpsIsMissing) {
  EXPECT_THAT(parse_url("https://example.org").status().message(), HasSubstr("https is not supported"));
}

TEST(LoadUrl, RefusesEverythingElse) {
  for (const char* text :
       {"", "127.0.0.1:8080", "ftp://a", "http://", "http:///x", "http://:80", "http://a:", "http://a:0",
        "http://a:65536", "http://a:8x", "http://a b", "http://a/\r\nX: 1", "http://[::1", "http://[::1]x",
        "http://[]:1", "http://u@a", "http://a?q", "http://a#f"}) {
    EXPECT_EQ(parse_url(text).status().code(), base::Code::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace pagoda::load
