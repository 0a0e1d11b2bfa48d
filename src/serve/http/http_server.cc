#include "serve/http/http_server.h"

#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>

namespace pagoda::serve {
namespace asio = boost::asio;
using tcp = asio::ip::tcp;
namespace {

// Connections beyond the limit that are told so; those beyond these are closed without a word.
constexpr std::size_t kMaxRefusals = 64;
// When accept fails there are no descriptors or no memory left: waiting helps, trying at once does not.
constexpr std::chrono::milliseconds kAcceptPause{100};

base::Status cannot_listen(const ServerOptions& options, const boost::system::error_code& error) {
  if (error == asio::error::address_in_use)
    return base::error(base::Code::kFailedPrecondition,
                       "port {} on {} is taken by another program; choose another one with --port",
                       options.port, options.host);
  return base::error(base::Code::kFailedPrecondition, "cannot listen on {} port {}: {}", options.host,
                     options.port, error.message());
}

// Descriptors that the model's files, logs and clients of our own may need.
constexpr std::size_t kOtherFiles = 128;

// Raises the soft limit of open files to the hard one where `wanted` needs it; the connections that then fit.
std::size_t allowed_connections(std::size_t wanted) {
  rlimit files{};
  if (getrlimit(RLIMIT_NOFILE, &files) != 0) return wanted;
  if (files.rlim_cur < wanted + kOtherFiles) {
    files.rlim_cur = std::min<rlim_t>(files.rlim_max, wanted + kOtherFiles);
    setrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_NOFILE, &files);
  }
  return files.rlim_cur > 2 * kOtherFiles ? files.rlim_cur - kOtherFiles : kOtherFiles;
}

}  // namespace

HttpServer::HttpServer(const ServerOptions& options, FrontDoor& door)
    : options_(options),
      door_(door),
      max_connections_(options.max_connections),
      acceptor_strand_(asio::make_strand(io_)),
      acceptor_(acceptor_strand_),
      work_(asio::make_work_guard(io_)) {}

HttpServer::~HttpServer() { stop(std::chrono::milliseconds(0)); }

base::Result<tcp::endpoint> HttpServer::resolve() {
  boost::system::error_code error;
  tcp::resolver resolver(io_);
  const auto found =
      resolver.resolve(options_.host, std::to_string(options_.port), tcp::resolver::passive, error);
  if (error || found.empty()) return base::invalid("host {} is unknown: {}", options_.host, error.message());
  return found.begin()->endpoint();
}

base::Status HttpServer::bind() {
  max_connections_ = std::min(max_connections_, allowed_connections(max_connections_));
  ASSIGN_OR_RETURN(const tcp::endpoint endpoint, resolve());
  boost::system::error_code error;
  acceptor_.open(endpoint.protocol(), error);
  // The port of a server that has just ended may be taken again; one that is listened to may not.
  if (!error) acceptor_.set_option(tcp::acceptor::reuse_address(true), error);
  if (!error) acceptor_.bind(endpoint, error);
  if (error) return cannot_listen(options_, error);
  port_ = acceptor_.local_endpoint(error).port();
  return {};
}

base::Status HttpServer::start() {
  boost::system::error_code error;
  acceptor_.listen(asio::socket_base::max_listen_connections, error);
  if (error) return cannot_listen(options_, error);  // another program bound it too, and was faster
  asio::co_spawn(acceptor_strand_, accept(), [](std::exception_ptr) {});
  for (int i = 0; i < options_.threads; ++i) threads_.emplace_back([this] { io_.run(); });
  return {};
}

std::string HttpServer::url() const {
  const bool v6 = options_.host.find(':') != std::string::npos;
  return fmt::format("http://{}{}{}:{}", v6 ? "[" : "", options_.host, v6 ? "]" : "", port_);
}

asio::awaitable<void> HttpServer::accept() {
  const auto quietly = asio::as_tuple(asio::use_awaitable);
  asio::steady_timer pause(acceptor_strand_);
  while (acceptor_.is_open()) {
    tcp::socket socket(asio::make_strand(io_));
    const auto [error] = co_await acceptor_.async_accept(socket, quietly);
    if (!error) {
      setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_NOTSENT_LOWAT, &options_.unsent_bytes,
                 sizeof options_.unsent_bytes);
      begin(std::move(socket));
    } else if (error != asio::error::operation_aborted && error != asio::error::connection_aborted) {
      pause.expires_after(kAcceptPause);
      co_await pause.async_wait(quietly);
    }
  }
}

void HttpServer::begin(tcp::socket socket) {
  const asio::any_io_executor executor = socket.get_executor();
  auto session = std::make_shared<Session>(std::move(socket), door_, options_.session);
  std::size_t count = 0;
  {
    const std::lock_guard lock(mutex_);
    count = sessions_.size();
    if (count >= max_connections_ + kMaxRefusals || door_.gate().closed()) return;
    sessions_.insert(session);
  }
  // An exception out of a session is memory running out: the connection ends, the server goes on.
  asio::co_spawn(executor, count < max_connections_ ? session->run() : session->refuse(),
                 [this, session](std::exception_ptr) { end(session); });
}

void HttpServer::end(const std::shared_ptr<Session>& session) {
  const std::lock_guard lock(mutex_);
  sessions_.erase(session);
  if (sessions_.empty()) no_session_.notify_all();
}

void HttpServer::stop(std::chrono::milliseconds drain_timeout) {
  {
    const std::lock_guard lock(mutex_);  // begin() decides under it: no session starts from here on
    door_.gate().close();
  }
  asio::post(acceptor_strand_, [this] {
    boost::system::error_code ignored;
    acceptor_.close(ignored);
  });
  if (threads_.empty()) return;
  door_.gate().wait_empty(drain_timeout);
  {
    std::unique_lock lock(mutex_);
    for (const std::shared_ptr<Session>& session : sessions_) session->abort();
    // No limit is needed: handlers end within steps of the engine, and reads and writes have deadlines.
    no_session_.wait(lock, [this] { return sessions_.empty(); });
  }
  work_.reset();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

Metrics::Connections HttpServer::connections() const {
  const std::lock_guard lock(mutex_);
  Metrics::Connections count;
  for (const std::shared_ptr<Session>& session : sessions_)
    ++(session->is_websocket() ? count.websocket : count.http);
  return count;
}

}  // namespace pagoda::serve
