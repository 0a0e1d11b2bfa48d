// Which text of a chat is to be translated, and into what (openai_translation.h).

#include <boost/json/value.hpp>

#include "serve/json_body.h"
#include "serve/openai/translation.h"
#include "serve/openai/translation_instruction.h"
#include "serve/text_request.h"

namespace pagoda::serve {
namespace {

base::Status prefixed(std::string_view field, const base::Status& status) {
  return base::error(status.code(), "{}: {}", field, status.message());
}

base::Status read_options(const boost::json::object& options, TextJob& job) {
  const JsonFields fields(options);
  std::string from, to;
  for (const auto& [name, out] :
       {std::pair("source_lang", &from), std::pair("target_lang", &to), std::pair("domains", &job.context)}) {
    const base::Status status = fields.read(name, out);
    if (!status.ok()) return base::invalid("translation_options.{}", status.message());
  }
  const base::Status languages = set_languages(from, to, job);
  if (!languages.ok()) return prefixed("translation_options", languages);
  if (!fields.has("terms")) return {};
  base::Result<std::shared_ptr<const translate::Glossary>> terms = parse_terms(options.at("terms"));
  if (!terms.ok()) return prefixed("translation_options.terms", terms.status());
  job.glossary = std::move(terms).value();
  return {};
}

// The language that the conversation before the last message asks for, the latest mention first.
const translate::Language* asked_before(const std::vector<text::Message>& messages) {
  for (std::size_t i = messages.size() - 1; i-- > 0;) {
    if (messages[i].role == text::Role::kAssistant) continue;
    if (const auto found = find_target_language(messages[i].content)) return found->language;
  }
  return nullptr;
}

// An instruction in the message itself counts before one that came earlier, unless they disagree: then it is
// more likely a sentence of the text.
base::Status read_messages(const std::vector<text::Message>& messages, TextJob& job) {
  const std::string& message = messages.back().content;
  job.text = message;
  job.to = asked_before(messages);
  const auto found = find_target_language(message);
  if (found && (job.to == nullptr || job.to == found->language)) {
    const std::optional<std::string_view> text = text_behind_instruction(message, found->end);
    if (text) job.text = *text;
    if (!text && job.to == nullptr)
      return base::invalid(
          "messages[{}] does not tell the text from the instruction; put the text behind a colon or an empty "
          "line, or send it alone with translation_options",
          messages.size() - 1);
    job.to = found->language;
  }
  if (job.to == nullptr)
    return base::invalid(
        R"(messages name no target language that the model knows; send "translation_options": )"
        R"({{"target_lang": "fr"}}, or an instruction such as "Translate to French:" before the text or in the )"
        R"(system message ({}))",
        translate::kHowToListLanguages);
  return {};
}

}  // namespace

base::Result<std::optional<TextJob>> openai_translation_job(const OpenAiRequest& request,
                                                            bool translate_chat) {
  if (!translate_chat && !request.translation_options) return std::optional<TextJob>();
  if (request.messages.back().role != text::Role::kUser)
    return base::invalid("messages[{}] must be the user's: it is the text to translate",
                         request.messages.size() - 1);
  for (const auto& [name, wanted] :
       {std::pair("n", request.n > 1), std::pair("logprobs", request.wants_logprobs())})
    if (wanted)
      return base::error(base::Code::kUnimplemented, "{} is not supported where a chat is translated", name);
  TextJob job;
  if (request.translation_options) {
    job.text = request.messages.back().content;
    RETURN_IF_ERROR(read_options(*request.translation_options, job));
  } else {
    RETURN_IF_ERROR(read_messages(request.messages, job));
  }
  const execute::Sampling& sampling = request.request.sampling;
  translate::OfficialSampling wanted{sampling.temperature, sampling.top_p, sampling.top_k,
                                     sampling.repetition_penalty, translate::kGreedy.max_tokens};
  if (request.request.max_tokens > 0)
    wanted.max_tokens = std::min(wanted.max_tokens, request.request.max_tokens);
  job.sampling = wanted;
  job.seed = request.seed;
  return std::optional<TextJob>(std::move(job));
}

}  // namespace pagoda::serve
