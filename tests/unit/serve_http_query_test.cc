#include "serve/http/query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pagoda::serve {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

TEST(Query, FieldsComeInOrderAndDecoded) {
  EXPECT_THAT(parse_query("a=1&b=x%20y+z&a=2"),
              ElementsAre(Pair("a", "1"), Pair("b", "x y z"), Pair("a", "2")));
  EXPECT_THAT(parse_query("%61%3D=%26%3d"), ElementsAre(Pair("a=", "&=")));
  EXPECT_THAT(parse_query("q=%E4%BD%A0"), ElementsAre(Pair("q", "\u4f60")));
  EXPECT_THAT(parse_query("q=a=b"), ElementsAre(Pair("q", "a=b")));
}

TEST(Query, OddFormsAreTaken) {
  EXPECT_THAT(parse_query(""), IsEmpty());
  EXPECT_THAT(parse_query("&&"), IsEmpty());
  EXPECT_THAT(parse_query("a&=b&c="), ElementsAre(Pair("a", ""), Pair("", "b"), Pair("c", "")));
  EXPECT_THAT(parse_query("="), ElementsAre(Pair("", "")));
}

TEST(Query, ABrokenEncodingStandsForItself) {
  for (const char* text : {"%", "%4", "%zz", "%4g", "%%", "100%"}) {
    EXPECT_EQ(percent_decode(text), text);
    EXPECT_THAT(parse_query(std::string("a=") + text), ElementsAre(Pair("a", text)));
  }
  EXPECT_EQ(percent_decode("%%41"), "%A");
  EXPECT_EQ(percent_decode("%41%4"), "A%4");
  EXPECT_EQ(percent_decode("%00"), std::string(1, '\0'));
}

TEST(Query, APlusIsASpaceInQueriesAlone) {
  EXPECT_EQ(percent_decode("a+b"), "a+b");
  EXPECT_EQ(query_value("q=a+b%2B", "q"), "a b+");
}

TEST(Query, TheFirstOfANameCounts) {
  EXPECT_EQ(query_value("x=&a=1&a=2", "a"), "1");
  EXPECT_EQ(query_value("x=&a=1", "x"), "");
  EXPECT_EQ(query_value("x=&a=1", "b"), std::nullopt);
}

}  // namespace
}  // namespace pagoda::serve
