#pragma once
// What tests of the engine share: engines on the bundled model and on random weights, and a sink that
// remembers what it hears and that the contract of a sink is kept.

#include <gtest/gtest.h>

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/generate.h"
#include "engine/load_engine.h"
#include "text/utf8.h"

namespace pagoda::engine {

inline const char* const kNano = PAGODA_SOURCE_DIR "/models/nano";

inline EngineOptions small_options() {
  EngineOptions options;
  options.runner.max_model_len = 1024;
  options.runner.max_num_seqs = 8;
  options.runner.max_num_batched_tokens = 256;
  options.runner.num_kv_blocks = 512;
  return options;
}

inline std::unique_ptr<Engine> nano_engine(const EngineOptions& options = small_options()) {
  LoadOptions load;
  load.engine = options;
  load.cpu.threads = 2;
  auto engine = load_engine(kNano, load, nullptr);
  EXPECT_TRUE(engine.ok()) << engine.status().message();
  return std::move(engine).value();
}

// The bundled tokenizer on a tiny random model: steps cost next to nothing, so that what happens between them
// happens often.
inline std::unique_ptr<kernels::Ops> deterministic_ops() {
  kernels::CpuOptions cpu;
  cpu.threads = 2;
  cpu.deterministic = true;
  return kernels::make_cpu_ops(cpu);
}
inline std::unique_ptr<Engine> random_engine(const EngineOptions& options,
                                             std::unique_ptr<kernels::Ops> ops = deterministic_ops()) {
  auto tokenizer = text::Tokenizer::load(std::string(kNano) + "/tokenizer.json");
  EXPECT_TRUE(tokenizer.ok()) << tokenizer.status().message();
  auto chat_template = text::ChatTemplate::detect(*tokenizer);
  EXPECT_TRUE(chat_template.ok()) << chat_template.status().message();
  model::DenseShape shape;
  shape.vocab_size = tokenizer->vocab_size();
  shape.hidden_size = 32;
  shape.intermediate_size = 64;
  shape.num_layers = 1;
  shape.num_heads = 2;
  shape.num_kv_heads = 1;
  shape.head_dim = 16;
  auto runner = execute::Runner::random(shape, {kernels::WeightFormat::kBF16, kernels::WeightFormat::kBF16},
                                        std::move(ops), options.runner);
  EXPECT_TRUE(runner.ok()) << runner.status().message();
  return std::make_unique<Engine>(std::move(runner).value(), std::move(tokenizer).value(),
                                  std::move(chat_template).value(), options);
}

// A prompt that the bundled model knows, for a greedy answer.
inline Request translation(const Engine& engine, const std::string& language, const std::string& text) {
  Request request;
  const std::string prompt =
      "Translate the following segment into " + language + ", without additional explanation.\n\n" + text;
  request.prompt = engine.chat_template().render(engine.tokenizer(), {{text::Role::kUser, prompt}}).value();
  request.max_tokens = 64;
  return request;
}

// Runs until somebody cancels it, as far as a test is concerned.
inline Request endless(const Engine& engine) {
  Request request = translation(engine, "French", "Good morning.");
  request.ignore_eos = true;
  request.max_tokens = 0;
  return request;
}

inline bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 6000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return false;
}

// Must outlive the engine it listens to, or have heard the end.
class Recorder {
 public:
  Sink sink() {
    return [this](const Delta& delta) {
      const std::lock_guard lock(mutex_);
      EXPECT_FALSE(finished_) << "a piece after the last one";
      EXPECT_TRUE(ids_.empty() || ids_.back() == delta.id);
      EXPECT_EQ(text::valid_utf8_prefix(delta.text), delta.text.size()) << "no UTF-8: " << delta.text;
      ids_.push_back(delta.id);
      whole_.text += delta.text;
      for (const execute::SampledToken& token : delta.tokens) whole_.tokens.push_back(token);
      whole_.usage = delta.usage;
      if (delta.finish) {
        finished_ = true;
        whole_.finish = *delta.finish;
        whole_.error = delta.error;
      }
      if (on_piece) on_piece(delta);
      changed_.notify_all();
    };
  }

  const Completion& wait() {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(120), [this] { return finished_; })) << "no end";
    return whole_;
  }
  void wait_for_tokens(std::size_t count) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(120),
                                  [&] { return finished_ || whole_.tokens.size() >= count; }));
  }
  bool finished() const {
    const std::lock_guard lock(mutex_);
    return finished_;
  }
  std::size_t pieces() const {
    const std::lock_guard lock(mutex_);
    return ids_.size();
  }

  std::function<void(const Delta&)> on_piece;  // on the engine's thread

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Completion whole_;
  std::vector<RequestId> ids_;
  bool finished_ = false;
};

inline Completion complete(Engine& engine, Request request) {
  Recorder recorder;
  const auto id = engine.submit(std::move(request), recorder.sink());
  EXPECT_TRUE(id.ok()) << id.status().message();
  return id.ok() ? recorder.wait() : Completion();
}

inline std::vector<text::TokenId> ids_of(const Completion& completion) {
  std::vector<text::TokenId> ids;
  for (const execute::SampledToken& token : completion.tokens) ids.emplace_back(token.token);
  return ids;
}

}  // namespace pagoda::engine
