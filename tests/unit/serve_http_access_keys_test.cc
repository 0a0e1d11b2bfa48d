#include "serve/http/access_keys.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace pagoda::serve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

AccessKeys keys_of(std::vector<std::string> list) {
  base::Result<AccessKeys> keys = AccessKeys::make(std::move(list));
  EXPECT_TRUE(keys.ok()) << keys.status().message();
  return std::move(keys).value();
}

std::string presented(const HttpHeaders& headers, const std::string& query = "") {
  HttpRequest request;
  request.headers = headers;
  request.query = query;
  return presented_key(request);
}

TEST(AccessKeys, WithoutKeysEverybodyIsLetIn) {
  const AccessKeys keys;
  EXPECT_TRUE(keys.open());
  EXPECT_EQ(keys.admit(""), 0u);
  EXPECT_EQ(keys.admit("anything"), 0u);
}

TEST(AccessKeys, AClientHasTheNumberOfItsKey) {
  const AccessKeys keys = keys_of({"one", "two", "three"});
  EXPECT_FALSE(keys.open());
  EXPECT_EQ(keys.admit("one"), 1u);
  EXPECT_EQ(keys.admit("two"), 2u);
  EXPECT_EQ(keys.admit("three"), 3u);
}

TEST(AccessKeys, WhatIsNearlyAKeyIsNone) {
  const std::string longest(AccessKeys::kMaxKeyBytes, 'k');
  const AccessKeys keys = keys_of({"secret", longest});
  for (const std::string& wrong :
       {std::string(), std::string("secre"), std::string("secret "), std::string("secrets"),
        std::string("Secret"), std::string("secret\0", 7), std::string("\0", 1), longest + "k",
        longest.substr(1), longest + std::string(1000, 'k')})
    EXPECT_FALSE(keys.admit(wrong).has_value()) << wrong;
  EXPECT_EQ(keys.admit(longest), 2u);
}

TEST(AccessKeys, KeysThatNoHeaderCanCarryAreRefused) {
  for (const std::string& bad : {std::string(), std::string("a b"), std::string("a\tb"), std::string("a\n"),
                                 std::string("a\x7f"), std::string(257, 'k')})
    EXPECT_EQ(AccessKeys::make({"good", bad}).status().code(), base::Code::kInvalidArgument) << bad;
  EXPECT_THAT(AccessKeys::make({std::string(257, 'k')}).status().message(), HasSubstr("257"));
  // The message is for a log: it must not show the key.
  EXPECT_THAT(AccessKeys::make({"se cret"}).status().message(), ::testing::Not(HasSubstr("cret")));
}

TEST(AccessKeys, AFileHasOneKeyALine) {
  const std::string path = ::testing::TempDir() + "pagoda_keys";
  std::ofstream(path) << "# people\none\r\n\ntwo \t\n#three\nfour";
  const base::Result<std::vector<std::string>> keys = AccessKeys::read_file(path);
  ASSERT_TRUE(keys.ok()) << keys.status().message();
  EXPECT_THAT(keys.value(), ElementsAre("one", "two", "four"));
  std::ofstream(path) << "# nobody\n\n";
  EXPECT_THAT(AccessKeys::read_file(path).status().message(), HasSubstr("holds no key"));
  std::remove(path.c_str());
  EXPECT_THAT(AccessKeys::read_file(path).status().message(), HasSubstr(path));
}

TEST(PresentedKey, IsFoundWhereverClientsPutIt) {
  EXPECT_EQ(presented({}), "");
  EXPECT_EQ(presented({{"Authorization", "Bearer k1"}}), "k1");
  EXPECT_EQ(presented({{"authorization", "bearer  k1"}}), "k1");
  EXPECT_EQ(presented({{"Authorization", "DeepL-Auth-Key k1:fx"}}), "k1:fx");
  EXPECT_EQ(presented({{"Authorization", "k1"}}), "k1");
  EXPECT_EQ(presented({{"X-API-Key", "k1"}}), "k1");
  EXPECT_EQ(presented({{"x-api-token", "k1"}}), "k1");
  EXPECT_EQ(presented({{"Api-Key", "k1"}}), "k1");
  for (const char* name : {"token", "api_key", "api_token", "auth_key", "key"})
    EXPECT_EQ(presented({}, std::string("a=b&") + name + "=k%201"), "k 1") << name;
  EXPECT_EQ(presented({}, "Token=k1&apikey=k2&keys=k3"), "");
  EXPECT_EQ(presented({}, "token=&key=k1"), "k1");
  HttpRequest request;
  request.path_parts = {{"token", "k1"}};
  EXPECT_EQ(presented_key(request), "k1");
}

TEST(PresentedKey, HeadersGoBeforeTheQuery) {
  EXPECT_EQ(presented({{"X-API-Key", "k2"}, {"Authorization", "Bearer k1"}}, "key=k3"), "k1");
  EXPECT_EQ(presented({{"X-API-Key", "k2"}}, "key=k3"), "k2");
  EXPECT_EQ(presented({{"Authorization", ""}, {"X-API-Key", ""}}, "key=k3"), "k3");
}

}  // namespace
}  // namespace pagoda::serve
