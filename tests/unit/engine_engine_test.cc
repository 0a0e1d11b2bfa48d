// The contract of the engine, on the bundled model: how answers end, what they hold, what is refused.

#include "engine/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "engine_recorder.h"

namespace pagoda::engine {
namespace {

using base::Code;
using ::testing::HasSubstr;

// One engine for all tests that leave it as it is.
class EngineTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { engine_ = nano_engine(); }
  static void TearDownTestSuite() { engine_.reset(); }
  static Request english() {
    return translation(*engine_, "English", "Où est la bibliothèque ? Je cherche un livre.");
  }
  static bool is_model_stop(std::int32_t token) {
    const auto& stops = engine_->chat_template().stop_ids();
    return std::find(stops.begin(), stops.end(), text::TokenId(token)) != stops.end();
  }
  static inline std::unique_ptr<Engine> engine_;
};

TEST_F(EngineTest, EndsByTheModelsStopToken) {
  const Completion completion = complete(*engine_, english());
  EXPECT_EQ(completion.finish, FinishReason::kStop);
  EXPECT_EQ(completion.error, "");
  ASSERT_GT(completion.tokens.size(), 3u);
  EXPECT_TRUE(is_model_stop(completion.tokens.back().token));
  EXPECT_EQ(completion.usage.completion_tokens, static_cast<int>(completion.tokens.size()));
  EXPECT_EQ(completion.usage.prompt_tokens, static_cast<int>(english().prompt.size()));
  EXPECT_THAT(completion.text, HasSubstr("library"));
  EXPECT_EQ(completion.text, engine_->tokenizer().decode(ids_of(completion)));
  EXPECT_EQ(engine_->stats().kv_blocks_used, 0);
}

TEST_F(EngineTest, EndsByLength) {
  Request request = english();
  for (const int length : {1, 2, 3}) {
    request.max_tokens = length;
    const Completion completion = complete(*engine_, request);
    EXPECT_EQ(completion.finish, FinishReason::kLength);
    EXPECT_EQ(completion.tokens.size(), static_cast<std::size_t>(length));
    EXPECT_EQ(completion.usage.completion_tokens, length);
    EXPECT_EQ(completion.text, engine_->tokenizer().decode(ids_of(completion)));
  }
}

TEST_F(EngineTest, IgnoreEosGoesOnToTheLimit) {
  Request request = english();
  request.ignore_eos = true;
  request.max_tokens = 50;
  const Completion completion = complete(*engine_, request);
  EXPECT_EQ(completion.finish, FinishReason::kLength);
  ASSERT_EQ(completion.tokens.size(), 50u);
  EXPECT_TRUE(std::any_of(completion.tokens.begin(), completion.tokens.end(),
                          [](const auto& token) { return is_model_stop(token.token); }));
  // A stop id of the request's own still counts.
  request.stop_token_ids = {text::TokenId(completion.tokens[4].token)};
  EXPECT_EQ(complete(*engine_, request).finish, FinishReason::kStop);
}

TEST_F(EngineTest, EndsByAStopTokenOfTheRequest) {
  const Completion whole = complete(*engine_, english());
  Request request = english();
  request.stop_token_ids = {text::TokenId(whole.tokens[3].token), text::TokenId(1 << 30)};
  const Completion completion = complete(*engine_, request);
  EXPECT_EQ(completion.finish, FinishReason::kStop);
  ASSERT_LE(completion.tokens.size(), 4u);
  std::vector<text::TokenId> ids = ids_of(completion);
  ids.pop_back();  // the stop token is counted, its text is not part of the answer
  EXPECT_EQ(completion.text, engine_->tokenizer().decode(ids));
}

TEST_F(EngineTest, EndsByAStopStringOverSeveralTokens) {
  const Completion whole = complete(*engine_, english());
  // From the middle of one token over a whole one into a third.
  const std::vector<text::TokenId> ids = ids_of(whole);
  const auto length = [&](std::size_t i) { return engine_->tokenizer().token_bytes(ids[i]).size(); };
  const std::size_t begin = length(0) + length(1) - 1;
  const std::string stop = whole.text.substr(begin, 1 + length(2) + 1);
  const std::size_t found = whole.text.find(stop);
  ASSERT_GE(stop.size(), 3u);

  Request request = english();
  request.stop = {"never in the text", stop};
  const Completion without = complete(*engine_, request);
  EXPECT_EQ(without.finish, FinishReason::kStop);
  EXPECT_EQ(without.text, whole.text.substr(0, found));
  EXPECT_LT(without.tokens.size(), whole.tokens.size());

  request.include_stop = true;
  EXPECT_EQ(complete(*engine_, request).text, whole.text.substr(0, found + stop.size()));
}

// What might have begun a stop string is not lost when the answer ends otherwise.
TEST_F(EngineTest, HeldBackTextComesWithTheEnd) {
  const Completion whole = complete(*engine_, english());
  Request request = english();
  request.stop = {whole.text.substr(whole.text.size() - 4) + "#"};
  const Completion completion = complete(*engine_, request);
  EXPECT_EQ(completion.text, whole.text);
  EXPECT_EQ(completion.finish, FinishReason::kStop);
}

// The recorder checks each piece to be UTF-8.
TEST_F(EngineTest, PiecesNeverSplitACharacter) {
  const struct {
    const char* language;
    const char* text;
  } cases[] = {{"Chinese", "The weather is nice today, let us go to the park."},
               {"Arabic", "Good morning, where is the train station?"},
               {"Japanese", "I would like to drink a cup of tea."},
               {"Hindi", "The book is on the table."},
               {"English", "😀🎉👩‍👩‍👧‍👦 很好 🇫🇷"}};
  for (const auto& c : cases)
    for (const float temperature :
         {0.0f, 1.0f, 3.0f}) {  // 3: nearly random tokens, halves of characters among them
      SCOPED_TRACE(std::string(c.language) + " " + std::to_string(temperature));
      Request request = translation(*engine_, c.language, c.text);
      request.sampling.temperature = temperature;
      request.sampling.seed = 5;
      request.ignore_eos = temperature > 1;
      const Completion completion = complete(*engine_, request);
      EXPECT_EQ(completion.text, engine_->tokenizer().decode(ids_of(completion)));
    }
}

TEST_F(EngineTest, Logprobs) {
  Request request = english();
  request.sampling.logprobs = 5;
  const Completion completion = complete(*engine_, request);
  for (const execute::SampledToken& token : completion.tokens) {
    EXPECT_LE(token.logprob, 1e-4f);
    ASSERT_EQ(token.top_logprobs.size(), 5u);
    EXPECT_EQ(token.top_logprobs[0].token, token.token);  // greedy
    EXPECT_EQ(token.top_logprobs[0].logprob, token.logprob);
    for (std::size_t i = 1; i < 5; ++i)
      EXPECT_GE(token.top_logprobs[i - 1].logprob, token.top_logprobs[i].logprob);
  }
  request.sampling.logprobs = -1;
  for (const execute::SampledToken& token : complete(*engine_, request).tokens)
    EXPECT_TRUE(token.top_logprobs.empty());
}

TEST_F(EngineTest, RefusesWithTheReasonAndTheSinkHearsNothing) {
  const struct {
    std::function<void(Request&)> change;
    std::vector<std::string> words;
  } cases[] = {
      {[](auto& r) { r.prompt.clear(); }, {"prompt"}},
      {[](auto& r) { r.prompt[1] = text::TokenId(-1); }, {"-1", "24575"}},
      {[](auto& r) { r.prompt[1] = text::TokenId(24576); }, {"24576", "24575"}},
      {[](auto& r) { r.max_tokens = -1; }, {"max_tokens", "-1"}},
      {[](auto& r) { r.max_tokens = 1024; }, {"1024", "--max-model-len"}},
      {[](auto& r) { r.max_tokens = 1 << 30; }, {"1073741824", "--max-model-len"}},
      {[](auto& r) {
         r.prompt.resize(1024);
         r.max_tokens = 0;
       },
       {"1024", "--max-model-len"}},
      {[](auto& r) { r.prompt.resize(100000); }, {"100000", "--max-model-len"}},
      {[](auto& r) {
         r.stop = {"x", ""};
       },
       {"stop", "empty"}},
      {[](auto& r) { r.sampling.top_p = 0; }, {"top_p"}},
      {[](auto& r) { r.sampling.temperature = -1; }, {"temperature"}},
      {[](auto& r) { r.sampling.logprobs = 21; }, {"logprobs"}},
  };
  const Stats before = engine_->stats();
  for (const auto& c : cases) {
    Request request = english();
    c.change(request);
    Recorder recorder;
    const auto id = engine_->submit(std::move(request), recorder.sink());
    EXPECT_EQ(id.status().code(), Code::kInvalidArgument) << c.words[0];
    for (const std::string& word : c.words) EXPECT_THAT(id.status().message(), HasSubstr(word));
    complete(*engine_, english());  // whatever was wrongly accepted would be heard by now
    EXPECT_EQ(recorder.pieces(), 0u) << c.words[0];
  }
  EXPECT_EQ(engine_->stats().prompt_tokens - before.prompt_tokens,
            static_cast<std::int64_t>(std::size(cases) * english().prompt.size()));
}

TEST_F(EngineTest, TheLongestRequestThatFits) {
  Request request = english();
  request.ignore_eos = true;
  request.max_tokens = 0;
  const auto room = static_cast<std::size_t>(1024 - request.prompt.size());
  const Completion completion = complete(*engine_, request);
  EXPECT_EQ(completion.finish, FinishReason::kLength);
  EXPECT_EQ(completion.tokens.size(), room);
}

TEST_F(EngineTest, CancelWhileRunning) {
  Recorder recorder;
  const auto id = engine_->submit(endless(*engine_), recorder.sink());
  ASSERT_TRUE(id.ok());
  recorder.wait_for_tokens(5);
  EXPECT_GT(engine_->stats().kv_blocks_used, 0);
  EXPECT_EQ(engine_->stats().running, 1);
  engine_->cancel(*id);
  const Completion completion = recorder.wait();
  EXPECT_EQ(completion.finish, FinishReason::kCancelled);
  EXPECT_GE(completion.tokens.size(), 5u);
  EXPECT_EQ(completion.usage.completion_tokens, static_cast<int>(completion.tokens.size()));
  EXPECT_EQ(completion.text, engine_->tokenizer().decode(ids_of(completion)));
  EXPECT_EQ(engine_->stats().kv_blocks_used, 0);  // at once, not soon
  EXPECT_EQ(engine_->stats().running, 0);
}

TEST_F(EngineTest, CancellingTwiceOrNobodyDoesNothing) {
  Recorder recorder;
  const auto id = engine_->submit(endless(*engine_), recorder.sink());
  ASSERT_TRUE(id.ok());
  for (int i = 0; i < 3; ++i) engine_->cancel(*id);  // before the first step, most likely
  EXPECT_EQ(recorder.wait().finish, FinishReason::kCancelled);
  engine_->cancel(*id);
  for (const std::int64_t unknown : {-1ll, 0ll, 1ll << 40}) engine_->cancel(RequestId(unknown));
  EXPECT_EQ(complete(*engine_, english()).finish, FinishReason::kStop);
  EXPECT_TRUE(recorder.finished());
}

TEST_F(EngineTest, SaltsDoNotSharePrefixes) {
  Request request = english();  // at least one whole block of 16
  request.max_tokens = 2;
  const auto hits = [&](std::uint64_t salt) {
    request.salt = salt;
    const std::int64_t before = engine_->stats().prefix_hits_tokens;
    const Completion completion = complete(*engine_, request);
    const std::int64_t counted = engine_->stats().prefix_hits_tokens - before;
    EXPECT_EQ(counted, completion.usage.cached_tokens);
    return counted;
  };
  EXPECT_EQ(hits(101), 0);
  EXPECT_GE(hits(101), 16);
  EXPECT_EQ(hits(102), 0);
  EXPECT_GE(hits(102), 16);
  EXPECT_LT(hits(101),
            static_cast<std::int64_t>(request.prompt.size()));  // the last token is always computed
}

TEST_F(EngineTest, CountersAddUp) {
  const Stats before = engine_->stats();
  Request request = english();
  request.max_tokens = 2;
  std::int64_t tokens = complete(*engine_, english()).usage.completion_tokens;
  tokens += complete(*engine_, request).usage.completion_tokens;
  const Stats after = engine_->stats();
  EXPECT_EQ(after.generated_tokens - before.generated_tokens, tokens);
  EXPECT_EQ(after.finished[static_cast<int>(FinishReason::kStop)], before.finished[0] + 1);
  EXPECT_EQ(after.finished[static_cast<int>(FinishReason::kLength)], before.finished[1] + 1);
  EXPECT_GT(after.steps, before.steps);
  EXPECT_EQ(after.kv_blocks_total, 512);
}

TEST_F(EngineTest, TwoEnginesInOneProcess) {
  const auto other = nano_engine();
  std::vector<Recorder> here(4), there(4);
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(engine_->submit(english(), here[i].sink()).ok());
    ASSERT_TRUE(other->submit(english(), there[i].sink()).ok());
  }
  for (int i = 0; i < 4; ++i) EXPECT_EQ(here[i].wait().text, there[i].wait().text);
}

TEST(Generate, AllInOrderAndStopsAtTheFirstRefused) {
  const auto engine = nano_engine();
  std::vector<Request> requests;
  for (int i = 0; i < 12; ++i) {
    requests.push_back(translation(*engine, "French", "I have " + std::to_string(i + 2) + " books."));
    requests.back().max_tokens = 3 + i % 5;
  }
  std::size_t last = 0;
  const auto answers = generate_all(*engine, requests, 3, [&](std::size_t done, std::int64_t tokens) {
    EXPECT_GT(done, last);
    EXPECT_GT(tokens, 0);
    last = done;
  });
  ASSERT_TRUE(answers.ok()) << answers.status().message();
  EXPECT_EQ(last, requests.size());
  for (std::size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ((*answers)[i].usage.prompt_tokens, static_cast<int>(requests[i].prompt.size()));
    EXPECT_LE((*answers)[i].tokens.size(), static_cast<std::size_t>(requests[i].max_tokens));
    EXPECT_EQ((*answers)[i].text, complete(*engine, requests[i]).text);
  }
  requests[5].prompt.clear();
  const auto refused = generate_all(*engine, requests, 3, nullptr);
  EXPECT_EQ(refused.status().code(), Code::kInvalidArgument);
  EXPECT_EQ(engine->stats().running + engine->stats().waiting, 0);
  EXPECT_TRUE(generate_all(*engine, {}, 3, nullptr).ok());
}

}  // namespace
}  // namespace pagoda::engine
