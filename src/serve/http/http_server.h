#pragma once
// Listens, and gives each connection a session. Owns the server's threads; handlers run on them and must not
// block, save for what costs milliseconds (parsing, tokenising).

#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/strand.hpp>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/status.h"
#include "serve/http/front_door.h"
#include "serve/http/session.h"

namespace pagoda::serve {

struct ServerOptions {
  std::string host = "127.0.0.1";
  std::uint16_t port = 8080;  // 0: the system chooses
  // Two, so that a long prompt being tokenised does not keep /health waiting.
  int threads = 2;
  std::size_t max_connections = 4096;  // bind() lowers it to what the system's limit of open files allows
  // Bytes of an answer that may wait in the kernel beyond what the client's window takes. Without a limit the
  // kernel grows the buffer to megabytes, and a client that does not read is noticed minutes late.
  int unsent_bytes = 128 << 10;
  SessionLimits session;
};

class HttpServer {
 public:
  // `door` outlives it.
  HttpServer(const ServerOptions& options, FrontDoor& door);
  // Stops at once. An engine that handlers talk to must be drained or destroyed before: its thread may still
  // be on its way out of the last sink, which points here.
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;

  // Takes the port, so that a taken one is known before a model is loaded; connections are still refused.
  // kInvalidArgument for a host that is none, kFailedPrecondition when the port cannot be had.
  base::Status bind();
  // After bind(), once: from here on requests are answered, by what the front door has been opened with.
  base::Status start();
  std::uint16_t port() const { return port_; }
  // "http://127.0.0.1:8080"
  std::string url() const;

  // Refuses new connections and requests, lets those that run end within `drain_timeout`, then cancels them.
  // Returns when no connection is left and the threads have ended. Repeated calls do nothing. Not from a
  // handler.
  void stop(std::chrono::milliseconds drain_timeout);

  Metrics::Connections connections() const;

 private:
  using Strand = boost::asio::strand<boost::asio::io_context::executor_type>;

  base::Result<boost::asio::ip::tcp::endpoint> resolve();
  boost::asio::awaitable<void> accept();
  void begin(boost::asio::ip::tcp::socket socket);
  void end(const std::shared_ptr<Session>& session);

  const ServerOptions options_;
  FrontDoor& door_;
  std::size_t max_connections_;
  std::uint16_t port_ = 0;

  boost::asio::io_context io_;
  Strand acceptor_strand_;
  boost::asio::ip::tcp::acceptor acceptor_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_;
  std::vector<std::thread> threads_;

  mutable std::mutex mutex_;
  std::condition_variable no_session_;
  std::set<std::shared_ptr<Session>> sessions_;
};

}  // namespace pagoda::serve
