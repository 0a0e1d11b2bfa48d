#include "serve/json_body.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pagoda::serve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string refusal(std::string_view body) {
  const auto object = parse_json_body(body);
  EXPECT_FALSE(object.ok()) << body;
  EXPECT_EQ(object.status().code(), base::Code::kInvalidArgument);
  return object.ok() ? "" : object.status().message();
}

TEST(JsonBody, SaysWhereTheTextIsWrong) {
  EXPECT_THAT(refusal(""), HasSubstr("empty"));
  EXPECT_THAT(refusal("{\"a\": tru}"), HasSubstr("at byte 6"));
  EXPECT_THAT(refusal("{\"a\": 1"), HasSubstr("at byte 7"));
  EXPECT_THAT(refusal("{\"a\": 1} x"), HasSubstr("at byte 9"));
  EXPECT_THAT(refusal("{\"a\": \"\xc3(\"}"), HasSubstr("not UTF-8: byte 7"));
  EXPECT_THAT(refusal(R"({"a": "\ud800"})"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("3"), HasSubstr("the body is a number, it must be a JSON object"));
}

TEST(JsonBody, LimitsTheDepth) {
  const auto nested = [](std::size_t depth) {
    return "{\"a\": " + std::string(depth - 1, '[') + std::string(depth - 1, ']') + "}";
  };
  EXPECT_TRUE(parse_json_body(nested(kMaxJsonDepth)).ok());
  EXPECT_THAT(refusal(nested(kMaxJsonDepth + 1)), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("{\"a\": " + std::string(1 << 20, '[')), HasSubstr("not valid JSON"));
}

class JsonFieldsTest : public ::testing::Test {
 protected:
  template <typename... Args>
  std::string read(const char* json, Args... args) {
    auto object = parse_json_body(json);
    EXPECT_TRUE(object.ok()) << json;
    return JsonFields(object.value()).read("x", args...).message();
  }
};

TEST_F(JsonFieldsTest, Integers) {
  std::int32_t value = -5;
  for (const char* absent : {"{}", R"({"x": null})"}) {
    EXPECT_EQ(read(absent, 0, 10, &value), "");
    EXPECT_EQ(value, -5);
  }
  EXPECT_EQ(read(R"({"x": 7})", 0, 10, &value), "");
  EXPECT_EQ(value, 7);
  EXPECT_EQ(read(R"({"x": 1e1})", 0, 10, &value), "");
  EXPECT_EQ(value, 10);
  EXPECT_EQ(read(R"({"x": 11})", 0, 10, &value), "x is 11, it must be an integer from 0 to 10");
  EXPECT_EQ(read(R"({"x": 1.5})", 0, 10, &value), "x is 1.5, it must be an integer from 0 to 10");
  EXPECT_EQ(read(R"({"x": "7"})", 0, 10, &value), "x is a string, it must be an integer");
  EXPECT_EQ(read(R"({"x": true})", 0, 10, &value), "x is a boolean, it must be an integer");
  for (const char* far : {R"({"x": 4294967297})", R"({"x": 18446744073709551615})", R"({"x": 1e300})",
                          R"({"x": -9223372036854775808})", R"({"x": 100000000000000000000})"})
    EXPECT_THAT(read(far, 0, 10, &value), HasSubstr("from 0 to 10")) << far;
  EXPECT_EQ(value, 10);
}

TEST_F(JsonFieldsTest, Numbers) {
  float value = 2;
  EXPECT_EQ(read("{}", &value), "");
  EXPECT_EQ(value, 2);
  EXPECT_EQ(read(R"({"x": 0.5})", &value), "");
  EXPECT_EQ(value, 0.5f);
  EXPECT_EQ(read(R"({"x": 18446744073709551615})", &value), "");
  EXPECT_EQ(value, 18446744073709551616.0f);
  EXPECT_EQ(read(R"({"x": 1e300})", &value), "x is 1e+300, that is too large");
  EXPECT_EQ(read(R"({"x": []})", &value), "x is an array, it must be a number");
}

TEST_F(JsonFieldsTest, Seeds) {
  std::optional<std::uint64_t> value;
  EXPECT_EQ(read("{}", &value), "");
  EXPECT_FALSE(value.has_value());
  EXPECT_EQ(read(R"({"x": 18446744073709551615})", &value), "");
  EXPECT_EQ(value, 18446744073709551615u);
  EXPECT_THAT(read(R"({"x": -1})", &value), HasSubstr("x is -1"));
  EXPECT_THAT(read(R"({"x": 0.5})", &value), HasSubstr("x is 0.5"));
}

TEST_F(JsonFieldsTest, StringsAndBooleans) {
  std::string text = "old";
  EXPECT_EQ(read(R"({"x": "a\u0000b"})", &text), "");
  EXPECT_EQ(text, std::string("a\0b", 3));
  EXPECT_EQ(read(R"({"x": {}})", &text), "x is an object, it must be a string");
  bool flag = false;
  EXPECT_EQ(read(R"({"x": true})", &flag), "");
  EXPECT_TRUE(flag);
  EXPECT_EQ(read(R"({"x": 1})", &flag), "x is a number, it must be true or false");
}

TEST_F(JsonFieldsTest, ListsOfStrings) {
  std::vector<std::string> list;
  EXPECT_EQ(read(R"({"x": "one"})", std::size_t{2}, &list), "");
  EXPECT_THAT(list, ElementsAre("one"));
  EXPECT_EQ(read(R"({"x": ["a", "b"]})", std::size_t{2}, &list), "");
  EXPECT_THAT(list, ElementsAre("a", "b"));
  EXPECT_EQ(read(R"({"x": ["a", null]})", std::size_t{2}, &list), "x[1] is null, it must be a string");
  EXPECT_EQ(read(R"({"x": ["a", "b", "c"]})", std::size_t{2}, &list), "x has 3 strings, the limit is 2");
  EXPECT_EQ(read(R"({"x": 1})", std::size_t{2}, &list),
            "x is a number, it must be a string or an array of strings");
  EXPECT_THAT(list, ElementsAre("a", "b"));
}

}  // namespace
}  // namespace pagoda::serve
