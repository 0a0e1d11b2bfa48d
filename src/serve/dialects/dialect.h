#pragma once
// The frame of every translation dialect: reads the fields, finds the key where the dialect's clients put it
// (the body too), asks the dialect, and writes what it refuses in the dialect's shape. A dialect is left with
// fields to texts and results to an answer.

#include <boost/asio/awaitable.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <string>
#include <vector>

#include "serve/dialects/request_fields.h"
#include "serve/http/errors.h"
#include "serve/http/router.h"
#include "serve/service.h"
#include "serve/translation_jobs.h"

namespace pagoda::serve {

struct DialectCall {
  Service& service;
  HttpRequest http;  // with the number of the client whose key was found, and without its body
  RequestFields fields;
};
// Runs on the connection's strand. A failed status becomes the dialect's error.
using DialectAnswer = boost::asio::awaitable<base::Result<HttpResponse>>;
using DialectHandler = std::function<DialectAnswer(const DialectCall&)>;

// `service` must outlive the route.
Route dialect_route(Service& service, ErrorShape error, DialectHandler handler);
HttpResponse json_answer(const boost::json::value& body, int status = 200);

// What was sent, and how it is to be translated.
struct TextsRequest {
  std::vector<std::string> texts;  // as they were sent
  TextJob pattern;                 // all but the text
  // They are HTML: entities are decoded before and encoded after; other markup is kUnimplemented.
  bool html = false;
  bool numbered_tags = false;  // they may hold tags such as <b0></b0>, to be kept (numbered_tags.h)
};
boost::asio::awaitable<base::Result<std::vector<TextResult>>> translate_all(const DialectCall& call,
                                                                            const TextsRequest& request);
// The same for one text.
boost::asio::awaitable<base::Result<TextResult>> translate_one(const DialectCall& call,
                                                               const TextsRequest& request);

// Reads `from` and `to` by these names of fields; the message names the field.
base::Status read_languages(const RequestFields& fields, std::string_view from, std::string_view to,
                            TextJob& job);
// 0 to 100.
int percent(double confidence);

}  // namespace pagoda::serve
