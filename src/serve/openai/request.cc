#include "serve/openai/request.h"

#include <boost/json/value.hpp>
#include <limits>

#include "serve/json_body.h"

namespace pagoda::serve {
namespace json = boost::json;
namespace {

constexpr std::size_t kMaxStopStrings = 16;  // as /generate
constexpr std::size_t kMaxStopIds = 256;
constexpr std::int32_t kDefaultCompletionTokens = 16;
constexpr std::int64_t kMaxInt = std::numeric_limits<std::int32_t>::max();

const json::value* find(const json::object& body, std::string_view name) {
  const json::value* value = body.if_contains(json::string_view(name.data(), name.size()));
  return value == nullptr || value->is_null() ? nullptr : value;
}

base::Status unsupported(std::string_view name, std::string_view instead) {
  return base::error(base::Code::kUnimplemented, "{} is not supported here; {}", name, instead);
}

// Fields of the API that ask for what the engine does not have. Their neutral values, which many clients send
// always, are taken.
base::Status refuse_unsupported(const json::object& body, OpenAiKind kind) {
  const JsonFields fields(body);
  for (const char* name : {"frequency_penalty", "presence_penalty"}) {
    float penalty = 0;
    RETURN_IF_ERROR(fields.read(name, &penalty));
    if (penalty != 0) return unsupported(name, "leave it out or 0 (there is repetition_penalty)");
  }
  for (const char* name : {"logit_bias", "tools", "functions"}) {
    const json::value* value = find(body, name);
    if (value == nullptr) continue;
    const bool empty = (value->is_object() && value->get_object().empty()) ||
                       (value->is_array() && value->get_array().empty());
    if (!empty) return unsupported(name, "leave it out");
  }
  if (const json::value* format = find(body, "response_format")) {
    const json::value* type = format->is_object() ? find(format->get_object(), "type") : nullptr;
    if (type == nullptr || !type->is_string() || type->get_string() != "text")
      return unsupported("response_format", R"(only {"type": "text"} is)");
  }
  if (kind == OpenAiKind::kChat) return {};
  std::string suffix;
  RETURN_IF_ERROR(fields.read("suffix", &suffix));
  if (!suffix.empty()) return unsupported("suffix", "leave it out");
  return {};
}

base::Status read_token_ids(const json::object& body, std::string_view name,
                            std::vector<text::TokenId>* out) {
  const json::value* value = find(body, name);
  if (value == nullptr) return {};
  const json::array* array = value->if_array();
  if (array == nullptr || array->size() > kMaxStopIds)
    return base::invalid("{} must be an array of at most {} token ids", name, kMaxStopIds);
  for (const json::value& id : *array) {
    if (!id.is_int64() || id.get_int64() < 0 || id.get_int64() > kMaxInt)
      return base::invalid("{}[{}] must be a token id", name, out->size());
    out->emplace_back(static_cast<std::int32_t>(id.get_int64()));
  }
  return {};
}

base::Status read_sampling(const json::object& body, const translate::OfficialSampling& defaults,
                           OpenAiRequest& parsed) {
  const JsonFields fields(body);
  execute::Sampling& sampling = parsed.request.sampling;
  sampling.temperature = static_cast<float>(defaults.temperature);
  sampling.top_p = static_cast<float>(defaults.top_p);
  sampling.top_k = defaults.top_k;
  sampling.repetition_penalty = static_cast<float>(defaults.repetition_penalty);
  RETURN_IF_ERROR(fields.read("temperature", &sampling.temperature));
  RETURN_IF_ERROR(fields.read("top_p", &sampling.top_p));
  // In this API 0 is allowed and leaves the likeliest token alone.
  if (sampling.top_p == 0) sampling.top_p = std::numeric_limits<float>::min();
  RETURN_IF_ERROR(fields.read("top_k", -1, kMaxInt, &sampling.top_k));
  RETURN_IF_ERROR(fields.read("min_p", &sampling.min_p));
  RETURN_IF_ERROR(fields.read("repetition_penalty", &sampling.repetition_penalty));
  RETURN_IF_ERROR(fields.read_signed_seed("seed", &parsed.seed));
  return execute::check_sampling(sampling);
}

base::Status read_chat(const json::object& body, OpenAiRequest& parsed) {
  const JsonFields fields(body);
  RETURN_IF_ERROR(fields.read("max_completion_tokens", 1, kMaxInt, &parsed.request.max_tokens));
  bool logprobs = false;
  std::int32_t top = 0;
  RETURN_IF_ERROR(fields.read("logprobs", &logprobs));
  RETURN_IF_ERROR(fields.read("top_logprobs", 0, execute::kMaxLogprobs, &top));
  if (top > 0 && !logprobs) return base::invalid("top_logprobs is {}, that needs logprobs true", top);
  if (logprobs) parsed.request.sampling.logprobs = top;
  if (const json::value* options = find(body, "translation_options")) {
    if (!options->is_object()) return base::invalid("translation_options must be an object");
    parsed.translation_options = options->get_object();
  }
  ASSIGN_OR_RETURN(parsed.messages, parse_openai_messages(body));
  return {};
}

base::Status read_completion(const json::object& body, OpenAiRequest& parsed) {
  const JsonFields fields(body);
  if (parsed.request.max_tokens == 0) parsed.request.max_tokens = kDefaultCompletionTokens;
  RETURN_IF_ERROR(fields.read("logprobs", 0, execute::kMaxLogprobs, &parsed.request.sampling.logprobs));
  RETURN_IF_ERROR(fields.read("echo", &parsed.echo));
  if (parsed.echo && parsed.wants_logprobs())
    return base::error(base::Code::kUnimplemented,
                       "echo with logprobs is not supported: the prompt's logprobs are not computed");
  std::int32_t best_of = parsed.n;
  RETURN_IF_ERROR(fields.read("best_of", 1, kMaxInt, &best_of));
  if (best_of != parsed.n) return unsupported("best_of", "leave it out, or give it the value of n");
  ASSIGN_OR_RETURN(parsed.prompts, parse_openai_prompts(body));
  const std::size_t choices = parsed.prompts.size() * static_cast<std::size_t>(parsed.n);
  if (choices > kMaxOpenAiChoices)
    return base::invalid("prompt has {} prompts, with n {} that is {} choices, the limit is {}",
                         parsed.prompts.size(), parsed.n, choices, kMaxOpenAiChoices);
  return {};
}

}  // namespace

base::Result<OpenAiRequest> parse_openai(OpenAiKind kind, std::string_view text,
                                         const translate::OfficialSampling& defaults) {
  ASSIGN_OR_RETURN(const json::object body, parse_json_body(text));
  const JsonFields fields(body);
  OpenAiRequest parsed;
  parsed.kind = kind;
  RETURN_IF_ERROR(fields.read("model", &parsed.model));
  RETURN_IF_ERROR(refuse_unsupported(body, kind));
  RETURN_IF_ERROR(read_sampling(body, defaults, parsed));
  RETURN_IF_ERROR(fields.read("n", 1, kMaxOpenAiN, &parsed.n));
  RETURN_IF_ERROR(fields.read("max_tokens", 1, kMaxInt, &parsed.request.max_tokens));
  RETURN_IF_ERROR(fields.read("stop", kMaxStopStrings, &parsed.request.stop));
  for (const std::string& stop : parsed.request.stop)
    if (stop.empty()) return base::invalid("stop holds an empty string");
  RETURN_IF_ERROR(read_token_ids(body, "stop_token_ids", &parsed.request.stop_token_ids));
  RETURN_IF_ERROR(fields.read("ignore_eos", &parsed.request.ignore_eos));
  RETURN_IF_ERROR(fields.read("stream", &parsed.stream));
  if (const json::value* options = find(body, "stream_options")) {
    if (!options->is_object()) return base::invalid("stream_options must be an object");
    RETURN_IF_ERROR(JsonFields(options->get_object()).read("include_usage", &parsed.include_usage));
  }
  RETURN_IF_ERROR(kind == OpenAiKind::kChat ? read_chat(body, parsed) : read_completion(body, parsed));
  return parsed;
}

std::uint64_t openai_choice_seed(std::uint64_t seed, std::int32_t index) {
  return seed + static_cast<std::uint64_t>(index) * 0xd1342543de82ef95u;
}

}  // namespace pagoda::serve
