// Promise 4: the same tokens whatever the batch, the chunks, the block size, the prefix cache, and preempted
// or not. Exact, on the bundled model, in --deterministic (which only differs from the default where there is
// AMX).

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <map>

#include "engine/generate.h"
#include "engine/load_engine.h"

namespace pagoda::engine {
namespace {

const std::vector<std::string> kTexts = {
    "Good morning, how are you today?",
    "The train to Berlin leaves at 8:45 from platform 12.",
    "我们明天去北京，后天回上海。",
    "Please do not forget to bring your passport and two copies of the form.",
    "Le chat dort sur le canapé depuis ce matin.",
    "Мне нужно купить хлеб, молоко и яйца.",
    "She said that the meeting had been moved to Friday afternoon because the room was too small.",
    "今日はとても暑いですね。",
    "Where can I buy a ticket?",
    "La bibliothèque ferme à dix-huit heures, sauf le dimanche.",
    "El perro de mi vecino ladra toda la noche.",
    "I have lived in this city for more than twenty years, and I still find new places.",
    "这本书是谁写的？",
    "Ich möchte einen Tisch für vier Personen reservieren.",
    "The weather forecast says that it will snow in the mountains.",
    "Can you help me move this table to the other side of the room?",
};

std::unique_ptr<Engine> make_engine(const EngineOptions& options) {
  LoadOptions load;
  load.engine = options;
  load.cpu.threads = 2;
  load.cpu.deterministic = true;
  auto engine = load_engine(PAGODA_SOURCE_DIR "/models/nano", load, nullptr);
  EXPECT_TRUE(engine.ok()) << engine.status().message();
  return std::move(engine).value();
}

EngineOptions base_options() {
  EngineOptions options;
  options.runner.max_model_len = 512;
  options.runner.max_num_seqs = 16;
  options.runner.max_num_batched_tokens = 512;
  options.runner.num_kv_blocks = 512;
  return options;
}

std::vector<Request> requests(const Engine& engine, float temperature) {
  std::vector<Request> all;
  for (const std::string& text : kTexts) {
    Request request;
    const std::string prompt = "将以下文本翻译为英语，注意只需要输出翻译后的结果，不要额外解释：\n\n" + text;
    request.prompt = engine.chat_template().render(engine.tokenizer(), {{text::Role::kUser, prompt}}).value();
    request.max_tokens = 48;
    request.ignore_eos = true;  // long answers, so that blocks run out
    request.sampling.temperature = temperature;
    request.sampling.top_k = 20;
    request.sampling.top_p = 0.9f;
    request.sampling.repetition_penalty = 1.05f;
    request.sampling.seed = all.size();
    all.push_back(std::move(request));
  }
  return all;
}

using Tokens = std::vector<std::vector<std::int32_t>>;

Tokens run(Engine& engine, float temperature, std::size_t in_flight) {
  const auto completions = generate_all(engine, requests(engine, temperature), in_flight, nullptr);
  EXPECT_TRUE(completions.ok()) << completions.status().message();
  Tokens tokens;
  for (const Completion& completion : *completions) {
    tokens.emplace_back();
    for (const execute::SampledToken& token : completion.tokens) tokens.back().push_back(token.token);
  }
  return tokens;
}

class Equivalence : public ::testing::TestWithParam<float> {
 protected:
  void expect_same(const EngineOptions& options, std::size_t in_flight = 64) {
    const auto engine = make_engine(options);
    EXPECT_EQ(run(*engine, GetParam(), in_flight), baseline());
  }
  // One after another, in whole prompts.
  const Tokens& baseline() {
    static std::map<float, Tokens> tokens;
    if (!tokens.contains(GetParam())) {
      EngineOptions options = base_options();
      options.prefix_caching = false;
      tokens[GetParam()] = run(*make_engine(options), GetParam(), 1);
    }
    return tokens[GetParam()];
  }
};

TEST_P(Equivalence, AllAtOnce) { expect_same(base_options()); }

TEST_P(Equivalence, SmallChunks) {
  EngineOptions options = base_options();
  options.runner.max_num_batched_tokens = 16;
  expect_same(options);
}

TEST_P(Equivalence, BlockSizes) {
  for (const int block_size : {8, 64, 512}) {
    SCOPED_TRACE(block_size);
    EngineOptions options = base_options();
    options.runner.block_size = block_size;
    options.runner.num_kv_blocks = 8192 / block_size;
    expect_same(options);
  }
}

TEST_P(Equivalence, PrefixCacheHits) {
  const auto engine = make_engine(base_options());
  run(*engine, GetParam(), 64);
  const std::int64_t before = engine->stats().prefix_hits_tokens;
  EXPECT_EQ(run(*engine, GetParam(), 64), baseline());
  EXPECT_GT(engine->stats().prefix_hits_tokens, before);
}

TEST_P(Equivalence, Preempted) {
  for (const bool prefix_caching : {false, true}) {
    EngineOptions options = base_options();
    options.prefix_caching = prefix_caching;
    options.runner.block_size = 8;
    options.runner.num_kv_blocks = 40;  // three or four of the sixteen sequences at full length
    const auto engine = make_engine(options);
    EXPECT_EQ(run(*engine, GetParam(), 64), baseline());
    EXPECT_GT(engine->stats().preemptions, 0);
    EXPECT_EQ(engine->stats().kv_blocks_used, 0);
  }
}

TEST_P(Equivalence, OneThread) {
  LoadOptions load;
  load.engine = base_options();
  load.cpu.deterministic = true;
  load.cpu.threads = 1;
  const auto engine = load_engine(PAGODA_SOURCE_DIR "/models/nano", load, nullptr);
  ASSERT_TRUE(engine.ok());
  EXPECT_EQ(run(**engine, GetParam(), 64), baseline());
}

INSTANTIATE_TEST_SUITE_P(Temperature, Equivalence, ::testing::Values(0.0f, 0.7f),
                         [](const auto& info) { return info.param == 0 ? "greedy" : "sampled"; });

}  // namespace
}  // namespace pagoda::engine
