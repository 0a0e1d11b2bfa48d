#include "hub/part_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stand_in_hub.h"

namespace pagoda::hub {
namespace {

class PartFileTest : public ::testing::Test {
 protected:
  PartFile open(std::uint64_t bytes, std::uint64_t piece_bytes, const std::string& identity = "id") {
    auto part = PartFile::open(stem(), bytes, identity, piece_bytes);
    EXPECT_TRUE(part.ok()) << part.status().message();
    return std::move(part).value();
  }
  std::string stem() const { return directory_.path() + "/file"; }
  std::uint64_t found(std::uint64_t bytes, const std::string& identity = "id") const {
    return PartFile::look(stem(), bytes, identity).bytes;
  }
  const TemporaryDirectory directory_;
};

TEST_F(PartFileTest, PiecesCoverTheFile) {
  const PartFile part = open(1000, 300);
  ASSERT_EQ(part.pieces(), 4u);
  EXPECT_EQ(part.piece(0).end, 300u);
  EXPECT_EQ(part.piece(3).begin, 900u);
  EXPECT_EQ(part.piece(3).end, 1000u);
  EXPECT_EQ(part.first_incomplete(), 0u);
}

TEST_F(PartFileTest, AnEmptyFileHasNoPieces) {
  PartFile part = open(0, 300);
  EXPECT_EQ(part.pieces(), 0u);
  EXPECT_EQ(part.first_incomplete(), 0u);
  EXPECT_TRUE(part.finish(directory_.path() + "/done").ok());
  EXPECT_EQ(std::filesystem::file_size(directory_.path() + "/done"), 0u);
}

TEST_F(PartFileTest, GoesOnWhereItWasLeft) {
  const std::string content = random_bytes(1000, 1);
  {
    PartFile part = open(1000, 300);
    ASSERT_TRUE(part.append(1, content.substr(300, 120)).ok());
    ASSERT_TRUE(part.append(3, content.substr(900, 100)).ok());
  }  // as if killed: nothing is written at the end
  EXPECT_EQ(found(1000), 220u);
  PartFile part = open(1000, 555);  // the pieces are those it was begun with
  ASSERT_EQ(part.pieces(), 4u);
  EXPECT_EQ(part.missing(0).begin, 0u);
  EXPECT_EQ(part.missing(1).begin, 420u);
  EXPECT_EQ(part.missing(3).begin, part.missing(3).end);
  ASSERT_TRUE(part.append(1, content.substr(420, 180)).ok());
  ASSERT_TRUE(part.append(0, content.substr(0, 300)).ok());
  EXPECT_EQ(part.first_incomplete(), 2u);
  ASSERT_TRUE(part.append(2, content.substr(600, 300)).ok());
  EXPECT_EQ(part.first_incomplete(), 4u);
  ASSERT_TRUE(part.finish(directory_.path() + "/done").ok());
  EXPECT_TRUE(read_all(directory_.path() + "/done") == content);
  EXPECT_FALSE(std::filesystem::exists(stem() + ".state"));
  EXPECT_FALSE(std::filesystem::exists(stem() + ".part"));
}

TEST_F(PartFileTest, InOrderPassesOverWhatIsThere) {
  const std::string content = random_bytes(1000, 2);
  PartFile part = open(1000, 300);
  ASSERT_TRUE(part.append(0, content.substr(0, 50)).ok());
  ASSERT_TRUE(part.append(2, content.substr(600, 300)).ok());
  std::uint64_t added = 0;
  for (std::size_t at = 0; at < 1000; at += 7) {
    const auto got = part.append_in_order(at, std::string_view(content).substr(at, 7));
    ASSERT_TRUE(got.ok()) << got.status().message();
    added += *got;
  }
  EXPECT_EQ(added, 650u);
  EXPECT_EQ(part.first_incomplete(), 4u);
  EXPECT_TRUE(read_all(stem() + ".part") == content);
  EXPECT_FALSE(part.append_in_order(1000, "x").ok());
}

TEST_F(PartFileTest, NothingGoesBeyondAPiece) {
  PartFile part = open(1000, 300);
  EXPECT_EQ(part.append(3, std::string(101, 'x')).code(), base::Code::kInternal);
  EXPECT_TRUE(part.append(3, std::string(100, 'x')).ok());
  EXPECT_EQ(part.append(3, "x").code(), base::Code::kInternal);
}

TEST_F(PartFileTest, AnotherFileBeginsAnew) {
  ASSERT_TRUE(open(1000, 300).append(0, "abc").ok());
  EXPECT_EQ(found(1000), 3u);
  EXPECT_EQ(found(1001), 0u);
  EXPECT_EQ(found(1000, "other"), 0u);
  EXPECT_EQ(open(1000, 300, "other").missing(0).begin, 0u);
  EXPECT_EQ(found(1000), 0u);
}

TEST_F(PartFileTest, ADamagedStateBeginsAnew) {
  const auto damage = [&](const std::function<void(std::string*)>& change) {
    PartFile::remove(stem());
    EXPECT_TRUE(open(1000, 300).append(0, "abc").ok());
    EXPECT_EQ(found(1000), 3u);
    std::string state = read_all(stem() + ".state");
    change(&state);
    std::ofstream(stem() + ".state", std::ios::binary | std::ios::trunc) << state;
    EXPECT_EQ(found(1000), 0u);
    PartFile part = open(1000, 300);
    EXPECT_EQ(part.pieces(), 4u);
    EXPECT_EQ(part.missing(0).begin, 0u);
  };
  damage([](std::string* state) { state->clear(); });
  damage([](std::string* state) { state->pop_back(); });
  damage([](std::string* state) { (*state)[0] = 'P'; });
  damage([](std::string* state) { state->back() = '\x7f'; });  // more than the piece holds
  damage([](std::string* state) { state->replace(state->find(" 300\n"), 5, " 0\n"); });  // no pieces
  damage([](std::string* state) { state->replace(state->find(" 300\n"), 5, " 99999999999999999999\n"); });
  damage([](std::string* state) { *state = std::string(5000, 'x'); });
  damage([](std::string* state) { state->resize(state->find('\n') + 1); });
}

TEST_F(PartFileTest, APartOfAnotherSizeBeginsAnew) {
  ASSERT_TRUE(open(1000, 300).append(0, "abc").ok());
  std::filesystem::resize_file(stem() + ".part", 999);
  EXPECT_EQ(found(1000), 0u);
  std::filesystem::remove(stem() + ".part");
  EXPECT_EQ(found(1000), 0u);
}

TEST_F(PartFileTest, TakesItsDiskSpaceAtOnce) {
  const PartFile part = open(3 << 20, 1 << 20);
  struct stat info;
  ASSERT_EQ(::stat((stem() + ".part").c_str(), &info), 0);
  if (info.st_blocks == 0) GTEST_SKIP() << "this file system does not reserve space";
  EXPECT_GE(PartFile::look(stem(), 3 << 20, "id").disk_bytes, 3u << 20);
}

TEST_F(PartFileTest, WhereNothingCanBeWritten) {
  const auto part = PartFile::open(directory_.path() + "/no/such/file", 10, "id", 10);
  ASSERT_FALSE(part.ok());
  EXPECT_THAT(part.status().message(),
              ::testing::HasSubstr("cannot write " + directory_.path() + "/no/such/file.part"));
}

}  // namespace
}  // namespace pagoda::hub
