#include "evaluate/test_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pagoda::evaluate {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string message(std::string_view tsv) {
  const auto pairs = parse_test_file(tsv, "test.tsv");
  if (pairs.ok()) return "";
  EXPECT_EQ(pairs.status().code(), base::Code::kInvalidArgument);
  return pairs.status().message();
}

TEST(TestFile, LinesOfAnyKind) {
  const auto pairs = parse_test_file(
      "\xef\xbb\xbf"
      "en\tfr\tGood morning.\tBonjour.\r\n\nzh-CN\tEnglish\t 早 \tMorning",
      "test.tsv");
  ASSERT_TRUE(pairs.ok()) << pairs.status().message();
  ASSERT_EQ(pairs->size(), 2u);
  EXPECT_EQ((*pairs)[0].from->code, "en");
  EXPECT_EQ((*pairs)[0].to->code, "fr");
  EXPECT_EQ((*pairs)[0].line.reference, "Bonjour.");
  EXPECT_EQ((*pairs)[1].from->code, "zh");
  EXPECT_EQ((*pairs)[1].line.source, "早");
  EXPECT_EQ((*pairs)[1].line.origin, "test.tsv line 3");
}

TEST(TestFile, NamesTheFirstBadLine) {
  EXPECT_THAT(message("en\tfr\ta\tb\nen\tfr\ta\n"),
              AllOf(HasSubstr("test.tsv line 2"), HasSubstr("3 columns")));
  EXPECT_THAT(message("en\tfr\ta\tb\tc\n"), AllOf(HasSubstr("line 1"), HasSubstr("5 columns")));
  EXPECT_THAT(message("no tab\n"), HasSubstr("1 columns"));
  EXPECT_THAT(message("en\tklingon\ta\tb\n"), AllOf(HasSubstr("line 1"), HasSubstr("klingon")));
  EXPECT_THAT(message("\tfr\ta\tb\n"), HasSubstr("line 1"));
  EXPECT_THAT(message("en\tEN\ta\tb\n"), AllOf(HasSubstr("line 1"), HasSubstr("from en into EN")));
  EXPECT_THAT(message("en\tfr\t \tb\n"), AllOf(HasSubstr("line 1"), HasSubstr("no source")));
  EXPECT_THAT(message("en\tfr\ta\t\n"), AllOf(HasSubstr("line 1"), HasSubstr("no reference")));
  EXPECT_THAT(message("en\tfr\ta\xff\tb\n"), AllOf(HasSubstr("line 1"), HasSubstr("UTF-8")));
  EXPECT_THAT(message("\n\n"), AllOf(HasSubstr("test.tsv"), HasSubstr("no lines")));
}

TEST(TestFile, ThatCannotBeRead) {
  const auto missing = read_test_file("no/such.tsv");
  ASSERT_FALSE(missing.ok());
  EXPECT_THAT(missing.status().message(), HasSubstr("no/such.tsv"));
  EXPECT_FALSE(read_test_file(PAGODA_SOURCE_DIR).ok());
}

std::vector<TestPair> three_pairs() {
  return *parse_test_file("en\tfr\tone\tun\nfr\ten\tdeux\ttwo\nen\tfr\tthree\ttrois\n", "t");
}

TEST(Directions, BothWaysByDefaultGiveEachPairTwice) {
  const std::vector<Direction> directions = make_directions(three_pairs(), /*both_ways=*/true, 0);
  ASSERT_EQ(directions.size(), 2u);
  EXPECT_EQ(directions[0].pair(), "en-fr");
  ASSERT_EQ(directions[0].lines.size(), 3u);
  EXPECT_EQ(directions[0].lines[1].source, "three");  // as written first, turned round behind
  EXPECT_EQ(directions[0].lines[2].source, "two");
  EXPECT_EQ(directions[0].lines[2].reference, "deux");
  EXPECT_EQ(directions[1].pair(), "fr-en");
  ASSERT_EQ(directions[1].lines.size(), 3u);
  EXPECT_EQ(directions[1].lines[0].source, "deux");
}

TEST(Directions, OneWayAndLimit) {
  const std::vector<Direction> written = make_directions(three_pairs(), /*both_ways=*/false, 0);
  ASSERT_EQ(written.size(), 2u);
  EXPECT_EQ(written[0].lines.size(), 2u);
  EXPECT_EQ(written[1].lines.size(), 1u);
  const std::vector<Direction> limited = make_directions(three_pairs(), /*both_ways=*/true, 2);
  EXPECT_EQ(limited[0].lines.size(), 2u);
  EXPECT_EQ(limited[1].lines.size(), 2u);
  EXPECT_EQ(limited[1].lines[1].source, "un");
}

}  // namespace
}  // namespace pagoda::evaluate
