#pragma once
// Sends requests to one server and times their answers. One thread: everything happens inside run(), on the
// thread that calls it. Connections are kept and used again.

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "load/endpoint.h"
#include "load/outcome.h"
#include "load/url.h"

namespace pagoda::load {

struct ClientOptions {
  Url url;
  RequestShape shape;
  std::chrono::milliseconds timeout{600'000};  // of one request, connecting included
};

class Client {
 public:
  explicit Client(ClientOptions options);
  ~Client();
  Client(const Client&) = delete;

  // Finds the server's addresses, once, before anything is sent. kNotFound if the name has none.
  base::Status resolve();

  // On io(). Never throws what the network did: it is in the outcome.
  boost::asio::awaitable<Outcome> send(const Prompt& prompt);
  // The body of a GET's answer with status 200. On io().
  boost::asio::awaitable<base::Result<std::string>> get(std::string_view path);

  boost::asio::io_context& io() { return io_; }
  const RequestShape& shape() const { return options_.shape; }
  void set_model(std::string model) { options_.shape.model = std::move(model); }
  std::int64_t connections_opened() const { return connections_opened_; }

 private:
  struct Connection;
  struct Parser;
  struct Reading;

  std::string head(std::string_view method, std::string_view path, std::size_t body_bytes) const;
  // Sends `message` and reads its answer into `reading`, on a kept connection if there is one.
  boost::asio::awaitable<void> exchange(std::string_view message, Reading& reading);
  // False: nothing of an answer came on a connection that was kept; the server may have closed it meanwhile.
  boost::asio::awaitable<bool> exchange_on(std::shared_ptr<Connection> connection, std::string_view message,
                                           Reading& reading);
  boost::asio::awaitable<boost::system::error_code> connect(Connection& connection);
  boost::asio::awaitable<void> read_body(Connection& connection, Parser& parser, Reading& reading);

  ClientOptions options_;
  boost::asio::io_context io_{1};
  boost::asio::ip::tcp::resolver::results_type addresses_;
  std::vector<std::shared_ptr<Connection>> idle_;
  std::int64_t connections_opened_ = 0;
};

}  // namespace pagoda::load
