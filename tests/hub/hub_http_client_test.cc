#include "hub/http_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stand_in_hub.h"

namespace pagoda::hub {
namespace {

using ::testing::HasSubstr;

TEST(ContentRange, IsReadExactly) {
  const auto range = parse_content_range("bytes 5-9/100");
  ASSERT_TRUE(range.ok());
  EXPECT_EQ(range->range.begin, 5u);
  EXPECT_EQ(range->range.end, 10u);
  EXPECT_EQ(range->total, 100u);
  for (const char* bad :
       {"", "bytes", "bytes */100", "bytes 5-/100", "bytes 9-5/100", "bytes 5-100/100", "bytes 5-9/*",
        "bytes 5-9/100x", "octets 5-9/100", "bytes -5-9/100", "bytes 99999999999999999999-5/1"})
    EXPECT_FALSE(parse_content_range(bad).ok()) << bad;
}

TEST(Urls, Origins) {
  EXPECT_EQ(origin_of("https://Huggingface.co/a/b?c"), "https://huggingface.co:443");
  EXPECT_EQ(origin_of("https://huggingface.co:443"), "https://huggingface.co:443");
  EXPECT_EQ(origin_of("http://127.0.0.1:8080/x"), "http://127.0.0.1:8080");
  EXPECT_NE(origin_of("http://huggingface.co"), origin_of("https://huggingface.co"));
  EXPECT_EQ(origin_of("https://huggingface.co@evil.org/"), "https://evil.org:443");
  for (const char* none : {"", "huggingface.co", "ftp://a.org", "file:///etc/passwd", "/a/b", "https://"})
    EXPECT_EQ(origin_of(none), "") << none;
}

TEST(Urls, PrintableOnesKeepSecrets) {
  EXPECT_EQ(printable_url("https://h/a?signature=s#f"), "https://h/a");
  EXPECT_EQ(printable_url("https://user:password@h:1/a@b"), "https://h:1/a@b");
  EXPECT_EQ(printable_url("https://h/a@b"), "https://h/a@b");
  EXPECT_EQ(printable_url("https://user:password@h"), "https://h");
  EXPECT_EQ(url_encode("refs/pr/1 &中"), "refs%2Fpr%2F1%20%26%E4%B8%AD");
}

TEST(Names, OfRepositories) {
  for (const char* yes : {"tencent/HY-MT1.5-1.8B", "a/b", "Qwen/Qwen3_x.y"})
    EXPECT_TRUE(is_repository_name(yes)) << yes;
  for (const char* no : {"", "a", "/", "a/", "/a", "a/b/c", "./b", "../b", "a/..", "a/.b", "~/b", "a b/c",
                         "a/b?", "a/b.", "-a/b", "models/nano"})
    EXPECT_FALSE(is_repository_name(no)) << no;
  EXPECT_FALSE(is_repository_name("a/" + std::string(97, 'b')));
}

class OptionsTest : public HubTest {};

TEST_F(OptionsTest, AreFilledAndChecked) {
  ::setenv("XDG_CACHE_HOME", "somewhere", 1);
  const auto filled = complete_options({});
  ASSERT_TRUE(filled.ok());
  EXPECT_EQ(filled->endpoint, "https://huggingface.co");
  EXPECT_EQ(filled->revision, "main");
  EXPECT_EQ(filled->cache, "somewhere/pagoda");
  ::unsetenv("XDG_CACHE_HOME");
  PullOptions modelscope;
  modelscope.hub = Hub::kModelScope;
  EXPECT_EQ(complete_options(modelscope)->endpoint, "https://modelscope.cn");
  EXPECT_EQ(complete_options(modelscope)->revision, "master");
  const auto refused = [](const std::function<void(PullOptions*)>& change) {
    PullOptions options;
    change(&options);
    return complete_options(options).status().message();
  };
  EXPECT_THAT(refused([](PullOptions* o) { o->endpoint = "ftp://x"; }),
              HasSubstr("is not an http:// or https:// URL"));
  EXPECT_THAT(refused([](PullOptions* o) { o->token = "a\r\nHost: b"; }), HasSubstr("the token holds"));
  EXPECT_THAT(refused([](PullOptions* o) { o->revision = "a\nb"; }), HasSubstr("the revision holds"));
  EXPECT_THAT(refused([](PullOptions* o) { o->connections = 0; }), HasSubstr("--connections is 0"));
  EXPECT_THAT(refused([](PullOptions* o) { o->connections = 65; }), HasSubstr("--connections is 65"));
  EXPECT_THAT(parse_hub("github").status().message(), HasSubstr("must be huggingface or modelscope"));
}

TEST_F(OptionsTest, DelaysDoubleAndEnd) {
  PullOptions options;
  options.retry_delay = std::chrono::milliseconds(1000);
  for (int i = 0; i < 40; ++i) {
    const double expected = std::min(30000.0, 1000.0 * std::pow(2.0, i));
    EXPECT_NEAR(static_cast<double>(retry_delay(options, i).count()), expected, 0.26 * expected);
  }
}

TEST_F(OptionsTest, TheClientStopsWhenTold) {
  hub.add_model(300 << 10);
  hub.plant("config.json", {.stall_after = 0});
  const PullOptions options = complete_options(hub.options(cache.path())).value();
  std::atomic<bool> stop = false;
  HttpClient client(options, [&] { return stop.load(); });
  std::thread stopper([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    stop = true;
  });
  std::string body;
  const HttpReply reply =
      client.get_text(hub.url() + "/tencent/HY-test/resolve/" + hub.commit + "/config.json", 100, &body);
  stopper.join();
  EXPECT_EQ(reply.outcome, HttpReply::Outcome::kStopped);
}

TEST_F(OptionsTest, TheClientTakesNoMoreThanItIsTold) {
  hub.add_model(300 << 10);
  const PullOptions options = complete_options(hub.options(cache.path())).value();
  HttpClient client(options, [] { return false; });
  const std::string url = hub.url() + "/tencent/HY-test/resolve/" + hub.commit + "/model.safetensors";
  std::string body;
  EXPECT_EQ(client.get_text(url, 1000, &body).outcome, HttpReply::Outcome::kRefused);
  EXPECT_EQ(client.get_text(url, 300 << 10, &body).status, 200);
  EXPECT_TRUE(body == hub.files["model.safetensors"]);
  const HttpReply absent = client.get_text(hub.url() + "/nothing", 1000, &body);
  EXPECT_EQ(absent.status, 404);
  EXPECT_EQ(absent.error_code, "RepoNotFound");
  EXPECT_EQ(body, "") << "an error page is no body";
}

}  // namespace
}  // namespace pagoda::hub
