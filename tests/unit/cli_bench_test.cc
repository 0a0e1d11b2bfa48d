// pagoda bench as a user meets it: which tests it knows, and that each gives its row.

#include <boost/json.hpp>

#include "cli_program.h"

namespace pagoda {
namespace {

namespace json = boost::json;
using ::testing::HasSubstr;

class CliBenchTest : public CliProgramTest {
 protected:
  Outcome bench(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "bench");
    return run(arguments);
  }
};

TEST_F(CliBenchTest, ARowForEachTest) {
  const Outcome outcome = bench({"--device", "cpu", "--tests", "pp16,tg4,sat5", "--batches", "2", "--json"});
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  std::vector<std::string> tests;
  for (const std::string& line : lines_of(outcome.out)) {
    const json::object row = json::parse(line).as_object();
    tests.emplace_back(row.at("test").as_string());
    EXPECT_GT(row.at("tokens_per_second").as_double(), 0) << line;
    EXPECT_GT(row.at("floor_tokens_per_second").as_double(), 0) << line;
  }
  EXPECT_EQ(tests, (std::vector<std::string>{"pp16", "tg4", "sat5"}));
}

TEST_F(CliBenchTest, OtherTestsAreRefusedByName) {
  for (const char* name : {"sat", "sat0", "sat1536x2", "tg", "tg4x2", "pp0", "pp16x", "xx4"}) {
    const Outcome outcome = bench({"--device", "cpu", "--tests", name});
    EXPECT_EQ(outcome.code, 2) << name;
    EXPECT_THAT(outcome.err, HasSubstr(std::string("no test is called \"") + name + '"'));
  }
}

}  // namespace
}  // namespace pagoda
