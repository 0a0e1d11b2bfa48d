#include "serve/openai/routes.h"

#include <boost/asio/this_coro.hpp>
#include <memory>

#include "serve/http/sse.h"
#include "serve/json_text.h"
#include "serve/openai/errors.h"
#include "serve/openai/generation.h"
#include "serve/openai/translation.h"
#include "text/utf8.h"

namespace pagoda::serve {
namespace asio = boost::asio;
namespace {

OpenAiError unknown_model(std::string_view model) {
  OpenAiError error;
  error.status = 404;
  error.message = "The model `";
  text::append_valid_utf8(error.message, model);  // a path may hold anything
  error.message += "` does not exist";
  error.param = "model";
  error.code = "model_not_found";
  return error;
}

// A stream that `source` (an OpenAiGeneration or OpenAiTranslation) makes and that keeps it alive.
template <typename Source>
HttpResponse streamed(std::shared_ptr<Source> source) {
  HttpResponse response;
  response.content_type = kEventStream;
  response.stream = [source = std::move(source)](BodyWriter& writer) { return source->stream(writer); };
  return response;
}

asio::awaitable<HttpResponse> translated(Service& service, const HttpRequest& http,
                                         const OpenAiRequest& request, TextJob job) {
  auto translation =
      std::make_shared<OpenAiTranslation>(service, http, co_await asio::this_coro::executor, request);
  std::optional<OpenAiError> error = translation->start(std::move(job));
  if (error) co_return openai_response(*error);
  if (!request.stream) {
    HttpResponse response = co_await translation->whole();
    co_return response;
  }
  error = co_await translation->begin();
  if (error) co_return openai_response(*error);
  co_return streamed(std::move(translation));
}

asio::awaitable<HttpResponse> answer(Service& service, const HttpRequest& http, OpenAiKind kind) {
  base::Result<OpenAiRequest> parsed = parse_openai(kind, http.body, service.translator.options().sampling);
  if (!parsed.ok()) co_return openai_response(openai_error(parsed.status()));
  if (!parsed->model.empty() && parsed->model != service.model_name)
    co_return openai_response(unknown_model(parsed->model));
  if (kind == OpenAiKind::kChat) {
    base::Result<std::optional<TextJob>> job = openai_translation_job(*parsed, service.translate_chat);
    if (!job.ok()) co_return openai_response(openai_error(job.status()));
    if (*job) {
      HttpResponse response = co_await translated(service, http, *parsed, std::move(**job));
      co_return response;
    }
  }
  const bool stream = parsed->stream;
  auto generation = std::make_shared<OpenAiGeneration>(service, http, co_await asio::this_coro::executor,
                                                       std::move(parsed).value());
  const std::optional<OpenAiError> error = generation->submit();
  if (error) co_return openai_response(*error);
  if (stream) co_return streamed(std::move(generation));
  HttpResponse response = co_await generation->whole();
  co_return response;
}

std::string model_json(const Service& service) {
  return fmt::format(R"({{"id":{},"object":"model","created":{},"owned_by":"pagoda","max_model_len":{}}})",
                     json_string(service.model_name), service.created_unix_seconds,
                     service.engine.limits().max_model_len);
}

Route route(Handler handler) {
  Route route;
  route.handler = std::move(handler);
  route.error = &openai_error_response;
  return route;
}

}  // namespace

void add_openai_routes(Router& router, Service& service) {
  router.add("POST", "/v1/chat/completions", route([&service](const HttpRequest& request) {
               return answer(service, request, OpenAiKind::kChat);
             }));
  router.add("POST", "/v1/completions", route([&service](const HttpRequest& request) {
               return answer(service, request, OpenAiKind::kCompletion);
             }));
  // These lambdas live as long as the router, so a coroutine may use their captures.
  router.add("GET", "/v1/models", route([&service](const HttpRequest&) -> asio::awaitable<HttpResponse> {
               HttpResponse response;
               response.body = fmt::format(R"({{"object":"list","data":[{}]}})", model_json(service));
               co_return response;
             }));
  router.add("GET", "/v1/models/{model}",
             route([&service](const HttpRequest& request) -> asio::awaitable<HttpResponse> {
               const std::string model(request.path_part("model"));
               if (model != service.model_name) co_return openai_response(unknown_model(model));
               HttpResponse response;
               response.body = model_json(service);
               co_return response;
             }));
}

}  // namespace pagoda::serve
