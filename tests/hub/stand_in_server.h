#pragma once
// A small HTTP/1.1 server for tests that can also misbehave: a thread a connection, and the handler writes
// its answer byte by byte if it likes.

#include <boost/asio.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace pagoda::hub {

class StandInServer {
 public:
  using Request = boost::beast::http::request<boost::beast::http::empty_body>;
  using Socket = boost::asio::ip::tcp::socket;
  // Writes an answer. false closes the connection.
  using Handler = std::function<bool(const Request&, Socket&)>;

  explicit StandInServer(Handler handler)
      : handler_(std::move(handler)),
        acceptor_(io_, {boost::asio::ip::make_address("127.0.0.1"), 0}),
        port_(acceptor_.local_endpoint().port()),
        thread_([this] { accept(); }) {}
  ~StandInServer() {
    ::shutdown(acceptor_.native_handle(), SHUT_RDWR);
    thread_.join();
    {
      const std::lock_guard lock(mutex_);
      for (Connection& connection : connections_) ::shutdown(connection.socket.native_handle(), SHUT_RDWR);
    }
    for (Connection& connection : connections_) connection.thread.join();
  }

  std::uint16_t port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }

  // false where the other side has gone.
  static bool write(Socket& socket, std::string_view bytes) {
    boost::system::error_code error;
    boost::asio::write(socket, boost::asio::buffer(bytes.data(), bytes.size()), error);
    return !error;
  }

 private:
  struct Connection {
    explicit Connection(Socket accepted) : socket(std::move(accepted)) {}
    Socket socket;
    std::thread thread;
  };

  void accept() {
    while (true) {
      boost::system::error_code error;
      Socket socket = acceptor_.accept(io_, error);
      if (error) return;
      const std::lock_guard lock(mutex_);
      connections_.emplace_back(std::move(socket));
      Connection& connection = connections_.back();
      connection.thread = std::thread([this, &connection] { serve(connection.socket); });
    }
  }

  void serve(Socket& socket) {
    boost::beast::flat_buffer buffer;
    boost::system::error_code error;
    while (true) {
      Request request;
      boost::beast::http::read(socket, buffer, request, error);
      if (error || !handler_(request, socket)) break;
    }
    socket.shutdown(Socket::shutdown_both, error);
  }

  Handler handler_;
  boost::asio::io_context io_;
  boost::asio::ip::tcp::acceptor acceptor_;
  std::uint16_t port_;
  std::mutex mutex_;
  std::list<Connection> connections_;
  std::thread thread_;
};

}  // namespace pagoda::hub
