#include "translate/tags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pagoda::translate {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(Tags, AreFoundInTheirExactForm) {
  const auto tags = find_tags("a <s1>b</s1> <s22/> <s> <s 1> <S1> <s1 > </s1/> <s1234567> <s3");
  ASSERT_EQ(tags.size(), 3u);
  EXPECT_EQ(tags[0].kind, Tag::Kind::kOpen);
  EXPECT_EQ(tags[0].begin, 2u);
  EXPECT_EQ(tags[0].end, 6u);
  EXPECT_EQ(tags[1].kind, Tag::Kind::kClose);
  EXPECT_EQ(tags[2].kind, Tag::Kind::kEmpty);
  EXPECT_EQ(tags[2].number, 22);
  EXPECT_THAT(find_tags(""), IsEmpty());
  EXPECT_THAT(find_tags("<"), IsEmpty());
  EXPECT_THAT(find_tags("</s"), IsEmpty());
  EXPECT_EQ(find_tags("<<s1>").size(), 1u);
}

TEST(Tags, CanBeRemoved) {
  EXPECT_EQ(without_tags("<s1>a</s1> b<s2/><x>"), "a b<x>");
  EXPECT_EQ(without_tags("plain"), "plain");
}

TEST(Tags, Nesting) {
  for (const char* text : {"", "<s1>a</s1>", "<s1><s2>a</s2></s1>", "<s1/>", "<s1></s1><s1></s1>"})
    EXPECT_TRUE(well_nested(find_tags(text))) << text;
  for (const char* text : {"<s1>", "</s1>", "<s1><s2></s1></s2>", "</s1><s1>"})
    EXPECT_FALSE(well_nested(find_tags(text))) << text;
}

TEST(Tags, Compare) {
  const struct {
    const char *source, *output, *report;
  } cases[] = {
      {"<s1>a</s1> <s2>b</s2>", "<s2>b</s2> <s1>a</s1>", ""},
      {"<s1>a</s1>", "a", "lost <s1> </s1>"},
      {"<s1>a</s1>", "<s1>a", "lost </s1>; badly nested"},
      {"a", "<s1>a</s1>", "added <s1> </s1>"},
      {"<s1>a</s1>", "<s2>a</s2>", "lost <s1> </s1>; added <s2> </s2>"},
      {"<s1>a</s1><s1>b</s1>", "<s1>ab</s1>", "lost <s1> </s1>"},
      {"<s1>a<s2>b</s2></s1>", "<s1>a<s2>b</s1></s2>", "badly nested"},
      {"<s1>a</s2>", "</s2>a<s1>", ""},  // the source is no better
      {"a<s1/>", "a<s1></s1>", ""},
  };
  for (const auto& c : cases) {
    const TagReport report = compare_tags(c.source, c.output);
    EXPECT_EQ(report.describe(), c.report) << c.source << " | " << c.output;
    EXPECT_EQ(report.ok(), *c.report == '\0');
  }
}

TEST(Tags, UnwrapTarget) {
  const struct {
    const char *answer, *inside;
  } cases[] = {
      {"<target>a</target>", "a"},
      {"Sure: <target> a </target> note", " a "},
      {"<target>a", "a"},
      {"a</target>", "a"},
      {"a", "a"},
      {"", ""},
      {"</target>", ""},
  };
  for (const auto& c : cases) EXPECT_EQ(unwrap_target(c.answer), c.inside);
}

TEST(Tags, RestoreKeepsAllOrNone) {
  EXPECT_EQ(restore_tags("<s1>a</s1> b", "<target><s1>x</s1> y</target>").text, "<s1>x</s1> y");
  const Restored broken = restore_tags("<s1>a</s1> <s2>b</s2>", "<target><s1>x</s1> <s2>y</target>");
  EXPECT_EQ(broken.text, "x y");
  EXPECT_THAT(broken.report.lost, ElementsAre("</s2>"));
  EXPECT_FALSE(broken.report.ok());
}

}  // namespace
}  // namespace pagoda::translate
