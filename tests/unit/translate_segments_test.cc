#include "translate/segments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "text/utf8.h"
#include "translate/clean.h"

namespace pagoda::translate {
namespace {

using ::testing::ElementsAre;

std::string joined(const std::vector<Segment>& segments) {
  std::string text;
  for (const Segment& segment : segments) text += segment.leading + segment.source + segment.trailing;
  return text;
}

std::vector<std::string> sources(const std::vector<Segment>& segments) {
  std::vector<std::string> list;
  for (const Segment& segment : segments) list.push_back(segment.source);
  return list;
}

std::size_t characters(std::string_view text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

TEST(Segments, LinesStayLines) {
  const std::vector<Segment> segments = split_segments("One.\n  Two. Three.  \r\n\r\nFour");
  EXPECT_THAT(sources(segments), ElementsAre("One.", "Two. Three.", "Four"));
  EXPECT_EQ(segments[0].trailing, "\n");
  EXPECT_EQ(segments[1].leading, "  ");
  EXPECT_EQ(segments[1].trailing, "  \r\n\r\n");
  EXPECT_EQ(segments[2].trailing, "");
  for (const Segment& segment : segments) EXPECT_FALSE(segment.sentence);
}

TEST(Segments, TextsWithoutText) {
  EXPECT_TRUE(split_segments("").empty());
  for (const char* blank : {" ", "\n", "\r\n", "\r", "\n\n \n", "\t \r\n", "\u3000\n\u00a0"}) {
    const std::vector<Segment> segments = split_segments(blank);
    EXPECT_EQ(joined(segments), blank);
    EXPECT_FALSE(segments.empty());
    for (const Segment& segment : segments) EXPECT_EQ(segment.source, "");
  }
}

TEST(Segments, AllLineEndsAreKept) {
  for (const std::string text : {"a\nb", "a\r\nb", "a\rb", "\na\n", "\r\n\r\na\r\n\r\n", "a\n\r\n\rb\n"}) {
    EXPECT_EQ(joined(split_segments(text)), text);
  }
  EXPECT_THAT(sources(split_segments("a\rb\r\nc")), ElementsAre("a", "b", "c"));
}

TEST(Segments, ALongLineIsCutBetweenSentences) {
  const std::string line = "First one here. Second one there! Third, is it? Fourth.";
  const std::vector<Segment> segments = split_segments("Before\n" + line + "\nAfter", 34);
  EXPECT_THAT(sources(segments),
              ElementsAre("Before", "First one here. Second one there!", "Third, is it? Fourth.", "After"));
  EXPECT_EQ(joined(segments), "Before\n" + line + "\nAfter");
  EXPECT_TRUE(segments[1].sentence);
  EXPECT_EQ(segments[1].trailing, " ");
  EXPECT_FALSE(segments[2].sentence);
  EXPECT_EQ(segments[2].trailing, "\n");
}

TEST(Segments, ALineThatFitsIsOneSegment) {
  const std::string line(400, 'x');
  EXPECT_EQ(split_segments(line).size(), 1u);
  // Characters count, not bytes.
  std::string chinese;
  for (int i = 0; i < 40; ++i) chinese += "\u4e00\u4e8c\u4e09\u56db\u4e94\u516d\u4e03\u516b\u4e5d\u3002";
  EXPECT_EQ(split_segments(chinese).size(), 1u);
  const std::vector<Segment> cut = split_segments(chinese, 100);
  EXPECT_EQ(cut.size(), 4u);
  EXPECT_EQ(joined(cut), chinese);
  for (const Segment& segment : cut) EXPECT_LE(characters(segment.source), 100u);
}

TEST(Segments, ASentenceIsNeverCut) {
  const std::string sentence = "X" + std::string(500, 'x') + ".";
  EXPECT_THAT(sources(split_segments("Short one. " + sentence + " Another one.", 50)),
              ElementsAre("Short one.", sentence, "Another one."));
}

TEST(Segments, WhatStandsBetweenSentencesDependsOnTheTarget) {
  const Language& french = *find_language("fr").value();
  const Language& chinese = *find_language("zh").value();
  const Language& japanese = *find_language("ja").value();
  const std::vector<Segment> english = split_segments("One is here. Two is there.\n", 13);
  ASSERT_EQ(english.size(), 2u);
  EXPECT_EQ(separator_after(english[0], french), " ");
  EXPECT_EQ(separator_after(english[0], chinese), "");
  EXPECT_EQ(separator_after(english[0], japanese), "");
  EXPECT_EQ(separator_after(english[1], french), "\n");
  EXPECT_EQ(separator_after(english[1], chinese), "\n");  // line ends are never lost
  const std::vector<Segment> from_chinese = split_segments("\u4f60\u597d\u3002\u518d\u89c1\u3002", 3);
  ASSERT_EQ(from_chinese.size(), 2u);
  EXPECT_EQ(separator_after(from_chinese[0], french), " ");
  EXPECT_EQ(separator_after(from_chinese[0], chinese), "");
}

// Random texts of many scripts, with every kind of space, line end and full stop, and sometimes broken bytes.
TEST(Segments, NothingIsLostOfAnyText) {
  const std::vector<std::string> pieces = {"The cat",
                                           " ",
                                           "  ",
                                           ". ",
                                           "! ",
                                           "? ",
                                           ".",
                                           "\n",
                                           "\r\n",
                                           "\r",
                                           "\n\n",
                                           "\t",
                                           "\u3000",
                                           "\u00a0",
                                           "\u2028",
                                           "\u2029",
                                           "\u0085",
                                           "\u4f60\u597d",
                                           "\u3002",
                                           "\uff01",
                                           "\u3053\u3093\u306b\u3061\u306f",
                                           "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
                                           "\u0645\u0631\u062d\u0628\u0627",
                                           "\u061f",
                                           "\u0928\u092e\u0938\u094d\u0924\u0947",
                                           "\u0964",
                                           "\uc548\ub155",
                                           "\u041f\u0440\u0438\u0432\u0435\u0442",
                                           "\u1797\u17b6\u179f\u17b6",
                                           "\u17d4",
                                           "\u104b",
                                           "\u0f56\u0f7c\u0f51",
                                           "\u0f0d",
                                           "e\u0301",
                                           "\U0001F468\u200d\U0001F469",
                                           "\u200b",
                                           "\ufeff",
                                           "Mr. Smith",
                                           "3.14",
                                           "\"",
                                           "(",
                                           ")",
                                           "...",
                                           "\u2026",
                                           "<s1>",
                                           "</s1>",
                                           std::string(1, '\0'),
                                           "\xff",
                                           "\xe4\xbd",
                                           "\x80"};
  std::mt19937 random(7);
  for (int i = 0; i < 3000; ++i) {
    std::string text;
    const bool broken = i % 5 == 0;  // the last three pieces are no UTF-8
    for (std::size_t count = random() % 60; count > 0; --count)
      text += pieces[random() % (pieces.size() - (broken ? 0 : 3))];
    const std::size_t max = 1 + random() % 80;
    const std::vector<Segment> segments = split_segments(text, max);
    ASSERT_EQ(joined(segments), text);
    for (const Segment& segment : segments) {
      const Edges edges = split_edges(segment.source);
      ASSERT_EQ(edges.body, segment.source) << "white space stayed at the edges";
      ASSERT_EQ(segment.source.find_first_of("\r\n"), std::string::npos);
      if (!broken) {
        ASSERT_EQ(text::valid_utf8_prefix(segment.source), segment.source.size());
      }
      if (segment.source.empty()) {  // such a segment is kept for the white space it stands for
        ASSERT_FALSE(segment.leading.empty() && segment.trailing.empty());
      }
      // Only inside a line may white space be exchanged for another language's.
      if (segment.sentence) {
        ASSERT_EQ(segment.trailing.find_first_of("\r\n"), std::string::npos);
      }
    }
    ASSERT_TRUE(segments.empty() || !segments.back().sentence);
  }
}

TEST(Segments, ALongTextTakesLinearTime) {
  std::string text;
  for (int i = 0; i < 40000; ++i) text += "A sentence of the text. ";
  const auto start = std::chrono::steady_clock::now();
  const std::vector<Segment> segments = split_segments(text);  // one line of a megabyte
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  EXPECT_EQ(joined(segments), text);
  for (const Segment& segment : segments) ASSERT_LE(characters(segment.source), kMaxSegmentCharacters);
  EXPECT_LT(seconds.count(), 20);  // tenths without a sanitizer; hours if it were quadratic
}

}  // namespace
}  // namespace pagoda::translate
