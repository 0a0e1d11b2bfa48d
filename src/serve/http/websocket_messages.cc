#include "serve/http/websocket_messages.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/websocket.hpp>

#include "serve/http/session.h"

namespace pagoda::serve {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
namespace {

const auto kQuietly = asio::as_tuple(asio::use_awaitable);

}  // namespace

WebSocketMessages::WebSocketMessages(asio::ip::tcp::socket& socket, const SessionLimits& limits)
    : stream_(socket) {
  websocket::stream_base::timeout timeout{};
  timeout.handshake_timeout = limits.idle_timeout;
  timeout.idle_timeout = limits.idle_timeout;
  timeout.keep_alive_pings = true;
  stream_.set_option(timeout);
  stream_.set_option(websocket::stream_base::decorator(
      [](websocket::response_type& response) { response.set(beast::http::field::server, "pagoda"); }));
  stream_.read_message_max(limits.body_bytes);
}

asio::awaitable<bool> WebSocketMessages::accept(const beast::http::request<beast::http::string_body>& request,
                                                beast::flat_buffer& ahead) {
  if (ahead.size() > 0) co_return false;  // no client may speak before it is answered
  const auto [error] = co_await stream_.async_accept(request, kQuietly);
  co_return !error;
}

asio::awaitable<std::optional<std::string>> WebSocketMessages::read() {
  buffer_.clear();
  const auto [error, bytes] = co_await stream_.async_read(buffer_, kQuietly);
  if (error) co_return std::nullopt;
  if (!stream_.got_text()) {
    close_code_ = websocket::close_code::unknown_data;
    co_return std::nullopt;
  }
  std::string message = beast::buffers_to_string(buffer_.data());
  if (buffer_.capacity() > (64u << 10))
    buffer_ = beast::flat_buffer();  // one large message is no reason to keep it
  co_return message;
}

asio::awaitable<bool> WebSocketMessages::write(std::string message) {
  stream_.text(true);
  const auto [error, bytes] = co_await stream_.async_write(asio::buffer(message), kQuietly);
  co_return !error;
}

asio::awaitable<void> WebSocketMessages::close(bool server_ends) {
  if (!stream_.is_open()) co_return;
  const websocket::close_reason reason(server_ends ? websocket::close_code::going_away : close_code_);
  co_await stream_.async_close(reason, kQuietly);
}

asio::awaitable<void> guarded_socket(const SocketHandler& handler, const HttpRequest& request,
                                     MessageSocket& socket) {
  try {
    co_await handler(request, socket);
  } catch (const std::exception&) {  // memory ran out, or a library threw
  }
}

}  // namespace pagoda::serve
