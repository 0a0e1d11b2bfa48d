#pragma once
// A client of a real serve::Session: foreign bytes go in through a pair of connected sockets, the session
// runs to its end, what it said comes out. One thread, no ports.

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/strand.hpp>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include "base/check.h"
#include "serve/http/session.h"

namespace pagoda::fuzz {

// More would fill the sockets' buffers with answers that nobody reads while the session runs.
inline constexpr std::size_t kMaxInputBytes = 4096;

class OverSocket {
 public:
  explicit OverSocket(serve::FrontDoor& door) : door_(door) {
    limits_.header_bytes = 2048;
    limits_.body_bytes = 2048;
    limits_.idle_timeout = std::chrono::milliseconds(2000);
  }

  // `bytes` arrive in two pieces, cut at `cut`; then the client closes its side.
  std::string answer(std::string_view bytes, std::size_t cut) {
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    io_.restart();
    boost::asio::ip::tcp::socket socket(boost::asio::make_strand(io_));
    socket.assign(boost::asio::ip::tcp::v4(), pair[0]);
    const boost::asio::any_io_executor executor = socket.get_executor();
    auto session = std::make_shared<serve::Session>(std::move(socket), door_, limits_);
    boost::asio::co_spawn(executor, session->run(), [session](std::exception_ptr failure) {
      CHECK(failure == nullptr);  // a session answers or closes, whatever it reads
    });
    session.reset();
    cut = std::min(cut, bytes.size());
    put(pair[1], bytes.substr(0, cut));
    io_.poll();
    std::string said = take(pair[1]);
    put(pair[1], bytes.substr(cut));
    shutdown(pair[1], SHUT_WR);
    io_.restart();
    io_.run();  // to the end of the session: a hang shows as libFuzzer's timeout
    said += take(pair[1]);
    close(pair[1]);
    return said;
  }

 private:
  static void put(int socket, std::string_view bytes) {
    // The session may have closed its end already.
    while (!bytes.empty()) {
      const ssize_t sent = send(socket, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
  }
  static std::string take(int socket) {
    std::string text;
    char buffer[16384];
    while (true) {
      const ssize_t got = recv(socket, buffer, sizeof buffer, MSG_DONTWAIT);
      if (got <= 0) return text;
      text.append(buffer, static_cast<std::size_t>(got));
    }
  }

  serve::FrontDoor& door_;
  serve::SessionLimits limits_;
  boost::asio::io_context io_;  // lives as long as an engine's thread may wake a connection
};

}  // namespace pagoda::fuzz
