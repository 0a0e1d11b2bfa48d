#include "load/endpoint.h"

#include <boost/json.hpp>

namespace pagoda::load {
namespace json = boost::json;
namespace {

const json::object* as_object(const json::value* value) {
  return value == nullptr ? nullptr : value->if_object();
}

// The object's first choice, or nothing.
const json::object* first_choice(const json::object& object) {
  const json::value* choices = object.if_contains("choices");
  const json::array* array = choices == nullptr ? nullptr : choices->if_array();
  return array == nullptr || array->empty() ? nullptr : array->front().if_object();
}

bool has_string(const json::object* object, std::string_view key) {
  const json::value* value = object == nullptr ? nullptr : object->if_contains(key);
  return value != nullptr && value->is_string() && !value->get_string().empty();
}

std::int64_t integer(const json::object& object, std::string_view key) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr || !value->is_number()) return 0;
  boost::system::error_code error;
  const auto number = value->to_number<std::int64_t>(error);
  return error ? 0 : number;
}

std::string beginning(std::string_view text) {
  constexpr std::size_t kShown = 200;
  return std::string(text.substr(0, kShown)) + (text.size() > kShown ? "..." : "");
}

std::string sentence_of(const json::value& error) {
  if (error.is_string()) return std::string(error.get_string());
  if (has_string(error.if_object(), "message"))
    return std::string(error.get_object().at("message").get_string());
  return beginning(json::serialize(error));
}

}  // namespace

base::Result<Endpoint> parse_endpoint(std::string_view name) {
  for (const Endpoint endpoint :
       {Endpoint::kGenerate, Endpoint::kCompletions, Endpoint::kChat, Endpoint::kTranslate})
    if (name == endpoint_name(endpoint)) return endpoint;
  return base::invalid("{} is no endpoint: there are generate, completions, chat and translate",
                       std::string(name));
}

const char* endpoint_name(Endpoint endpoint) {
  switch (endpoint) {
    case Endpoint::kGenerate:
      return "generate";
    case Endpoint::kCompletions:
      return "completions";
    case Endpoint::kChat:
      return "chat";
    case Endpoint::kTranslate:
      return "translate";
  }
  return "";
}

const char* endpoint_path(Endpoint endpoint) {
  switch (endpoint) {
    case Endpoint::kGenerate:
      return "/generate";
    case Endpoint::kCompletions:
      return "/v1/completions";
    case Endpoint::kChat:
      return "/v1/chat/completions";
    case Endpoint::kTranslate:
      return "/translate";
  }
  return "";
}

std::string request_body(const RequestShape& shape, const Prompt& prompt) {
  json::object body;
  if (shape.endpoint == Endpoint::kTranslate) {
    body = {{"q", prompt.text}, {"source", shape.from}, {"target", shape.to}, {"format", "text"}};
    // LibreTranslate takes its key here.
    if (!shape.api_key.empty()) body["api_key"] = shape.api_key;
    return json::serialize(body);
  }
  if (is_openai(shape.endpoint)) {
    body["model"] = shape.model;
    body["stream_options"] = json::object{{"include_usage", true}};
  }
  if (shape.endpoint == Endpoint::kChat)
    body["messages"] = json::array{json::object{{"role", "user"}, {"content", prompt.text}}};
  else
    body["prompt"] = prompt.text;
  if (prompt.max_tokens > 0) body["max_tokens"] = prompt.max_tokens;
  body["temperature"] = 0;
  body["stream"] = true;
  // Only sent if set: servers other than ours may refuse fields that they do not know.
  if (shape.ignore_eos) body["ignore_eos"] = true;
  return json::serialize(body);
}

base::Result<Piece> read_piece(Endpoint endpoint, std::string_view data) {
  // A piece is some hundred bytes; on the stack, because there is one for every token of the load.
  unsigned char memory[4096];
  json::monotonic_resource resource(memory, sizeof memory);
  boost::system::error_code error;
  const json::value value = json::parse(json::string_view(data.data(), data.size()), error, &resource);
  const json::object* object = error ? nullptr : value.if_object();
  if (object == nullptr) return base::data_loss("an event is no JSON object: {}", beginning(data));
  if (const json::value* failure = object->if_contains("error"); failure != nullptr && !failure->is_null())
    return base::error(base::Code::kInternal, "{}", sentence_of(*failure));
  Piece piece;
  const json::object* part = endpoint == Endpoint::kGenerate ? object : first_choice(*object);
  const json::object* text = part;
  if (endpoint == Endpoint::kChat && part != nullptr) text = as_object(part->if_contains("delta"));
  piece.has_text = has_string(text, endpoint == Endpoint::kChat ? "content" : "text");
  piece.is_last = has_string(part, "finish_reason");
  if (const json::object* usage = as_object(object->if_contains("usage")))
    piece.usage = TokenCounts{integer(*usage, "prompt_tokens"), integer(*usage, "completion_tokens")};
  return piece;
}

base::Status check_answer(Endpoint endpoint, std::string_view body) {
  boost::system::error_code error;
  const json::value value = json::parse(json::string_view(body.data(), body.size()), error);
  const json::object* object = error ? nullptr : value.if_object();
  if (object == nullptr) return base::data_loss("the answer is no JSON object: {}", beginning(body));
  const json::value* text = object->if_contains("translatedText");
  if (endpoint == Endpoint::kTranslate && (text == nullptr || !text->is_string()))
    return base::data_loss("the answer has no translatedText: {}", beginning(body));
  return {};
}

std::string error_sentence(std::string_view body) {
  boost::system::error_code error;
  const json::value value = json::parse(json::string_view(body.data(), body.size()), error);
  const json::object* object = error ? nullptr : value.if_object();
  const json::value* failure = object == nullptr ? nullptr : object->if_contains("error");
  return failure == nullptr ? beginning(body) : sentence_of(*failure);
}

base::Result<std::string> first_model(std::string_view body) {
  boost::system::error_code error;
  const json::value value = json::parse(json::string_view(body.data(), body.size()), error);
  const json::object* object = error ? nullptr : value.if_object();
  const json::value* data = object == nullptr ? nullptr : object->if_contains("data");
  const json::array* models = data == nullptr ? nullptr : data->if_array();
  const json::object* model = models == nullptr || models->empty() ? nullptr : models->front().if_object();
  if (!has_string(model, "id"))
    return base::data_loss("GET /v1/models names no model, give --model: {}", beginning(body));
  return std::string(model->at("id").get_string());
}

}  // namespace pagoda::load
