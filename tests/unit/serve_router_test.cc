#include "serve/router.h"

#include <gtest/gtest.h>

namespace pagoda::serve {
namespace {

TEST(Router, FindsByMethodAndPath) {
  Router router;
  router.add("GET", "/a", {});
  router.add("POST", "/a", {.while_draining = true});
  router.add("POST", "/b", {});
  EXPECT_NE(router.find("GET", "/a").route, nullptr);
  EXPECT_EQ(router.find("HEAD", "/a").route, router.find("GET", "/a").route);
  EXPECT_TRUE(router.find("POST", "/a").route->while_draining);
  EXPECT_EQ(router.find("PUT", "/a").route, nullptr);
  EXPECT_EQ(router.find("PUT", "/a").allow, "GET, HEAD, POST");
  EXPECT_EQ(router.find("HEAD", "/b").allow, "POST");
  EXPECT_EQ(router.find("get", "/a").route, nullptr);
  for (const char* path : {"/", "", "/a/", "/A", "/c"}) {
    EXPECT_EQ(router.find("GET", path).route, nullptr);
    EXPECT_EQ(router.find("GET", path).allow, "");
  }
}

TEST(HttpRequest, HeadersHaveNoCase) {
  HttpRequest request;
  request.headers = {{"Content-Type", "a"}, {"X-Key", "1"}, {"x-key", "2"}};
  EXPECT_EQ(request.header("content-type"), "a");
  EXPECT_EQ(request.header("X-KEY"), "1");
  EXPECT_EQ(request.header("none"), "");
}

}  // namespace
}  // namespace pagoda::serve
