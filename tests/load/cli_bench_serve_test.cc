// `pagoda bench serve` as a user meets it: flags, print-out, exit code. PAGODA_PROGRAM is its path.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <boost/json.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "stand_in_server.h"

namespace pagoda::load {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Exchange = StandInServer::Exchange;

class BenchServeTest : public ::testing::Test {
 protected:
  struct Outcome {
    int code = -1;
    std::string out, err;
  };
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "bench_serve_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  // `arguments` as a shell takes them.
  Outcome run(const std::string& arguments) const {
    const std::string command = "cd '" + directory_.string() + "' && '" + PAGODA_PROGRAM + "' bench serve " +
                                arguments + " < /dev/null > stdout 2> stderr";
    const int status = std::system(command.c_str());
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read("stdout"), read("stderr")};
  }
  std::string read(const std::string& name) const {
    std::ifstream file(directory_ / name, std::ios::binary);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  fs::path directory_;
};

// Counts a token for each word and seven for its template, and answers with as many tokens as it may.
asio::awaitable<void> count_words(Exchange& exchange) {
  const boost::json::value body = boost::json::parse(exchange.body);
  const std::string prompt(body.at("prompt").as_string());
  const int words = static_cast<int>(std::count(prompt.begin(), prompt.end(), ' ')) + 1;
  const int tokens = body.at("max_tokens").to_number<int>();
  std::string answer = kStreamHead;
  for (int i = 0; i < tokens; ++i) answer += event(R"({"text":"x"})");
  co_await exchange.write(answer + generate_end(words + 7, tokens));
}

TEST_F(BenchServeTest, RandomPromptsHaveTheAskedLength) {
  StandInServer server(count_words);
  const Outcome outcome =
      run("--url " + server.url() + " --num-prompts 10 --random-input-len 50 --random-output-len 4 --json");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const boost::json::value report = boost::json::parse(outcome.out);
  EXPECT_EQ(report.at("completed").to_number<int>(), 10);
  EXPECT_EQ(report.at("total_input_tokens").to_number<int>(), 500);
  EXPECT_EQ(report.at("total_output_tokens").to_number<int>(), 40);
  EXPECT_EQ(server.requests(), 12);  // two to learn how it counts
}

TEST_F(BenchServeTest, LinesOfAFileUnderATemplate) {
  std::ofstream(directory_ / "lines.txt") << "a\nb\n";
  std::vector<std::string> prompts;
  StandInServer server([&](Exchange& exchange) -> asio::awaitable<void> {
    prompts.push_back(std::string(boost::json::parse(exchange.body).at("prompt").as_string()));
    co_await count_words(exchange);
  });
  const Outcome outcome = run("--url " + server.url() +
                              " --file lines.txt --template 'Say {text}' --num-prompts 3 --output-len 2 "
                              "--max-concurrency 1 --request-rate 100 --goodput ttft:1000 e2el:1000");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  server.stop();
  EXPECT_THAT(prompts, ::testing::ElementsAre("Say a", "Say b", "Say a"));
  EXPECT_THAT(outcome.out, StartsWith("============ Serving Benchmark Result ============\n"));
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("Successful requests:                     3 "),
                                 HasSubstr("Request rate configured (RPS):           100.00"),
                                 HasSubstr("Request goodput (req/s):"), HasSubstr("P99 E2EL (ms):")));
}

TEST_F(BenchServeTest, AsksForTheModelAndWarmsUp) {
  std::ofstream(directory_ / "lines.txt") << "a\n";
  std::string model;
  StandInServer server([&](Exchange& exchange) -> asio::awaitable<void> {
    if (exchange.method == "GET") {
      co_await exchange.write(json_answer(200, R"({"data":[{"id":"nano"}]})"));
      co_return;
    }
    model = std::string(boost::json::parse(exchange.body).at("model").as_string());
    co_await exchange.write(kStreamHead +
                            event(R"({"choices":[{"delta":{"content":"a"},"finish_reason":"stop"}]})") +
                            event("[DONE]") + kLastChunk);
  });
  const Outcome outcome = run("--endpoint chat --url " + server.url() + " --file lines.txt --warmups 4");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  server.stop();
  EXPECT_EQ(model, "nano");
  EXPECT_EQ(server.requests(), 6);
  EXPECT_THAT(outcome.err, HasSubstr("named no token counts"));
}

TEST_F(BenchServeTest, SomeFailuresAreCountedAndAllFailuresAreOne) {
  std::ofstream(directory_ / "lines.txt") << "a\nb\nc\n";
  StandInServer server([](Exchange& exchange) -> asio::awaitable<void> {
    if (exchange.number == 0)
      co_await count_words(exchange);
    else
      co_await exchange.write(json_answer(429, R"({"error":{"message":"the queue is full"}})"));
  });
  const std::string arguments = "--url " + server.url() + " --file lines.txt --max-concurrency 1";
  Outcome outcome = run(arguments);
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("Failed requests:                         2 "));
  EXPECT_THAT(outcome.err, HasSubstr("429: 2 requests, the first: the queue is full"));
  outcome = run(arguments);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.out, HasSubstr("Successful requests:                     0 "));
}

TEST_F(BenchServeTest, SaysThatNobodyListens) {
  std::string url;
  {
    StandInServer gone(count_words);
    url = gone.url();
  }
  const Outcome outcome = run("--url " + url);
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("refused"));
}

TEST_F(BenchServeTest, RefusesWhatMakesNoSense) {
  const std::pair<const char*, const char*> cases[] = {
      {"--url https://127.0.0.1", "https is not supported"},
      {"--url 127.0.0.1:8080", "http://"},
      {"--endpoint translate", "--to"},
      {"--to fr", "--endpoint translate"},
      {"--template '{text}'", "--file"},
      {"--file nothing.txt", "nothing.txt"},
      {"--request-rate 0", "--request-rate"},
      {"--request-rate nan", "--request-rate"},
      {"--burstiness -1", "--burstiness"},
      {"--percentiles 50,101", "--percentiles"},
      {"--goodput itl:5", "--goodput"},
  };
  for (const auto& [arguments, message] : cases) {
    const Outcome outcome = run(arguments);
    EXPECT_EQ(outcome.code, 2) << arguments;
    EXPECT_THAT(outcome.err, HasSubstr(message)) << arguments;
  }
  EXPECT_NE(run("--num-prompts 0").code, 0);
  EXPECT_NE(run("--endpoint embeddings").code, 0);
}

}  // namespace
}  // namespace pagoda::load
