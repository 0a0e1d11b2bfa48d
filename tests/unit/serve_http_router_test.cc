#include "serve/http/router.h"

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

TEST(Router, APartOfThePathMayBeAnything) {
  Router router;
  router.add("GET", "/v2/things/{id}", {});
  router.add("GET", "/v2/things/special", {.while_draining = true});
  router.add("DELETE", "/{token}/x/{id}", {});
  const Router::Match match = router.find("GET", "/v2/things/a%2Fb%20c+d");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.pattern, "/v2/things/{id}");
  EXPECT_EQ(match.path_parts, HttpHeaders({{"id", "a/b c+d"}}));
  EXPECT_EQ(router.find("DELETE", "/k/x/7").path_parts, HttpHeaders({{"token", "k"}, {"id", "7"}}));
  const Router::Match special = router.find("GET", "/v2/things/special");
  ASSERT_NE(special.route, nullptr);
  EXPECT_TRUE(special.route->while_draining);
  EXPECT_TRUE(special.path_parts.empty());
  EXPECT_EQ(router.find("POST", "/v2/things/7").allow, "GET, HEAD");
  for (const char* path :
       {"/v2/things/", "/v2/things", "/v2/things/a/b", "/v2//7", "v2/things/7", "//x/7", "/v2/things/7/"}) {
    EXPECT_EQ(router.find("GET", path).route, nullptr) << path;
    EXPECT_EQ(router.find("GET", path).pattern, "") << path;
  }
  // The pattern itself is no path of its own, but what its part may stand for.
  EXPECT_EQ(router.find("GET", "/v2/things/{id}").path_parts, HttpHeaders({{"id", "{id}"}}));
}

TEST(Router, ListsWhatWasAdded) {
  Router router;
  router.add("POST", "/b", {});
  router.add("GET", "/b", {});
  router.add("GET", "/a/{x}", {});
  EXPECT_EQ(router.routes(), std::vector<std::string>({"GET /a/{x}", "GET /b", "POST /b"}));
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
