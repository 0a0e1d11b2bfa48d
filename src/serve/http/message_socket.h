#pragma once
// A WebSocket as a handler sees it: text messages in and out.

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>

namespace pagoda::serve {

class MessageSocket {
 public:
  virtual ~MessageSocket() = default;
  // The next message; nothing when the connection is over. One reader at a time.
  virtual boost::asio::awaitable<std::optional<std::string>> read() = 0;
  // Returns when the system has taken the message. False when the connection is over. One writer at a time,
  // which may run beside the reader.
  virtual boost::asio::awaitable<bool> write(std::string message) = 0;
};

}  // namespace pagoda::serve
