#pragma once
// The body of a streamed answer on a socket: chunks, or plain bytes for HTTP/1.0.

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/http/chunk_encode.hpp>
#include <functional>
#include <string>
#include <utility>

#include "serve/http/http_message.h"

namespace pagoda::serve {

class StreamWriter : public BodyWriter {
 public:
  // `around` is called before (true) and after (false) each write: it sets the deadline.
  StreamWriter(boost::asio::ip::tcp::socket& socket, bool chunked, std::function<void(bool)> around)
      : socket_(socket), chunked_(chunked), around_(std::move(around)) {}

  boost::asio::awaitable<bool> write(std::string bytes) override {
    namespace asio = boost::asio;
    if (failed_ || bytes.empty()) co_return !failed_;
    const asio::const_buffer data(bytes.data(), bytes.size());
    if (chunked_)
      co_await send(boost::beast::http::make_chunk(data));
    else
      co_await send(data);
    co_return !failed_;
  }
  // The end of the body.
  boost::asio::awaitable<bool> finish() {
    if (!failed_ && chunked_) co_await send(boost::beast::http::make_chunk_last());
    co_return !failed_;
  }

 private:
  template <typename Buffers>
  boost::asio::awaitable<void> send(const Buffers& buffers) {
    namespace asio = boost::asio;
    around_(true);
    const auto [error, bytes] =
        co_await asio::async_write(socket_, buffers, asio::as_tuple(asio::use_awaitable));
    around_(false);
    failed_ = failed_ || error;
  }

  boost::asio::ip::tcp::socket& socket_;
  const bool chunked_;
  const std::function<void(bool)> around_;
  bool failed_ = false;
};

// False: the stream failed on the way; its last piece is missing.
inline boost::asio::awaitable<bool> guarded_stream(const BodyStream& stream, BodyWriter& writer) {
  co_await boost::asio::this_coro::throw_if_cancelled(false);
  try {
    co_await stream(writer);
  } catch (const std::exception&) {  // memory ran out, or a library threw
    co_return false;
  }
  co_return true;
}

}  // namespace pagoda::serve
