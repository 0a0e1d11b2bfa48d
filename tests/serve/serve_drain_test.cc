// The end of a server: what was accepted is finished, what comes later is refused, nothing hangs.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>

#include "http_client.h"
#include "running_server.h"

namespace pagoda::serve {
namespace {

using std::chrono::milliseconds;
using ::testing::HasSubstr;

double seconds_of(const std::function<void()>& call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

TEST(Drain, FinishesWhatWasAcceptedAndRefusesTheRest) {
  RunningServer running;
  HttpClient idle(running.port()), busy(running.port());
  ASSERT_EQ(idle.request("GET", "/health").status, 200);
  auto answer = std::async(std::launch::async, [&] {
    return busy.generate(R"({"prompt": "a", "temperature": 1, "seed": 1, "max_tokens": 3000})");
  });
  ASSERT_TRUE(eventually([&] { return running.engine().stats().running == 1; }));
  auto stopped = std::async(std::launch::async, [&] { running.server().stop(milliseconds(60000)); });
  // The port is closed soon; connections that are there hear why nothing is done for them.
  EXPECT_TRUE(eventually([&] { return !HttpClient(running.port()).connected(); }));
  const Reply refused = idle.request("GET", "/health");
  if (refused.status != 0) {  // else the running request ended before this one was read
    EXPECT_EQ(refused.status, 503);
    EXPECT_THAT(refused.body, HasSubstr("draining"));
    EXPECT_TRUE(refused.has("Connection: close"));
  }
  const Reply reply = answer.get();
  EXPECT_EQ(reply.status, 200) << reply.body;
  EXPECT_TRUE(reply.has("Connection: close")) << reply.head;
  stopped.get();
  EXPECT_EQ(running.connections(), 0u);
  EXPECT_TRUE(running.idle());
}

TEST(Drain, CancelsWhatDoesNotEndInTime) {
  RunningServer running;
  HttpClient busy(running.port());
  auto answer = std::async(std::launch::async, [&] { return busy.generate(kEndless); });
  ASSERT_TRUE(eventually([&] { return running.engine().stats().running == 1; }));
  EXPECT_LT(seconds_of([&] { running.server().stop(milliseconds(50)); }), 10);
  const Reply reply = answer.get();
  EXPECT_EQ(reply.status, 503) << reply.body;
  EXPECT_THAT(reply.body, HasSubstr("before the answer was complete"));
  running.engine().drain();
  EXPECT_TRUE(eventually([&] { return running.idle(); }));
}

TEST(Drain, DoesNotWaitForConnectionsThatAskNothing) {
  RunningServer running;
  HttpClient idle(running.port()), half(running.port());
  ASSERT_EQ(idle.request("GET", "/health").status, 200);
  half.send("POST /generate HTTP/1.1\r\nContent-Le");
  ASSERT_TRUE(eventually([&] { return running.connections() == 2; }));
  EXPECT_LT(seconds_of([&] { running.server().stop(milliseconds(60000)); }), 10);
  EXPECT_TRUE(idle.at_end());
  EXPECT_TRUE(half.at_end());
}

TEST(Drain, AServerThatNeverStartedStops) {
  ServerOptions options;
  options.port = 0;
  Metrics metrics("none");
  FrontDoor door({}, metrics);
  HttpServer fresh(options, door), bound(options, door);
  fresh.stop(milliseconds(1000));
  ASSERT_TRUE(bound.bind().ok());
  EXPECT_FALSE(HttpClient(bound.port()).connected());  // nothing is accepted before start()
  bound.stop(milliseconds(1000));
}

}  // namespace
}  // namespace pagoda::serve
