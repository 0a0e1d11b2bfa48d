#include "serve/dialects/form_body.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "serve/dialects/request_fields.h"

namespace pagoda::serve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr std::string_view kForm = "application/x-www-form-urlencoded";

std::string fields(std::string_view type, std::string_view body) {
  const auto parsed = parse_body_fields(type, body);
  return parsed.ok() ? boost::json::serialize(*parsed) : "error: " + parsed.status().message();
}

TEST(FormBody, FormsAndJsonGiveTheSameFields) {
  EXPECT_EQ(fields(kForm, "q=a+b%21&source=en"), R"({"q":"a b!","source":"en"})");
  EXPECT_EQ(fields("application/json", R"({"q": "a b!", "source": "en"})"), R"({"q":"a b!","source":"en"})");
  EXPECT_EQ(fields(kForm, R"({"q": "as curl -d sends it"})"), R"({"q":"as curl -d sends it"})");
  EXPECT_EQ(fields("", " {\"q\": 1}"), R"({"q":1})");
  EXPECT_EQ(fields("", "q=1"), R"({"q":"1"})");
  EXPECT_EQ(fields("Application/X-WWW-form-urlencoded; charset=utf-8", "q=%E4%BD%A0"), R"({"q":"你"})");
  EXPECT_EQ(fields("", ""), "{}");
  EXPECT_EQ(fields("application/json", "  \r\n"), "{}");
}

TEST(FormBody, AFieldThatComesTwiceIsAList) {
  EXPECT_EQ(fields(kForm, "text=a&to=fr&text=b&text=c"), R"({"text":["a","b","c"],"to":"fr"})");
}

TEST(FormBody, BrokenBodiesAreNamed) {
  EXPECT_THAT(fields("application/json", "[1]"), HasSubstr("the body is an array"));
  EXPECT_THAT(fields("application/json", "q=1"), HasSubstr("not valid JSON at byte"));
  EXPECT_THAT(fields(kForm, "{\"q\": "), HasSubstr("not valid JSON at byte"));
  EXPECT_THAT(fields(kForm, "q=%ff"), HasSubstr("q is not UTF-8: byte 0"));
  EXPECT_THAT(fields(kForm, "%ff=1"), HasSubstr("the name of a field is not UTF-8"));
  std::string many = "a=1";
  for (std::size_t i = 1; i < kMaxFormFields; ++i) many += "&a=1";
  EXPECT_THAT(fields(kForm, many), HasSubstr("{\"a\""));
  EXPECT_THAT(fields(kForm, many + "&a=1"), HasSubstr("more than 8192 fields"));
}

constexpr std::string_view kMultipart = "multipart/form-data; boundary=\"x y\"";

TEST(FormBody, MultipartHasFieldsAndFiles) {
  const std::string body =
      "preamble\r\n--x y\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\ntwo\r\nlines\r\n"
      "--x y  \r\ncontent-disposition: form-data; filename=\"a;b\\\"c.txt\"; name=file\r\nContent-Type: "
      "text/plain\r\n\r\n--x\r\n--x y\r\nContent-Disposition: form-data; name=\"empty\"\r\n\r\n\r\n--x "
      "y--\r\n";
  const auto parts = parse_multipart(kMultipart, body);
  ASSERT_TRUE(parts.ok()) << parts.status().message();
  ASSERT_EQ(parts->size(), 3u);
  EXPECT_EQ((*parts)[0].name, "q");
  EXPECT_EQ((*parts)[0].value, "two\r\nlines");
  EXPECT_EQ((*parts)[1].name, "file");
  EXPECT_EQ((*parts)[1].filename, "a;b\"c.txt");
  EXPECT_EQ((*parts)[1].value, "--x");
  EXPECT_EQ((*parts)[2].value, "");
  EXPECT_EQ(fields(kMultipart, body), R"({"q":"two\r\nlines","empty":""})");
}

TEST(FormBody, BrokenMultipartIsNamed) {
  const std::string field = "--b\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\nx";
  const auto refusal = [](std::string_view body, std::string_view type = "multipart/form-data; boundary=b") {
    const auto parts = parse_multipart(type, body);
    return parts.ok() ? std::string("accepted") : parts.status().message();
  };
  EXPECT_EQ(refusal(field + "\r\n--b--"), "accepted");
  EXPECT_EQ(refusal("--b--"), "accepted");
  EXPECT_THAT(refusal(field + "\r\n--b--", "multipart/form-data"), HasSubstr("needs a boundary"));
  EXPECT_THAT(refusal(field, "multipart/form-data; boundary=" + std::string(71, 'b')), HasSubstr("boundary"));
  EXPECT_THAT(refusal(""), HasSubstr("does not hold its boundary"));
  EXPECT_THAT(refusal("q=1"), HasSubstr("does not hold its boundary"));
  EXPECT_THAT(refusal(field), HasSubstr("ends without its boundary"));
  EXPECT_THAT(refusal(field + "\r\n--b"), HasSubstr("behind a boundary"));
  EXPECT_THAT(refusal("--bc\r\n\r\nx\r\n--b--"), HasSubstr("behind a boundary"));
  EXPECT_THAT(refusal("--b\r\n\r\nx\r\n--b--"), HasSubstr("has no name"));
  EXPECT_THAT(refusal("--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--"), HasSubstr("no name"));
  // An empty name is one, as in {"": 1}.
  EXPECT_EQ(refusal("--b\r\nContent-Disposition: form-data; name=\"\"\r\n\r\nx\r\n--b--"), "accepted");
  EXPECT_THAT(refusal("--b\r\nContent-Disposition: form-data; name=q\r\n--b--"), HasSubstr("no empty line"));
  EXPECT_THAT(refusal("--b\r\n--b--"), HasSubstr("is empty"));
}

HttpRequest request(std::string query, std::string type, std::string body) {
  HttpRequest made;
  made.query = std::move(query);
  made.body = std::move(body);
  made.headers.emplace_back("content-type", std::move(type));
  return made;
}

TEST(RequestFields, TheBodyComesBeforeTheQuery) {
  const auto fields = RequestFields::of(request("a=query&b=query", "", R"({"a": "body", "n": null})"));
  ASSERT_TRUE(fields.ok());
  std::string a, b;
  EXPECT_TRUE(fields->read("a", &a).ok());
  EXPECT_TRUE(fields->read("b", &b).ok());
  EXPECT_EQ(a, "body");
  EXPECT_EQ(b, "query");
  EXPECT_FALSE(fields->has("n"));
  EXPECT_EQ(fields->require("n", &a).message(), "n is missing");
  EXPECT_EQ(fields->require("c", &a).message(), "c is missing");
  EXPECT_FALSE(RequestFields::of(request("a=%ff", "", "")).ok());
}

TEST(RequestFields, FormsSpellNumbersAndBooleans) {
  const auto fields = RequestFields::of(
      request("", "", R"({"n": "3", "m": 4.0, "bad": "3x", "big": "99999999999999999999", "yes": "True",
                          "one": 1, "no": "0", "off": false, "two": 2, "word": "maybe", "list": ["a", "b"]})"));
  ASSERT_TRUE(fields.ok());
  std::int32_t number = 0;
  EXPECT_TRUE(fields->read("n", 0, 10, &number).ok());
  EXPECT_EQ(number, 3);
  EXPECT_TRUE(fields->read("m", 0, 10, &number).ok());
  EXPECT_EQ(number, 4);
  EXPECT_TRUE(fields->read("absent", 0, 10, &number).ok());
  EXPECT_EQ(number, 4);
  EXPECT_EQ(fields->read("bad", 0, 10, &number).message(),
            "bad is \"3x\", it must be an integer from 0 to 10");
  EXPECT_FALSE(fields->read("big", 0, 10, &number).ok());
  EXPECT_FALSE(fields->read("n", 4, 10, &number).ok());
  bool flag = false;
  EXPECT_TRUE(fields->read("yes", &flag).ok());
  EXPECT_TRUE(flag);
  EXPECT_TRUE(fields->read("no", &flag).ok());
  EXPECT_FALSE(flag);
  EXPECT_TRUE(fields->read("one", &flag).ok());
  EXPECT_TRUE(flag);
  EXPECT_TRUE(fields->read("off", &flag).ok());
  EXPECT_FALSE(flag);
  EXPECT_FALSE(fields->read("two", &flag).ok());
  EXPECT_THAT(fields->read("word", &flag).message(), HasSubstr("word is a string"));
  EXPECT_TRUE(fields->is_list("list"));
  EXPECT_FALSE(fields->is_list("n"));
  std::vector<std::string> list;
  EXPECT_TRUE(fields->read("list", 2, &list).ok());
  EXPECT_THAT(list, ElementsAre("a", "b"));
  EXPECT_THAT(fields->read("list", 1, &list).message(), HasSubstr("list has 2 strings, the limit is 1"));
}

}  // namespace
}  // namespace pagoda::serve
