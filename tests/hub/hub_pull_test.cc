// Pulls that go well: layouts, pages, redirects, tokens, the cache, going on after an end.

#include <gmock/gmock.h>

#include "stand_in_hub.h"

namespace pagoda::hub {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(HubTest, PullsWhatTheLoaderNeedsAndNothingElse) {
  hub.add_model(300 << 10);
  hub.files["tokenizer.json"] = "{}";
  hub.files["chat_template.jinja"] = "x";
  hub.files["LICENSE.txt"] = "free";
  hub.files["pytorch_model.bin"] = random_bytes(5000, 2);
  hub.files["model.gguf"] = "GGUF";
  hub.files["photo.png"] = "PNG";
  hub.files["onnx/config.json"] = "{}";
  hub.files["empty.json"] = "";
  const auto report = pull_it();
  expect_complete(report);
  EXPECT_EQ(report->directory, cache.path() + "/models/tencent/HY-test/" + hub.commit);
  EXPECT_EQ(report->files, 7u);
  for (const char* absent : {"pytorch_model.bin", "model.gguf", "photo.png", "onnx/config.json"}) {
    EXPECT_FALSE(std::filesystem::exists(report->directory + "/" + absent)) << absent;
    EXPECT_EQ(hub.count(absent), 0u) << absent;
  }
  EXPECT_EQ(report->fetched_bytes, report->bytes);
  EXPECT_EQ(hub.body_bytes(), report->bytes);
  EXPECT_EQ(progress.files_done, 7u);
  EXPECT_EQ(progress.bytes_done, report->bytes);
  EXPECT_EQ(notices, "");
}

TEST_F(HubTest, AllTakesEveryFile) {
  hub.add_model(10000);
  hub.files["onnx/deep/model & more?.onnx"] = "o";
  hub.files["model.gguf"] = "GGUF";
  PullOptions all = options();
  all.all_files = true;
  const auto report = pull_it(all);
  expect_complete(report);
  EXPECT_EQ(read_all(report->directory + "/onnx/deep/model & more?.onnx"), "o");
  EXPECT_EQ(read_all(report->directory + "/model.gguf"), "GGUF");
}

TEST_F(HubTest, LargeFilesComeInRangesOverSeveralConnections) {
  hub.add_model(1000001);
  expect_complete(pull_it());
  std::set<std::string> ranges;
  for (const auto& seen : hub.seen())
    if (seen.cdn) {
      EXPECT_TRUE(ranges.insert(seen.range).second) << seen.range << " asked for twice";
    }
  EXPECT_EQ(ranges.size(), 16u);
  EXPECT_TRUE(ranges.contains("bytes=983040-1000000"));
  // The redirect is asked for about once a connection at most, not once a piece.
  EXPECT_LE(hub.count("/resolve/" + hub.commit + "/model.safetensors"), 5u);
}

TEST_F(HubTest, TheTokenStaysWithTheHub) {
  hub.add_model(200 << 10);
  hub.required_token = "hf_secret";
  PullOptions with_token = options();
  with_token.token = "hf_secret";
  expect_complete(pull_it(with_token));
  std::size_t cdn = 0;
  for (const auto& seen : hub.seen()) {
    EXPECT_EQ(seen.authorization, seen.cdn ? "" : "Bearer hf_secret") << seen.target;
    cdn += seen.cdn;
  }
  EXPECT_GE(cdn, 4u);
  EXPECT_EQ(read_all(cache.path() + "/models/tencent/HY-test/" + hub.commit + "/.pagoda.json").find("secret"),
            std::string::npos);
}

TEST_F(HubTest, TheEnvironmentGivesEndpointTokenAndCache) {
  hub.add_model(1000);
  hub.required_token = "from_environment";
  ::setenv("HF_TOKEN", "from_environment", 1);
  ::setenv("HF_ENDPOINT", (hub.url() + "/").c_str(), 1);
  ::setenv("PAGODA_CACHE", cache.path().c_str(), 1);
  PullOptions bare = options();
  bare.endpoint.clear();
  bare.cache.clear();
  const auto report = pull_it(bare);
  for (const char* variable : {"HF_TOKEN", "HF_ENDPOINT", "PAGODA_CACHE"}) ::unsetenv(variable);
  expect_complete(report);
}

TEST_F(HubTest, TheListComesInPages) {
  hub.add_model(1000);
  for (int i = 0; i < 7; ++i) hub.files[fmt::format("extra_{}.json", i)] = std::to_string(i);
  hub.page_size = 3;
  const auto report = pull_it();
  expect_complete(report);
  EXPECT_EQ(report->files, 10u);
  EXPECT_EQ(hub.count("/tree/"), 4u);
}

TEST_F(HubTest, ModelScopesLayout) {
  hub.add_model(200 << 10);
  hub.files["configuration.json"] = "{}";
  PullOptions modelscope = options();
  modelscope.hub = Hub::kModelScope;
  modelscope.token = "ms-secret";
  const auto report = pull_it(modelscope);
  expect_complete(report);
  EXPECT_THAT(report->commit, ::testing::StartsWith("list-"));
  for (const auto& seen : hub.seen()) EXPECT_EQ(seen.cookie, seen.cdn ? "" : "m_session_id=ms-secret");
  EXPECT_EQ(hub.count("/api/v1/models/tencent/HY-test/repo/files?Revision=master&Recursive=true"), 1u);
  const RepositoryCache in_cache(cache.path(), hub.repository);
  EXPECT_TRUE(in_cache.find_complete(Hub::kModelScope, "master").has_value());
  EXPECT_FALSE(in_cache.find_complete(Hub::kHuggingFace, "main").has_value());
}

TEST_F(HubTest, ModelScopeWithoutAHashIsSaid) {
  hub.add_model(1000);
  hub.list_override =
      fmt::format(R"({{"Code":200,"Data":{{"Files":[{{"Type":"blob","Path":"config.json","Size":{}}},)"
                  R"({{"Type":"blob","Path":"model.safetensors","Size":1000,"Sha256":"{}"}}]}}}})",
                  hub.files["config.json"].size(), sha256_hex(hub.files["model.safetensors"]));
  hub.files.erase("README.md");
  PullOptions modelscope = options();
  modelscope.hub = Hub::kModelScope;
  expect_complete(pull_it(modelscope));
  EXPECT_THAT(notices, HasSubstr("config.json: the hub gives no hash for it"));
}

TEST_F(HubTest, ASecondPullFetchesNothing) {
  hub.add_model(200 << 10);
  expect_complete(pull_it());
  hub.forget();
  const auto report = pull_it();
  expect_complete(report);
  EXPECT_EQ(report->fetched_bytes, 0u);
  EXPECT_EQ(hub.body_bytes(), 0u);
}

TEST_F(HubTest, ANewCommitTakesUnchangedFilesFromTheOldOne) {
  hub.add_model(200 << 10);
  expect_complete(pull_it());
  hub.forget();
  hub.commit = std::string(40, 'a');
  hub.files["README.md"] = "# A better readme\n";
  const auto report = pull_it();
  expect_complete(report);
  EXPECT_EQ(hub.body_bytes(), hub.files["README.md"].size());
  EXPECT_THAT(report->directory, ::testing::EndsWith(hub.commit));
}

TEST_F(HubTest, ResolveTakesDirectoriesAsTheyAre) {
  const auto found = resolve_model(cache.path(), options(), observer());
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(*found, cache.path());
  for (const char* name : {"no/such/path", "nothing", "./org/name", "models/absent", "../a", "org/"}) {
    const auto absent = resolve_model(name, options(), observer());
    ASSERT_FALSE(absent.ok()) << name;
    EXPECT_EQ(absent.status().code(), base::Code::kNotFound);
    EXPECT_EQ(absent.status().message(), std::string(name) + " is not a directory");
  }
  EXPECT_TRUE(hub.seen().empty());
}

TEST_F(HubTest, ResolvePullsOnceAndThenAsksNobody) {
  hub.add_model(1000);
  const auto first = resolve_model(hub.repository, options(), observer());
  ASSERT_TRUE(first.ok()) << first.status().message();
  EXPECT_THAT(notices, HasSubstr("tencent/HY-test is neither a directory nor in " + cache.path() +
                                 "; pulling it from " + hub.url()));
  hub.forget();
  notices.clear();
  const auto second = resolve_model(hub.repository, options(), observer());
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(*second, *first);
  EXPECT_EQ(notices, "");
  EXPECT_TRUE(hub.seen().empty());
  // The commit alone is a name for it too.
  PullOptions by_commit = options();
  by_commit.revision = hub.commit;
  EXPECT_EQ(resolve_model(hub.repository, by_commit, observer()).value(), *first);
  EXPECT_TRUE(hub.seen().empty());
  // A copy that lost a file is no copy.
  std::filesystem::remove(*first + "/model.safetensors");
  const auto third = resolve_model(hub.repository, options(), observer());
  ASSERT_TRUE(third.ok());
  EXPECT_TRUE(read_all(*third + "/model.safetensors") == hub.files["model.safetensors"]);
}

TEST_F(HubTest, DryRunListsAndTouchesNothing) {
  hub.add_model(5000);
  hub.files["other.bin"] = "b";
  const auto listing = list_files(hub.repository, options(), observer());
  ASSERT_TRUE(listing.ok()) << listing.status().message();
  std::vector<std::string> paths;
  for (const RemoteFile& file : listing->files) paths.push_back(file.path);
  EXPECT_THAT(paths, ElementsAre("README.md", "config.json", "model.safetensors"));
  EXPECT_EQ(hub.body_bytes(), 0u);
  EXPECT_TRUE(std::filesystem::is_empty(cache.path()));
}

TEST_F(HubTest, TwoPullsAtATimeShareTheWork) {
  hub.add_model(600 << 10);
  hub.chunk_delay_ms = 5;
  base::Result<PullReport> other = base::invalid("not run");
  std::thread thread([&] { other = pull(hub.repository, options(), {}); });
  const auto report = pull_it();
  thread.join();
  expect_complete(report);
  ASSERT_TRUE(other.ok()) << other.status().message();
  EXPECT_EQ(report->directory, other->directory);
  EXPECT_EQ(hub.body_bytes(), report->bytes) << "something was fetched twice";
}

TEST_F(HubTest, CancellingKeepsWhatIsThere) {
  hub.add_model(2 << 20);
  hub.chunk_delay_ms = 20;
  std::atomic<bool> cancelled = false;
  PullOptions options = this->options();
  options.cancelled = &cancelled;
  const auto stopped = pull(hub.repository, options,
                            {[&](const PullProgress& progress) {
                               if (progress.bytes_done > (400u << 10)) cancelled = true;
                             },
                             nullptr});
  ASSERT_FALSE(stopped.ok());
  EXPECT_EQ(stopped.status().code(), base::Code::kCancelled);
  EXPECT_THAT(stopped.status().message(), HasSubstr("the same command goes on"));
  EXPECT_FALSE(is_in_cache());
  hub.chunk_delay_ms = 0;
  hub.forget();
  const auto report = pull_it();
  expect_complete(report);
  EXPECT_LE(hub.body_bytes(), report->bytes - (400u << 10));
  EXPECT_TRUE(is_in_cache());
}

TEST_F(HubTest, AMovedBranchGoesOnWithTheSameBytes) {
  hub.add_model(2 << 20);
  hub.plant("model.safetensors", {.cut_after = 50000, .times = 40});
  PullOptions impatient = options();
  impatient.retries = 0;
  EXPECT_FALSE(pull_it(impatient).ok());
  hub.commit = std::string(40, 'b');
  std::uint64_t there = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator(cache.path() + "/models/tencent/HY-test/.pagoda/partial"))
    if (entry.path().extension() == ".part")
      there += PartFile::look(entry.path().string().substr(0, entry.path().string().size() - 5), 2 << 20,
                              sha256_hex(hub.files["model.safetensors"]))
                   .bytes;
  EXPECT_GE(there, 50000u);
  StandInHub second;  // without the planted faults
  second.commit = hub.commit;
  second.files = hub.files;
  second.large = hub.large;
  PullOptions options = this->options();
  options.endpoint = second.url();
  expect_complete(pull_it(options));
  EXPECT_LE(second.body_bytes(), (2u << 20) + 100 - there);
}

}  // namespace
}  // namespace pagoda::hub
