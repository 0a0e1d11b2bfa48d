#include "serve/page_routes.h"

#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <map>

#include "base/mapped_file.h"
#include "serve/embedded_files.h"
#include "serve/http/errors.h"

namespace pagoda::serve {
namespace asio = boost::asio;
namespace fs = std::filesystem;
namespace {

constexpr std::size_t kMaxFileBytes = 16u << 20;

std::string content_type(std::string_view path) {
  static const std::map<std::string_view, std::string_view> kTypes = {
      {".html", "text/html; charset=utf-8"},
      {".css", "text/css; charset=utf-8"},
      {".js", "text/javascript; charset=utf-8"},
      {".json", "application/json"},
      {".svg", "image/svg+xml"},
      {".png", "image/png"},
      {".ico", "image/x-icon"},
      {".webmanifest", "application/manifest+json"},
      {".txt", "text/plain; charset=utf-8"},
  };
  const std::size_t dot = path.rfind('.');
  const auto found = dot == std::string_view::npos ? kTypes.end() : kTypes.find(path.substr(dot));
  return std::string(found == kTypes.end() ? "application/octet-stream" : found->second);
}

HttpResponse file_response(const HttpRequest& request, std::string_view path, std::string_view bytes) {
  HttpResponse response;
  response.content_type = content_type(path);
  const std::string tag = fmt::format("\"{:016x}\"", std::hash<std::string_view>()(bytes));
  response.headers = {
      {"ETag", tag},
      {"Cache-Control", "no-cache"},  // asked for each time, answered by 304 while it is the same
      {"Content-Security-Policy",
       "default-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data: blob:; frame-ancestors 'none'"},
      {"X-Content-Type-Options", "nosniff"},
      {"Referrer-Policy", "no-referrer"},
  };
  if (request.header("If-None-Match") == tag)
    response.status = 304;
  else
    response.body = bytes;
  return response;
}

// What reads a file when it is asked for.
using Read = std::function<base::Result<std::string>()>;

void add_file(Router& router, const std::string& path, const Read& read) {
  Route route;
  route.access = Access::kOpen;
  route.handler = [path, read](const HttpRequest& request) -> asio::awaitable<HttpResponse> {
    const base::Result<std::string> bytes = read();
    co_return bytes.ok() ? file_response(request, path, *bytes) : error_response(bytes.status());
  };
  if (path == "index.html") router.add("GET", "/", route);
  router.add("GET", "/" + path, route);
}

}  // namespace

base::Status add_page_routes(Router& router, const std::string& folder) {
  if (folder.empty()) {
    for (const EmbeddedFile& file : embedded_files())
      add_file(router, std::string(file.path),
               [bytes = file.bytes()]() -> base::Result<std::string> { return std::string(bytes); });
    return {};
  }
  if (!fs::exists(fs::path(folder) / "index.html"))
    return base::invalid("--web-dir {} holds no index.html", folder);
  std::error_code error;
  for (const fs::directory_entry& entry : fs::recursive_directory_iterator(folder, error)) {
    if (!entry.is_regular_file()) continue;
    const std::string path = entry.path().string();
    add_file(router, fs::relative(entry.path(), folder).generic_string(),
             [path] { return base::read_file(path, kMaxFileBytes); });
  }
  if (error) return base::invalid("cannot read --web-dir {}: {}", folder, error.message());
  return {};
}

}  // namespace pagoda::serve
