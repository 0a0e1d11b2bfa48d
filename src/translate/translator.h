#pragma once
// Tasks to translations through the engine: prompt, generate, clean, check, and one more try with other
// settings where the check finds something that trying again can cure. translate() does it all and blocks;
// those who wait in another way (serve/) take the same steps one by one. Any thread.

#include <functional>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/generate.h"
#include "translate/check.h"
#include "translate/prompts.h"
#include "translate/sampling.h"
#include "translate/task.h"

namespace pagoda::translate {

struct TranslatorOptions {
  PromptStyle style = PromptStyle::kHyMt15;
  OfficialSampling sampling = kGreedy;
  std::uint64_t seed = 0;
  bool retry = true;
};

struct Translation {
  std::string text;
  std::vector<Problem> problems{};  // that the check still finds
  bool retried = false;             // this is the second answer
  engine::Usage usage{};            // of the answer that was taken
};

class Translator {
 public:
  Translator(engine::Engine& engine, const TranslatorOptions& options) : engine_(engine), options_(options) {}

  // A source of white space alone is its own translation: nothing is asked.
  static bool needs_model(const Task& task);
  // What to ask the engine. kInvalidArgument for a text that the model has no room for.
  base::Result<engine::Request> request(const Task& task, const OfficialSampling& sampling,
                                        std::uint64_t seed) const;
  // kCancelled when the engine ended the request instead of the model.
  base::Result<Translation> accept(const Task& task, const engine::Completion& completion) const;
  // Whether to ask once more, with retry_sampling().
  bool worth_retry(const Translation& translation) const;
  OfficialSampling retry_sampling() const;
  // The better of two answers to one task.
  static Translation choose(Translation first, Translation second);
  const TranslatorOptions& options() const { return options_; }

  // In the order of the tasks. `done` (may be empty)
  // hears how many are translated and how many tokens that took.
  base::Result<std::vector<Translation>> translate(
      const std::vector<Task>& tasks, const std::function<void(std::size_t, std::int64_t)>& done) const;

 private:
  // Translates tasks[i] for each i of `indices` into results[i].
  base::Status run(const std::vector<Task>& tasks, const std::vector<std::size_t>& indices,
                   const OfficialSampling& sampling,
                   const std::function<void(std::size_t, std::int64_t)>& done,
                   std::vector<Translation>& results) const;

  engine::Engine& engine_;
  TranslatorOptions options_;
};

}  // namespace pagoda::translate
