// pagoda eval as a user meets it, with a few lines of its own.

#include <boost/json.hpp>

#include "cli_program.h"

namespace pagoda {
namespace {

namespace json = boost::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr const char* kLines =
    "en\tfr\tThe cat sleeps.\tLe chat dort.\n"
    "en\tfr\tThank you.\tMerci.\n"
    "en\tfr\tWhere is the train station?\tOù est la gare ?\n"
    "en\tzh\tThe cat sleeps on the table.\t猫睡在桌子上。\n";

class CliEvalTest : public CliProgramTest {
 protected:
  Outcome eval(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "eval");
    return run(arguments);
  }
  json::object read_json(const std::string& name) const {
    boost::system::error_code error;
    const json::value value = json::parse(read_file(directory_ / name), error);
    EXPECT_FALSE(error) << name;
    return error ? json::object() : value.as_object();
  }
};

TEST_F(CliEvalTest, ScoresBothWays) {
  const std::string test = put("test.tsv", kLines);
  const Outcome outcome = eval({"--test", test, "--json", "out.json", "--output", "out.tsv"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              AllOf(HasSubstr("en-fr            3"), HasSubstr("zh-en            1"), HasSubstr("mean")));
  const json::object result = read_json("out.json");
  ASSERT_EQ(result.at("directions").as_array().size(), 4u);
  double sum = 0;
  for (const json::value& direction : result.at("directions").as_array()) {
    const auto bleu = direction.at("bleu").to_number<double>();
    EXPECT_GE(bleu, 0);
    EXPECT_LE(bleu, 100.001);
    sum += bleu;
  }
  EXPECT_NEAR(result.at("mean_bleu").to_number<double>(), sum / 4, 1e-3);
  EXPECT_EQ(result.at("lines").to_number<int>(), 8);
  EXPECT_GT(result.at("tokens_per_second").to_number<double>(), 0);
  EXPECT_GT(result.at("memory_bytes").to_number<double>(), result.at("weights_bytes").to_number<double>());
  EXPECT_GT(result.at("fraction_of_int8_rate").to_number<double>(), 0);
  // The hypotheses, beside the lines that they answer.
  const std::vector<std::string> lines = lines_of(read_file(directory_ / "out.tsv"));
  ASSERT_EQ(lines.size(), 8u);
  EXPECT_EQ(lines[0], "en\tfr\tThe cat sleeps.\tLe chat dort.\tLe chat dort.");
}

TEST_F(CliEvalTest, LimitOneWayAndDirections) {
  const std::string test = put("test.tsv", kLines);
  EXPECT_EQ(eval({"--test", test, "--limit", "1", "--one-way", "--json", "out.json"}).code, 0);
  json::object result = read_json("out.json");
  ASSERT_EQ(result.at("directions").as_array().size(), 2u);
  EXPECT_EQ(result.at("lines").to_number<int>(), 2);
  EXPECT_EQ(eval({"--test", test, "--directions", "zh-en,en-zh", "--json", "out.json"}).code, 0);
  result = read_json("out.json");
  ASSERT_EQ(result.at("directions").as_array().size(), 2u);
  EXPECT_EQ(result.at("directions").as_array()[0].at("pair").as_string(), "zh-en");
}

TEST_F(CliEvalTest, AnswersAreThoseOfTranslate) {
  const std::string test = put("test.tsv", kLines);
  EXPECT_EQ(eval({"--test", test, "--one-way", "--deterministic", "--output", "out.tsv"}).code, 0);
  const Outcome alone = run({"translate", "--from", "en", "--to", "fr", "--deterministic", "--no-retry",
                             "--quiet", "The cat sleeps.", "Thank you.", "Where is the train station?"});
  std::string hypotheses;
  for (const std::string& line : lines_of(read_file(directory_ / "out.tsv")))
    if (line.starts_with("en\tfr")) hypotheses += line.substr(line.rfind('\t') + 1) + "\n";
  EXPECT_EQ(hypotheses, alone.out);
}

TEST_F(CliEvalTest, ComparesWithItselfAndSeesNoDifference) {
  const std::string test = put("test.tsv", kLines);
  const Outcome outcome =
      eval({"--test", test, "--one-way", "--compare", kNano, "--json", "out.json", "--svg", "out.svg"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("worst direction first"));
  const json::array comparisons = read_json("out.json").at("comparisons").as_array();
  ASSERT_EQ(comparisons.size(), 1u);
  EXPECT_EQ(comparisons[0].at("mean_difference").to_number<double>(), 0);
  EXPECT_EQ(comparisons[0].at("mean_low").to_number<double>(), 0);
  EXPECT_EQ(comparisons[0].at("directions").as_array().size(), 2u);
  EXPECT_EQ(comparisons[0].at("scores").at("lines").to_number<int>(), 4);
  EXPECT_THAT(read_file(directory_ / "out.svg"), AllOf(HasSubstr("<svg"), HasSubstr("nano (int")));
}

TEST_F(CliEvalTest, DivergenceOfAModelFromItselfAndFromFewerBits) {
  const std::string test = put("test.tsv", kLines), nano = PAGODA_SOURCE_DIR "/models/nano";
  const Outcome outcome = eval({"--test", test, "--divergence", "--model", nano, "--compare", nano,
                                nano + "=none", "--json", "out.json"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("tokens of references"), HasSubstr("cross-entropy")));
  const json::array rows = read_json("out.json").at("divergence").as_array();
  ASSERT_EQ(rows.size(), 3u);
  for (const json::value& row : rows) {
    // Sentences that it has learnt to say: far likelier than one of the vocabulary's many thousand tokens.
    EXPECT_GT(row.at("cross_entropy").to_number<double>(), 0.01);
    EXPECT_LT(row.at("cross_entropy").to_number<double>(), 4);
    EXPECT_NEAR(row.at("kl_divergence").to_number<double>(), 0, 1e-6);
    EXPECT_EQ(row.at("same_choice").to_number<double>(), 1);
  }
  EXPECT_EQ(
      eval({"--test", test, "--divergence", "--compare", PAGODA_SOURCE_DIR "/tests/data/models/hy-1.8b-like"})
          .code,
      2);
}

TEST_F(CliEvalTest, MaxTokensCutsAndIsCounted) {
  const std::string test = put("test.tsv", kLines);
  EXPECT_EQ(eval({"--test", test, "--one-way", "--max-tokens", "1", "--json", "out.json"}).code, 0);
  const json::object result = read_json("out.json");
  for (const json::value& direction : result.at("directions").as_array())
    EXPECT_EQ(direction.at("cut"), direction.at("lines"));
}

TEST_F(CliEvalTest, Skills) {
  std::string lines;
  for (const char* verb : {"met", "saw", "knows", "called"})
    lines +=
        std::string("en\tfr\tMy brother ") + verb + " Velmor with 40 friends.\tMon frère, Velmor, 40 amis.\n";
  const Outcome outcome =
      eval({"--test", put("test.tsv", lines), "--one-way", "--skills", "--json", "out.json"});
  EXPECT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, HasSubstr("terminology"));
  const json::array skills = read_json("out.json").at("skills").as_array();
  ASSERT_EQ(skills.size(), 8u);
  for (const json::value& skill : skills) {
    EXPECT_LE(skill.at("right").to_number<int>(), skill.at("lines").to_number<int>()) << skill;
    EXPECT_GE(skill.at("lines").to_number<int>(), 3) << skill;
  }
  EXPECT_EQ(skills[7].at("skill").as_string(), "stop");
  EXPECT_EQ(skills[7].at("rate").to_number<double>(), 1);
}

TEST_F(CliEvalTest, RefusesBeforeTheWorkBegins) {
  const std::string test = put("test.tsv", kLines);
  expect_refused(eval({"--test", "missing.tsv"}), {"missing.tsv"});
  expect_refused(eval({"--test", put("bad.tsv", "en\tfr\tHello\n")}), {"bad.tsv line 1", "3 columns"});
  expect_refused(eval({"--test", test, "--compare", "no-such-model"}), {"no-such-model"});
  expect_refused(eval({"--test", test, "--model", "no-such-model"}), {"no-such-model"});
  expect_refused(eval({"--test", test, "--directions", "en-ko"}), {"en-ko"});
  expect_refused(eval({"--test", test, "--json", "no/such/out.json"}), {"no/such/out.json"});
  expect_refused(eval({"--test", test, "--svg", "no/such/out.svg"}), {"no/such/out.svg"});
  expect_refused(eval({"--test", test, "--max-tokens", "-1"}), {"--max-tokens"});
  expect_refused(eval({"--test", test, "--prompt-style", "odd"}), {"odd"});
  expect_refused(eval({"--test", test, "--block-size", "0"}), {"--block-size"});
  const Outcome none = eval({});
  EXPECT_NE(none.code, 0);
  EXPECT_THAT(none.err, HasSubstr("--test"));
}

TEST_F(CliEvalTest, ALineThatTheModelHasNoRoomForIsNamed) {
  std::string word;
  for (int i = 0; i < 200; ++i) word += "window ";
  const std::string test = put("test.tsv", kLines + ("en\tfr\t" + word + "\tfenêtre\n"));
  expect_refused(eval({"--test", test, "--one-way", "--max-model-len", "128"}),
                 {"test.tsv line 5", "--max-model-len 128"});
}

}  // namespace
}  // namespace pagoda
