#pragma once
// GET over libcurl: redirects, the token, time limits. One HttpClient a thread; it keeps its connection alive
// between requests. The token goes to the endpoint's own origin and nowhere else, whatever a redirect or a
// list says.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "hub/pull_options.h"

namespace pagoda::hub {

struct ByteRange {
  std::uint64_t begin = 0, end = 0;  // bytes [begin, end)
};

struct HttpReply {
  enum class Outcome {
    kAnswered,     // `status` says the rest; the whole body has been seen
    kInterrupted,  // the connection was cut, stalled or never came about: worth another attempt
    kUnreachable,  // no such host, or nothing listens there
    kRefused,      // will fail again: certificate, protocol, redirect loop
    kStopped,      // by `stop` or by the sink
  };
  Outcome outcome = Outcome::kRefused;
  std::string error;  // what libcurl says, unless kAnswered
  int status = 0;     // 0: there was no answer
  std::string url;    // the last one asked, after redirects
  bool redirected = false;
  // Headers of the last answer; empty where absent.
  std::string content_range, link, error_code;
  std::optional<std::chrono::seconds> retry_after;

  bool ok() const { return outcome == Outcome::kAnswered && status >= 200 && status < 300; }
};

// Receives the body of a 2xx answer piece by piece, with the answer's status and headers. false ends the
// transfer.
using BodySink = std::function<bool(const HttpReply& head, std::string_view bytes)>;

class HttpClient {
 public:
  // `options` are complete and outlive the client, as does what `stop` refers to. `stop` is asked about once
  // a second at least, and ends a transfer with kStopped.
  HttpClient(const PullOptions& options, std::function<bool()> stop);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;

  HttpReply get(const std::string& url, const std::optional<ByteRange>& range, const BodySink& sink);
  // The body as a string, at most `max_bytes` of it.
  HttpReply get_text(const std::string& url, std::size_t max_bytes, std::string* body);

 private:
  struct Transfer;
  HttpReply get_once(const std::string& url, const std::optional<ByteRange>& range, const BodySink& sink);

  const PullOptions& options_;
  std::function<bool()> stop_;
  std::string origin_;  // of the endpoint
  void* curl_;          // CURL*
};

// "bytes 0-99/1000": the range and the total. kDataLoss for anything else.
struct ContentRange {
  ByteRange range;
  std::uint64_t total = 0;
};
base::Result<ContentRange> parse_content_range(std::string_view text);

// The URL without what may be secret in it: user, password, query. For messages.
std::string printable_url(const std::string& url);
// A part of a path with everything encoded that a URL gives a meaning to, '/' too.
std::string url_encode(std::string_view text);

}  // namespace pagoda::hub
