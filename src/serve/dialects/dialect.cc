#include "serve/dialects/dialect.h"

#include <boost/json/serialize.hpp>
#include <cmath>
#include <utility>

#include "serve/dialects/html_text.h"
#include "serve/dialects/numbered_tags.h"

namespace pagoda::serve {
namespace asio = boost::asio;
namespace {

// Where clients put a key that is neither in a header nor in the address.
std::string key_in_body(const RequestFields& fields) {
  std::string key;
  for (const char* name : {"api_key", "auth_key", "token", "api_token", "key"})
    if (fields.read(name, &key).ok() && !key.empty()) return key;
  return "";
}

HttpRequest without_body(const HttpRequest& request) {
  HttpRequest copy;
  copy.method = request.method;
  copy.path = request.path;
  copy.query = request.query;
  copy.headers = request.headers;
  copy.id = request.id;
  copy.path_parts = request.path_parts;
  copy.client = request.client;
  copy.trace = request.trace;
  return copy;
}

asio::awaitable<HttpResponse> answer(Service& service, ErrorShape error, const DialectHandler& handler,
                                     const HttpRequest& request) {
  base::Result<RequestFields> fields = RequestFields::of(request);
  if (!fields.ok()) co_return error(400, fields.status().message());
  DialectCall call{service, without_body(request), std::move(fields).value()};
  if (!service.keys.open() && call.http.client == 0) {
    const std::string key = key_in_body(call.fields);
    const std::optional<std::uint64_t> client = service.keys.admit(key);
    if (!client) co_return error(401, key.empty() ? "an API key is needed" : "the API key is not known here");
    call.http.client = call.http.trace->client = *client;
  }
  base::Result<HttpResponse> response = co_await handler(call);
  if (!response.ok()) co_return error(http_status(response.status().code()), response.status().message());
  co_return std::move(response).value();
}

}  // namespace

Route dialect_route(Service& service, ErrorShape error, DialectHandler handler) {
  Route route;
  route.handler = [&service, error, handler = std::move(handler)](const HttpRequest& request) {
    return answer(service, error, handler, request);
  };
  route.access = Access::kBody;
  route.error = error;
  return route;
}

HttpResponse json_answer(const boost::json::value& body, int status) {
  HttpResponse response;
  response.status = status;
  response.body = boost::json::serialize(body);
  return response;
}

asio::awaitable<base::Result<std::vector<TextResult>>> translate_all(const DialectCall& call,
                                                                     const TextsRequest& request) {
  std::vector<TextJob> jobs;
  std::vector<std::vector<std::string>> tag_names;  // of each text, with numbered_tags
  jobs.reserve(request.texts.size());
  for (const std::string& text : request.texts) {
    TextJob job = request.pattern;
    job.text = text;
    if (request.html) {
      std::optional<std::string> plain = plain_text_of_html(text);
      if (!plain)
        co_return base::error(base::Code::kUnimplemented,
                              "HTML is not supported: the text has tags or entities that are not plain text");
      job.text = std::move(*plain);
    }
    if (request.numbered_tags) {
      NumberedTags tags = to_model_tags(job.text);
      job.formatted = !tags.names.empty();
      job.text = std::move(tags.text);
      tag_names.push_back(std::move(tags.names));
    }
    jobs.push_back(std::move(job));
  }
  base::Result<std::vector<TextResult>> results =
      co_await translate_texts(call.service, call.http, std::move(jobs));
  if (request.numbered_tags && results.ok())
    for (std::size_t i = 0; i < tag_names.size(); ++i)
      (*results)[i].text = from_model_tags((*results)[i].text, tag_names[i]);
  if (request.html && results.ok())
    for (TextResult& result : *results) result.text = html_of_plain_text(result.text);
  co_return results;
}

asio::awaitable<base::Result<TextResult>> translate_one(const DialectCall& call,
                                                        const TextsRequest& request) {
  CHECK(request.texts.size() == 1);
  base::Result<std::vector<TextResult>> results = co_await translate_all(call, request);
  if (!results.ok()) co_return results.status();
  co_return std::move(results->front());
}

base::Status read_languages(const RequestFields& fields, std::string_view from, std::string_view to,
                            TextJob& job) {
  std::string source, target;
  RETURN_IF_ERROR(fields.read(from, &source));
  RETURN_IF_ERROR(fields.require(to, &target));
  if (!translate::means_auto(source)) {
    const auto found = translate::find_language(source);
    if (!found.ok()) return base::invalid("{}: {}", from, found.status().message());
    job.from = *found;
  }
  const auto found = translate::find_language(target);
  if (!found.ok()) return base::invalid("{}: {}", to, found.status().message());
  job.to = *found;
  return {};
}

int percent(double confidence) { return static_cast<int>(std::lround(confidence * 100)); }

}  // namespace pagoda::serve
