#include "serve/text_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace pagoda::serve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(TextRequest, LanguagesByTheirNames) {
  TextJob job;
  ASSERT_TRUE(set_languages("en", "fr", job).ok());
  EXPECT_EQ(job.from->code, "en");
  EXPECT_EQ(job.to->code, "fr");
  for (const char* unknown : {"", "auto"}) {
    ASSERT_TRUE(set_languages(unknown, "de", job).ok()) << unknown;
    EXPECT_EQ(job.from, nullptr);
    EXPECT_EQ(job.to->code, "de");
  }
}

TEST(TextRequest, WrongLanguagesAreNamed) {
  TextJob job;
  EXPECT_THAT(set_languages("en", "", job).message(), HasSubstr("target language is missing"));
  EXPECT_THAT(set_languages("en", "klingon", job).message(), HasSubstr("klingon"));
  EXPECT_THAT(set_languages("elvish", "fr", job).message(), HasSubstr("elvish"));
  EXPECT_EQ(set_languages("elvish", "fr", job).code(), base::Code::kInvalidArgument);
}

TEST(TextRequest, TermsAsListAndAsObject) {
  for (const char* terms : {R"([{"source": "cat", "target": "chat"}, {"source": "dog", "target": "chien"}])",
                            R"({"cat": "chat", "dog": "chien"})"}) {
    const auto glossary = parse_terms(boost::json::parse(terms));
    ASSERT_TRUE(glossary.ok()) << glossary.status().message();
    ASSERT_NE(glossary.value(), nullptr);
    EXPECT_THAT(glossary.value()->matches("a cat"), ElementsAre(translate::Term{"cat", "chat"}));
  }
  for (const char* none : {"[]", "{}"}) {
    const auto glossary = parse_terms(boost::json::parse(none));
    ASSERT_TRUE(glossary.ok());
    EXPECT_EQ(glossary.value(), nullptr);
  }
}

TEST(TextRequest, WrongTermsAreRefusedWithTheirPlace) {
  for (const char* terms : {R"([{"source": "cat"}])", R"([{"source": 1, "target": "x"}])", R"(["cat"])",
                            R"([{"source": "a", "target": null}])"})
    EXPECT_THAT(parse_terms(boost::json::parse(terms)).status().message(), HasSubstr("glossary[0]")) << terms;
  EXPECT_THAT(parse_terms(boost::json::parse(R"([{"source": "a", "target": "b"}, 3])")).status().message(),
              HasSubstr("glossary[1]"));
  for (const char* terms : {R"({"cat": 1})", R"("cat")", "3", "true"})
    EXPECT_EQ(parse_terms(boost::json::parse(terms)).status().code(), base::Code::kInvalidArgument) << terms;
}

}  // namespace
}  // namespace pagoda::serve
