// What is wrong with a packed layer is said in one sentence that names the file, the tensor, and both the
// number that is there and the number that should be. What layers are read as: model_fused_linear_test.cc.

#include "checkpoint/stored_linear.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <functional>

#include "packed_layouts.h"

namespace pagoda::checkpoint {
namespace {

namespace fs = std::filesystem;
using base::Code;
using packed_layouts::Matrix;
using packed_layouts::Stored;
using tensor::DType;
using Change = std::function<void(std::vector<Stored>& tensors)>;

const std::string kName = "model.layers.0.mlp.up_proj";

std::string gptq(int bits, int group_size) {
  return fmt::format(R"({{"quant_method": "gptq", "bits": {}, "group_size": {}}})", bits, group_size);
}
std::string awq(int group_size) {
  return fmt::format(R"({{"quant_method": "awq", "bits": 4, "group_size": {}}})", group_size);
}
std::string packed(int bits, int group_size, bool symmetric) {
  return fmt::format(
      R"({{"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {{"group_0": {{"weights":
         {{"num_bits": {}, "type": "int", "symmetric": {}, "strategy": "group", "group_size": {}}}}}}}}})",
      bits, symmetric, group_size);
}
const std::string kFp8 = R"({"quant_method": "fp8"})";
const std::string kInt8 = R"({"quant_method": "pagoda-int8", "bits": 8, "scheme": "per_channel_symmetric"})";

class StoredLinearTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "stored_linear_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  base::Result<StoredLinear> find(const std::string& quantization, const std::vector<Stored>& tensors,
                                  std::int64_t out = 16, std::int64_t in = 64) {
    auto opened = packed_layouts::open_alone(directory_, quantization, tensors);
    EXPECT_TRUE(opened.ok()) << opened.status().message();
    checkpoint_ = std::make_unique<Checkpoint>(std::move(opened).value());
    return find_linear(*checkpoint_, kName, out, in);
  }

  fs::path directory_;
  std::unique_ptr<Checkpoint> checkpoint_;
};

Stored& at(std::vector<Stored>& tensors, const std::string& suffix) {
  for (Stored& tensor : tensors)
    if (tensor.name == kName + suffix) return tensor;
  ADD_FAILURE() << suffix;
  return tensors.front();
}
Change missing(const std::string& suffix) {
  return [=](auto& tensors) { at(tensors, suffix).name = "other"; };
}
Change of_dtype(const std::string& suffix, DType dtype) {
  return [=](auto& tensors) { at(tensors, suffix).dtype = dtype; };
}
// The rows behind these are cut off.
Change cut_to(const std::string& suffix, std::int64_t rows) {
  return [=](auto& tensors) {
    Stored& tensor = at(tensors, suffix);
    tensor.bytes.resize(tensor.bytes.size() / static_cast<std::size_t>(tensor.shape[0] / rows));
    tensor.shape[0] = rows;
  };
}
Change with_word(const std::string& suffix, std::size_t index, std::int32_t value) {
  return [=](auto& tensors) { std::memcpy(&at(tensors, suffix).bytes[4 * index], &value, sizeof value); };
}
const Change kNone = [](auto&) {};

struct Wrong {
  std::string quantization;
  Change change;
  std::string sentence;  // behind "model.safetensors: tensor model.layers.0.mlp.up_proj"
};

TEST_F(StoredLinearTest, SaysInOneSentenceWhatIsWrong) {
  const Matrix m = packed_layouts::random_matrix(16, 64, 4, 32, false, 1);
  const std::string g32 = ", for 64 inputs and 16 outputs with 4 bits and group_size 32 as config.json says";
  const std::string g64 = ", for 64 inputs and 16 outputs with 4 bits and group_size 64 as config.json says";
  const auto expect = [&](const std::vector<Stored>& good, const std::vector<Wrong>& list) {
    for (const Wrong& wrong : list) {
      SCOPED_TRACE(wrong.quantization + " " + wrong.sentence);
      std::vector<Stored> tensors = good;
      wrong.change(tensors);
      const auto found = find(wrong.quantization, tensors);
      ASSERT_FALSE(found.ok());
      EXPECT_EQ(found.status().code(), Code::kDataLoss);
      EXPECT_EQ(found.status().message(), "model.safetensors: tensor " + kName + wrong.sentence);
    }
  };
  ASSERT_TRUE(find(gptq(4, 32), as_gptq(kName, m, true)).ok());
  expect(as_gptq(kName, m, true),
         {{gptq(4, 64), kNone, ".scales has shape [2, 16], expected [1, 16]" + g64},
          {gptq(4, -1), kNone,
           ".scales has shape [2, 16], expected [1, 16], for 64 inputs and 16 outputs with 4 bits and "
           "group_size "
           "-1 as config.json says"},
          {gptq(8, 32), kNone,
           ".qweight has shape [8, 16], expected [16, 16], for 64 inputs and 16 outputs with 8 bits and "
           "group_size "
           "32 as config.json says"},
          {awq(32), kNone, ".qweight has shape [8, 16], expected [64, 2]" + g32},
          {"null", kNone,
           ".weight is missing; " + kName + ".qweight is there, but config.json has no quantization_config"},
          {kFp8, kNone, ".weight is missing"},
          {gptq(4, 32), missing(".qweight"), ".qweight is missing"},
          {gptq(4, 32), missing(".scales"), ".scales is missing"},
          {gptq(4, 32), missing(".qzeros"), ".qzeros is missing"},
          {gptq(4, 32), cut_to(".qweight", 4), ".qweight has shape [4, 16], expected [8, 16]" + g32},
          {gptq(4, 32), cut_to(".scales", 1), ".scales has shape [1, 16], expected [2, 16]" + g32},
          {gptq(4, 32), cut_to(".qzeros", 1), ".qzeros has shape [1, 2], expected [2, 2]" + g32},
          {gptq(4, 32), cut_to(".g_idx", 32), ".g_idx has shape [32], expected [64]" + g32},
          {gptq(4, 32), of_dtype(".qweight", DType::kF32), ".qweight has dtype F32, expected I32"},
          {gptq(4, 32), of_dtype(".g_idx", DType::kF32), ".g_idx has dtype F32, expected I32"},
          {gptq(4, 32),
           [](auto& tensors) {
             Stored& scales = at(tensors, ".scales");
             scales.dtype = DType::kI8;
             scales.bytes.resize(32);
           },
           ".scales has dtype I8, expected BF16 or F16 or F32"},
          {gptq(4, 32), with_word(".g_idx", 5, 2),
           ".g_idx says that input 5 is in group 2, but the groups are 0 to 1"},
          {gptq(4, 32), with_word(".g_idx", 7, -1),
           ".g_idx says that input 7 is in group -1, but the groups are 0 to 1"},
          {gptq(4, 32), with_word(".scales", 1, 0x7c00),
           ".scales holds a scale that is not finite (element 2)"}});
  expect(as_awq(kName, m),
         {{awq(64), kNone, ".scales has shape [2, 16], expected [1, 16]" + g64},
          {gptq(4, 32), kNone, ".qweight has shape [64, 2], expected [8, 16]" + g32},
          {awq(32), missing(".scales"), ".scales is missing"},
          {awq(32), missing(".qzeros"), ".qzeros is missing"},
          {awq(32), cut_to(".qweight", 32), ".qweight has shape [32, 2], expected [64, 2]" + g32}});
  expect(
      as_packed(kName, m, /*symmetric=*/false),
      {{packed(4, 64, false), kNone, ".weight_scale has shape [16, 2], expected [16, 1]" + g64},
       {packed(8, 32, false), kNone,
        ".weight_packed has shape [16, 8], expected [16, 16], for 64 inputs and 16 outputs with 8 bits and "
        "group_size 32 as config.json says"},
       {"null", kNone,
        ".weight is missing; " + kName +
            ".weight_packed is there, but config.json has no quantization_config"},
       {packed(4, 32, false), missing(".weight_scale"), ".weight_scale is missing"},
       {packed(4, 32, false), missing(".weight_zero_point"), ".weight_zero_point is missing"},
       {packed(4, 32, false), cut_to(".weight_packed", 8),
        ".weight_packed has shape [8, 8], expected [16, 8]" + g32},
       {packed(4, 32, false), with_word(".weight_g_idx", 3, 9),
        ".weight_g_idx says that input 3 is in group 9, but the groups are 0 to 1"},
       {packed(4, 32, false), with_word(".weight_shape", 0, 17),
        ".weight_shape says [17, 64], expected [16, 64]"}});
  const auto rows = [](DType dtype, std::int64_t scales) {
    return std::vector<Stored>{
        packed_layouts::stored(kName + ".weight", dtype, {16, 64}, std::vector<char>(16 * 64)),
        packed_layouts::stored(kName + ".weight_scale", DType::kF32, {scales}, std::vector<float>(scales))};
  };
  expect(rows(DType::kF8E4M3, 16),
         {{kFp8, missing(".weight_scale"), ".weight_scale is missing"},
          {kFp8, cut_to(".weight_scale", 4), ".weight_scale has shape [4], expected [16]"},
          {kFp8, cut_to(".weight", 8), ".weight has shape [8, 64], expected [16, 64]"},
          {kFp8, with_word(".weight_scale", 3, 0x7fc00000),
           ".weight_scale holds a scale that is not finite (element 3)"},
          {kInt8, kNone, ".weight has dtype F8_E4M3, expected I8"},
          {"null", kNone,
           ".weight has dtype F8_E4M3, expected BF16 or F16 or F32; " + kName +
               ".weight_scale is there, but config.json has no quantization_config"}});
  expect(rows(DType::kI8, 16),
         {{kInt8, missing(".weight_scale"), ".weight_scale is missing"},
          {kInt8, of_dtype(".weight_scale", DType::kI32), ".weight_scale has dtype I32, expected F32"},
          {kFp8, kNone, ".weight has dtype I8, expected F8_E4M3"}});
}

TEST_F(StoredLinearTest, NamesTheSizeThatDoesNotFillWords) {
  const Matrix m = packed_layouts::random_matrix(16, 64, 4, 32, true, 1);
  const std::vector<Stored> tensors = as_gptq(kName, m, true);
  EXPECT_EQ(find(gptq(4, 32), tensors, 12, 64).status().message(),
            kName + " has 12 outputs, not a multiple of 8 as GPTQ weights need");
  EXPECT_EQ(find(gptq(4, 32), tensors, 16, 60).status().message(),
            kName + " has 60 inputs, not a multiple of 8 as GPTQ weights need");
  EXPECT_EQ(find(awq(32), as_awq(kName, m), 12, 64).status().message(),
            kName + " has 12 outputs, not a multiple of 8 as AWQ weights need");
}

TEST_F(StoredLinearTest, GroupsOfInputsThatAreAllZeroAreNotInUse) {
  Matrix m = packed_layouts::random_matrix(16, 64, 4, 32, false, 1);
  std::vector<Stored> tensors = as_gptq(kName, m, true);
  std::fill(at(tensors, ".g_idx").bytes.begin(), at(tensors, ".g_idx").bytes.end(), std::byte{0});
  const auto found = find(gptq(4, 32), tensors);
  ASSERT_TRUE(found.ok()) << found.status().message();
  EXPECT_TRUE(found->group_of_input().empty());
  std::vector<float> row(64);
  found->copy_floats(3, row.data());
  for (std::int64_t i = 0; i < 64; ++i) EXPECT_EQ(row[i], m.weight(3, i)) << i;
}

}  // namespace
}  // namespace pagoda::checkpoint
