#pragma once
// A WebSocket (RFC 6455) on the socket of a session, as text messages.

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/websocket/stream.hpp>

#include "serve/http/message_socket.h"
#include "serve/http/router.h"

namespace pagoda::serve {

struct SessionLimits;

class WebSocketMessages : public MessageSocket {
 public:
  // The socket outlives it. Pings keep a silent connection alive; one that answers none ends.
  WebSocketMessages(boost::asio::ip::tcp::socket& socket, const SessionLimits& limits);

  // The handshake; `ahead` is what was read behind the request. False: it failed, the connection is of no
  // use.
  boost::asio::awaitable<bool> accept(
      const boost::beast::http::request<boost::beast::http::string_body>& request,
      boost::beast::flat_buffer& ahead);
  boost::asio::awaitable<std::optional<std::string>> read() override;
  boost::asio::awaitable<bool> write(std::string message) override;
  // Says goodbye, if the client is still there.
  boost::asio::awaitable<void> close(bool server_ends);

 private:
  boost::beast::websocket::stream<boost::asio::ip::tcp::socket&> stream_;
  boost::beast::flat_buffer buffer_;
  boost::beast::websocket::close_code close_code_ = boost::beast::websocket::close_code::normal;
};

// Runs the handler; an exception ends the connection, not the server.
boost::asio::awaitable<void> guarded_socket(const SocketHandler& handler, const HttpRequest& request,
                                            MessageSocket& socket);

}  // namespace pagoda::serve
