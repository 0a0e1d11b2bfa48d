#include "translate/translator.h"

#include <algorithm>

#include "translate/clean.h"

namespace pagoda::translate {
namespace {

// An answer longer than this many tokens is not a translation but a loop. Four tokens of answer for one of
// source covers the scripts that the tokenizers cut finest (Burmese, Khmer, Tibetan).
constexpr std::int32_t kAnswerTokensPerSourceToken = 4;
constexpr std::int32_t kAnswerTokensAtLeast = 64;

// Sampling again with a mild penalty breaks loops and echoes; a glossary term that was not used or a sentence
// that hit the limit comes out the same way again.
bool curable(Problem problem) { return problem != Problem::kMissingTerm && problem != Problem::kTruncated; }

std::size_t num_curable(const Translation& translation) {
  return static_cast<std::size_t>(
      std::count_if(translation.problems.begin(), translation.problems.end(), curable));
}

}  // namespace

bool Translator::needs_model(const Task& task) { return !split_edges(task.source).body.empty(); }

base::Result<engine::Request> Translator::request(const Task& task, const OfficialSampling& sampling,
                                                  std::uint64_t seed) const {
  engine::Request request;
  ASSIGN_OR_RETURN(request.prompt,
                   engine_.chat_template().render(engine_.tokenizer(), build_messages(task, options_.style)));
  request.sampling.temperature = static_cast<float>(sampling.temperature);
  request.sampling.top_p = static_cast<float>(sampling.top_p);
  request.sampling.top_k = sampling.top_k;
  request.sampling.repetition_penalty = static_cast<float>(sampling.repetition_penalty);
  request.sampling.seed = seed;
  const auto source_tokens = static_cast<std::int32_t>(engine_.tokenizer().encode(task.source).size());
  const std::int32_t room = engine_.limits().max_model_len - static_cast<std::int32_t>(request.prompt.size());
  if (room < source_tokens)
    return base::invalid("a text of {} tokens leaves no room for its translation in --max-model-len {}",
                         source_tokens, engine_.limits().max_model_len);
  request.max_tokens =
      std::min({sampling.max_tokens, room,
                std::max(kAnswerTokensAtLeast, kAnswerTokensPerSourceToken * source_tokens)});
  return request;
}

base::Result<Translation> Translator::accept(const Task& task, const engine::Completion& completion) const {
  if (completion.finish == engine::FinishReason::kError ||
      completion.finish == engine::FinishReason::kCancelled)
    return base::error(base::Code::kCancelled, "the engine ended a translation: {} {}",
                       engine::finish_reason_name(completion.finish), completion.error);
  const Cleaned cleaned = clean_answer(task, completion.text);
  Translation translation;
  translation.text = cleaned.text;
  translation.problems = check_answer(task, cleaned, completion.finish == engine::FinishReason::kLength);
  translation.usage = completion.usage;
  return translation;
}

bool Translator::worth_retry(const Translation& translation) const {
  return options_.retry && num_curable(translation) > 0;
}

OfficialSampling Translator::retry_sampling() const {
  return official_sampling(engine_.chat_template().family());
}

Translation Translator::choose(Translation first, Translation second) {
  if (num_curable(second) >= num_curable(first)) return first;
  second.retried = true;
  return second;
}

base::Status Translator::run(const std::vector<Task>& tasks, const std::vector<std::size_t>& indices,
                             const OfficialSampling& sampling,
                             const std::function<void(std::size_t, std::int64_t)>& done,
                             std::vector<Translation>& results) const {
  std::vector<engine::Request> requests;
  for (const std::size_t i : indices) {
    ASSIGN_OR_RETURN(engine::Request next, request(tasks[i], sampling, options_.seed));
    requests.push_back(std::move(next));
  }
  // Two more than a step can hold, so that the next one is there when one ends.
  const std::size_t in_flight = engine_.limits().max_num_seqs + 2;
  ASSIGN_OR_RETURN(const std::vector<engine::Completion> completions,
                   engine::generate_all(engine_, std::move(requests), in_flight, done));
  for (std::size_t j = 0; j < indices.size(); ++j) {
    ASSIGN_OR_RETURN(results[indices[j]], accept(tasks[indices[j]], completions[j]));
  }
  return {};
}

base::Result<std::vector<Translation>> Translator::translate(
    const std::vector<Task>& tasks, const std::function<void(std::size_t, std::int64_t)>& done) const {
  std::vector<Translation> results(tasks.size());
  std::vector<std::size_t> wanted;
  for (std::size_t i = 0; i < tasks.size(); ++i) {
    if (needs_model(tasks[i]))
      wanted.push_back(i);
    else
      results[i].text = tasks[i].source;
  }
  RETURN_IF_ERROR(run(tasks, wanted, options_.sampling, done, results));

  std::vector<std::size_t> again;
  for (const std::size_t i : wanted)
    if (worth_retry(results[i])) again.push_back(i);
  if (again.empty()) return results;
  std::vector<Translation> second = results;
  RETURN_IF_ERROR(run(tasks, again, retry_sampling(), nullptr, second));
  for (const std::size_t i : again) results[i] = choose(std::move(results[i]), std::move(second[i]));
  return results;
}

}  // namespace pagoda::translate
