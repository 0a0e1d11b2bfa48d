// Pulls from a hub that cuts, stalls, refuses and lies.

#include <gmock/gmock.h>

#include "stand_in_hub.h"

namespace pagoda::hub {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class FaultsTest : public HubTest {
 protected:
  FaultsTest() { hub.add_model(300 << 10); }
  void expect_failure(const base::Result<PullReport>& report, base::Code code, const std::string& words) {
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.status().code(), code) << report.status().message();
    EXPECT_THAT(report.status().message(), HasSubstr(words));
    EXPECT_FALSE(is_in_cache());
  }
};

TEST_F(FaultsTest, CutConnectionsGoOnWhereTheyWere) {
  hub.plant("model.safetensors", {.cut_after = 20000, .times = 6});
  hub.plant("config.json", {.cut_after = 5});
  const auto report = pull_it();
  expect_complete(report);
  EXPECT_EQ(hub.body_bytes(), report->bytes) << "a byte was asked for twice";
  EXPECT_THAT(notices, HasSubstr("trying again"));
}

TEST_F(FaultsTest, AConnectionThatIsAlwaysCutEnds) {
  hub.plant("model.safetensors", {.cut_after = 0, .times = kAlways});
  PullOptions options = this->options();
  options.retries = 2;
  options.connections = 1;  // small files come before
  expect_failure(pull_it(options), base::Code::kFailedPrecondition,
                 "model.safetensors from http://127.0.0.1:");
  // The rest is there for the next time.
  EXPECT_TRUE(
      std::filesystem::exists(cache.path() + "/models/tencent/HY-test/" + hub.commit + "/config.json"));
}

TEST_F(FaultsTest, ManyCutsAreFineWhileBytesCome) {
  hub.files["model.safetensors"] = random_bytes(8 << 20, 3);
  hub.plant("model.safetensors", {.cut_after = 1100 << 10, .times = 6});
  PullOptions options = this->options();
  options.piece_bytes = 32 << 20;
  options.retries = 1;
  expect_complete(pull_it(options));
}

TEST_F(FaultsTest, AStalledConnectionIsGivenUp) {
  hub.plant("model.safetensors", {.stall_after = 30000});
  hub.plant("config.json", {.stall_after = 0});
  const auto start = std::chrono::steady_clock::now();
  const auto report = pull_it();
  expect_complete(report);
  EXPECT_EQ(hub.body_bytes(), report->bytes);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(30));
}

TEST_F(FaultsTest, RetryAfterIsObeyed) {
  hub.plant("list", {.status = 429, .headers = "Retry-After: 1\r\n"});
  hub.plant("hub:model.safetensors", {.status = 429, .headers = "RateLimit: \"resolvers\";r=0;t=1\r\n"});
  hub.plant("config.json", {.status = 503, .headers = "Retry-After: 1\r\n"});
  const auto start = std::chrono::steady_clock::now();
  expect_complete(pull_it());
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::seconds(2));
  EXPECT_THAT(notices, HasSubstr("answers 429, too many requests: try again in 1 s; trying again in 1.0 s"));
}

TEST_F(FaultsTest, ALongRetryAfterIsAnAnswer) {
  hub.plant("hub:model.safetensors", {.status = 429, .headers = "Retry-After: 86400\r\n", .times = kAlways});
  expect_failure(pull_it(), base::Code::kFailedPrecondition,
                 "answers 429, too many requests: try again in 86400 s");
  hub.plant("list", {.status = 429, .headers = "Retry-After: 86400\r\n", .times = kAlways});
  expect_failure(pull_it(), base::Code::kFailedPrecondition, "try again in 86400 s");
}

TEST_F(FaultsTest, ServerErrorsAreRetriedAndThenTold) {
  hub.plant("list", {.status = 502, .times = 2});
  // Hugging Face sends this header with every answer; only a 429 means it.
  hub.plant("model.safetensors",
            {.status = 500, .headers = "RateLimit: \"resolvers\";r=2999;t=280\r\n", .times = 3});
  expect_complete(pull_it());
  hub.forget();
  hub.plant("list", {.status = 500, .times = kAlways});
  PullOptions options = this->options();
  options.retries = 3;
  const auto report = pull_it(options);
  ASSERT_FALSE(report.ok());
  EXPECT_THAT(report.status().message(), HasSubstr("answers 500 for the file list"));
  EXPECT_EQ(hub.count("/tree/"), 4u);
}

TEST_F(FaultsTest, UnknownRepositoriesAndRevisions) {
  const auto unknown = pull("tencent/other", options(), observer());
  expect_failure(unknown, base::Code::kNotFound, "knows no tencent/other at revision main (404");
  EXPECT_EQ(hub.seen().size(), 1u) << "a 404 is not tried again";
  PullOptions options = this->options();
  options.revision = "v9/x";
  expect_failure(pull_it(options), base::Code::kNotFound, "knows no tencent/HY-test at revision v9/x");
  EXPECT_EQ(hub.count("/revision/v9%2Fx"), 1u);
  expect_failure(pull("tencent", options, observer()), base::Code::kInvalidArgument, "ORG/NAME");
  // A file that the list has and the hub does not.
  hub.list_override = fmt::format(R"([{{"type":"file","path":"config.json","size":2,"oid":"{0}"}},
                                      {{"type":"file","path":"gone.safetensors","size":2,"oid":"{0}"}}])",
                                  std::string(40, 'a'));
  expect_failure(pull_it(), base::Code::kNotFound, "404 for gone.safetensors");
}

TEST_F(FaultsTest, RefusalsSayWhatToDo) {
  hub.required_token = "right";
  expect_failure(pull_it(), base::Code::kFailedPrecondition, "needs a token (--token, or HF_TOKEN)");
  EXPECT_EQ(hub.seen().size(), 1u) << "a 401 is not tried again";
  PullOptions wrong = options();
  wrong.token = "wrong";
  expect_failure(pull_it(wrong), base::Code::kFailedPrecondition,
                 "the token (--token, or HF_TOKEN) is not valid");
  hub.required_token.clear();
  hub.plant("hub:model.safetensors",
            {.status = 403, .headers = "X-Error-Code: GatedRepo\r\n", .times = kAlways});
  expect_failure(pull_it(), base::Code::kFailedPrecondition,
                 "is gated: accept its terms at " + hub.url() + "/tencent/HY-test");
}

TEST_F(FaultsTest, AnExpiredLinkIsAskedForAnew) {
  hub.plant("model.safetensors", {});
  hub.plant("model.safetensors", {.status = 403, .times = 2});
  PullOptions options = this->options();
  options.connections = 1;  // among several, one whose piece came over the link says that it is good
  expect_complete(pull_it(options));
  EXPECT_EQ(hub.count("/resolve/" + hub.commit + "/model.safetensors"), 3u);
  EXPECT_EQ(notices.find("secret"), std::string::npos) << notices;
}

TEST_F(FaultsTest, WrongBytesAreFetchedOnceMore) {
  hub.plant("model.safetensors", {.wrong_bytes = true});
  hub.plant("config.json", {.wrong_bytes = true});
  const auto report = pull_it();
  expect_complete(report);
  EXPECT_EQ(hub.body_bytes(), 2 * hub.files["model.safetensors"].size() +
                                  2 * hub.files["config.json"].size() + hub.files["README.md"].size());
  EXPECT_THAT(notices, AllOf(HasSubstr("model.safetensors: its hash is "),
                             HasSubstr("config.json: its hash is "), HasSubstr("it is fetched once more")));
}

TEST_F(FaultsTest, WrongBytesTwiceAreAnError) {
  hub.plant("model.safetensors", {.wrong_bytes = true, .times = kAlways});
  expect_failure(pull_it(), base::Code::kDataLoss,
                 "the hub's list says " + sha256_hex(hub.files["model.safetensors"]));
  EXPECT_TRUE(std::filesystem::is_empty(cache.path() + "/models/tencent/HY-test/.pagoda/partial"));
  EXPECT_FALSE(
      std::filesystem::exists(cache.path() + "/models/tencent/HY-test/" + hub.commit + "/model.safetensors"));
}

TEST_F(FaultsTest, AServerWithoutRangesSendsItAllOnce) {
  hub.plant("model.safetensors", {.ignore_range = true, .times = kAlways});
  const auto report = pull_it();
  expect_complete(report);
  EXPECT_EQ(hub.body_bytes(), report->bytes);
}

TEST_F(FaultsTest, AServerWithoutRangesThatCutsIsReadAgain) {
  hub.plant("model.safetensors", {.cut_after = 200000, .ignore_range = true, .times = 2});
  hub.plant("model.safetensors", {.ignore_range = true, .times = kAlways});
  const auto report = pull_it();
  expect_complete(report);
  EXPECT_EQ(hub.body_bytes(), report->bytes + 2 * 200000);
}

TEST_F(FaultsTest, RangesThatComeAndGo) {
  hub.plant("model.safetensors", {.cut_after = 100000, .ignore_range = true});
  hub.plant("model.safetensors", {});
  hub.plant("model.safetensors", {.ignore_range = true, .times = 2});
  expect_complete(pull_it());
}

TEST_F(FaultsTest, WrongLengthsAndRangesAreNotBelieved) {
  hub.plant("model.safetensors", {.wrong_range = true});
  hub.plant("model.safetensors", {.content_length_by = 1000});  // more is promised than comes; then it closes
  hub.plant("config.json", {.content_length_by = -5});
  hub.plant("README.md", {.extra_bytes = true});
  expect_complete(pull_it());
  EXPECT_THAT(notices, HasSubstr("another range than was asked for"));
  EXPECT_THAT(notices, HasSubstr("config.json: the answer is shorter than the file"));
  EXPECT_THAT(notices, HasSubstr("README.md: the answer is longer than the"));
}

TEST_F(FaultsTest, BytesLeftOnAConnectionCostAnAttemptAndNothingElse) {
  hub.plant("config.json", {.late_bytes = true});
  PullOptions options = this->options();
  options.connections = 1;  // so the next file is asked for on the same one
  expect_complete(pull_it(options));
  EXPECT_THAT(notices, HasSubstr("HTTP/0.9"));
  EXPECT_THAT(notices, HasSubstr("trying again"));
}

TEST_F(FaultsTest, AListOfAnotherSizeThanTheFileIsAnError) {
  hub.list_override = fmt::format(R"([{{"type":"file","path":"config.json","size":{0},"oid":"{1}"}},
                                      {{"type":"file","path":"a.safetensors","size":0,"oid":"{2}"}}])",
                                  hub.files["config.json"].size() + 7, std::string(40, 'a'), git_sha1(""));
  PullOptions options = this->options();
  options.retries = 2;
  expect_failure(pull_it(options), base::Code::kDataLoss, "config.json: ");
}

TEST_F(FaultsTest, AHostileListIsRefusedWhole) {
  for (const char* path : {"../../.bashrc", "/etc/passwd", "a/../../b.json", "a\\\\b.json", "a\\u0000b.json",
                           ".pagoda/lock", "a//b.json", "./a.json"}) {
    hub.list_override =
        fmt::format(R"([{{"type":"file","path":"{}","size":2,"oid":"{}"}}])", path, std::string(40, 'a'));
    expect_failure(pull_it(), base::Code::kDataLoss, "so it is refused");
  }
  EXPECT_TRUE(std::filesystem::is_empty(cache.path()));
}

TEST_F(FaultsTest, EmptyAndBrokenLists) {
  hub.list_override = "[]";
  expect_failure(pull_it(), base::Code::kNotFound, "tencent/HY-test at main holds no files");
  hub.list_override = "[{\"type\":";
  expect_failure(pull_it(), base::Code::kDataLoss, "the hub's answer is not JSON");
  hub.list_override = "<html>log in</html>";
  expect_failure(pull_it(), base::Code::kDataLoss, "the hub's answer is not JSON");
  hub.list_override = "{}";
  expect_failure(pull_it(), base::Code::kDataLoss, "the hub's file list is not an array");
  hub.list_override.clear();
  hub.commit = "../../../etc";
  expect_failure(pull_it(), base::Code::kDataLoss, "names no commit");
  PullOptions modelscope = options();
  modelscope.hub = Hub::kModelScope;
  hub.list_override = R"({"Code":10010205001,"Message":"model not found","Success":false})";
  expect_failure(pull_it(modelscope), base::Code::kNotFound, "model not found");
  hub.list_override = R"({"Code":200,"Data":{"Files":null}})";
  expect_failure(pull_it(modelscope), base::Code::kNotFound, "holds no files");
}

TEST_F(FaultsTest, ARepositoryWithoutAModelSaysSo) {
  hub.files.erase("model.safetensors");
  hub.files["model.gguf"] = "GGUF";
  expect_failure(pull_it(), base::Code::kNotFound, "has 3 files but no .safetensors in its top folder");
  EXPECT_EQ(hub.body_bytes(), 0u);
}

TEST_F(FaultsTest, AFullDiskIsKnownBeforeTheFirstByte) {
  PullOptions options = this->options();
  options.min_free_bytes = 1ull << 59;
  expect_failure(pull_it(options), base::Code::kResourceExhausted,
                 "tencent/HY-test needs 300.0 KiB more on the disk of ");
  EXPECT_EQ(hub.count("/resolve/"), 0u);
  // Nothing is missing, so nothing is needed.
  expect_complete(pull_it());
  EXPECT_TRUE(pull_it(options).ok());
}

TEST_F(FaultsTest, ADirectoryThatCannotBeWritten) {
  std::ofstream(cache.path() + "/models") << "a file";
  expect_failure(pull_it(), base::Code::kInternal,
                 "cannot create " + cache.path() + "/models/tencent/HY-test");
}

TEST_F(FaultsTest, NobodyListens) {
  PullOptions options = this->options();
  {
    const StandInServer gone([](const auto&, auto&) { return false; });
    options.endpoint = gone.url();
  }
  expect_failure(pull_it(options), base::Code::kFailedPrecondition,
                 options.endpoint + " cannot be reached: ");
}

TEST_F(FaultsTest, RedirectsThatLeadNowhere) {
  std::string location = "/around";
  const StandInServer server([&](const auto&, auto& socket) {
    return StandInServer::write(socket,
                                "HTTP/1.1 302 X\r\nLocation: " + location + "\r\nContent-Length: 0\r\n\r\n");
  });
  PullOptions options = this->options();
  options.endpoint = server.url();
  expect_failure(pull_it(options), base::Code::kFailedPrecondition, "more than 10 redirects");
  location = "file:///etc/passwd";
  expect_failure(pull_it(options), base::Code::kFailedPrecondition, "which is not followed");
}

}  // namespace
}  // namespace pagoda::hub
