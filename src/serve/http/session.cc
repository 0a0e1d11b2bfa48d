#include "serve/http/session.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/serializer.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <exception>
#include <string_view>
#include <utility>
#include <variant>

#include "serve/http/errors.h"
#include "serve/http/stream_writer.h"
#include "serve/http/websocket_messages.h"

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

HttpRequest to_request(http::request<http::string_body>& message) {
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

template <typename Message>
void fill_header(const HttpResponse& response, bool keep_alive, Message& message) {
  if (response.status == 499) message.reason("Client Closed Request");
  message.set(http::field::server, "pagoda");
  if (!response.content_type.empty()) message.set(http::field::content_type, response.content_type);
  for (const auto& [name, value] : response.headers) message.insert(name, value);
  message.keep_alive(keep_alive);
}

bool lacks_length(const http::request<http::string_body>& message) {
  return (message.method() == http::verb::post || message.method() == http::verb::put) &&
         !message.has_content_length() && !message.chunked();
}

}  // namespace

Session::Session(asio::ip::tcp::socket socket, FrontDoor& door, const SessionLimits& limits)
    : socket_(std::move(socket)),
      door_(door),
      limits_(limits),
      deadline_(socket_),
      farewell_(socket_.get_executor(), asio::steady_timer::time_point::max()),
      buffer_(kMaxBufferBytes) {}

void Session::abort() {
  asio::post(socket_.get_executor(), [self = shared_from_this()] {
    self->aborted_ = true;
    if (self->websocket_)
      self->farewell_.cancel();
    else
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
    const bool goes_on = co_await serve(parser);
    if (!goes_on) co_return;
    keep_alive = keep_alive_;
    if (buffer_.size() == 0) buffer_.shrink_to_fit();  // an idle connection holds no more than its frames
  }
  co_await close_gently();
}

asio::awaitable<bool> Session::serve(Parser& parser) {
  const bool upgrade = beast::websocket::is_upgrade(parser.get());
  const bool chunked = parser.get().version() >= 11;
  version_ = chunked ? 11 : 10;
  keep_alive_ = parser.get().keep_alive();
  HttpRequest request = to_request(parser.get());
  FrontDoor::Visit visit;
  std::optional<HttpResponse> response;
  {
    const DrainGate::Pass pass(door_.gate());
    if (upgrade) response = door_.enter(request, visit);
    if (upgrade && !response && visit.match.route->socket) {
      websocket_ = true;
    } else {
      if (!response) response = co_await answer(request, visit);
      if (!response) {
        door_.left(request, visit, http_status(base::Code::kCancelled));
        co_return false;  // nobody listens
      }
      door_.finish(request, *response);
      keep_alive_ = keep_alive_ && !door_.gate().closed() && !aborted_;
      const int status = response->status;
      const bool streams = static_cast<bool>(response->stream) && request.method != "HEAD";
      const bool written = streams
                               ? co_await write_stream(std::move(*response), keep_alive_ && chunked, chunked)
                               : co_await write(std::move(*response), keep_alive_, request.method == "HEAD");
      keep_alive_ = keep_alive_ && (chunked || !streams);
      door_.left(request, visit, written ? status : http_status(base::Code::kCancelled));
      co_return written;
    }
  }
  const bool accepted = co_await run_websocket(parser, request, visit.match.route->socket);
  door_.left(request, visit, accepted ? 101 : 400);
  co_return false;
}

asio::awaitable<void> Session::refuse() {
  HttpRequest request;  // nothing was read of it
  const std::string message = "too many connections";
  co_await refuse(std::move(request), 503, message);
  co_await close_gently();
}

asio::awaitable<void> Session::refuse(HttpRequest request, int status, std::string message) {
  FrontDoor::Visit visit;
  HttpResponse response = door_.refuse(request, status, message);
  co_await write(std::move(response), /*keep_alive=*/false, /*head_only=*/false);
  door_.left(request, visit, status);
}

asio::awaitable<Session::Wake> Session::wait_for_request() {
  if (buffer_.size() > 0) co_return Wake::kData;  // pipelined
  if (input_over_) co_return Wake::kClosed;
  deadline_.arm(limits_.idle_timeout, weak_from_this());
  const auto [error] = co_await socket_.async_wait(asio::ip::tcp::socket::wait_read, kQuietly);
  deadline_.disarm();
  co_return error ? Wake::kClosed : Wake::kData;
}

asio::awaitable<bool> Session::read_request(Parser& parser) {
  if (aborted_) co_return false;  // the deadline that said so is gone
  deadline_.arm(limits_.idle_timeout, weak_from_this());
  boost::system::error_code error;
  if (input_over_) {
    error = parse_ahead(parser);
  } else {
    const auto [header_error, bytes] = co_await http::async_read_header(socket_, buffer_, parser, kQuietly);
    error = header_error;
  }
  int status = 0;
  if (!error && lacks_length(parser.get())) status = 411;
  if (!error && status == 0 && !parser.is_done()) error = co_await read_body(parser);
  input_over_ = input_over_ || error == http::error::end_of_stream || error == http::error::partial_message;
  const bool expired = deadline_.expired();
  deadline_.disarm();
  if (aborted_) co_return false;
  if (!error && status == 0) co_return true;
  if (status == 0) status = read_error_status(error, expired);
  if (status == 0) co_return false;
  const std::string message = status == 411 ? "the request has neither Content-Length nor chunks"
                                            : read_error_message(status, error, limits_);
  HttpRequest request = to_request(parser.get());
  co_await refuse(std::move(request), status, message);
  co_return false;
}

boost::system::error_code Session::parse_ahead(Parser& parser) {
  boost::system::error_code error;
  parser.eager(true);
  while (!error && !parser.is_done() && buffer_.size() > 0)
    buffer_.consume(parser.put(buffer_.data(), error));
  if (error == http::error::need_more || (!error && !parser.is_done())) error = http::error::partial_message;
  return error;
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

asio::awaitable<std::optional<HttpResponse>> Session::answer(HttpRequest& request, FrontDoor::Visit& visit) {
  using namespace asio::experimental::awaitable_operators;
  // Whichever ends first cancels the other; both have ended when this returns.
  std::variant<HttpResponse, std::monostate> first =
      co_await (door_.answer(request, visit) || watch_for_end());
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
    if (!error) continue;
    input_over_ = input_over_ || error != asio::error::operation_aborted;
    co_return;
  }
}

asio::awaitable<bool> Session::write(HttpResponse response, bool keep_alive, bool head_only) {
  http::response<http::string_body> message(static_cast<http::status>(response.status), version_);
  fill_header(response, keep_alive, message);
  if (response.status != 204 && response.status != 304) message.content_length(response.body.size());
  if (!head_only) message.body() = std::move(response.body);
  // An aborted connection gets a moment to take its last answer, not a minute.
  deadline_.arm(aborted_ ? kLingerTime : limits_.idle_timeout, weak_from_this());
  const auto [error, bytes] = co_await http::async_write(socket_, message, kQuietly);
  deadline_.disarm();
  co_return !error;
}

asio::awaitable<bool> Session::write_stream(HttpResponse response, bool keep_alive, bool chunked) {
  using namespace asio::experimental::awaitable_operators;
  http::response<http::empty_body> message(static_cast<http::status>(response.status), version_);
  fill_header(response, keep_alive, message);
  message.set(http::field::cache_control, "no-cache");
  message.chunked(chunked);  // without: the body ends with the connection
  http::response_serializer<http::empty_body> serializer(message);
  deadline_.arm(limits_.idle_timeout, weak_from_this());
  const auto [error, bytes] = co_await http::async_write_header(socket_, serializer, kQuietly);
  deadline_.disarm();
  if (error) co_return false;

  StreamWriter writer(socket_, chunked, [this](bool begin) {
    if (aborted_) return;  // abort() has set a deadline that must not be put off
    begin ? deadline_.arm(limits_.idle_timeout, weak_from_this()) : deadline_.disarm();
  });
  std::variant<bool, std::monostate> first =
      co_await (guarded_stream(response.stream, writer) || watch_for_end());
  bool complete = first.index() == 0 && std::get<0>(first) && !aborted_;
  if (complete) complete = co_await writer.finish();
  co_return complete;
}

asio::awaitable<bool> Session::run_websocket(Parser& parser, const HttpRequest& request,
                                             const SocketHandler& handler) {
  WebSocketMessages messages(socket_, limits_);
  const bool accepted = co_await messages.accept(parser.get(), buffer_);
  if (!accepted) co_return false;
  bool over = false;
  const auto converse = [&]() -> asio::awaitable<void> {
    co_await guarded_socket(handler, request, messages);
    over = true;
    farewell_.cancel();
  };
  // The close frame is said beside the handler, whose reading ends when the client answers it: cancelling
  // that reading would break the stream, and nothing more could be said.
  const auto say_goodbye = [&]() -> asio::awaitable<void> {
    if (!aborted_ && !over) co_await farewell_.async_wait(kQuietly);
    deadline_.arm(kLingerTime / 10, weak_from_this());
    co_await messages.close(door_.gate().closed());
  };
  using namespace asio::experimental::awaitable_operators;
  co_await (converse() && say_goodbye());
  deadline_.disarm();
  co_return true;
}

// Closing with unread bytes makes the system send a reset, and that can destroy an answer on its way ("the
// body is too large" while the body still arrives). So: no more from us, and read what comes for a while.
asio::awaitable<void> Session::close_gently() {
  boost::system::error_code error;
  socket_.shutdown(asio::ip::tcp::socket::shutdown_send, error);
  deadline_.arm(door_.gate().closed() ? kLingerTime / 10 : kLingerTime, weak_from_this());
  buffer_.clear();
  while (!error && !input_over_ && !deadline_.expired()) {
    const auto [read_error, bytes] = co_await socket_.async_read_some(buffer_.prepare(16384), kQuietly);
    error = read_error;
  }
  deadline_.disarm();
  socket_.close(error);
}

}  // namespace pagoda::serve
