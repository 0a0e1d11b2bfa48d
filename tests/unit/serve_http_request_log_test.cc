#include "serve/http/request_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <cstdlib>

namespace pagoda::serve {
namespace {

using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;

HttpRequest translated() {
  HttpRequest request;
  request.method = "POST";
  request.path = "/secret/path";
  request.id = "id-1";
  request.client = 2;
  request.trace->prompt_tokens = 7;
  request.trace->cached_tokens = 5;
  request.trace->completion_tokens = 3;
  request.trace->finish = "stop";
  request.trace->input = "a \"private\"\ntext";
  request.trace->output = "une \u00e9\x01";
  return request;
}

// What answered() writes for requests with these statuses.
std::string written(double sample, const std::vector<int>& statuses) {
  char* data = nullptr;
  std::size_t size = 0;
  std::FILE* stream = open_memstream(&data, &size);
  const RequestLog log({sample, false, stream});
  for (const int status : statuses) log.answered(translated(), "/translate", status, 0.25);
  std::fclose(stream);
  std::string text(data, size);
  std::free(data);
  return text;
}

TEST(RequestLog, ALineIsOneObjectWithoutTexts) {
  const std::string line = RequestLog({}).line(translated(), "/translate", 200, 0.25);
  EXPECT_THAT(line, Not(HasSubstr("\n")));
  EXPECT_THAT(line, Not(HasSubstr("private")));
  EXPECT_THAT(line, Not(HasSubstr("secret")));  // a path may hold a key: the route stands for it
  const boost::json::value body = boost::json::parse(line);
  EXPECT_THAT(std::string(body.at("time").as_string()),
              MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"));
  EXPECT_EQ(body.at("id").as_string(), "id-1");
  EXPECT_EQ(body.at("client").as_int64(), 2);
  EXPECT_EQ(body.at("method").as_string(), "POST");
  EXPECT_EQ(body.at("route").as_string(), "/translate");
  EXPECT_EQ(body.at("status").as_int64(), 200);
  EXPECT_EQ(body.at("seconds").as_double(), 0.25);
  EXPECT_EQ(body.at("prompt_tokens").as_int64(), 7);
  EXPECT_EQ(body.at("cached_tokens").as_int64(), 5);
  EXPECT_EQ(body.at("completion_tokens").as_int64(), 3);
  EXPECT_EQ(body.at("finish_reason").as_string(), "stop");
}

TEST(RequestLog, TextsAreThereWhereTheyWereAskedFor) {
  RequestLogOptions options;
  options.texts = true;
  const RequestLog log(options);
  const std::string line = log.line(translated(), "/translate", 200, 0.25);
  EXPECT_THAT(line, Not(HasSubstr("\n")));
  const boost::json::value body = boost::json::parse(line);
  EXPECT_EQ(body.at("input").as_string(), translated().trace->input);
  EXPECT_EQ(body.at("output").as_string(), translated().trace->output);
  EXPECT_FALSE(boost::json::parse(log.line({}, "", 404, 0)).as_object().contains("input"));
}

TEST(RequestLog, WhatNeverMetTheEngineHasNoTokens) {
  const boost::json::value body = boost::json::parse(RequestLog({}).line({}, "", 404, 0));
  EXPECT_EQ(body.at("route").as_string(), "");
  EXPECT_FALSE(body.as_object().contains("prompt_tokens"));
  EXPECT_FALSE(body.as_object().contains("finish_reason"));
}

TEST(RequestLog, WritesTheShareAskedForAndEveryFailure) {
  EXPECT_EQ(written(0, {200, 404, 429, 499}), "");
  EXPECT_THAT(written(0, {200, 500}), MatchesRegex("\\{[^\n]*\"status\":500,[^\n]*\\}\n"));
  const std::string all = written(1, {200, 404});
  EXPECT_EQ(std::count(all.begin(), all.end(), '\n'), 2);
  const std::string some = written(0.3, std::vector<int>(3000, 200));
  const auto lines = std::count(some.begin(), some.end(), '\n');
  EXPECT_GT(lines, 700);  // 900 expected, 25 is the deviation
  EXPECT_LT(lines, 1100);
}

}  // namespace
}  // namespace pagoda::serve
