#include "hub/http_client.h"

#include <curl/curl.h>

#include <charconv>
#include <cstdlib>
#include <memory>

namespace pagoda::hub {
namespace {

constexpr int kMaxRedirects = 10;
constexpr long kConnectSeconds = 20;
constexpr long kStallBytesPerSecond = 1024;
constexpr std::size_t kMaxRefusalBytes = 64 << 10;  // the body of an error page is of no use

CURL* new_handle() {
  // Before any thread uses the library; static initialisation does it once.
  static const CURLcode ready = curl_global_init(CURL_GLOBAL_DEFAULT);
  CHECK(ready == CURLE_OK);
  CURL* curl = curl_easy_init();
  CHECK(curl != nullptr);
  return curl;
}

// The value where `line` is "name: value" in any case, else nothing.
std::optional<std::string> header_value(std::string_view line, std::string_view name) {
  if (line.size() <= name.size() || line[name.size()] != ':') return std::nullopt;
  for (std::size_t i = 0; i < name.size(); ++i)
    if ((line[i] | 0x20) != (name[i] | 0x20)) return std::nullopt;
  std::string_view value = line.substr(name.size() + 1);
  while (!value.empty() && (value.front() == ' ' || value.front() == '\t')) value.remove_prefix(1);
  while (!value.empty() && (value.back() == '\r' || value.back() == '\n' || value.back() == ' '))
    value.remove_suffix(1);
  return std::string(value);
}

// Hugging Face's: "api";r=0;t=55 - seconds until its window starts anew.
std::optional<std::chrono::seconds> rate_limit_reset(std::string_view value) {
  const std::size_t at = value.find(";t=");
  long seconds = 0;
  if (at == value.npos) return std::nullopt;
  const auto [end, error] = std::from_chars(value.data() + at + 3, value.data() + value.size(), seconds);
  if (error != std::errc() || seconds < 0) return std::nullopt;
  return std::chrono::seconds(seconds);
}

HttpReply::Outcome outcome_of(CURLcode code) {
  switch (code) {
    case CURLE_OK:
      return HttpReply::Outcome::kAnswered;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
      return HttpReply::Outcome::kUnreachable;
    case CURLE_URL_MALFORMAT:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
      return HttpReply::Outcome::kRefused;
    // CURLE_UNSUPPORTED_PROTOCOL too: URLs are http or https here, so it means that no status line came. That
    // is what is left on a kept connection when an answer before was longer than its Content-Length; a new
    // connection is fine.
    default:
      return HttpReply::Outcome::kInterrupted;
  }
}

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

}  // namespace

struct HttpClient::Transfer {
  CURL* curl;
  const BodySink& sink;
  const std::function<bool()>& stop;
  HttpReply head;
  std::optional<std::chrono::seconds> rate_limit = {};
  std::size_t refusal_bytes = 0;
  bool sink_stopped = false, stopped = false, refusal_cut = false;

  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    const std::string_view line(data, size * count);
    HttpReply& head = transfer.head;
    if (line.starts_with("HTTP/")) {  // a new answer (after 100 Continue, or a proxy's)
      head.content_range.clear();
      head.link.clear();
      head.error_code.clear();
      transfer.rate_limit.reset();
    } else if (auto range = header_value(line, "content-range")) {
      head.content_range = *range;
    } else if (auto link = header_value(line, "link")) {
      head.link = *link;
    } else if (auto code = header_value(line, "x-error-code")) {
      head.error_code = *code;
    } else if (auto limit = header_value(line, "ratelimit")) {
      transfer.rate_limit = rate_limit_reset(*limit);
    }
    return size * count;
  }

  static std::size_t on_body(char* data, std::size_t size, std::size_t count, void* self) {
    auto& transfer = *static_cast<Transfer*>(self);
    const std::size_t bytes = size * count;
    if (transfer.head.status == 0) {
      long status = 0;
      curl_easy_getinfo(transfer.curl, CURLINFO_RESPONSE_CODE, &status);
      transfer.head.status = static_cast<int>(status);
    }
    if (transfer.head.status < 200 || transfer.head.status >= 300) {
      transfer.refusal_bytes += bytes;
      transfer.refusal_cut = transfer.refusal_bytes > kMaxRefusalBytes;
      return transfer.refusal_cut ? 0 : bytes;
    }
    transfer.sink_stopped = !transfer.sink(transfer.head, std::string_view(data, bytes));
    return transfer.sink_stopped ? 0 : bytes;
  }

  static int on_progress(void* self, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    auto& transfer = *static_cast<Transfer*>(self);
    transfer.stopped = transfer.stop();
    return transfer.stopped ? 1 : 0;
  }
};

HttpClient::HttpClient(const PullOptions& options, std::function<bool()> stop)
    : options_(options), stop_(std::move(stop)), origin_(origin_of(options.endpoint)), curl_(new_handle()) {}

HttpClient::~HttpClient() { curl_easy_cleanup(curl_); }

HttpReply HttpClient::get_once(const std::string& url, const std::optional<ByteRange>& range,
                               const BodySink& sink) {
  CURL* curl = curl_;
  Transfer transfer{curl, sink, stop_, {}};
  curl_easy_reset(curl);  // the connection stays
  char reason[CURL_ERROR_SIZE] = "";
  curl_slist* list = nullptr;
  if (!options_.token.empty() && origin_of(url) == origin_) {
    list = curl_slist_append(list, ("Authorization: Bearer " + options_.token).c_str());
    if (options_.hub == Hub::kModelScope)
      list = curl_slist_append(list, ("Cookie: m_session_id=" + options_.token).c_str());
  }
  const std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> headers(list, curl_slist_free_all);
  curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
  curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(curl, CURLOPT_USERAGENT, "pagoda");
  // Pieces come over connections of their own; HTTP/2 would only add its flow control.
  curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_BUFFERSIZE, 256L << 10);
  curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, kStallBytesPerSecond);
  curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, static_cast<long>(options_.stall.count()));
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &transfer);
  curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
  curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
  curl_easy_setopt(curl, CURLOPT_XFERINFODATA, &transfer);
  // Networks that sign anew bring their own certificates; the library does not look at these by itself.
  for (const char* variable : {"CURL_CA_BUNDLE", "SSL_CERT_FILE"})
    if (const char* bundle = std::getenv(variable)) {
      curl_easy_setopt(curl, CURLOPT_CAINFO, bundle);
      break;
    }
  const std::string bytes = range ? fmt::format("{}-{}", range->begin, range->end - 1) : "";
  if (range) curl_easy_setopt(curl, CURLOPT_RANGE, bytes.c_str());

  const CURLcode code = curl_easy_perform(curl);
  HttpReply reply = std::move(transfer.head);
  long status = 0;
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
  reply.status = static_cast<int>(status);
  reply.url = url;
  curl_off_t wait = 0;
  if (curl_easy_getinfo(curl, CURLINFO_RETRY_AFTER, &wait) == CURLE_OK && wait > 0)
    reply.retry_after = std::chrono::seconds(wait);
  else if (status == 429)  // other answers carry it too, and mean nothing by it
    reply.retry_after = transfer.rate_limit;
  reply.outcome = transfer.refusal_cut ? HttpReply::Outcome::kAnswered : outcome_of(code);
  if (transfer.stopped || transfer.sink_stopped) reply.outcome = HttpReply::Outcome::kStopped;
  if (reply.outcome != HttpReply::Outcome::kAnswered)
    reply.error = reason[0] != 0 ? reason : curl_easy_strerror(code);
  return reply;
}

HttpReply HttpClient::get(const std::string& url, const std::optional<ByteRange>& range,
                          const BodySink& sink) {
  std::string next = url;
  for (int i = 0; i <= kMaxRedirects; ++i) {
    HttpReply reply = get_once(next, range, sink);
    reply.redirected = i > 0;
    if (reply.outcome != HttpReply::Outcome::kAnswered || !is_redirect(reply.status)) return reply;
    char* target = nullptr;
    curl_easy_getinfo(static_cast<CURL*>(curl_), CURLINFO_REDIRECT_URL, &target);
    const std::string where = target == nullptr ? "" : target;
    const bool secure = origin_of(next).starts_with("https:"), still = origin_of(where).starts_with("https:");
    if (origin_of(where).empty() || (secure && !still)) {
      reply.outcome = HttpReply::Outcome::kRefused;
      reply.error = where.empty() ? "a redirect that names no target"
                                  : "a redirect to " + printable_url(where) + ", which is not followed";
      return reply;
    }
    next = where;
  }
  HttpReply reply;
  reply.url = next;
  reply.error = fmt::format("more than {} redirects", kMaxRedirects);
  return reply;
}

HttpReply HttpClient::get_text(const std::string& url, std::size_t max_bytes, std::string* body) {
  body->clear();
  bool too_long = false;
  HttpReply reply = get(url, std::nullopt, [&](const HttpReply&, std::string_view bytes) {
    too_long = body->size() + bytes.size() > max_bytes;
    if (!too_long) body->append(bytes);
    return !too_long;
  });
  if (too_long) {
    reply.outcome = HttpReply::Outcome::kRefused;
    reply.error = fmt::format("the answer has more than {} bytes", max_bytes);
  }
  return reply;
}

base::Result<ContentRange> parse_content_range(std::string_view text) {
  ContentRange parsed;
  std::uint64_t last = 0;
  std::string_view rest = text;
  const auto number = [&rest](std::uint64_t* out) {
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), *out);
    rest.remove_prefix(static_cast<std::size_t>(end - rest.data()));
    return error == std::errc();
  };
  const auto skip = [&rest](std::string_view word) {
    if (!rest.starts_with(word)) return false;
    rest.remove_prefix(word.size());
    return true;
  };
  const bool fine = skip("bytes ") && number(&parsed.range.begin) && skip("-") && number(&last) &&
                    skip("/") && number(&parsed.total) && rest.empty() && parsed.range.begin <= last &&
                    last < parsed.total;
  if (!fine) return base::data_loss("Content-Range \"{}\" is not one", text.substr(0, 80));
  parsed.range.end = last + 1;
  return parsed;
}

std::string printable_url(const std::string& url) {
  const std::size_t end = url.find_first_of("?#");
  std::string text = url.substr(0, end);
  const std::size_t host = text.find("://"),
                    at = text.rfind('@', text.find('/', host == text.npos ? 0 : host + 3));
  if (host != text.npos && at != text.npos && at > host) text.erase(host + 3, at - host - 2);
  return text;
}

std::string url_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace pagoda::hub
