#include "load/client.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>

#include "load/sse_parser.h"

namespace pagoda::load {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Clock = std::chrono::steady_clock;
using boost::system::error_code;
namespace {

const auto kQuietly = asio::as_tuple(asio::use_awaitable);

// Of answers that are no stream; a stream is not kept and may be as long as it likes.
constexpr std::size_t kMaxAnswerBytes = 8u << 20;
constexpr std::size_t kMaxHeaderBytes = 64u << 10;

}  // namespace

// A socket and the deadline of the request that uses it.
struct Client::Connection : std::enable_shared_from_this<Connection> {
  explicit Connection(asio::io_context& io) : socket(io), timer(io) {}

  // From now on everything on the socket ends by then.
  void arm(Clock::time_point when) {
    ++generation;
    timer.expires_at(when);
    timer.async_wait([weak = weak_from_this(), armed = generation](error_code error) {
      const std::shared_ptr<Connection> alive = weak.lock();
      // A wait that was over before it could be cancelled belongs to an older generation.
      if (error || alive == nullptr || armed != alive->generation) return;
      alive->expired = true;
      error_code ignored;
      alive->socket.close(ignored);
    });
  }
  void disarm() {
    ++generation;
    timer.cancel();
  }

  asio::ip::tcp::socket socket;
  asio::steady_timer timer;
  beast::flat_buffer buffer;
  int generation = 0;
  bool expired = false;
  bool used = false;  // it has carried an answer
};

struct Client::Parser : http::response_parser<http::buffer_body> {};

// The answer to one request while it is read.
struct Client::Reading {
  Clock::time_point start = Clock::now();
  bool expects_stream = false;
  Endpoint endpoint = Endpoint::kGenerate;

  Outcome outcome;
  int status = 0;
  std::string body;  // of an answer that is no stream
  bool is_stream = false, ended = false;
  Clock::time_point last_text;
  SseParser parser{[this](std::string_view data) { take_event(data); }};

  double seconds_since_start(Clock::time_point time) const {
    return std::chrono::duration<double>(time - start).count();
  }
  void fail(std::string kind, std::string error) {
    if (!outcome.ok()) return;  // the first failure is the cause
    outcome.failure = std::move(kind);
    outcome.error = std::move(error);
  }

  void take_event(std::string_view data) {
    if (!outcome.ok()) return;
    if (data == "[DONE]") {
      ended = true;
      return;
    }
    const base::Result<Piece> piece = read_piece(endpoint, data);
    if (!piece.ok()) return fail("answer", piece.status().message());
    const Clock::time_point now = Clock::now();
    outcome.end_s = seconds_since_start(now);
    if (piece->has_text) {
      if (outcome.pieces == 0)
        outcome.first_text_s = outcome.end_s;
      else
        outcome.gaps_s.push_back(std::chrono::duration<double>(now - last_text).count());
      last_text = now;
      ++outcome.pieces;
    }
    ended = ended || piece->is_last;
    if (piece->usage) outcome.usage = piece->usage;
  }

  // The head has come.
  void begin(const Parser& message) {
    status = message.get().result_int();
    const beast::string_view type = message.get()[http::field::content_type];
    is_stream = status == 200 && expects_stream && type.starts_with("text/event-stream");
  }
  void take(std::string_view bytes) {
    if (is_stream) {
      const base::Status fed = parser.feed(bytes);
      if (!fed.ok()) fail("answer", fed.message());
    } else if (body.size() + bytes.size() > kMaxAnswerBytes) {
      fail("answer", fmt::format("the answer is larger than {} bytes", kMaxAnswerBytes));
    } else {
      body += bytes;
    }
  }
  // All has come.
  void finish() {
    if (status != 200) return fail(std::to_string(status), error_sentence(body));
    if (is_stream) {
      if (!ended) fail("cut", "the stream ended without a finish reason");
      if (outcome.pieces == 0) outcome.first_text_s = outcome.end_s;
    } else if (expects_stream) {
      fail("answer", "the answer is no stream of events: " + error_sentence(body));
    } else {
      outcome.end_s = outcome.first_text_s = seconds_since_start(Clock::now());
    }
  }
  void break_off(const error_code& error, bool expired, const char* kind) {
    if (expired)
      fail("timeout", fmt::format("no whole answer within {:g} s", seconds_since_start(Clock::now())));
    else if (error == http::error::end_of_stream || error == http::error::partial_message ||
             error == asio::error::eof)
      fail(kind, "the server closed the connection before the answer was whole");
    else if (error.category() == http::make_error_code(http::error::bad_version).category())
      fail("answer", "the answer is not HTTP/1.1: " + error.message());
    else
      fail(kind, error.message());
  }
};

Client::Client(ClientOptions options) : options_(std::move(options)) {}
Client::~Client() = default;

base::Status Client::resolve() {
  error_code error;
  asio::ip::tcp::resolver resolver(io_);
  addresses_ = resolver.resolve(options_.url.host, options_.url.port, error);
  if (error)
    return base::error(base::Code::kNotFound, "no address for {}: {}", options_.url.host, error.message());
  return {};
}

std::string Client::head(std::string_view method, std::string_view path, std::size_t body_bytes) const {
  std::string head = fmt::format("{} {}{} HTTP/1.1\r\nHost: {}\r\nUser-Agent: pagoda-bench\r\n", method,
                                 options_.url.path, path, options_.url.authority());
  if (!options_.shape.api_key.empty())
    head += fmt::format("Authorization: Bearer {}\r\n", options_.shape.api_key);
  if (method == "POST")
    head += fmt::format("Content-Type: application/json\r\nContent-Length: {}\r\n", body_bytes);
  return head + "\r\n";
}

asio::awaitable<Outcome> Client::send(const Prompt& prompt) {
  const std::string body = request_body(options_.shape, prompt);
  const std::string message = head("POST", endpoint_path(options_.shape.endpoint), body.size()) + body;
  Reading reading;
  reading.endpoint = options_.shape.endpoint;
  reading.expects_stream = is_streamed(reading.endpoint);
  reading.outcome.gaps_s.reserve(static_cast<std::size_t>(std::clamp(prompt.max_tokens, 16, 4096)));
  co_await exchange(message, reading);
  if (reading.outcome.ok() && !reading.expects_stream) {
    const base::Status checked = check_answer(reading.endpoint, reading.body);
    if (!checked.ok()) reading.fail("answer", checked.message());
  }
  co_return std::move(reading.outcome);
}

asio::awaitable<base::Result<std::string>> Client::get(std::string_view path) {
  const std::string message = head("GET", path, 0);
  Reading reading;
  co_await exchange(message, reading);
  if (!reading.outcome.ok())
    co_return base::error(base::Code::kFailedPrecondition, "GET {} failed ({}): {}", std::string(path),
                          reading.outcome.failure, reading.outcome.error);
  co_return std::move(reading.body);
}

asio::awaitable<void> Client::exchange(std::string_view message, Reading& reading) {
  std::shared_ptr<Connection> connection;
  if (!idle_.empty()) {
    connection = std::move(idle_.back());
    idle_.pop_back();
    const bool heard = co_await exchange_on(connection, message, reading);
    if (heard) co_return;
  }
  connection = std::make_shared<Connection>(io_);
  co_await exchange_on(connection, message, reading);
}

asio::awaitable<error_code> Client::connect(Connection& connection) {
  // By hand, because asio::async_connect opens the socket again after the deadline has closed it.
  error_code error = asio::error::host_not_found;
  for (const auto& address : addresses_) {
    error_code ignored;
    connection.socket.close(ignored);
    const auto [failed] = co_await connection.socket.async_connect(address.endpoint(), kQuietly);
    error = failed;
    if (!error || connection.expired) break;
  }
  if (!error) {
    ++connections_opened_;
    error_code ignored;
    connection.socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  }
  co_return error;
}

// To its end, or to the first failure.
asio::awaitable<void> Client::read_body(Connection& on, Parser& parser, Reading& reading) {
  // By hand: http::async_read_some holds the body back until its buffer is full or the message ends.
  parser.eager(true);
  std::array<char, 16384> bytes;
  while (reading.outcome.ok()) {
    error_code error;
    while (on.buffer.size() > 0 && !parser.is_done()) {
      parser.get().body().data = bytes.data();
      parser.get().body().size = bytes.size();
      on.buffer.consume(parser.put(on.buffer.data(), error));
      reading.take({bytes.data(), bytes.size() - parser.get().body().size});
      if (error && error != http::error::need_buffer) break;
    }
    if (error && error != http::error::need_buffer && error != http::error::need_more)
      co_return reading.break_off(error, on.expired, "cut");
    if (parser.is_done()) co_return;
    const auto [read_error, count] =
        co_await on.socket.async_read_some(on.buffer.prepare(bytes.size()), kQuietly);
    on.buffer.commit(count);
    error = read_error;
    // The end of the connection may be the end of the message.
    if (error == asio::error::eof) parser.put_eof(error = {});
    if (error) co_return reading.break_off(error, on.expired, "cut");
  }
}

asio::awaitable<bool> Client::exchange_on(std::shared_ptr<Connection> connection, std::string_view message,
                                          Reading& reading) {
  Connection& on = *connection;
  on.arm(reading.start + options_.timeout);
  if (!on.used) {
    const error_code error = co_await connect(on);
    if (error) {
      reading.break_off(error, on.expired, "connect");
      co_return true;
    }
  }
  const auto [write_error, written] =
      co_await asio::async_write(on.socket, asio::buffer(message.data(), message.size()), kQuietly);
  Parser parser;
  parser.header_limit(kMaxHeaderBytes);
  parser.body_limit(boost::none);
  // Even when writing failed: a server that refuses a request may answer before it has read all of it.
  const auto [head_error, head_bytes] =
      co_await http::async_read_header(on.socket, on.buffer, parser, kQuietly);
  if (head_error) {
    if (on.used && !parser.got_some() && !on.expired) co_return false;
    reading.break_off(write_error ? write_error : head_error, on.expired, "cut");
    co_return true;
  }
  reading.begin(parser);
  co_await read_body(on, parser, reading);
  on.disarm();
  if (!parser.is_done()) co_return true;  // given up in the middle: the connection cannot be used again
  reading.finish();
  on.used = true;
  if (parser.get().keep_alive() && on.buffer.size() == 0) idle_.push_back(std::move(connection));
  co_return true;
}

}  // namespace pagoda::load
