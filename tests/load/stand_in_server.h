#pragma once
// A server on a free port of the loopback that answers with the bytes a test gives it, when the test says so:
// the other end for the load generator, good or bad. One thread of its own.

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <functional>
#include <string>
#include <thread>
#include <utility>

namespace pagoda::load {

inline std::string json_answer(int status, const std::string& body, const std::string& fields = "") {
  return "HTTP/1.1 " + std::to_string(status) + " X\r\nContent-Type: application/json\r\n" + fields +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}
inline const std::string kStreamHead =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
inline std::string chunk(const std::string& bytes) {
  char size[20];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return size + bytes + "\r\n";
}
inline std::string event(const std::string& data) { return chunk("data: " + data + "\n\n"); }
inline const std::string kLastChunk = "0\r\n\r\n";

// The three pieces "a", "b", "c" with usage, the end, and [DONE], as POST /generate sends them.
inline std::string generate_end(int prompt_tokens, int completion_tokens) {
  return event(R"({"text":"","finish_reason":"length","usage":{"prompt_tokens":)" +
               std::to_string(prompt_tokens) + R"(,"completion_tokens":)" +
               std::to_string(completion_tokens) + R"(,"cached_tokens":0}})") +
         event("[DONE]") + kLastChunk;
}

// For what a busy machine may spoil, and a wrong program always does: true if `attempt` is, once in ten
// times.
inline bool once_in_ten(const std::function<bool()>& attempt) {
  for (int i = 0; i < 10; ++i)
    if (attempt()) return true;
  return false;
}

class StandInServer {
 public:
  // One request on a connection.
  struct Exchange {
    boost::asio::ip::tcp::socket& socket;
    std::string method, path, body, authorization;
    int number = 0;  // of the request, over all connections, from 0
    const StandInServer& server;

    boost::asio::awaitable<void> write(std::string bytes) {
      co_await boost::asio::async_write(socket, boost::asio::buffer(bytes),
                                        boost::asio::as_tuple(boost::asio::use_awaitable));
    }
    boost::asio::awaitable<void> sleep(int milliseconds) {
      boost::asio::steady_timer timer(socket.get_executor(), std::chrono::milliseconds(milliseconds));
      co_await timer.async_wait(boost::asio::as_tuple(boost::asio::use_awaitable));
    }
    void close() {
      boost::system::error_code ignored;
      socket.close(ignored);
    }
  };
  // Writes the answer. Whoever wants the connection to end closes it.
  using Handler = std::function<boost::asio::awaitable<void>(Exchange&)>;

  explicit StandInServer(Handler handler)
      : handler_(std::move(handler)), acceptor_(io_, {boost::asio::ip::address_v4::loopback(), 0}) {
    boost::asio::co_spawn(io_, accept(), boost::asio::detached);
    thread_ = std::thread([this] { io_.run(); });
  }
  ~StandInServer() { stop(); }

  // Then what handlers wrote may be read: where another process asks, nothing else orders the threads.
  void stop() {
    io_.stop();
    if (thread_.joinable()) thread_.join();
  }

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port()); }
  int connections() const { return connections_; }
  int requests() const { return requests_; }
  int most_at_once() const { return most_at_once_; }

 private:
  boost::asio::awaitable<void> accept() {
    for (;;) {
      auto [error, socket] =
          co_await acceptor_.async_accept(boost::asio::as_tuple(boost::asio::use_awaitable));
      if (error) co_return;
      ++connections_;
      boost::asio::co_spawn(io_, serve(std::move(socket)), boost::asio::detached);
    }
  }
  boost::asio::awaitable<void> serve(boost::asio::ip::tcp::socket socket) {
    namespace http = boost::beast::http;
    boost::beast::flat_buffer buffer;
    while (socket.is_open()) {
      http::request<http::string_body> request;
      const auto [error, bytes] = co_await http::async_read(
          socket, buffer, request, boost::asio::as_tuple(boost::asio::use_awaitable));
      if (error) co_return;
      Exchange exchange{socket,
                        std::string(request.method_string()),
                        std::string(request.target()),
                        request.body(),
                        std::string(request[http::field::authorization]),
                        requests_++,
                        *this};
      most_at_once_ = std::max<int>(most_at_once_, ++at_once_);
      co_await handler_(exchange);
      --at_once_;
    }
  }

  Handler handler_;
  std::atomic<int> connections_ = 0, requests_ = 0, most_at_once_ = 0;
  int at_once_ = 0;
  boost::asio::io_context io_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::thread thread_;
};

}  // namespace pagoda::load
