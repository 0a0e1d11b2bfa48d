#include "evaluate/answers.h"

#include <algorithm>
#include <numeric>

#include "engine/generate.h"
#include "translate/clean.h"
#include "translate/translator.h"

namespace pagoda::evaluate {
namespace {

std::string in_one_line(std::string text) {
  std::replace_if(
      text.begin(), text.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  return text;
}

// Neighbours in the order that was given, which share a language pair and so the beginning of their prompts,
// stay near each other; within a stretch of this many the long ones come first, so that the last steps of a
// run are not one long answer alone.
constexpr std::size_t kStretch = 2048;

std::vector<std::size_t> order_of(const std::vector<Question>& questions) {
  std::vector<std::size_t> order(questions.size());
  std::iota(order.begin(), order.end(), 0);
  for (std::size_t begin = 0; begin < order.size(); begin += kStretch) {
    const std::size_t end = std::min(begin + kStretch, order.size());
    std::stable_sort(order.begin() + static_cast<std::ptrdiff_t>(begin),
                     order.begin() + static_cast<std::ptrdiff_t>(end), [&](std::size_t a, std::size_t b) {
                       return questions[a].task.source.size() > questions[b].task.source.size();
                     });
  }
  return order;
}

Answer make_answer(const Question& question, const engine::Completion& completion) {
  Answer answer;
  answer.raw = completion.text;
  answer.text = in_one_line(translate::clean_answer(question.task, completion.text).text);
  answer.stopped = completion.finish == engine::FinishReason::kStop;
  answer.prompt_tokens = completion.usage.prompt_tokens;
  answer.cached_tokens = completion.usage.cached_tokens;
  answer.answer_tokens = completion.usage.completion_tokens;
  return answer;
}

}  // namespace

base::Result<std::vector<Answer>> answer_all(engine::Engine& engine, const std::vector<Question>& questions,
                                             const AnswerOptions& options,
                                             const std::function<void(std::size_t, std::int64_t)>& done) {
  translate::TranslatorOptions translator_options;
  translator_options.style = options.style;
  translator_options.retry = false;
  const translate::Translator translator(engine, translator_options);

  const std::vector<std::size_t> order = order_of(questions);
  std::vector<engine::Request> requests;
  requests.reserve(order.size());
  for (const std::size_t i : order) {
    auto request = translator.request(questions[i].task, translate::kGreedy, /*seed=*/0);
    if (!request.ok())
      return base::Status(request.status().code(),
                          fmt::format("{}: {}", questions[i].origin, request.status().message()));
    if (options.max_tokens > 0) {
      const std::int32_t room =
          engine.limits().max_model_len - static_cast<std::int32_t>(request->prompt.size());
      request->max_tokens = std::min(options.max_tokens, room);
    }
    requests.push_back(std::move(*request));
  }
  // Twice what a step can hold: the next ones are there whenever some end.
  const std::size_t in_flight = 2 * static_cast<std::size_t>(engine.limits().max_num_seqs);
  ASSIGN_OR_RETURN(const std::vector<engine::Completion> completions,
                   engine::generate_all(engine, std::move(requests), in_flight, done));
  std::vector<Answer> answers(questions.size());
  for (std::size_t j = 0; j < order.size(); ++j) {
    const engine::Completion& completion = completions[j];
    if (completion.finish == engine::FinishReason::kError ||
        completion.finish == engine::FinishReason::kCancelled)
      return base::error(base::Code::kInternal, "{}: the engine ended the translation: {} {}",
                         questions[order[j]].origin, engine::finish_reason_name(completion.finish),
                         completion.error);
    answers[order[j]] = make_answer(questions[order[j]], completion);
  }
  return answers;
}

}  // namespace pagoda::evaluate
