#include "text/detokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "text/utf8.h"

namespace pagoda::text {
namespace {

using Stops = std::vector<std::string>;

// One token a byte is the hardest stream: the small tokenizer's byte tokens are found by encoding each byte
// alone.
const Tokenizer& tokenizer() {
  static const Tokenizer result =
      Tokenizer::load(std::string(PAGODA_SOURCE_DIR) + "/tests/data/tokenizer/hy.json").value();
  return result;
}
std::vector<TokenId> byte_tokens(std::string_view text) {
  std::vector<TokenId> ids;
  for (const char byte : text) ids.push_back(tokenizer().encode(std::string_view(&byte, 1))[0]);
  return ids;
}

std::string all(Detokenizer& detokenizer, const std::vector<TokenId>& ids) {
  std::string text;
  for (const TokenId id : ids) {
    const std::string part = detokenizer.push(id);
    EXPECT_EQ(valid_utf8_prefix(part), part.size()) << "a character was split";
    text += part;
  }
  return text + detokenizer.finish();
}
std::string streamed(std::string_view text, Stops stops = {}, bool include_stop = false) {
  Detokenizer detokenizer(tokenizer(), std::move(stops), include_stop);
  return all(detokenizer, byte_tokens(text));
}

TEST(Detokenizer, NeverSplitsACharacter) {
  Detokenizer detokenizer(tokenizer(), {});
  const std::vector<TokenId> ids = byte_tokens("é中");
  EXPECT_EQ(detokenizer.push(ids[0]), "");
  EXPECT_EQ(detokenizer.push(ids[1]), "é");
  EXPECT_EQ(detokenizer.push(ids[2]), "");
  EXPECT_EQ(detokenizer.push(ids[3]), "");
  EXPECT_EQ(detokenizer.push(ids[4]), "中");
  EXPECT_EQ(detokenizer.finish(), "");
}

TEST(Detokenizer, ReplacesWhatCannotBeACharacter) {
  EXPECT_EQ(streamed("a\xFFz"), "a\uFFFDz");
  EXPECT_EQ(streamed("\xE4\xB8"), "\uFFFD");
  EXPECT_EQ(streamed("\xE4\xB8z\xED\xA0"), "\uFFFDz\uFFFD\uFFFD");
}

TEST(Detokenizer, EqualsDecodeForAnyTokens) {
  std::mt19937 random(3);
  for (int round = 0; round < 2000; ++round) {
    std::vector<TokenId> ids;
    for (int i = static_cast<int>(random() % 30); i > 0; --i)
      ids.push_back(TokenId(static_cast<std::int32_t>(random() % (random() % 2 != 0 ? 256 : 2031))));
    Detokenizer detokenizer(tokenizer(), {});
    EXPECT_EQ(all(detokenizer, ids), tokenizer().decode(ids));
  }
}

TEST(Detokenizer, StopsAtAStopStringThatSpansTokens) {
  Detokenizer detokenizer(tokenizer(), {"\n\n"});
  const std::vector<TokenId> ids = byte_tokens("ab\n\ncd");
  EXPECT_EQ(detokenizer.push(ids[0]), "a");
  EXPECT_EQ(detokenizer.push(ids[1]), "b");
  EXPECT_EQ(detokenizer.push(ids[2]), "") << "may be the beginning of the stop string";
  EXPECT_FALSE(detokenizer.stopped());
  EXPECT_EQ(detokenizer.push(ids[3]), "");
  EXPECT_TRUE(detokenizer.stopped());
  EXPECT_EQ(detokenizer.matched_stop(), "\n\n");
  EXPECT_EQ(detokenizer.push(ids[4]), "");
  EXPECT_EQ(detokenizer.finish(), "");
}

TEST(Detokenizer, GivesHeldTextBack) {
  EXPECT_EQ(streamed("a\nb\n", {"\n\n"}), "a\nb\n");
  EXPECT_EQ(streamed("aab", {"aaab"}), "aab");
  EXPECT_EQ(streamed("aaab!", {"aab"}), "a");
  EXPECT_EQ(streamed("停止吗", {"停止。"}), "停止吗");
}

TEST(Detokenizer, KeepsTheStopStringOnRequest) {
  EXPECT_EQ(streamed("one END two", {"END"}), "one ");
  EXPECT_EQ(streamed("one END two", {"END"}, /*include_stop=*/true), "one END");
}

TEST(Detokenizer, StopsAtTheStringThatIsCompletedFirst) {
  EXPECT_EQ(streamed("xabcdey", {"abcde", "cd"}), "xab");
  EXPECT_EQ(streamed("xabcdey", {"cd", "bcd", "d"}), "xa") << "the longest of those that end together";
  // The same when the text comes in one piece.
  const TokenId note = *tokenizer().special_id("<note>");
  Detokenizer whole(tokenizer(), {"<note>", "ot"});
  EXPECT_EQ(whole.push(note), "<n");
  EXPECT_EQ(whole.matched_stop(), "ot");
}

TEST(Detokenizer, LooksForStopStringsInSpecialsNot) {
  Detokenizer detokenizer(tokenizer(), {"User"});
  EXPECT_EQ(detokenizer.push(*tokenizer().special_id("<｜hy_User｜>")), "");
  EXPECT_FALSE(detokenizer.stopped());
}

TEST(Detokenizer, DoesNotCutCharactersAtABrokenStopString) { EXPECT_EQ(streamed("a中", {"\xE4"}), "a中"); }

// However the same bytes are cut into tokens, the outcome is the same.
TEST(Detokenizer, DoesNotDependOnTheTokens) {
  std::mt19937 random(11);
  const Stops stops = {"ab", "bab", "é", "中a", "aaa"};
  const char* letters[] = {"a", "b", "é", "中", "\xE4"};
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (int i = 0; i < 8; ++i) text += letters[random() % 5];
    Detokenizer by_words(tokenizer(), stops);
    Detokenizer by_bytes(tokenizer(), stops);
    EXPECT_EQ(all(by_words, tokenizer().encode(text)), all(by_bytes, byte_tokens(text))) << text;
    EXPECT_EQ(by_words.matched_stop(), by_bytes.matched_stop()) << text;
  }
}

}  // namespace
}  // namespace pagoda::text
