// BLEU and chrF against sacrebleu's own numbers (tests/data/make_metric_goldens.py), and what holds without
// it.

#include "evaluate/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/mapped_file.h"
#include "translate/unicode.h"

namespace pagoda::evaluate {
namespace {

namespace json = boost::json;

json::object golden() {
  const auto text = base::read_file(PAGODA_SOURCE_DIR "/tests/data/metrics/golden.json", 1 << 24);
  CHECK(text.ok());
  return json::parse(*text).as_object();
}

BleuTokenizer tokenizer_named(const json::value& name) {
  for (const BleuTokenizer tokenizer : {BleuTokenizer::k13a, BleuTokenizer::kZh, BleuTokenizer::kChar})
    if (name.as_string() == bleu_tokenizer_name(tokenizer)) return tokenizer;
  ADD_FAILURE() << name;
  return BleuTokenizer::k13a;
}

LineCounts count(BleuTokenizer tokenizer, const json::value& line) {
  return count_line(tokenizer, line.at("hypothesis").as_string(), line.at("reference").as_string());
}

// The whole of sacrebleu's digits, not only the 0.01 that is promised.
constexpr double kNear = 1e-9;

TEST(Metrics, WordsAreSacrebleus) {
  const json::object cases = golden();
  ASSERT_GT(cases.at("words").as_array().size(), 300u);
  for (const json::value& entry : cases.at("words").as_array()) {
    std::vector<std::string> words;
    for (const std::u32string& word :
         tokenize(tokenizer_named(entry.at("tokenizer")), entry.at("sentence").as_string()))
      words.push_back(translate::encode(word));
    std::vector<std::string> expected;
    for (const json::value& word : entry.at("words").as_array()) expected.emplace_back(word.as_string());
    EXPECT_EQ(words, expected) << entry.at("tokenizer") << " " << entry.at("sentence");
  }
}

TEST(Metrics, ScoresAreSacrebleus) {
  const json::object cases = golden();
  ASSERT_GT(cases.at("cases").as_array().size(), 20u);
  for (const json::value& entry : cases.at("cases").as_array()) {
    const BleuTokenizer tokenizer = tokenizer_named(entry.at("tokenizer"));
    LineCounts sum;
    for (const json::value& line : entry.at("lines").as_array()) {
      const LineCounts counts = count(tokenizer, line);
      EXPECT_NEAR(counts.bleu.score(), line.at("bleu").to_number<double>(), kNear) << line;
      EXPECT_NEAR(counts.chrf.score(), line.at("chrf").to_number<double>(), kNear) << line;
      sum += counts;
    }
    EXPECT_NEAR(sum.bleu.score(), entry.at("bleu").to_number<double>(), kNear) << entry.at("name");
    EXPECT_NEAR(sum.chrf.score(), entry.at("chrf").to_number<double>(), kNear) << entry.at("name");
  }
}

TEST(Metrics, AreFullForTheReferenceItself) {
  const LineCounts same =
      count_line(BleuTokenizer::k13a, "The ferry leaves at six.", "The ferry leaves at six.");
  EXPECT_DOUBLE_EQ(same.bleu.score(), 100);
  EXPECT_DOUBLE_EQ(same.chrf.score(), 100);
}

TEST(Metrics, OfNothingAreZero) {
  EXPECT_EQ(LineCounts().bleu.score(), 0);
  EXPECT_EQ(LineCounts().chrf.score(), 0);
}

TEST(Metrics, InvalidUtf8CountsAsOtherCharacters) {
  const LineCounts counts =
      count_line(BleuTokenizer::k13a, "The \xff ferry leaves at six.", "The ferry leaves at six.");
  EXPECT_GT(counts.bleu.score(), 30);
  EXPECT_LT(counts.bleu.score(), 100);
}

TEST(BleuTokenizerFor, DependsOnTheTarget) {
  EXPECT_EQ(bleu_tokenizer_for(translate::language("zh")), BleuTokenizer::kZh);
  EXPECT_EQ(bleu_tokenizer_for(translate::language("zh-Hant")), BleuTokenizer::kZh);
  EXPECT_EQ(bleu_tokenizer_for(translate::language("ja")), BleuTokenizer::kChar);
  EXPECT_EQ(bleu_tokenizer_for(translate::language("ko")), BleuTokenizer::kChar);
  EXPECT_EQ(bleu_tokenizer_for(translate::language("en")), BleuTokenizer::k13a);
  EXPECT_EQ(bleu_tokenizer_for(translate::language("ar")), BleuTokenizer::k13a);
}

}  // namespace
}  // namespace pagoda::evaluate
