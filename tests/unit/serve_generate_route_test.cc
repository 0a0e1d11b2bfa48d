#include "serve/generate_route.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

namespace pagoda::serve {
namespace {

using ::testing::ElementsAre;

TEST(GenerateRoute, FieldsThatAreNotGivenAreGreedy) {
  const auto parsed = parse_generate(R"({"prompt": "x", "temperature": null})");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_FALSE(parsed.value().raw);
  const engine::Request& request = parsed.value().request;
  EXPECT_EQ(request.max_tokens, 0);  // as many as there is room for
  EXPECT_EQ(request.priority, 0);
  EXPECT_TRUE(request.stop.empty());
  EXPECT_EQ(request.sampling.temperature, 0);
  EXPECT_EQ(request.sampling.top_k, 0);
  EXPECT_EQ(request.sampling.top_p, 1);
  EXPECT_EQ(request.sampling.min_p, 0);
  EXPECT_EQ(request.sampling.repetition_penalty, 1);
}

TEST(GenerateRoute, TakesEveryField) {
  const auto parsed = parse_generate(
      R"({"prompt": "x", "raw": true, "max_tokens": 9, "temperature": 0.5, "top_p": 0.25, "top_k": 20,
          "min_p": 0.125, "repetition_penalty": 1.5, "seed": 7, "stop": ["a", "b"], "priority": -3})");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_TRUE(parsed.value().raw);
  const engine::Request& request = parsed.value().request;
  EXPECT_EQ(request.max_tokens, 9);
  EXPECT_EQ(request.priority, -3);
  EXPECT_THAT(request.stop, ElementsAre("a", "b"));
  EXPECT_EQ(request.sampling.temperature, 0.5f);
  EXPECT_EQ(request.sampling.top_k, 20);
  EXPECT_EQ(request.sampling.top_p, 0.25f);
  EXPECT_EQ(request.sampling.min_p, 0.125f);
  EXPECT_EQ(request.sampling.repetition_penalty, 1.5f);
  EXPECT_EQ(request.sampling.seed, 7u);
}

TEST(GenerateRoute, ChecksRangesBeforeThePromptIsEncoded) {
  for (const char* field : {R"("temperature": -0.1)", R"("temperature": 1e9)", R"("top_p": 0)",
                            R"("top_p": 1.1)", R"("top_k": -2)", R"("top_k": 2147483648)", R"("min_p": 2)",
                            R"("repetition_penalty": 0)", R"("max_tokens": -1)", R"("max_tokens": 1e10)",
                            R"("priority": 1e10)", R"("raw": "yes")", R"("seed": "7")"}) {
    const auto parsed = parse_generate(std::string(R"({"prompt": "x", )") + field + "}");
    ASSERT_FALSE(parsed.ok()) << field;
    EXPECT_EQ(parsed.status().code(), base::Code::kInvalidArgument);
    const std::string name(field + 1, std::string_view(field).find('"', 1) - 1);
    EXPECT_TRUE(parsed.status().message().starts_with(name + " is ")) << parsed.status().message();
  }
}

TEST(GenerateRoute, WritesPlainNumbers) {
  engine::Completion completion;
  completion.text = "a\"\n\u00e9";
  completion.finish = engine::FinishReason::kStop;
  completion.usage = {3, 2, 5};
  EXPECT_EQ(generate_json(completion, 0.5),
            "{\"text\":\"a\\\"\\n\u00e9\",\"generation_time\":0.500000,\"tokens_per_second\":10.00,"
            "\"finish_reason\":\"stop\",\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5,\"cached_"
            "tokens\":2}}");
}

}  // namespace
}  // namespace pagoda::serve
