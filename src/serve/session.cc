#include "serve/session.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <exception>
#include <string_view>
#include <utility>
#include <variant>

#include "serve/errors.h"

namespace pagoda::serve {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using std::chrono::milliseconds;
namespace {

// Bytes of pipelined requests that are read while an answer is computed; beyond them TCP holds the client
// back.
constexpr std::size_t kMaxAheadBytes = 32u << 10;
// Above both the largest header and what is read ahead, with room for one read.
constexpr std::size_t kMaxBufferBytes = 64u << 10;
constexpr milliseconds kLingerTime{2000};

const auto kQuietly = asio::as_tuple(asio::use_awaitable);

std::string string(beast::string_view text) { return std::string(text.data(), text.size()); }

// What to tell a client whose request could not be read; 0: nothing, it is gone.
int read_error_status(const boost::system::error_code& error, bool expired) {
  if (expired) return 408;
  if (error == http::error::header_limit || error == http::error::buffer_overflow) return 431;
  if (error == http::error::body_limit) return 413;
  if (error == http::error::end_of_stream || error == http::error::partial_message) return 0;
  return error.category() == http::make_error_code(http::error::bad_method).category() ? 400 : 0;
}

std::string read_error_message(int status, const boost::system::error_code& error,
                               const SessionLimits& limits) {
  switch (status) {
    case 408:
      return fmt::format("the request did not arrive within {} ms", limits.idle_timeout.count());
    case 413:
      return fmt::format("the body is larger than {} bytes", limits.body_bytes);
    case 431:
      return fmt::format("the header is larger than {} bytes", limits.header_bytes);
    default:
      return "the request is not HTTP/1.1: " + error.message();
  }
}

HttpRequest to_request(http::request<http::string_body>&& message) {
  HttpRequest request;
  request.method = string(message.method_string());
  std::string target = string(message.target());
  // Proxies may be sent the whole address: "http://host/path".
  if (target.starts_with("http://") || target.starts_with("https://")) {
    const std::size_t slash = target.find('/', target.find("//") + 2);
    target = slash == std::string::npos ? "/" : target.substr(slash);
  }
  const std::size_t question = target.find('?');
  request.path = target.substr(0, question);
  if (question != std::string::npos) request.query = target.substr(question + 1);
  for (const auto& field : message)
    request.headers.emplace_back(string(field.name_string()), string(field.value()));
  request.body = std::move(message.body());
  return request;
}

// Handlers report by HttpResponse; an exception is memory running out, or a library that throws.
asio::awaitable<HttpResponse> guarded(const Handler& handler, const HttpRequest& request) {
  try {
    HttpResponse response = co_await handler(request);
    co_return response;
  } catch (const std::exception& failure) {
    co_return error_response(500, std::string("the request failed: ") + failure.what());
  }
}

bool lacks_length(const http::request<http::string_body>& message) {
  return (message.method() == http::verb::post || message.method() == http::verb::put) &&
         !message.has_content_length() && !message.chunked();
}

}  // namespace

Session::Session(asio::ip::tcp::socket socket, const Router& router, DrainGate& gate,
                 const SessionLimits& limits)
    : socket_(std::move(socket)),
      router_(router),
      gate_(gate),
      limits_(limits),
      deadline_(socket_),
      buffer_(kMaxBufferBytes) {}

void Session::abort() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->aborted_ = true;
    self->deadline_.arm(milliseconds(0), self);
  });
}

asio::awaitable<void> Session::run() {
  boost::system::error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  for (bool keep_alive = true; keep_alive && !aborted_;) {
    const Wake wake = co_await wait_for_request();
    if (wake == Wake::kClosed) co_return;
    Parser parser;
    parser.header_limit(limits_.header_bytes);
    parser.body_limit(limits_.body_bytes);
    const bool complete = co_await read_request(parser);
    if (!complete) break;
    const DrainGate::Pass pass(gate_);
    keep_alive = parser.get().keep_alive();
    const HttpRequest request = to_request(parser.release());
    std::optional<HttpResponse> response = co_await answer(request);
    if (!response) co_return;  // nobody listens
    keep_alive = keep_alive && !gate_.closed() && !aborted_;
    const bool written = co_await write(std::move(*response), keep_alive, request.method == "HEAD");
    if (!written) co_return;
  }
  co_await close_gently();
}

asio::awaitable<void> Session::refuse() {
  co_await write(error_response(503, "too many connections"), /*keep_alive=*/false, /*head_only=*/false);
  co_await close_gently();
}

asio::awaitable<Session::Wake> Session::wait_for_request() {
  if (buffer_.size() > 0) co_return Wake::kData;  // pipelined
  deadline_.arm(limits_.idle_timeout, weak_from_this());
  const auto [error, bytes] = co_await socket_.async_read_some(buffer_.prepare(4096), kQuietly);
  buffer_.commit(bytes);
  deadline_.disarm();
  co_return error ? Wake::kClosed : Wake::kData;
}

asio::awaitable<bool> Session::read_request(Parser& parser) {
  if (aborted_) co_return false;  // the deadline that said so is gone
  deadline_.arm(limits_.idle_timeout, weak_from_this());
  boost::system::error_code error;
  {
    const auto [header_error, bytes] = co_await http::async_read_header(socket_, buffer_, parser, kQuietly);
    error = header_error;
  }
  int status = 0;
  if (!error && lacks_length(parser.get())) status = 411;
  if (!error && status == 0) error = co_await read_body(parser);
  const bool expired = deadline_.expired();
  deadline_.disarm();
  if (aborted_) co_return false;
  if (!error && status == 0) co_return true;
  if (status == 0) status = read_error_status(error, expired);
  if (status == 0) co_return false;
  const std::string message = status == 411 ? "the request has neither Content-Length nor chunks"
                                            : read_error_message(status, error, limits_);
  co_await write(error_response(status, message), /*keep_alive=*/false, /*head_only=*/false);
  co_return false;
}

asio::awaitable<boost::system::error_code> Session::read_body(Parser& parser) {
  if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
    static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
    const auto [error, bytes] =
        co_await asio::async_write(socket_, asio::buffer(kContinue.data(), kContinue.size()), kQuietly);
    if (error) co_return error;
  }
  const auto [error, bytes] = co_await http::async_read(socket_, buffer_, parser, kQuietly);
  co_return error;
}

asio::awaitable<std::optional<HttpResponse>> Session::answer(const HttpRequest& request) {
  const Router::Match match = router_.find(request.method, request.path);
  if (match.route == nullptr) {
    if (match.allow.empty()) co_return error_response(404, "there is no " + request.path + " here");
    HttpResponse response =
        error_response(405, request.path + " does not answer " + request.method + ", only " + match.allow);
    response.headers.emplace_back("Allow", match.allow);
    co_return response;
  }
  if (gate_.closed() && !match.route->while_draining)
    co_return error_response(503, "the server is shutting down");
  std::optional<HttpResponse> response = co_await run_handler(match.route->handler, request);
  co_return response;
}

asio::awaitable<std::optional<HttpResponse>> Session::run_handler(const Handler& handler,
                                                                  const HttpRequest& request) {
  using namespace asio::experimental::awaitable_operators;
  // Whichever ends first cancels the other; both have ended when this returns.
  std::variant<HttpResponse, std::monostate> first = co_await (guarded(handler, request) || watch_for_end());
  if (first.index() == 0) co_return std::get<0>(std::move(first));
  if (aborted_) co_return error_response(503, "the server shut down before the answer was complete");
  co_return std::nullopt;
}

// Ends when the client has closed its side, or the session is aborted. What arrives meanwhile is the next
// request.
asio::awaitable<void> Session::watch_for_end() {
  asio::steady_timer pause(socket_.get_executor());
  while (!aborted_) {
    if (buffer_.size() >= kMaxAheadBytes) {  // an end behind so much cannot be seen
      pause.expires_after(milliseconds(100));
      co_await pause.async_wait(kQuietly);
      continue;
    }
    const auto [error, bytes] = co_await socket_.async_read_some(buffer_.prepare(4096), kQuietly);
    buffer_.commit(bytes);
    if (error) co_return;
  }
}

asio::awaitable<bool> Session::write(HttpResponse response, bool keep_alive, bool head_only) {
  http::response<http::string_body> message(static_cast<http::status>(response.status), 11);
  if (response.status == 499) message.reason("Client Closed Request");
  message.set(http::field::server, "pagoda");
  message.set(http::field::content_type, response.content_type);
  for (const auto& [name, value] : response.headers) message.insert(name, value);
  message.keep_alive(keep_alive);
  message.content_length(response.body.size());
  if (!head_only) message.body() = std::move(response.body);
  // An aborted connection gets a moment to take its last answer, not a minute.
  deadline_.arm(aborted_ ? kLingerTime : limits_.idle_timeout, weak_from_this());
  const auto [error, bytes] = co_await http::async_write(socket_, message, kQuietly);
  deadline_.disarm();
  co_return !error;
}

// Closing with unread bytes makes the system send a reset, and that can destroy an answer on its way ("the
// body is too large" while the body still arrives). So: no more from us, and read what comes for a while.
asio::awaitable<void> Session::close_gently() {
  boost::system::error_code error;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, error);
  deadline_.arm(gate_.closed() ? kLingerTime / 10 : kLingerTime, weak_from_this());
  buffer_.clear();
  while (!error && !deadline_.expired()) {
    const auto [read_error, bytes] = co_await socket_.async_read_some(buffer_.prepare(16384), kQuietly);
    error = read_error;
  }
  deadline_.disarm();
  socket_.close(error);
}

}  // namespace pagoda::serve
