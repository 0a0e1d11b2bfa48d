#pragma once
// A blocking WebSocket client that speaks the messages of /ws, and can misbehave.

#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/status.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pagoda::serve {

class WsClient {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;

  explicit WsClient(std::uint16_t port, const std::string& target = "/ws", const Headers& headers = {},
                    int receive_bytes = 0)
      : stream_(io_) {
    namespace websocket = boost::beast::websocket;
    auto& socket = stream_.next_layer();
    socket.open(boost::asio::ip::tcp::v4(), error_);
    if (receive_bytes > 0)
      socket.set_option(boost::asio::socket_base::receive_buffer_size(receive_bytes), error_);
    socket.connect({boost::asio::ip::address_v4::loopback(), port}, error_);
    if (error_) return;
    socket.set_option(boost::asio::ip::tcp::no_delay(true), error_);
    stream_.set_option(websocket::stream_base::decorator([headers](websocket::request_type& request) {
      for (const auto& [name, value] : headers) request.set(name, value);
    }));
    websocket::response_type response;
    stream_.handshake(response, "test", target, error_);
    status_ = static_cast<int>(response.result_int());
  }

  // Of the handshake: 101 where there is a WebSocket now.
  int status() const { return status_; }
  bool open() const { return stream_.is_open(); }

  void send(const std::string& message) {
    stream_.text(true);
    stream_.write(boost::asio::buffer(message), error_);
  }
  void send_binary(const std::string& bytes) {
    stream_.text(false);
    stream_.write(boost::asio::buffer(bytes), error_);
  }
  // Bytes as they are, where frames should stand.
  void send_raw(std::string_view bytes) {
    boost::asio::write(stream_.next_layer(), boost::asio::buffer(bytes.data(), bytes.size()), error_);
  }
  // `more`: further fields, with a comma before each.
  void translate(const std::string& id, const std::string& text, const std::string& more = "") {
    send(R"({"type":"translate","to":"fr","id":)" + boost::json::serialize(boost::json::string(id)) +
         R"(,"text":)" + boost::json::serialize(boost::json::string(text)) + more + "}");
  }
  // The next message; nothing when the connection is over.
  std::optional<boost::json::object> receive() {
    boost::beast::flat_buffer buffer;
    stream_.read(buffer, error_);
    if (error_) return std::nullopt;
    EXPECT_TRUE(stream_.got_text());
    boost::json::error_code error;
    boost::json::value value = boost::json::parse(boost::beast::buffers_to_string(buffer.data()), error);
    EXPECT_FALSE(error) << boost::beast::buffers_to_string(buffer.data());
    if (error || !value.is_object()) return std::nullopt;
    return std::move(value.get_object());
  }
  // The code of the close frame; 0: the connection ended without one (yet).
  int close_code() const { return stream_.reason().code; }
  void close() { stream_.close(boost::beast::websocket::close_code::normal, error_); }
  // Without a goodbye.
  void drop() { stream_.next_layer().close(error_); }

 private:
  boost::asio::io_context io_;
  boost::beast::websocket::stream<boost::asio::ip::tcp::socket> stream_;
  boost::system::error_code error_;
  int status_ = 0;
};

inline std::string text_of(const boost::json::object& message, const char* field) {
  const boost::json::value* value = message.if_contains(field);
  return value == nullptr || !value->is_string() ? "" : std::string(value->get_string());
}

// What was said of one translation.
struct Heard {
  std::vector<std::string> types;  // in order; deltas that follow one another once
  std::string text;                // as a client shows it: deltas and replacements
  boost::json::object end;         // done, cancelled or error
  int deltas = 0;
  std::string type() const { return text_of(end, "type"); }
};

// Reads until `ends` translations are over (or the connection is), by id.
inline std::map<std::string, Heard> hear(WsClient& client, std::size_t ends) {
  std::map<std::string, Heard> all;
  while (ends > 0) {
    const std::optional<boost::json::object> message = client.receive();
    if (!message) break;
    const std::string type = text_of(*message, "type");
    Heard& heard = all[text_of(*message, "id")];
    if (heard.types.empty() || heard.types.back() != type) heard.types.push_back(type);
    if (type == "delta") {
      heard.text += text_of(*message, "text");
      ++heard.deltas;
    } else if (type == "replace") {
      heard.text = text_of(*message, "text");
    } else if (type != "start") {
      heard.end = *message;
      --ends;
    }
  }
  return all;
}

}  // namespace pagoda::serve
