#include "serve/http/request_log.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <chrono>

namespace pagoda::serve {
namespace {

bool drawn(double share) {
  if (share >= 1) return true;
  if (share <= 0) return false;
  thread_local std::minstd_rand generator{std::random_device{}()};
  return std::uniform_real_distribution<double>()(generator) < share;
}

std::string quoted(std::string_view text) {
  return boost::json::serialize(boost::json::string(text.data(), text.size()));
}

}  // namespace

void RequestLog::answered(const HttpRequest& request, std::string_view route, int status,
                          double seconds) const {
  if (status != 500 && !drawn(options_.sample)) return;
  const std::string text = line(request, route, status, seconds) + "\n";
  std::fwrite(text.data(), 1, text.size(), options_.stream);
}

std::string RequestLog::line(const HttpRequest& request, std::string_view route, int status,
                             double seconds) const {
  const auto now = std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
  const auto second = std::chrono::floor<std::chrono::seconds>(now);
  const Trace& trace = *request.trace;
  // The route, not the path: a path may hold a key.
  std::string line = fmt::format(
      R"({{"time":"{:%FT%T}.{:03}Z","id":{},"client":{},"method":{},"route":{},"status":{},"seconds":{:.6f})",
      second, (now - second).count(), quoted(request.id),
      request.client != 0 ? request.client : request.trace->client, quoted(request.method), quoted(route),
      status, seconds);
  if (!trace.finish.empty())
    line +=
        fmt::format(R"(,"prompt_tokens":{},"cached_tokens":{},"completion_tokens":{},"finish_reason":"{}")",
                    trace.prompt_tokens, trace.cached_tokens, trace.completion_tokens, trace.finish);
  if (options_.texts && !trace.input.empty())
    line += fmt::format(R"(,"input":{},"output":{})", quoted(trace.input), quoted(trace.output));
  return line + "}";
}

}  // namespace pagoda::serve
