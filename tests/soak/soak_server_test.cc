// The program on the bundled model under clients of every kind at once: nothing is lost, nothing leaks, the
// counters agree with what was sent, and the end is orderly.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <boost/json/parse.hpp>
#include <future>

#include "serve/exposition.h"
#include "serve/http_client.h"
#include "serve/ws_client.h"
#include "soak/server_process.h"
#include "soak/traffic.h"

namespace pagoda::soak {
namespace {

using serve::Exposition;
using serve::HttpClient;
using serve::Reply;
using serve::WsClient;
using ::testing::HasSubstr;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMemoryIsPlain = false;  // sanitizers keep what was freed
#else
constexpr bool kMemoryIsPlain = true;
#endif
constexpr int kClients = 200;
constexpr double kMiB = 1 << 20;
const std::string kAuthorization = "Authorization: Bearer " + kKey + "\r\n";

int soak_requests() {
  const char* text = std::getenv("PAGODA_SOAK_REQUESTS");
  // A program under a sanitizer is many times slower, and finds a race with fewer requests.
  if (text == nullptr) return kMemoryIsPlain ? 2000 : 400;
  return std::max(kClients, std::atoi(text));
}

std::vector<std::string> arguments() {
  return {"--model",         PAGODA_SOURCE_DIR "/models/nano",
          "--api-key",       kKey,
          "--max-body-size", "64KiB",
          "--drain-timeout", "300"};  // a busy machine, a sanitizer
}

bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 3000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return false;
}

class Soak : public ::testing::Test {
 protected:
  void SetUp() override {
    rlimit files{};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    server_ = std::make_unique<ServerProcess>(arguments());
    ASSERT_NE(server_->port(), 0) << server_->log();
  }
  std::uint16_t port() const { return server_->port(); }
  boost::json::value stats() {
    const Reply reply = HttpClient(port()).request("GET", "/stats", "", kAuthorization);
    ++scrapes_;
    EXPECT_EQ(reply.status, 200) << reply.body;
    return boost::json::parse(reply.body);
  }
  Reply metrics() {
    const Reply reply = HttpClient(port()).request("GET", "/metrics", "", kAuthorization);
    ++scrapes_;
    EXPECT_EQ(reply.status, 200) << reply.body;
    return reply;
  }
  static std::int64_t number(const boost::json::value& value, const char* name) {
    return value.at(name).to_number<std::int64_t>();
  }
  // Nothing runs, waits or is connected, but the one who asks.
  bool idle() {
    const boost::json::value now = stats();
    return number(now, "running") == 0 && number(now, "waiting") == 0 && number(now, "connections") <= 1;
  }

  std::unique_ptr<ServerProcess> server_;
  std::int64_t scrapes_ = 0;  // answers of 200 that no account knows
};

TEST_F(Soak, NothingIsLostAndNothingLeaks) {
  const int requests = soak_requests();
  Account account;
  run_traffic(port(), kClients, kClients, 1, account);  // buffers and threads' heaps reach their sizes
  ASSERT_TRUE(eventually([&] { return idle(); }));
  const std::size_t files = server_->open_files();
  std::vector<double> resident = {static_cast<double>(server_->resident_bytes())};
  for (const std::uint32_t half : {1, 2}) {
    run_traffic(port(), kClients, requests / 2, 1000 * half, account);
    ASSERT_TRUE(eventually([&] { return idle(); })) << boost::json::serialize(stats());
    resident.push_back(static_cast<double>(server_->resident_bytes()));
  }
  EXPECT_THAT(account.mistakes(), ::testing::IsEmpty());
  std::printf("resident: %.1f MiB after warm-up, %.1f after one half, %.1f after the other\n",
              resident[0] / kMiB, resident[1] / kMiB, resident[2] / kMiB);
  if (kMemoryIsPlain) {
    EXPECT_LT(resident[2] - resident[1], 8 * kMiB);
  }
  EXPECT_TRUE(eventually([&] { return server_->open_files() <= files; }))
      << server_->open_files() << " files are open, " << files << " were";
  const boost::json::value end = stats();
  const boost::json::value& kv = end.at("kv");
  EXPECT_EQ(number(kv, "blocks_used"), 0);
  EXPECT_EQ(number(kv, "blocks_cached") + number(kv, "blocks_free"), number(kv, "blocks_total"));

  // A request is counted when its answer has left, which may be later than its client's next request.
  Reply page;
  EXPECT_TRUE(eventually([&] {
    page = metrics();
    return Exposition(page.body).value("pagoda:http_requests_total") == account.total() + scrapes_ - 1;
  })) << page.body;
  --scrapes_;  // the last one has not counted itself
  const Exposition counted(page.body);
  const auto http = [&](const std::string& status) {
    return std::max(0.0, counted.value("pagoda:http_requests_total", {"status=\"" + status + "\""}));
  };
  for (const int status : {101, 400, 401, 404, 405, 413})
    EXPECT_EQ(http(std::to_string(status)), account.count(status)) << status;
  EXPECT_EQ(http("200") + http("499"), account.count(200) + account.abandoned() + scrapes_);
  EXPECT_GE(http("200"), account.count(200) + scrapes_);
  EXPECT_EQ(counted.value("pagoda:http_requests_total"), account.total() + scrapes_);
  EXPECT_THAT(page.body, ::testing::Not(HasSubstr("status=\"5")));
  const double over = counted.value("pagoda:request_success_total");
  EXPECT_EQ(over, counted.value("pagoda:request_generation_tokens_count"));
  EXPECT_EQ(counted.value("pagoda:request_generation_tokens_sum"),
            counted.value("pagoda:generation_tokens_total"));
  EXPECT_GE(over, account.generations());  // and those of the WebSockets, and of those who left
  EXPECT_GE(counted.value("pagoda:generation_tokens_total"), account.tokens());
  EXPECT_EQ(counted.value("pagoda:request_prompt_tokens_sum"), counted.value("pagoda:prompt_tokens_total"));
  EXPECT_EQ(counted.value("pagoda:request_success_total", {"finished_reason=\"error\""}), 0);
  EXPECT_EQ(counted.value("pagoda:num_requests_running"), 0);
  EXPECT_EQ(counted.value("pagoda:num_requests_waiting"), 0);
  std::printf("%.0f requests of HTTP, %.0f of the engine, %.0f tokens\n", http("200") + http("499"), over,
              counted.value("pagoda:generation_tokens_total"));
  server_->terminate();
  EXPECT_EQ(server_->wait(), 0) << server_->log();
}

TEST_F(Soak, AThousandIdleConnectionsCostLittle) {
  HttpClient(port()).request("GET", "/livez");
  const auto before = static_cast<double>(server_->resident_bytes());
  boost::asio::io_context io;
  std::vector<boost::asio::ip::tcp::socket> sockets;
  const std::string probe = HttpClient::message("GET", "/livez");
  for (int i = 0; i < 1000; ++i) {
    sockets.emplace_back(io);
    sockets.back().connect({boost::asio::ip::address_v4::loopback(), port()});
    boost::asio::write(sockets.back(), boost::asio::buffer(probe));
    boost::asio::streambuf answer;
    boost::asio::read_until(sockets.back(), answer, "\"ok\"}");
  }
  EXPECT_EQ(number(stats(), "connections"), 1001);
  const double cost = static_cast<double>(server_->resident_bytes()) - before;
  std::printf("1000 idle connections: %.1f MiB, %.1f KiB each\n", cost / kMiB, cost / 1024 / 1000);
  if (kMemoryIsPlain) {
    EXPECT_LT(cost, 20 * kMiB);
  }
  sockets.clear();
  EXPECT_TRUE(eventually([&] { return idle(); }));
}

// Two hundred connections, more than one step holds: what waits was accepted as well as what runs.
TEST_F(Soak, SigtermLetsEndWhatWasAccepted) {
  constexpr int kEach = kMemoryIsPlain ? kClients / 2 : 8;
  const std::string fields = R"({"prompt": "Tell a story.", "max_tokens": 40, "ignore_eos": true)";
  std::vector<std::future<bool>> answers;
  const auto ask = [&](bool stream) {
    return HttpClient::message("POST", "/generate", fields + (stream ? R"(, "stream": true})" : "}"),
                               kAuthorization);
  };
  for (int i = 0; i < kEach; ++i) {
    answers.push_back(std::async(std::launch::async, [&] {
      HttpClient client(port());
      client.send(ask(false));
      const Reply reply = client.receive();
      return reply.status == 200 && reply.body.find("\"completion_tokens\":40") != std::string::npos;
    }));
    answers.push_back(std::async(std::launch::async, [&] {
      HttpClient client(port());
      client.send(ask(true));
      return client.receive().body.ends_with("data: [DONE]\n\n");
    }));
  }
  ASSERT_TRUE(eventually([&] {
    // The first may be over before the last are there; whoever ends between the two looks is counted in
    // neither.
    const double over = std::max(0.0, Exposition(metrics().body).value("pagoda:request_success_total"));
    const boost::json::value now = stats();
    return over + static_cast<double>(number(now, "running") + number(now, "waiting")) >= 2 * kEach;
  }));
  WsClient socket(port(), "/ws?token=" + kKey);
  std::string text;
  for (int i = 0; i < 30; ++i) text += "This is line " + std::to_string(i) + ".\n";
  socket.translate("a", text, R"(,"from":"en")");
  ASSERT_TRUE(socket.receive().has_value());  // "start": it is accepted
  server_->terminate();
  EXPECT_TRUE(eventually([&] { return !HttpClient(port()).connected(); }));
  const serve::Heard heard = serve::hear(socket, 1)["a"];
  EXPECT_EQ(heard.type(), "done") << boost::json::serialize(heard.end);
  EXPECT_EQ(std::count(heard.text.begin(), heard.text.end(), '\n'), 30);
  for (auto& answer : answers) EXPECT_TRUE(answer.get());
  EXPECT_EQ(server_->wait(), 0) << server_->log();
  EXPECT_THAT(server_->log(), HasSubstr("stopped"));
}

}  // namespace
}  // namespace pagoda::soak
