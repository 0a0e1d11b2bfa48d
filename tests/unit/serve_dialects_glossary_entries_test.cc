#include "serve/dialects/glossary_entries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace pagoda::serve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using translate::Term;

std::string refusal(const base::Result<std::vector<Term>>& parsed) {
  return parsed.ok() ? "accepted" : parsed.status().message();
}

TEST(GlossaryEntries, TsvHasATermALine) {
  const auto terms = parse_glossary_tsv("\xEF\xBB\xBF cat \t Katze\r\n\n# hash\tRaute\nA, \"B\"\tC");
  ASSERT_TRUE(terms.ok()) << terms.status().message();
  EXPECT_THAT(*terms, ElementsAre(Term{"cat", "Katze"}, Term{"# hash", "Raute"}, Term{"A, \"B\"", "C"}));
  EXPECT_EQ(glossary_tsv(*terms), "cat\tKatze\n# hash\tRaute\nA, \"B\"\tC\n");
}

TEST(GlossaryEntries, BadTsvNamesItsLine) {
  EXPECT_THAT(refusal(parse_glossary_tsv("")), HasSubstr("no terms"));
  EXPECT_THAT(refusal(parse_glossary_tsv("\n \n")), HasSubstr("no terms"));
  EXPECT_THAT(refusal(parse_glossary_tsv("a\tb\nc")), HasSubstr("line 2 must be a source, one tab"));
  EXPECT_THAT(refusal(parse_glossary_tsv("a\tb\tc")), HasSubstr("line 1 must be"));
  EXPECT_THAT(refusal(parse_glossary_tsv("\tb")), HasSubstr("line 1 has an empty source"));
  EXPECT_THAT(refusal(parse_glossary_tsv("a\t ")), HasSubstr("line 1 has an empty target"));
  EXPECT_THAT(refusal(parse_glossary_tsv("a\tb\n\na\tb")), HasSubstr("line 3 repeats the source \"a\""));
  EXPECT_THAT(refusal(parse_glossary_tsv("a\x01z\tb")), HasSubstr("control character in its source"));
  EXPECT_THAT(refusal(parse_glossary_tsv("a\tb\xE2\x80\xA8z")), HasSubstr("control character in its target"));
}

TEST(GlossaryEntries, ThereIsALimit) {
  std::string tsv;
  for (std::size_t i = 0; i < kMaxGlossaryEntries; ++i) tsv += "s" + std::to_string(i) + "\tt\n";
  EXPECT_TRUE(parse_glossary_tsv(tsv).ok());
  const auto more = parse_glossary_tsv(tsv + "one\tmore");
  ASSERT_FALSE(more.ok());
  EXPECT_EQ(more.status().code(), base::Code::kResourceExhausted);
}

TEST(GlossaryEntries, CsvMayQuote) {
  const auto terms =
      parse_glossary_csv("cat,Katze\r\n\"a, \"\"b\"\"\",c,en,de\n\n x , y \n\"\"\"quoted\"\"\",z");
  ASSERT_TRUE(terms.ok()) << terms.status().message();
  EXPECT_THAT(*terms, ElementsAre(Term{"cat", "Katze"}, Term{"a, \"b\"", "c"}, Term{"x", "y"},
                                  Term{"\"quoted\"", "z"}));
}

TEST(GlossaryEntries, BadCsvNamesItsLine) {
  EXPECT_THAT(refusal(parse_glossary_csv("a,b\nc")), HasSubstr("line 2 has 1 fields"));
  EXPECT_THAT(refusal(parse_glossary_csv("a,b,c")), HasSubstr("line 1 has 3 fields"));
  EXPECT_THAT(refusal(parse_glossary_csv("a,b\n\"c,d\ne")), HasSubstr("the quote of line 2 is not closed"));
  EXPECT_THAT(refusal(parse_glossary_csv("\"a\nb\",c\nd,")), HasSubstr("control character"));
  EXPECT_THAT(refusal(parse_glossary_csv("x,y\n,b")), HasSubstr("line 2 has an empty source"));
  EXPECT_THAT(refusal(parse_glossary_csv("a,b\na,c")), HasSubstr("line 2 repeats the source"));
}

}  // namespace
}  // namespace pagoda::serve
