// What a request is about: messages and prompts (openai_request.h).

#include <boost/json/value.hpp>
#include <limits>

#include "serve/openai/request.h"

namespace pagoda::serve {
namespace json = boost::json;
namespace {

std::string_view view(const json::string& text) { return {text.data(), text.size()}; }

// Text whole, or [{"type": "text", "text": "..."}], whose parts become lines.
base::Result<std::string> content_text(const json::value* content, std::size_t index) {
  if (content == nullptr || content->is_null())
    return base::invalid("messages[{}].content is missing", index);
  if (content->is_string()) return std::string(view(content->get_string()));
  if (!content->is_array())
    return base::invalid("messages[{}].content must be a string or an array of parts", index);
  std::string text;
  std::size_t number = 0;
  for (const json::value& value : content->get_array()) {
    const std::string name = fmt::format("messages[{}].content[{}]", index, number++);
    const json::object* part = value.if_object();
    const json::value* type = part != nullptr ? part->if_contains("type") : nullptr;
    if (type == nullptr || !type->is_string()) return base::invalid("{} must be an object with a type", name);
    if (type->get_string() != "text")
      return base::error(base::Code::kUnimplemented, "{} has type \"{}\", only text is supported", name,
                         view(type->get_string()));
    const json::value* line = part->if_contains("text");
    if (line == nullptr || !line->is_string()) return base::invalid("{}.text must be a string", name);
    if (number > 1) text += '\n';
    text += view(line->get_string());
  }
  return text;
}

base::Result<text::Role> role_of(const json::value* role, std::size_t index) {
  if (role == nullptr || !role->is_string())
    return base::invalid("messages[{}].role must be a string", index);
  const std::string_view name = view(role->get_string());
  if (name == "user") return text::Role::kUser;
  if (name == "assistant") return text::Role::kAssistant;
  if (name == "system" || name == "developer") return text::Role::kSystem;
  if (name == "tool" || name == "function")
    return base::error(base::Code::kUnimplemented, "messages[{}].role is \"{}\", tools are not supported",
                       index, name);
  return base::invalid("messages[{}].role is \"{}\", it must be system, developer, user or assistant", index,
                       name);
}

base::Result<std::vector<text::TokenId>> token_ids(const json::array& array, std::string_view name) {
  std::vector<text::TokenId> ids;
  ids.reserve(array.size());
  for (const json::value& id : array) {
    if (!id.is_int64() || id.get_int64() < 0 || id.get_int64() > std::numeric_limits<std::int32_t>::max())
      return base::invalid("{}[{}] must be a token id", name, ids.size());
    ids.emplace_back(static_cast<std::int32_t>(id.get_int64()));
  }
  return ids;
}

base::Result<OpenAiPrompt> one_prompt(const json::value& value, std::string_view name) {
  if (const json::string* text = value.if_string()) {
    if (text->empty()) return base::invalid("{} is empty", name);
    return OpenAiPrompt(std::string(view(*text)));
  }
  const json::array* array = value.if_array();
  if (array == nullptr) return base::invalid("{} must be a string or an array of token ids", name);
  if (array->empty()) return base::invalid("{} is empty", name);
  ASSIGN_OR_RETURN(std::vector<text::TokenId> ids, token_ids(*array, name));
  return OpenAiPrompt(std::move(ids));
}

}  // namespace

base::Result<std::vector<text::Message>> parse_openai_messages(const json::object& body) {
  const json::value* value = body.if_contains("messages");
  if (value == nullptr || value->is_null()) return base::invalid("messages is missing");
  if (!value->is_array()) return base::invalid("messages must be an array");
  std::vector<text::Message> messages;
  for (const json::value& element : value->get_array()) {
    const std::size_t index = messages.size();
    const json::object* object = element.if_object();
    if (object == nullptr) return base::invalid("messages[{}] must be an object", index);
    ASSIGN_OR_RETURN(const text::Role role, role_of(object->if_contains("role"), index));
    ASSIGN_OR_RETURN(std::string text, content_text(object->if_contains("content"), index));
    messages.push_back({role, std::move(text)});
  }
  if (messages.empty()) return base::invalid("messages is empty");
  return messages;
}

base::Result<std::vector<OpenAiPrompt>> parse_openai_prompts(const json::object& body) {
  const json::value* value = body.if_contains("prompt");
  if (value == nullptr || value->is_null()) return base::invalid("prompt is missing");
  std::vector<OpenAiPrompt> prompts;
  const json::array* array = value->if_array();
  const bool several = array != nullptr && !array->empty() && !array->front().is_number();
  if (!several) {
    ASSIGN_OR_RETURN(OpenAiPrompt prompt, one_prompt(*value, "prompt"));
    prompts.push_back(std::move(prompt));
    return prompts;
  }
  for (const json::value& element : *array) {
    ASSIGN_OR_RETURN(OpenAiPrompt prompt, one_prompt(element, fmt::format("prompt[{}]", prompts.size())));
    prompts.push_back(std::move(prompt));
  }
  return prompts;
}

}  // namespace pagoda::serve
