#include "load/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace pagoda::load {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

Metrics some_metrics(const std::vector<double>& percents) {
  Outcome outcome;
  outcome.first_text_s = 0.07154;
  outcome.end_s = 0.5;
  outcome.gaps_s = {0.01, 0.02};
  outcome.pieces = 3;
  outcome.usage = TokenCounts{100, 11};
  Outcome refused;
  refused.failure = "429";
  refused.error = "too many requests";
  return measure(std::vector<Outcome>{outcome, outcome, refused}, 2, percents,
                 parse_goodput(std::vector<std::string>{"ttft:100"}).value());
}

ReportHead some_head() {
  ReportHead head;
  head.url = "http://127.0.0.1:8080";
  head.num_prompts = 3;
  head.request_rate = std::numeric_limits<double>::infinity();
  head.percents = {50, 90, 99.9};
  return head;
}

TEST(LoadReport, HasTheLayoutThatPeoplePaste) {
  const ReportHead head = some_head();
  EXPECT_EQ(report_text(head, some_metrics(head.percents)),
            "============ Serving Benchmark Result ============\n"
            "Successful requests:                     2         \n"
            "Failed requests:                         1         \n"
            "Benchmark duration (s):                  2.00      \n"
            "Total input tokens:                      200       \n"
            "Total generated tokens:                  22        \n"
            "Request throughput (req/s):              1.00      \n"
            "Output token throughput (tok/s):         11.00     \n"
            "Total Token throughput (tok/s):          111.00    \n"
            "---------------Time to First Token----------------\n"
            "Mean TTFT (ms):                          71.54     \n"
            "Median TTFT (ms):                        71.54     \n"
            "P90 TTFT (ms):                           71.54     \n"
            "P99.9 TTFT (ms):                         71.54     \n"
            "-----Time per Output Token (excl. 1st token)------\n"
            "Mean TPOT (ms):                          42.85     \n"
            "Median TPOT (ms):                        42.85     \n"
            "P90 TPOT (ms):                           42.85     \n"
            "P99.9 TPOT (ms):                         42.85     \n"
            "---------------Inter-token Latency----------------\n"
            "Mean ITL (ms):                           15.00     \n"
            "Median ITL (ms):                         15.00     \n"
            "P90 ITL (ms):                            20.00     \n"
            "P99.9 ITL (ms):                          20.00     \n"
            "----------------End-to-end Latency----------------\n"
            "Mean E2EL (ms):                          500.00    \n"
            "Median E2EL (ms):                        500.00    \n"
            "P90 E2EL (ms):                           500.00    \n"
            "P99.9 E2EL (ms):                         500.00    \n"
            "==================================================\n");
}

TEST(LoadReport, NamesWhatWasConfigured) {
  ReportHead head = some_head();
  head.max_concurrency = 8;
  head.request_rate = 2.5;
  head.goodput.ttft_ms = 100;
  const std::string text = report_text(head, some_metrics(head.percents));
  EXPECT_THAT(text, HasSubstr("\nMaximum request concurrency:             8         \n"));
  EXPECT_THAT(text, HasSubstr("\nRequest rate configured (RPS):           2.50      \n"));
  EXPECT_THAT(text, HasSubstr("\nRequest goodput (req/s):                 1.00      \n"));
}

TEST(LoadReport, OfAnEndpointWithoutTokensNamesNone) {
  ReportHead head = some_head();
  head.endpoint = Endpoint::kTranslate;
  const std::string text = report_text(head, some_metrics(head.percents));
  EXPECT_THAT(text, Not(HasSubstr("oken")));
  EXPECT_THAT(text, HasSubstr("Mean E2EL"));
  EXPECT_FALSE(report_json(head, some_metrics(head.percents)).contains("total_output_tokens"));
}

TEST(LoadReport, JsonHasTheKnownNames) {
  ReportHead head = some_head();
  boost::json::object object = report_json(head, some_metrics(head.percents));
  EXPECT_EQ(object["request_rate"], "inf");
  EXPECT_TRUE(object["max_concurrency"].is_null());
  EXPECT_TRUE(object["request_goodput"].is_null());
  EXPECT_EQ(object["completed"].to_number<int>(), 2);
  EXPECT_EQ(object["failed"].to_number<int>(), 1);
  EXPECT_EQ(object["total_output_tokens"].to_number<int>(), 22);
  EXPECT_DOUBLE_EQ(object["output_throughput"].to_number<double>(), 11);
  for (const char* key : {"mean_ttft_ms", "median_tpot_ms", "std_itl_ms", "p50_e2el_ms", "p99.9_ttft_ms",
                          "duration", "request_throughput", "total_token_throughput", "total_input_tokens"})
    EXPECT_TRUE(object.contains(key)) << key;
  EXPECT_EQ(object["failures"].at("429").at("first"), "too many requests");
  head.request_rate = 4;
  head.max_concurrency = 2;
  object = report_json(head, some_metrics(head.percents));
  EXPECT_DOUBLE_EQ(object["request_rate"].to_number<double>(), 4);
  EXPECT_EQ(object["max_concurrency"].to_number<int>(), 2);
}

TEST(LoadReport, FailuresByKind) {
  EXPECT_EQ(failures_text(some_metrics({})), "429: 1 request, the first: too many requests\n");
  EXPECT_EQ(failures_text(Metrics{}), "");
}

}  // namespace
}  // namespace pagoda::load
