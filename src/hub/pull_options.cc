#include "hub/pull_options.h"

#include <curl/curl.h>

#include <algorithm>
#include <cstdlib>

namespace pagoda::hub {
namespace {

struct Defaults {
  const char *name, *endpoint, *revision, *endpoint_variable, *token_variable;
};

const Defaults& defaults_of(Hub hub) {
  static constexpr Defaults kHuggingFace{"huggingface", "https://huggingface.co", "main", "HF_ENDPOINT",
                                         "HF_TOKEN"};
  static constexpr Defaults kModelScope{"modelscope", "https://modelscope.cn", "master",
                                        "MODELSCOPE_ENDPOINT", "MODELSCOPE_API_TOKEN"};
  return hub == Hub::kHuggingFace ? kHuggingFace : kModelScope;
}

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool has_control_characters(const std::string& text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

base::Status fill_cache(PullOptions* options) {
  if (options->cache.empty()) options->cache = environment("PAGODA_CACHE");
  if (options->cache.empty()) {
    std::string base = environment("XDG_CACHE_HOME");
    if (base.empty() && !environment("HOME").empty()) base = environment("HOME") + "/.cache";
    if (base.empty()) return base::invalid("there is no home directory: name the cache with --cache");
    options->cache = base + "/pagoda";
  }
  return {};
}

}  // namespace

base::Result<Hub> parse_hub(std::string_view name) {
  for (const Hub hub : {Hub::kHuggingFace, Hub::kModelScope})
    if (name == hub_name(hub)) return hub;
  return base::invalid("--hub is \"{}\", it must be huggingface or modelscope", name);
}

std::string_view hub_name(Hub hub) { return defaults_of(hub).name; }

base::Result<PullOptions> complete_options(PullOptions options) {
  const Defaults& defaults = defaults_of(options.hub);
  if (options.endpoint.empty()) options.endpoint = environment(defaults.endpoint_variable);
  if (options.endpoint.empty()) options.endpoint = defaults.endpoint;
  while (options.endpoint.ends_with('/')) options.endpoint.pop_back();
  if (origin_of(options.endpoint).empty())
    return base::invalid("endpoint \"{}\" is not an http:// or https:// URL", options.endpoint);
  if (options.token.empty()) options.token = environment(defaults.token_variable);
  // It becomes a line of a header: a line break in it would add lines of its own.
  if (has_control_characters(options.token) || options.token.find(' ') != std::string::npos)
    return base::invalid("the token holds a space or a control character");
  if (options.revision.empty()) options.revision = defaults.revision;
  if (has_control_characters(options.revision) || options.revision.size() > 200)
    return base::invalid("the revision holds a control character or has more than 200 bytes");
  if (options.connections < 1 || options.connections > 64)
    return base::invalid("--connections is {}, it must be from 1 to 64", options.connections);
  if (options.piece_bytes < 4096)
    return base::invalid("a piece of {} bytes is too small", options.piece_bytes);
  if (options.retries < 0) return base::invalid("{} retries make no sense", options.retries);
  if (options.stall.count() < 1) return base::invalid("a stall of {} s is too short", options.stall.count());
  RETURN_IF_ERROR(fill_cache(&options));
  return options;
}

std::string origin_of(const std::string& url) {
  CURLU* parsed = curl_url();
  std::string origin;
  char *scheme = nullptr, *host = nullptr, *port = nullptr;
  if (parsed != nullptr && curl_url_set(parsed, CURLUPART_URL, url.c_str(), 0) == CURLUE_OK &&
      curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
      curl_url_get(parsed, CURLUPART_HOST, &host, 0) == CURLUE_OK &&
      curl_url_get(parsed, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK) {
    origin = std::string(scheme) + "://" + host + ":" + port;
    std::transform(origin.begin(), origin.end(), origin.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    if (!origin.starts_with("http://") && !origin.starts_with("https://")) origin.clear();
  }
  for (char* part : {scheme, host, port}) curl_free(part);
  curl_url_cleanup(parsed);
  return origin;
}

bool is_repository_name(std::string_view name) {
  const std::size_t slash = name.find('/');
  if (slash == name.npos || name.find('/', slash + 1) != name.npos) return false;
  const std::string_view org = name.substr(0, slash), repository = name.substr(slash + 1);
  // The folder of the bundled model, and a page's name on both hubs, so nobody's account.
  if (org == "models") return false;
  for (const std::string_view part : {org, repository}) {
    if (part.empty() || part.size() > 96 || part.front() == '.' || part.front() == '-' || part.back() == '.')
      return false;
    if (!std::all_of(part.begin(), part.end(), [](char c) {
          return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                 c == '_' || c == '-';
        }))
      return false;
    if (part.find("..") != part.npos) return false;
  }
  return true;
}

}  // namespace pagoda::hub
