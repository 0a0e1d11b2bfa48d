#include "checkpoint/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

namespace pagoda::checkpoint {
namespace {

using base::Code;
using tensor::DType;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
namespace fs = std::filesystem;

base::Result<std::map<std::string, TensorInfo>> parse(const std::string& json, std::size_t data_bytes = 100) {
  return parse_safetensors_header(json, 1000, data_bytes, "x.safetensors");
}
void refuse(const std::string& json, const std::string& message, std::size_t data_bytes = 100) {
  const auto parsed = parse(json, data_bytes);
  ASSERT_FALSE(parsed.ok()) << json;
  EXPECT_EQ(parsed.status().code(), Code::kDataLoss);
  EXPECT_THAT(parsed.status().message(), HasSubstr(message));
  EXPECT_THAT(parsed.status().message(), HasSubstr("x.safetensors"));
}
// A header with one tensor "t".
std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return R"({"t":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}}";
}

class SafetensorsFileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "safetensors_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  std::string put(const std::string& name, const std::string& bytes) const {
    std::ofstream(path(name), std::ios::binary) << bytes;
    return path(name);
  }
  std::string get(const std::string& name) const {
    std::ifstream file(path(name), std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  }

  fs::path directory_;
};

std::string file_of(const std::string& header, const std::string& data) {
  std::string bytes(8, '\0');
  const std::uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, 8);  // tests run on little-endian machines only
  return bytes + header + data;
}

std::span<const std::byte> bytes_of(const std::string& text) { return std::as_bytes(std::span(text)); }

TEST(SafetensorsHeader, ReadsTensors) {
  const auto parsed = parse(
      R"({"__metadata__":{"format":"pt","dtype":"shape"},
          "a":{"dtype":"BF16","shape":[2,3],"data_offsets":[0,12]},
          "scalar":{"data_offsets":[12,16],"shape":[],"dtype":"F32"},
          "empty":{"dtype":"I64","shape":[0,5],"data_offsets":[14,14]},
          "\u0062":{"dtype":"I8","shape":[4],"note":{"deep":[[1.5,null]]},"data_offsets":[96,100]}}   )");
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  ASSERT_EQ(parsed->size(), 4u);
  const TensorInfo& a = parsed->at("a");
  EXPECT_EQ(a.dtype, DType::kBF16);
  EXPECT_THAT(a.shape, ElementsAre(2, 3));
  EXPECT_EQ(a.begin, 1000u);
  EXPECT_EQ(a.end, 1012u);
  EXPECT_EQ(a.elements(), 6);
  EXPECT_EQ(parsed->at("scalar").elements(), 1);
  EXPECT_EQ(parsed->at("empty").elements(), 0);
  EXPECT_EQ(parsed->at("b").end, 1100u);
  EXPECT_TRUE(parse("{}", 0).ok());
}

TEST(SafetensorsHeader, RefusesOffsetsThatLie) {
  refuse(one("F32", "[2]", "[0,7]"), "tensor t has 7 bytes, but its shape and dtype need 8");
  refuse(one("F32", "[2]", "[0,9]"), "tensor t has 9 bytes");
  refuse(one("F32", "[2]", "[8,0]"), "tensor t ends at 0, before it begins at 8");
  refuse(one("F32", "[2]", "[93,101]"), "tensor t ends at byte 101 of the data, but the file has only 100");
  refuse(one("F32", "[2]", "[9223372036854775800,9223372036854775807]"), "ends at byte 9223372036854775807");
  refuse(one("F32", "[2]", "[0,18446744073709551615]"), "18446744073709551615, which is too large");
  refuse(one("F32", "[2]", "[-8,0]"), "negative number -8");
  refuse(one("F32", "[2]", "[0,8,16]"), "data_offsets");
  refuse(one("F32", "[2]", "[8]"), "data_offsets");
  refuse(one("F32", "[2]", "8"), "data_offsets");
  refuse(one("F32", "[2]", "[0,8.0]"), "not a 64-bit integer");
}

TEST(SafetensorsHeader, RefusesShapesThatOverflow) {
  refuse(one("F32", "[4611686018427387904]", "[0,0]"), "overflows");
  refuse(one("I8", "[4294967296,4294967296]", "[0,0]"), "overflows");
  refuse(one("F32", "[4611686018427387904,4]", "[0,0]"), "overflows",
         std::numeric_limits<std::size_t>::max() - 1000);
  refuse(one("F32", "[-2]", "[0,8]"), "negative number -2");
  refuse(one("F32", "[1,1,1,1,1,1,1,1,2]", "[0,8]"), "more than 8 numbers");
  refuse(one("F32", "[[2]]", "[0,8]"), "tensor t is not described");
  refuse(one("F32", "[\"2\"]", "[0,8]"), "tensor t is not described");
  refuse(one("F32", "null", "[0,8]"), "tensor t is not described");
}

TEST(SafetensorsHeader, RefusesOverlap) {
  const std::string a = R"("a":{"dtype":"U8","shape":[8],"data_offsets":[10,18]},)";
  refuse("{" + a + R"("b":{"dtype":"U8","shape":[8],"data_offsets":[17,25]}})", "tensor b overlaps tensor a");
  refuse("{" + a + R"("b":{"dtype":"U8","shape":[8],"data_offsets":[3,11]}})", "tensor a overlaps tensor b");
  refuse("{" + a + R"("b":{"dtype":"U8","shape":[8],"data_offsets":[10,18]}})", "overlaps");
  EXPECT_TRUE(parse("{" + a + R"("b":{"dtype":"U8","shape":[8],"data_offsets":[18,26]}})").ok());
  EXPECT_TRUE(parse("{" + a + R"("b":{"dtype":"U8","shape":[0],"data_offsets":[12,12]}})").ok());
}

TEST(SafetensorsHeader, RefusesOtherForms) {
  refuse("", "not valid JSON near byte 0");
  refuse("{", "not valid JSON");
  refuse("{} {}", "not valid JSON");
  refuse("[]", "the header is not a JSON object");
  refuse("7", "the header is not a JSON object");
  refuse(R"({"t":7})", "tensor t is not described");
  refuse(R"({"t":{}})", "tensor t is not described");
  refuse(R"({"t":{"dtype":"F32","shape":[2]}})", "tensor t is not described");
  refuse(R"({"t":{"dtype":["F32"],"shape":[2],"data_offsets":[0,8]}})", "tensor t is not described");
  refuse(one("F31", "[2]", "[0,8]"), "tensor t has the unknown dtype \"F31\"");
  refuse(R"({"t":{"dtype":"F32","dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
         "tensor t has dtype twice");
  const std::string t = R"("t":{"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  refuse("{" + t + "," + t + "}", "tensor t appears twice");
  refuse(R"({"__metadata__":{},"__metadata__":{}})", "__metadata__ appears twice");
  refuse(R"({"__metadata__":)" + std::string(50, '[') + std::string(50, ']') + "}", "not valid JSON");
  refuse("{\"" + std::string(5000, 'n') + "\":7}", "not valid JSON");
}

TEST_F(SafetensorsFileTest, RefusesTruncationAtEveryByte) {
  const std::string whole = file_of(R"({"a":{"dtype":"I8","shape":[3],"data_offsets":[0,3]}})", "abc");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto file = SafetensorsFile::open(put("cut.safetensors", whole.substr(0, size)));
    ASSERT_FALSE(file.ok()) << size;
    EXPECT_EQ(file.status().code(), Code::kDataLoss);
    EXPECT_THAT(file.status().message(), HasSubstr("cut.safetensors"));
  }
  const auto file = SafetensorsFile::open(put("whole.safetensors", whole));
  ASSERT_TRUE(file.ok()) << file.status().message();
  const std::span<const std::byte> bytes = file->bytes(file->tensors().at("a"));
  EXPECT_EQ(std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()), "abc");
  file->release(file->tensors().at("a"));
  EXPECT_EQ(std::to_integer<char>(bytes[0]), 'a');  // read again from the file
}

TEST_F(SafetensorsFileTest, RefusesHeaderLengthsThatLie) {
  const auto message = [&](const std::string& bytes) {
    const auto file = SafetensorsFile::open(put("x.safetensors", bytes));
    EXPECT_EQ(file.status().code(), Code::kDataLoss);
    return file.status().message();
  };
  EXPECT_THAT(message(std::string(16, '\xff')), HasSubstr("more than the limit of 100000000"));
  EXPECT_THAT(message(std::string("\x03\0\0\0\0\0\0\0{}", 10)), HasSubstr("does not fit into the file"));
  EXPECT_THAT(message(std::string(8, '\0')), HasSubstr("not valid JSON"));
  EXPECT_EQ(SafetensorsFile::open(path("absent.safetensors")).status().code(), Code::kNotFound);
  EXPECT_FALSE(SafetensorsFile::open(directory_.string()).ok());
}

TEST_F(SafetensorsFileTest, WritesWhatItReads) {
  const std::string bytes1 = "\x01", bytes3 = "xyz", bytes4 = "abcd", bytes8 = "01234567";
  const std::vector<TensorToWrite> tensors = {{"small", DType::kI8, {1}, bytes_of(bytes1)},
                                              {"half", DType::kBF16, {2, 1}, bytes_of(bytes4)},
                                              {"odd \"name\"\n", DType::kU8, {3}, bytes_of(bytes3)},
                                              {"scale", DType::kF32, {2}, bytes_of(bytes8)},
                                              {"none", DType::kF32, {0, 4}, {}}};
  const base::Status status =
      write_safetensors(path("out.safetensors"), tensors, {{"format", "pt"}, {"a\"b", "\t"}});
  ASSERT_TRUE(status.ok()) << status.message();
  const auto file = SafetensorsFile::open(path("out.safetensors"));
  ASSERT_TRUE(file.ok()) << file.status().message();
  ASSERT_EQ(file->tensors().size(), tensors.size());
  std::size_t end = 0;
  for (const TensorToWrite& tensor : tensors) {
    const TensorInfo& info = file->tensors().at(tensor.name);
    EXPECT_EQ(info.dtype, tensor.dtype);
    EXPECT_EQ(info.shape, tensor.shape);
    EXPECT_EQ(info.begin % tensor::dtype_bytes(info.dtype), 0u) << tensor.name;
    const std::span<const std::byte> bytes = file->bytes(info);
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), tensor.bytes.begin(), tensor.bytes.end()))
        << tensor.name;
    end = std::max(end, info.end);
  }
  // No gaps: the original reader refuses files that have them.
  EXPECT_EQ(end, fs::file_size(path("out.safetensors")));
  EXPECT_EQ((end - 16) % 8, 0u);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), fs::directory_iterator()), 1)
      << "a file was left behind";
}

TEST_F(SafetensorsFileTest, WriterKeepsTheOldFileOnErrors) {
  put("out.safetensors", "old");
  const std::string four = "abcd";
  const TensorToWrite good{"a", DType::kF32, {1}, bytes_of(four)};
  TensorToWrite short_one = good, negative = good, reserved = good;
  short_one.shape = {2};
  negative.shape = {-1};
  reserved.name = "__metadata__";
  for (const auto& tensors :
       {std::vector{good, good}, std::vector{short_one}, std::vector{negative}, std::vector{reserved}})
    EXPECT_EQ(write_safetensors(path("out.safetensors"), tensors, {}).code(), Code::kInvalidArgument);
  EXPECT_EQ(get("out.safetensors"), "old");
  EXPECT_THAT(write_safetensors(path("no/such/folder"), {good}, {}).message(), HasSubstr("cannot create"));
  fs::create_directory(path("folder"));
  EXPECT_THAT(write_safetensors(path("folder"), {good}, {}).message(), HasSubstr("cannot rename"));
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), fs::directory_iterator()), 2)
      << "a file was left behind";
}

}  // namespace
}  // namespace pagoda::checkpoint
