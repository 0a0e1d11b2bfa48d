#include "hub/cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stand_in_hub.h"

namespace pagoda::hub {
namespace {

class CacheTest : public ::testing::Test {
 protected:
  CacheTest() : cache_(directory_.path(), "org/name") {
    options_.revision = "main";
    options_.endpoint = "https://user:password@example.org/hub";
    listing_ = {
        "org/name", std::string(40, 'c'), {{"a.json", 3, {DigestKind::kGitSha1, std::string(40, 'd')}}}};
  }
  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(path).parent_path());
    std::ofstream(path) << text;
  }
  void complete() {
    ASSERT_TRUE(cache_.try_lock().value().has_value());
    write(cache_.snapshot(listing_.commit) + "/a.json", "123");
    const base::Status status = cache_.mark_complete(options_, listing_);
    ASSERT_TRUE(status.ok()) << status.message();
  }
  bool found(const std::string& revision = "main") const {
    return cache_.find_complete(Hub::kHuggingFace, revision).has_value();
  }

  const TemporaryDirectory directory_;
  RepositoryCache cache_;
  PullOptions options_;
  Listing listing_;
};

TEST_F(CacheTest, OnlyTheMarkerMakesASnapshotComplete) {
  write(cache_.snapshot(listing_.commit) + "/a.json", "123");
  EXPECT_FALSE(found());
  EXPECT_FALSE(found(listing_.commit));
  complete();
  EXPECT_TRUE(found());
  EXPECT_TRUE(found(listing_.commit));
  EXPECT_FALSE(found("other"));
  EXPECT_FALSE(cache_.find_complete(Hub::kModelScope, "main").has_value());
  EXPECT_EQ(read_all(cache_.snapshot(listing_.commit) + "/.pagoda.json").find("password"), std::string::npos);
}

TEST_F(CacheTest, ADamagedCopyIsNotComplete) {
  const std::string file = cache_.snapshot(listing_.commit) + "/a.json",
                    marker = cache_.snapshot(listing_.commit) + "/.pagoda.json";
  complete();
  write(file, "12");
  EXPECT_FALSE(found());
  for (const char* text :
       {"", "{", "[]", "{}", R"({"files":[]})", R"({"files":[7]})", R"({"files":[{"path":"a.json"}]})",
        R"({"files":[{"path":"../a.json","bytes":3}]})", R"({"files":[{"path":"a.json","bytes":"3"}]})"}) {
    complete();
    EXPECT_TRUE(found());
    write(marker, text);
    EXPECT_FALSE(found()) << text;
  }
}

TEST_F(CacheTest, AReferenceLeadsNowhereElse) {
  complete();
  const std::string ref = cache_.directory() + "/.pagoda/refs/huggingface/=main";
  EXPECT_EQ(read_all(ref), listing_.commit + "\n");
  for (const char* text : {"../..", "/", "", "..", "a/b"}) {
    write(ref, text);
    EXPECT_FALSE(found()) << text;
  }
}

TEST_F(CacheTest, RevisionsOfAnySpelling) {
  for (const std::string& revision :
       {std::string("refs/pr/1"), std::string(".."), std::string("v1.0"), std::string(200, '/')}) {
    options_.revision = revision;
    complete();
    EXPECT_TRUE(found(revision)) << revision;
  }
}

TEST_F(CacheTest, OneAtATime) {
  auto first = cache_.try_lock();
  ASSERT_TRUE(first.ok() && first->has_value());
  EXPECT_FALSE(cache_.try_lock().value().has_value());
  first->reset();
  EXPECT_TRUE(cache_.try_lock().value().has_value());
}

TEST_F(CacheTest, FreeSpaceOfADirectoryThatIsNotThereYet) {
  EXPECT_FALSE(std::filesystem::exists(cache_.directory()));
  const auto free = cache_.free_bytes();
  ASSERT_TRUE(free.ok()) << free.status().message();
  EXPECT_GT(*free, 0u);
  EXPECT_TRUE(RepositoryCache("relative/cache", "a/b").free_bytes().ok());
}

}  // namespace
}  // namespace pagoda::hub
