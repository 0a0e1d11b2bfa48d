// What is kept between runs: the file, the glossaries in it, the counts.

#include "serve/storage/glossary_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "serve/http/access_keys.h"
#include "serve/storage/client_data.h"

namespace pagoda::serve {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using translate::Term;

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "pagoda_store_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override {
    std::error_code ignored;
    std::filesystem::permissions(directory_, std::filesystem::perms::owner_all, ignored);
    std::filesystem::remove_all(directory_, ignored);
  }
  std::unique_ptr<ClientData> open() {
    auto database = Database::open(directory_);
    EXPECT_TRUE(database.ok()) << database.status().message();
    return std::make_unique<ClientData>(std::move(database).value());
  }
  base::Status opening() { return Database::open(directory_).status(); }

  std::string directory_;
};

GlossaryRecord draft(const char* name = "Animals") { return {"", name, "en", "de", 0, 0}; }

TEST_F(StoreTest, GlossariesOutliveTheProcess) {
  GlossaryRecord made;
  {
    const auto data = open();
    const auto created = data->glossaries.create("me", draft(), {{"cat", "Katze"}, {"dog", "Hund"}});
    ASSERT_TRUE(created.ok()) << created.status().message();
    made = *created;
    EXPECT_THAT(made.id, MatchesRegex("[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"));
    EXPECT_EQ(made.entries, 2);
    EXPECT_GT(made.created_ms, 1'700'000'000'000);
    ASSERT_TRUE(data->characters.add("me", 5).ok());
  }
  const auto data = open();
  const auto found = data->glossaries.find("me", made.id);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->name, "Animals");
  EXPECT_EQ(found->from, "en");
  EXPECT_EQ(found->to, "de");
  EXPECT_EQ(found->created_ms, made.created_ms);
  EXPECT_THAT(data->glossaries.terms("me", made.id).value(),
              ElementsAre(Term{"cat", "Katze"}, Term{"dog", "Hund"}));
  const auto glossary = data->glossaries.glossary("me", made.id);
  ASSERT_TRUE(glossary.ok());
  EXPECT_THAT((*glossary)->matches("A dog and a cat"),
              ElementsAre(Term{"dog", "Hund"}, Term{"cat", "Katze"}));
  EXPECT_EQ(data->glossaries.glossary("me", made.id).value(), *glossary);  // not parsed again
  ASSERT_TRUE(data->characters.add("me", 7).ok());
  EXPECT_EQ(data->characters.total("me").value(), 12);
  EXPECT_EQ(data->characters.total("other").value(), 0);
}

TEST_F(StoreTest, NobodySeesAnothersGlossary) {
  const auto data = open();
  GlossaryStore& store = data->glossaries;
  const std::string id = store.create("me", draft(), {{"a", "b"}}).value().id;
  ASSERT_TRUE(store.glossary("me", id).ok());  // is parsed now
  for (const std::string owner : {"", "you"}) {
    EXPECT_EQ(store.find(owner, id).status().code(), base::Code::kNotFound);
    EXPECT_EQ(store.terms(owner, id).status().code(), base::Code::kNotFound);
    EXPECT_EQ(store.glossary(owner, id).status().code(), base::Code::kNotFound);
    EXPECT_EQ(store.remove(owner, id).code(), base::Code::kNotFound);
    EXPECT_TRUE(store.list(owner).value().empty());
  }
  EXPECT_EQ(store.list("me").value().size(), 1u);
  EXPECT_TRUE(store.remove("me", id).ok());
  EXPECT_EQ(store.glossary("me", id).status().code(), base::Code::kNotFound);
  EXPECT_EQ(store.remove("me", id).code(), base::Code::kNotFound);
  EXPECT_TRUE(data->database->query("SELECT * FROM glossary_terms").value().empty());
  EXPECT_EQ(store.find("me", "' OR 1=1 --").status().code(), base::Code::kNotFound);
}

TEST_F(StoreTest, BadTermsLeaveNothingBehind) {
  const auto data = open();
  const auto made = data->glossaries.create("me", draft(), {{"a", std::string(201, 'x')}});
  ASSERT_FALSE(made.ok());
  EXPECT_EQ(made.status().code(), base::Code::kInvalidArgument);
  EXPECT_THAT(made.status().message(), HasSubstr("longer than 200"));
  EXPECT_TRUE(data->glossaries.list("me").value().empty());
}

TEST_F(StoreTest, AnOwnerHasSoManyGlossariesAndNoMore) {
  const auto data = open();
  ASSERT_TRUE(data->database
                  ->query("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
                          "INSERT INTO glossaries SELECT 'id' || i, 'me', 'n', 'en', 'de', i, 1 FROM n")
                  .ok());
  EXPECT_THAT(data->glossaries.create("me", draft(), {{"a", "b"}}).status().message(),
              HasSubstr("1000 glossaries"));
  EXPECT_TRUE(data->glossaries.create("you", draft(), {{"a", "b"}}).ok());
}

TEST_F(StoreTest, ManyThreadsAtOnce) {
  const auto data = open();
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&, owner = std::to_string(i % 2)] {
      for (int k = 0; k < 10; ++k) {
        const auto made = data->glossaries.create(owner, draft(), {{"a", "b"}});
        ASSERT_TRUE(made.ok()) << made.status().message();
        EXPECT_TRUE(data->glossaries.glossary(owner, made->id).ok());
        EXPECT_TRUE(data->characters.add(owner, 1).ok());
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(data->glossaries.list("0").value().size(), 20u);
  EXPECT_EQ(data->characters.total("1").value(), 20);
}

TEST_F(StoreTest, TwoServersShareAFile) {
  const auto one = open(), two = open();
  const std::string id = one->glossaries.create("me", draft(), {{"a", "b"}}).value().id;
  EXPECT_TRUE(two->glossaries.find("me", id).ok());
  EXPECT_TRUE(two->glossaries.remove("me", id).ok());
  EXPECT_FALSE(one->glossaries.glossary("me", id).ok());
}

TEST_F(StoreTest, AFailedTransactionIsUndone) {
  const auto data = open();
  const base::Status status = data->database->transaction([](const Database::Query& query) -> base::Status {
    EXPECT_TRUE(query("INSERT INTO characters VALUES ('me', 1)", {}).ok());
    return base::invalid("no");
  });
  EXPECT_EQ(status.message(), "no");
  EXPECT_EQ(data->characters.total("me").value(), 0);
  EXPECT_THAT(data->database->query("SELECT nonsense").status().message(), HasSubstr("nonsense"));
}

TEST_F(StoreTest, ADamagedFileIsAnErrorAndStaysAsItIs) {
  std::ofstream(directory_ + "/pagoda.db") << std::string(5000, 'x');
  EXPECT_EQ(opening().code(), base::Code::kDataLoss);
  EXPECT_THAT(opening().message(), HasSubstr("pagoda.db"));
  EXPECT_EQ(std::filesystem::file_size(directory_ + "/pagoda.db"), 5000u);
}

TEST_F(StoreTest, ATornPageIsFound) {
  {
    const auto data = open();
    std::vector<Term> terms;
    for (int i = 0; i < 2000; ++i) terms.push_back({"source " + std::to_string(i), "target"});
    ASSERT_TRUE(data->glossaries.create("me", draft(), terms).ok());
  }
  const std::string path = directory_ + "/pagoda.db";
  ASSERT_GT(std::filesystem::file_size(path), 40000u);
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096 * 6);
  file << std::string(4096 * 3, '\xAA');
  file.close();
  EXPECT_EQ(opening().code(), base::Code::kDataLoss) << opening().message();
}

TEST_F(StoreTest, AFileOfANewerPagodaIsRefused) {
  ASSERT_TRUE(open()->database->query("PRAGMA user_version = 99").ok());
  EXPECT_EQ(opening().code(), base::Code::kDataLoss);
  EXPECT_THAT(opening().message(), HasSubstr("newer Pagoda (version 99"));
}

TEST_F(StoreTest, ADirectoryThatCannotBeMadeIsInvalid) {
  std::ofstream(directory_ + "/file") << "x";
  const auto opened = Database::open(directory_ + "/file/data");
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.status().code(), base::Code::kInvalidArgument);
  EXPECT_THAT(opened.status().message(), HasSubstr("/file/data cannot be made"));
  std::filesystem::create_directory(directory_ + "/pagoda.db");
  EXPECT_EQ(opening().code(), base::Code::kInvalidArgument) << opening().message();
}

TEST(AccessKeysFingerprint, BelongsToTheKeyAndNotToItsPlace) {
  const AccessKeys one = AccessKeys::make({"alpha", "beta"}).value();
  const AccessKeys two = AccessKeys::make({"beta", "gamma", "alpha"}).value();
  EXPECT_EQ(one.fingerprint(*one.admit("alpha")), two.fingerprint(*two.admit("alpha")));
  EXPECT_EQ(one.fingerprint(*one.admit("beta")), two.fingerprint(*two.admit("beta")));
  EXPECT_NE(one.fingerprint(1), one.fingerprint(2));
  EXPECT_THAT(one.fingerprint(1), Not(HasSubstr("alpha")));
  EXPECT_EQ(one.fingerprint(0), "");
  EXPECT_EQ(AccessKeys().fingerprint(0), "");
  // It stands in files: another one would lose them.
  EXPECT_EQ(one.fingerprint(1), "78ddfa3f-4671-5aef-8dc6-40a150dd4af3");
}

}  // namespace
}  // namespace pagoda::serve
