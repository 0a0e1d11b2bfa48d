#include "hub/file_list.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "stand_in_hub.h"

namespace pagoda::hub {
namespace {

using ::testing::HasSubstr;

const std::string kSha1(40, 'a'), kSha256(64, 'b');

TEST(FileList, ReadsATree) {
  const auto files = parse_huggingface_tree(fmt::format(
      R"([{{"type":"directory","path":"onnx","size":0,"oid":"{0}"}},
          {{"type":"file","path":"config.json","size":700,"oid":"{0}"}},
          {{"type":"file","path":"model.safetensors","size":134,"oid":"{0}","xetHash":"x",
            "lfs":{{"oid":"{1}","size":3600000000,"pointerSize":134}}}}])",
      kSha1, kSha256));
  ASSERT_TRUE(files.ok()) << files.status().message();
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0], (RemoteFile{"config.json", 700, {DigestKind::kGitSha1, kSha1}}));
  EXPECT_EQ((*files)[1], (RemoteFile{"model.safetensors", 3600000000, {DigestKind::kSha256, kSha256}}));
}

TEST(FileList, RefusesATreeThatMakesNoSense) {
  const auto tree = [](const std::string& fields) {
    return parse_huggingface_tree("[{\"type\":\"file\"," + fields + "}]").status().message();
  };
  const std::string oid = "\"oid\":\"" + kSha1 + "\"";
  EXPECT_THAT(tree("\"path\":\"a\",\"size\":-1," + oid), HasSubstr("no usable size for a"));
  EXPECT_THAT(tree("\"path\":\"a\",\"size\":1.5," + oid), HasSubstr("no usable size for a"));
  EXPECT_THAT(tree("\"path\":\"a\",\"size\":\"9\"," + oid), HasSubstr("no usable size for a"));
  EXPECT_THAT(tree("\"path\":\"a\",\"size\":18446744073709551615," + oid), HasSubstr("no usable size for a"));
  EXPECT_THAT(tree("\"path\":\"a\"," + oid), HasSubstr("no usable size for a"));
  EXPECT_THAT(tree("\"path\":\"a\",\"size\":1"), HasSubstr("no usable hash for a"));
  EXPECT_THAT(tree("\"path\":\"a\",\"size\":1,\"oid\":\"xyz\""), HasSubstr("no usable hash for a"));
  EXPECT_THAT(tree("\"path\":\"a\",\"size\":1,\"lfs\":{\"size\":1,\"oid\":\"" + kSha1 + "\"}"),
              HasSubstr("no usable hash for a"));
  EXPECT_THAT(tree("\"size\":1," + oid), HasSubstr("the path is empty"));
  EXPECT_THAT(tree("\"path\":7,\"size\":1," + oid), HasSubstr("the path is empty"));
  EXPECT_THAT(parse_huggingface_tree("[1,null,\"x\"]").value(), ::testing::IsEmpty());
  EXPECT_THAT(parse_huggingface_tree("").status().message(), HasSubstr("not JSON"));
  EXPECT_THAT(parse_huggingface_tree(std::string(100000, '[')).status().message(), HasSubstr("not JSON"));
  EXPECT_THAT(parse_huggingface_tree("\"\xff\"").status().message(), HasSubstr("not JSON"));
}

TEST(FileList, ReadsTheCommit) {
  EXPECT_EQ(parse_huggingface_commit(R"({"id":"a/b","sha":")" + kSha1 + "\"}").value(), kSha1);
  for (const char* bad : {"{}", "[]", R"({"sha":"../../x"})", R"({"sha":7})", R"({"sha":"AAAA"})"})
    EXPECT_FALSE(parse_huggingface_commit(bad).ok()) << bad;
}

TEST(FileList, ReadsModelScope) {
  const auto files = parse_modelscope_files(fmt::format(
      R"({{"Code":200,"Data":{{"Files":[{{"Type":"tree","Path":"d","Size":0}},
          {{"Type":"blob","Path":"d/a.json","Size":12,"Sha256":"{}"}},{{"Type":"blob","Path":"b","Size":3,"Sha256":""}}]}}}})",
      kSha256));
  ASSERT_TRUE(files.ok()) << files.status().message();
  ASSERT_EQ(files->size(), 2u);
  EXPECT_EQ((*files)[0], (RemoteFile{"d/a.json", 12, {DigestKind::kSha256, kSha256}}));
  EXPECT_EQ((*files)[1], (RemoteFile{"b", 3, {}}));
  EXPECT_EQ(parse_modelscope_files(R"({"Code":404,"Message":"gone"})").status().code(),
            base::Code::kNotFound);
  for (const char* bad :
       {"{}", "[]", "{\"Code\":\"200\"}", R"({"Code":200})", R"({"Code":200,"Data":[]})",
        R"({"Code":200,"Data":{"Files":3}})",
        R"({"Code":200,"Data":{"Files":[{"Type":"blob","Path":"a","Size":1,"Sha256":"12"}]}})"})
    EXPECT_FALSE(parse_modelscope_files(bad).ok()) << bad;
}

TEST(FileList, FindsTheNextPage) {
  EXPECT_EQ(next_page(R"(<https://h/api?cursor=a%3D>; rel="next")"), "https://h/api?cursor=a%3D");
  EXPECT_EQ(next_page(R"(<https://h/1>; rel="first", <https://h/2>; rel="next")"), "https://h/2");
  EXPECT_EQ(next_page("<https://h/2>; rel=next"), "https://h/2");
  for (const char* none : {"", "<https://h/1>; rel=\"last\"", "<https://h/1", ">x<", "rel=\"next\""})
    EXPECT_EQ(next_page(none), "") << none;
}

TEST(FileList, ChecksPaths) {
  for (const char* fine :
       {"config.json", "a/b/c.json", "..a", "a..", "...", "a b", "中文.json", ".gitattributes"})
    EXPECT_TRUE(check_path(fine).ok()) << fine;
  using namespace std::string_view_literals;
  for (const std::string_view bad :
       {""sv, "/"sv, "/a"sv, "a/"sv, "."sv, ".."sv, "../a"sv, "a/../b"sv, "a/.."sv, "a/./b"sv, "a//b"sv,
        "a\\b"sv, "..\\a"sv, "a\0b"sv, "a\nb"sv, "\x7f"sv, ".pagoda.json"sv, ".pagoda/lock"sv})
    EXPECT_FALSE(check_path(bad).ok()) << bad;
  EXPECT_FALSE(check_path(std::string(513, 'a')).ok());
  EXPECT_FALSE(check_path("a/" + std::string(256, 'b')).ok());
  EXPECT_EQ(check_path("a\nb\x1b[2J").message().find('\x1b'), std::string::npos)
      << "nothing foreign reaches the terminal";
}

TEST(FileList, ChecksPathsAgainstEachOther) {
  EXPECT_TRUE(check_paths({{"a", 1, {}}, {"b/a", 1, {}}, {"b/c", 1, {}}}).ok());
  EXPECT_THAT(check_paths({{"a", 1, {}}, {"a", 1, {}}}).message(), HasSubstr("lists a twice"));
  EXPECT_THAT(check_paths({{"a/b/c", 1, {}}, {"a/b", 1, {}}}).message(),
              HasSubstr("a/b as a file and as a folder"));
}

TEST(FileList, WantsWhatTheLoaderReads) {
  for (const char* yes : {"model-00001-of-00002.safetensors", "model.safetensors.index.json", "config.json",
                          "chat_template.jinja", "tokenizer.json", "tokenizer.model", "hy.tiktoken",
                          "LICENSE", "License.txt", "README.md", "README_CN.md"})
    EXPECT_TRUE(is_wanted(yes)) << yes;
  for (const char* no :
       {"pytorch_model.bin", "a.pt", "a.gguf", "a.png", "onnx/config.json", "sub/model.safetensors",
        ".gitattributes", ".hidden.json", "train.py", "tokenizer.bin", "README.png"})
    EXPECT_FALSE(is_wanted(no)) << no;
}

TEST(Digest, KnownValues) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(git_sha1("hello\n"),
            "ce013625030ba8dba906f756967f9e9ca394464a");  // printf 'hello\n' | git hash-object --stdin
  EXPECT_EQ(git_sha1(""), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
}

TEST(Digest, OfAFile) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/file", content = random_bytes((3 << 20) + 17, 5);
  std::ofstream(path, std::ios::binary) << content;
  const FileHandle file(::open(path.c_str(), O_RDONLY));
  const auto go_on = [] { return false; };
  EXPECT_EQ(digest_file(file.get(), content.size(), DigestKind::kSha256, go_on)->hex, sha256_hex(content));
  EXPECT_EQ(digest_file(file.get(), content.size(), DigestKind::kNone, go_on).value(), Digest{});
  EXPECT_EQ(digest_file(file.get(), content.size() + 1, DigestKind::kSha256, go_on).status().code(),
            base::Code::kDataLoss);
  EXPECT_EQ(digest_file(-1, 5, DigestKind::kSha256, go_on).status().code(), base::Code::kDataLoss);
  EXPECT_EQ(digest_file(file.get(), 5, DigestKind::kSha256, [] { return true; }).status().code(),
            base::Code::kCancelled);
}

}  // namespace
}  // namespace pagoda::hub
