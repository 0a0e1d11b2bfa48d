#include "translate/glossary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace pagoda::translate {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Glossary parsed(std::string_view tsv) {
  auto glossary = Glossary::parse(tsv, "test");
  EXPECT_TRUE(glossary.ok()) << glossary.status().message();
  return glossary.ok() ? *glossary : Glossary();
}

std::vector<std::string> found(const Glossary& glossary, std::string_view text,
                               std::size_t limit = Glossary::kMaxTermsSent) {
  std::vector<std::string> targets;
  for (const Term& term : glossary.matches(text, limit)) targets.push_back(term.target);
  return targets;
}

TEST(Glossary, ReadsTabSeparatedLines) {
  const Glossary glossary = parsed(
      "\xEF\xBB\xBF# comment\tx\r\ncat\tKatze\r\n\r\n  dog \t Hund\tthe animal\n \t "
      "\ncat\tKatze\nlast\tEnde");
  EXPECT_EQ(glossary.size(), 3u);
  EXPECT_THAT(found(glossary, "the dog, the cat, the last"), ElementsAre("Hund", "Katze", "Ende"));
}

TEST(Glossary, NamesBadLines) {
  const struct {
    std::string tsv;
    const char* message;
  } cases[] = {
      {"a\tb\nno tab here\n", "glossary test: line 2: no tab between source and target"},
      {"\tb\n", "line 1: the source is empty"},
      {"# x\na\t\n", "line 2: the target of \"a\" is empty"},
      {"a\tb\na\tc\n", "line 2: \"a\" has another target already, \"b\""},
      {"a\xff\tb\n", "line 1: not UTF-8"},
      {std::string(201, 'a') + "\tb", "line 1: a term is longer than 200 characters"},
      {"1\n2\n3\n4\n5\n", "line 3: no tab between source and target; and 2 more bad lines"},
  };
  for (const auto& c : cases) {
    const auto glossary = Glossary::parse(c.tsv, "test");
    ASSERT_FALSE(glossary.ok()) << c.tsv;
    EXPECT_EQ(glossary.status().code(), base::Code::kInvalidArgument);
    EXPECT_THAT(glossary.status().message(), HasSubstr(c.message));
  }
}

TEST(Glossary, LoadsAFile) {
  const std::string path = ::testing::TempDir() + "/pagoda_glossary_test.tsv";
  std::ofstream(path) << "cat\tKatze\n";
  const auto glossary = Glossary::load(path);
  std::remove(path.c_str());
  ASSERT_TRUE(glossary.ok());
  EXPECT_EQ(glossary->size(), 1u);
  const auto missing = Glossary::load(path);
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.status().code(), base::Code::kNotFound);
}

TEST(Glossary, MatchesWholeWordsWhereThereAreSpaces) {
  const struct {
    const char *tsv, *text;
    bool match;
  } cases[] = {
      {"cat\tx", "a cat.", true},
      {"cat\tx", "concatenate", false},
      {"cat\tx", "cats", false},
      {"cat\tx", "Cat", true},
      {"cat\tx", "CAT", true},
      {"cat\tx", "cat_name", false},
      {"Apple\tx", "an apple", true},
      {"iPhone\tx", "an iphone", false},
      {"iPhone\tx", "my iPhone!", true},
      {"API\tx", "api", false},
      {"API\tx", "使用API接口", true},
      {"API\tx", "APIs", false},
      {"混元\tx", "腾讯混元模型", true},
      {"猫\tx", "猫が好き", true},
      {"책\tx", "책을", true},
      {"책\tx", "공책", false},
      {"ว่า\tx", "พูดว่าดี", true},
      {"кот\tx", "Кот спит", true},
      {"кот\tx", "который", false},
      {"machine learning\tx", "Machine Learning is", true},
      {"C++\tx", "in C++ now", true},
      {"no.1\tx", "no.12", false},
      {"cafe\tx", "cafe\u0301", false},
      {"كتاب\tx", "هذا كتاب", true},
      {"a\tx", "", false},
  };
  for (const auto& c : cases)
    EXPECT_EQ(!found(parsed(c.tsv), c.text).empty(), c.match) << c.tsv << " in " << c.text;
}

TEST(Glossary, LongestFirstWithoutOverlap) {
  const Glossary glossary = parsed("machine learning\tML\nmachine\tM\ndeep machine\tDM\nlearning\tL");
  EXPECT_THAT(found(glossary, "machine learning"), ElementsAre("ML"));
  EXPECT_THAT(found(glossary, "deep machine learning"), ElementsAre("ML"));
  EXPECT_THAT(found(glossary, "learning a machine, machine learning"), ElementsAre("L", "M", "ML"));
}

TEST(Glossary, SpellingDecidesBetweenTermsOfOneFold) {
  const Glossary glossary = parsed("US\tUSA\nus\tuns");
  EXPECT_THAT(found(glossary, "US"), ElementsAre("USA"));
  EXPECT_THAT(found(glossary, "us"), ElementsAre("uns"));
  EXPECT_THAT(found(glossary, "Us"), ElementsAre("uns"));
}

TEST(Glossary, EachTermOnceInOrderUpToTheLimit) {
  EXPECT_THAT(found(parsed("a\t1\nb\t2\nc\t3"), "c a c b a"), ElementsAre("3", "1", "2"));
  EXPECT_THAT(found(parsed("a\t1\nb\t2\nc\t3"), "c a c b a", 2), ElementsAre("3", "1"));
  std::string tsv, text;
  for (int i = 0; i < 50; ++i) {
    tsv += fmt::format("word{}\tWort{}\n", i, i);
    text += fmt::format("word{} ", i);
  }
  EXPECT_EQ(parsed(tsv).matches(text).size(), 32u);
}

TEST(Glossary, EmptyHasNoMatches) { EXPECT_THAT(Glossary().matches("anything"), IsEmpty()); }

TEST(Glossary, FromTermsReportsTheirNumber) {
  EXPECT_EQ(Glossary::from_terms({{" a ", "b"}}, "request")->matches("a").front().target, "b");
  EXPECT_THAT(Glossary::from_terms({{"a", "b"}, {"", "c"}}, "request").status().message(),
              HasSubstr("glossary request: line 2"));
}

TEST(Glossary, MissingTermsForgiveCaseAndEndings) {
  const std::vector<Term> terms = {{"cat", "Katze"}, {"dog", "Hund"}, {"珠", "Pearl"}};
  EXPECT_THAT(missing_terms(terms, "Die Katzen und der HUND"), ElementsAre(Term{"珠", "Pearl"}));
  EXPECT_THAT(missing_terms(terms, "katze hund pearl"), IsEmpty());
}

}  // namespace
}  // namespace pagoda::translate
