#pragma once
// A blocking client that can also misbehave: it sends the bytes it is given and reads what comes.

#include <gtest/gtest.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pagoda::serve {

struct Reply {
  int status = 0;  // 0: the connection ended without one
  std::string head, body;
  bool has(std::string_view text) const { return head.find(text) != std::string::npos; }
};

class HttpClient {
 public:
  // `receive_bytes`: what the system takes for a client that does not read; 0: its own choice.
  explicit HttpClient(std::uint16_t port, int receive_bytes = 0) : socket_(io_) {
    socket_.open(boost::asio::ip::tcp::v4(), error_);
    if (receive_bytes > 0)
      socket_.set_option(boost::asio::socket_base::receive_buffer_size(receive_bytes), error_);
    socket_.connect({boost::asio::ip::address_v4::loopback(), port}, error_);
  }
  bool connected() const { return !error_; }

  void send(std::string_view bytes) {
    boost::system::error_code ignored;
    boost::asio::write(socket_, boost::asio::buffer(bytes.data(), bytes.size()), ignored);
  }
  Reply receive(bool head_only = false) {
    Reply reply;
    boost::system::error_code error;
    const std::size_t head = boost::asio::read_until(socket_, buffer_, "\r\n\r\n", error);
    if (error) return reply;
    reply.head = take(head);
    reply.status = std::stoi(reply.head.substr(9, 3));
    const std::size_t field = reply.head.find("Content-Length: ");
    const std::size_t length = field == std::string::npos ? 0 : std::stoul(reply.head.substr(field + 16));
    if (head_only) return reply;
    if (reply.has("Transfer-Encoding: chunked")) {
      while (const std::optional<std::string> chunk = next_chunk()) reply.body += *chunk;
      return reply;
    }
    if (buffer_.size() < length)
      boost::asio::read(socket_, buffer_, boost::asio::transfer_exactly(length - buffer_.size()), error);
    reply.body = take(std::min(length, buffer_.size()));
    return reply;
  }
  // The next chunk of a body whose head receive(true) has read; nothing after the last one, or where the
  // connection ended before it (then ended_early()).
  std::optional<std::string> next_chunk() {
    boost::system::error_code error;
    const std::size_t line = boost::asio::read_until(socket_, buffer_, "\r\n", error);
    const std::size_t length = error ? 0 : std::stoul(take(line), nullptr, 16);
    if (!error && buffer_.size() < length + 2)
      boost::asio::read(socket_, buffer_, boost::asio::transfer_exactly(length + 2 - buffer_.size()), error);
    ended_early_ = static_cast<bool>(error);
    if (error) return std::nullopt;
    std::string chunk = take(length);
    take(2);
    return length == 0 ? std::nullopt : std::optional(std::move(chunk));
  }
  bool ended_early() const { return ended_early_; }
  // All that comes until the server closes.
  std::string rest() {
    boost::system::error_code error;
    boost::asio::read(socket_, buffer_, error);
    return take(buffer_.size());
  }
  Reply request(const std::string& method, const std::string& path, const std::string& body = "",
                const std::string& headers = "") {
    send(message(method, path, body, headers));
    return receive(method == "HEAD");
  }
  // `headers`: whole lines, with their ends.
  static std::string message(const std::string& method, const std::string& path, const std::string& body = "",
                             const std::string& headers = "") {
    return method + " " + path + " HTTP/1.1\r\nHost: test\r\n" + headers +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  Reply generate(const std::string& body) { return request("POST", "/generate", body); }
  // True when the server has closed the connection (waits for it).
  bool at_end() {
    char byte = 0;
    boost::system::error_code error;
    socket_.read_some(boost::asio::buffer(&byte, 1), error);
    return static_cast<bool>(error);
  }
  void close() { socket_.close(); }

 private:
  std::string take(std::size_t bytes) {
    const char* data = static_cast<const char*>(buffer_.data().data());
    std::string text(data, bytes);
    buffer_.consume(bytes);
    return text;
  }

  boost::asio::io_context io_;
  boost::asio::ip::tcp::socket socket_;
  boost::system::error_code error_;
  boost::asio::streambuf buffer_;
  bool ended_early_ = false;
};

}  // namespace pagoda::serve
