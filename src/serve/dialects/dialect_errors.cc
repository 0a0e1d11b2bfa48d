#include "serve/dialects/dialect_errors.h"

#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>

namespace pagoda::serve {
namespace json = boost::json;
namespace {

json::string text_of(std::string_view text) { return json::string(text.data(), text.size()); }

HttpResponse response(int status, json::object body) {
  HttpResponse made;
  made.status = status;
  made.body = json::serialize(body);
  add_error_headers(made);
  return made;
}

int forbidden_for_keys(int status) { return status == 401 ? 403 : status; }

const char* google_status(int status) {
  switch (status) {
    case 401:
      return "UNAUTHENTICATED";
    case 403:
      return "PERMISSION_DENIED";
    case 404:
      return "NOT_FOUND";
    case 429:
      return "RESOURCE_EXHAUSTED";
    case 499:
      return "CANCELLED";
    case 501:
      return "UNIMPLEMENTED";
    case 503:
      return "UNAVAILABLE";
    default:
      return status < 500 ? "INVALID_ARGUMENT" : "INTERNAL";
  }
}

}  // namespace

HttpResponse libretranslate_error(int status, std::string_view message) {
  return response(forbidden_for_keys(status), {{"error", text_of(message)}});
}

HttpResponse deepl_error(int status, std::string_view message) {
  return response(forbidden_for_keys(status), {{"message", text_of(message)}});
}

HttpResponse deeplx_error(int status, std::string_view message) {
  return response(status, {{"code", status}, {"message", text_of(message)}});
}

HttpResponse plugin_error(int status, std::string_view message) {
  return response(status, {{"error", text_of(message)}});
}

HttpResponse google_error(int status, std::string_view message) {
  const json::object detail{{"message", text_of(message)},
                            {"domain", "global"},
                            {"reason", status < 500 ? "invalid" : "backendError"}};
  return response(status, {{"error", json::object{{"code", status},
                                                  {"message", text_of(message)},
                                                  {"errors", json::array{detail}},
                                                  {"status", google_status(status)}}}});
}

HttpResponse shared_error(int status, std::string_view message) {
  status = forbidden_for_keys(status);
  return response(status, {{"error", text_of(message)}, {"code", status}, {"message", text_of(message)}});
}

}  // namespace pagoda::serve
