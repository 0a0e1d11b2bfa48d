#include "serve/dialects/numbered_tags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pagoda::serve {
namespace {

using ::testing::ElementsAre;

TEST(NumberedTags, GetTheModelsNamesAndTheirOwnBack) {
  const std::string text = "Read <b0>the <i1>terms</i1></b0>, <a12/> and <b0>more</b0>.";
  const NumberedTags tags = to_model_tags(text);
  EXPECT_EQ(tags.text, "Read <s1>the <s2>terms</s2></s1>, <s3/> and <s1>more</s1>.");
  EXPECT_THAT(tags.names, ElementsAre("b0", "i1", "a12"));
  EXPECT_EQ(from_model_tags(tags.text, tags.names), text);
  EXPECT_EQ(from_model_tags("<s01>x</s01>", tags.names), "<s01>x</s01>");
  EXPECT_EQ(from_model_tags("<s2>x</s2> <s1/> <s9>y</s9>", tags.names), "<i1>x</i1> <b0/> <s9>y</s9>");
}

TEST(NumberedTags, TagsOfTheModelsNamesAreNoExceptions) {
  const NumberedTags tags = to_model_tags("<s2>x</s2><s1>y</s1>");
  EXPECT_EQ(tags.text, "<s1>x</s1><s2>y</s2>");
  EXPECT_EQ(from_model_tags(tags.text, tags.names), "<s2>x</s2><s1>y</s1>");
}

TEST(NumberedTags, OtherMarkupIsText) {
  for (const char* text : {"", "<", "</", "<b>x</b>", "<1>", "<b0", "<b0 class='x'>", "</b0/>", "<b12345>",
                           "a < b0 > c", "<abcdefghi1>", "<s00001>", "{0} &lt;b0&gt;"}) {
    const NumberedTags tags = to_model_tags(text);
    EXPECT_EQ(tags.text, text);
    EXPECT_TRUE(tags.names.empty()) << text;
  }
}

}  // namespace
}  // namespace pagoda::serve
