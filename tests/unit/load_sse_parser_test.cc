#include "load/sse_parser.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace pagoda::load {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The events of `stream`, fed in parts that end at `cuts`.
std::vector<std::string> events_of(std::string_view stream, const std::vector<std::size_t>& cuts = {}) {
  std::vector<std::string> events;
  SseParser parser([&](std::string_view data) { events.emplace_back(data); });
  std::size_t begin = 0;
  for (const std::size_t cut : cuts) {
    EXPECT_TRUE(parser.feed(stream.substr(begin, cut - begin)).ok());
    begin = cut;
  }
  EXPECT_TRUE(parser.feed(stream.substr(begin)).ok());
  return events;
}

TEST(SseParser, FindsEventsWhateverTheLineEnd) {
  for (const std::string end : {"\n", "\r\n", "\r"}) {
    EXPECT_THAT(events_of("data: a" + end + end + "data: b" + end + end), ElementsAre("a", "b"));
  }
}

TEST(SseParser, GivesTheSameEventsWhereverItIsCut) {
  const std::string stream =
      "\xEF\xBB\xBF: hello\r\n\r\ndata: {\"text\":\"é\"}\r\n\r\nevent: x\rdata:one\ndata: two\n\n"
      ":\n\ndata\n\nid: 7\r\ndata: [DONE]\r\n\r\n";
  const std::vector<std::string> whole = events_of(stream);
  ASSERT_THAT(whole, ElementsAre("{\"text\":\"é\"}", "one\ntwo", "", "[DONE]"));
  for (std::size_t i = 0; i <= stream.size(); ++i)
    for (std::size_t j = i; j <= stream.size(); ++j) EXPECT_EQ(events_of(stream, {i, j}), whole) << i << j;
  std::vector<std::size_t> everywhere;
  for (std::size_t i = 1; i < stream.size(); ++i) everywhere.push_back(i);
  EXPECT_EQ(events_of(stream, everywhere), whole);
}

TEST(SseParser, JoinsDataLinesAndTakesOneSpaceAway) {
  EXPECT_THAT(events_of("data:a\ndata:  b\ndata:\ndata: c\n\n"), ElementsAre("a\n b\n\nc"));
}

TEST(SseParser, CommentsAndOtherFieldsAreNoEvents) {
  EXPECT_THAT(events_of(": ping\n\nevent: done\nretry: 5\n\n\n\ndatas: x\n\n"), IsEmpty());
}

TEST(SseParser, AColonInTheDataBelongsToIt) { EXPECT_THAT(events_of("data: a: b\n\n"), ElementsAre("a: b")); }

TEST(SseParser, AnEventWithoutItsEndIsNone) {
  EXPECT_THAT(events_of("data: a\n\ndata: b\n"), ElementsAre("a"));
  EXPECT_THAT(events_of("data: a\n\ndata: b"), ElementsAre("a"));
}

TEST(SseParser, AByteOrderMarkIsOneOnlyAtTheBeginning) {
  EXPECT_THAT(events_of("\xEF\xBB\xBF"
                        "data: a\n\n\xEF\xBB\xBF"
                        "data: b\n\ndata: \xEF\xBB\xBF\n\n"),
              ElementsAre("a", "\xEF\xBB\xBF"));
}

TEST(SseParser, RefusesAnEventWithoutEnd) {
  int events = 0;
  SseParser parser([&](std::string_view) { ++events; });
  const std::string part(1u << 20, 'x');
  ASSERT_TRUE(parser.feed("data: ").ok());
  base::Status status;
  for (int i = 0; i < 32 && status.ok(); ++i) status = parser.feed(part);
  EXPECT_EQ(status.code(), base::Code::kDataLoss);
  EXPECT_EQ(events, 0);

  SseParser lines([&](std::string_view) { ++events; });
  status = {};
  for (int i = 0; i < 32 && status.ok(); ++i) status = lines.feed("data: " + part + "\n");
  EXPECT_EQ(status.code(), base::Code::kDataLoss);
}

TEST(SseParser, AStreamMayBeLongerThanAnEvent) {
  std::size_t bytes = 0;
  SseParser parser([&](std::string_view data) { bytes += data.size(); });
  const std::string event = "data: " + std::string(1u << 20, 'x') + "\n\n";
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(parser.feed(event).ok());
  EXPECT_EQ(bytes, 20u << 20);
}

}  // namespace
}  // namespace pagoda::load
