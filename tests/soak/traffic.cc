#include "soak/traffic.h"

#include <boost/json/parse.hpp>
#include <memory>
#include <numeric>
#include <random>
#include <thread>

#include "serve/http_client.h"
#include "serve/ws_client.h"

namespace pagoda::soak {
namespace {

using serve::Heard;
using serve::HttpClient;
using serve::Reply;
using serve::WsClient;

const std::string kAuthorization = "Authorization: Bearer " + kKey + "\r\n";

const char* const kSentences[] = {"Good morning.",
                                  "Where is the station?",
                                  "The cat sleeps on the chair.",
                                  "It rains.\nWe stay at home.",
                                  "Two coffees, please.",
                                  "\n\nThank you!\n"};

class Client {
 public:
  Client(std::uint16_t port, std::uint32_t seed, Account& account)
      : port_(port), random_(seed), account_(account) {}

  void turn() {
    switch (random_() % 14) {
      case 0:
      case 1:
      case 2:
        return whole();
      case 3:
      case 4:
        return stream(0);
      case 5:
        return stream(3);
      case 6:
        return stream_and_leave();
      case 7:
        return ask_and_leave();
      case 8:
        return refused();
      case 9:
        return too_large();
      case 10:
        return pipelined();
      case 11:
        return half_a_request();
      default:
        return translate();
    }
  }

 private:
  HttpClient& http() {
    if (!http_) http_ = std::make_unique<HttpClient>(port_);
    return *http_;
  }
  std::string body(bool stream, int most = 16) {
    return R"({"prompt": "Number )" + std::to_string(random_() % 50) + R"(", "max_tokens": )" +
           std::to_string(1 + random_() % static_cast<unsigned>(most)) + R"(, "temperature": 0.8)" +
           (stream ? R"(, "stream": true})" : "}");
  }
  std::string message(const std::string& text) {
    return HttpClient::message("POST", "/generate", text, kAuthorization);
  }
  void expect(const Reply& reply, int status) {
    account_.answered(status);
    if (reply.status == status) return;
    account_.wrong("status " + std::to_string(reply.status) + " instead of " + std::to_string(status) + ": " +
                   reply.body);
    http_.reset();
  }

  void whole() {
    http().send(message(body(false)));
    const Reply reply = http().receive();
    expect(reply, 200);
    if (http_) generated(reply.body);
  }
  // `json`: what ends an answer of /generate.
  void generated(std::string_view json) {
    boost::json::error_code error;
    const boost::json::value value = boost::json::parse({json.data(), json.size()}, error);
    const boost::json::value* text = error ? nullptr : value.find_pointer("/text", error);
    const boost::json::value* tokens =
        text == nullptr ? nullptr : value.find_pointer("/usage/completion_tokens", error);
    if (tokens == nullptr) return account_.wrong("no answer of /generate: " + std::string(json));
    account_.generated(tokens->to_number<std::int64_t>());
  }
  // `slow`: so many pieces are waited for.
  void stream(int slow) {
    http().send(message(body(true)));
    const Reply head = http().receive(/*head_only=*/true);
    std::string text;
    while (const std::optional<std::string> chunk = http().next_chunk()) {
      text += *chunk;
      if (slow-- > 0) std::this_thread::sleep_for(std::chrono::milliseconds(30));
    }
    expect(head, 200);
    if (!http_) return;
    const std::string_view done = "\n\ndata: [DONE]\n\n";
    if (http_->ended_early() || !text.ends_with(done))
      return account_.wrong("a stream without its end: " + text);
    text.resize(text.size() - done.size());
    generated(std::string_view(text).substr(text.rfind("data: ") + 6));
  }
  void stream_and_leave() {
    http().send(message(body(true, 200)));
    const Reply head = http().receive(/*head_only=*/true);
    if (head.status != 200) account_.wrong("a stream began with " + std::to_string(head.status));
    http().next_chunk();
    account_.left();
    http_.reset();
  }
  void ask_and_leave() {
    http().send(message(body(false, 200)));
    std::this_thread::sleep_for(std::chrono::milliseconds(random_() % 20));
    account_.left();
    http_.reset();
  }
  void refused() {
    switch (random_() % 5) {
      case 0:
        http().send(message("{\"prompt\": "));
        return expect(http().receive(), 400);
      case 1:
        http().send(message(R"({"prompt": "x", "max_tokens": 100000000})"));
        return expect(http().receive(), 400);
      case 2:
        return expect(http().request("POST", "/generate", body(false), "Authorization: Bearer wrong\r\n"),
                      401);
      case 3:
        return expect(http().request("GET", "/no/such/path"), 404);
      default:
        return expect(http().request("GET", "/generate", "", kAuthorization), 405);
    }
  }
  void too_large() {
    http().send(message(std::string(kMaxBodyBytes + 1, 'x')));
    expect(http().receive(), 413);
    http_.reset();  // the server closes behind it
  }
  void pipelined() {
    const std::string probe = HttpClient::message("GET", "/livez");
    const std::string ask = message(body(false, 4));
    http().send(probe + ask + probe + HttpClient::message("GET", "/nothing") + ask);
    for (const int status : {200, 200, 200, 404, 200}) {
      const Reply reply = http().receive();
      expect(reply, status);
      if (!http_) return account_.wrong("the rest of a pipeline is lost");
      if (reply.body.find("\"usage\"") != std::string::npos) generated(reply.body);
    }
  }
  void half_a_request() {  // the server never sees a request in it
    const std::string text = message(body(false));
    http().send(text.substr(0, 1 + random_() % (text.size() - 1)));
    http_.reset();
  }
  // A WebSocket with some translations, one of which is cancelled; left politely, or in the middle.
  void translate() {
    WsClient socket(port_, "/ws?token=" + kKey);
    account_.answered(101);
    if (socket.status() != 101) return account_.wrong("a handshake had " + std::to_string(socket.status()));
    const std::size_t count = 1 + random_() % 4;
    for (std::size_t i = 0; i < count; ++i)
      socket.translate(std::to_string(i), kSentences[random_() % std::size(kSentences)], R"(,"from":"en")");
    if (random_() % 3 == 0) socket.send(R"({"type":"cancel","id":"0"})");
    if (random_() % 4 == 0) {
      socket.receive();
      return socket.drop();
    }
    const std::map<std::string, Heard> all = serve::hear(socket, count);
    if (all.size() != count)
      account_.wrong("of " + std::to_string(count) + " translations " + std::to_string(all.size()) +
                     " were heard of");
    for (const auto& [id, heard] : all) {
      if (heard.type() == "done" ? heard.text == serve::text_of(heard.end, "text")
                                 : heard.type() == "cancelled" && id == "0")
        continue;
      account_.wrong("a translation ended with " + boost::json::serialize(heard.end));
    }
    socket.close();
  }

  const std::uint16_t port_;
  std::mt19937 random_;
  Account& account_;
  std::unique_ptr<HttpClient> http_;
};

}  // namespace

void Account::answered(int status) {
  const std::lock_guard lock(mutex_);
  ++answered_[status];
}
void Account::generated(std::int64_t tokens) {
  const std::lock_guard lock(mutex_);
  ++generations_;
  tokens_ += tokens;
}
void Account::left() {
  const std::lock_guard lock(mutex_);
  ++abandoned_;
}
void Account::wrong(const std::string& what) {
  const std::lock_guard lock(mutex_);
  mistakes_.push_back(what);
}
std::int64_t Account::count(int status) const {
  const std::lock_guard lock(mutex_);
  const auto found = answered_.find(status);
  return found == answered_.end() ? 0 : found->second;
}
std::int64_t Account::abandoned() const {
  const std::lock_guard lock(mutex_);
  return abandoned_;
}
std::int64_t Account::generations() const {
  const std::lock_guard lock(mutex_);
  return generations_;
}
std::int64_t Account::tokens() const {
  const std::lock_guard lock(mutex_);
  return tokens_;
}
std::int64_t Account::total() const {
  const std::lock_guard lock(mutex_);
  return std::accumulate(answered_.begin(), answered_.end(), abandoned_,
                         [](std::int64_t sum, const auto& entry) { return sum + entry.second; });
}
std::vector<std::string> Account::mistakes() const {
  const std::lock_guard lock(mutex_);
  return mistakes_;
}

void run_traffic(std::uint16_t port, int clients, int requests, std::uint32_t seed, Account& account) {
  std::atomic<int> left = requests;
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; ++i)
    threads.emplace_back([&, i] {
      Client client(port, seed + static_cast<std::uint32_t>(i), account);
      while (left.fetch_sub(1) > 0) client.turn();
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace pagoda::soak
