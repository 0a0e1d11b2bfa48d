#pragma once
// One connection: reads requests one after another, has them answered, writes the answers. Everything runs on
// the strand of its socket.

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "serve/http/deadline.h"
#include "serve/http/front_door.h"
#include "serve/http/http_message.h"

namespace pagoda::serve {

struct SessionLimits {
  std::uint32_t header_bytes = 16u << 10;
  std::uint64_t body_bytes = 8u << 20;  // also of a WebSocket message
  // Between two requests; for a whole request to arrive, however slowly it trickles; for an answer to be
  // taken.
  std::chrono::milliseconds idle_timeout{60'000};
};

class Session : public std::enable_shared_from_this<Session> {
 public:
  // `door` outlives it. The socket's executor is a strand.
  Session(boost::asio::ip::tcp::socket socket, FrontDoor& door, const SessionLimits& limits);

  // To the end of the connection. Must be spawned on the socket's executor, by somebody who holds a shared
  // pointer.
  boost::asio::awaitable<void> run();
  // Instead of run(): says that there are too many connections, and closes.
  boost::asio::awaitable<void> refuse();
  // Any thread: cancels the handler that runs and ends the connection; a WebSocket is closed with a word.
  void abort();
  bool is_websocket() const { return websocket_; }

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  enum class Wake { kData, kClosed };

  // Waits for the first byte of the next request.
  boost::asio::awaitable<Wake> wait_for_request();
  // False: there is none; the client was told why, if there was something to tell.
  boost::asio::awaitable<bool> read_request(Parser& parser);
  boost::asio::awaitable<boost::system::error_code> read_body(Parser& parser);
  // read_request() where nothing more can come: what is there is a request or not.
  boost::system::error_code parse_ahead(Parser& parser);
  // Answers what read_request() read. False: the connection is over, without close_gently().
  boost::asio::awaitable<bool> serve(Parser& parser);
  // The answer of the route; nothing if the client left before there was one.
  boost::asio::awaitable<std::optional<HttpResponse>> answer(HttpRequest& request, FrontDoor::Visit& visit);
  boost::asio::awaitable<void> watch_for_end();
  // False if the client did not take it.
  boost::asio::awaitable<bool> write(HttpResponse response, bool keep_alive, bool head_only);
  boost::asio::awaitable<bool> write_stream(HttpResponse response, bool keep_alive, bool chunked);
  // Takes the connection over, to its end. False: the handshake failed, and the client was told.
  boost::asio::awaitable<bool> run_websocket(Parser& parser, const HttpRequest& request,
                                             const SocketHandler& handler);
  // Says why a request that is not whole, or of one connection too many, has no answer.
  boost::asio::awaitable<void> refuse(HttpRequest request, int status, std::string message);
  boost::asio::awaitable<void> close_gently();

  boost::asio::ip::tcp::socket socket_;
  FrontDoor& door_;
  const SessionLimits limits_;
  Deadline deadline_;
  boost::asio::steady_timer farewell_;  // cancelled when a WebSocket is to end
  boost::beast::flat_buffer buffer_;
  bool aborted_ = false;
  // The client's side has ended. Asio says so once: a further read would wait for nothing.
  bool input_over_ = false;
  unsigned version_ = 11;   // of the request that is being answered: HTTP/1.1
  bool keep_alive_ = true;  // after the request that is being answered
  std::atomic<bool> websocket_ = false;
};

}  // namespace pagoda::serve
