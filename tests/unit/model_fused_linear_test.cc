#include "model/fused_linear.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "packed_layouts.h"
#include "stored_integers.h"
#include "tensor/dtype.h"

namespace pagoda::model {
namespace {

namespace fs = std::filesystem;
using checkpoint::Checkpoint;
using checkpoint::StoredLinear;
using kernels::WeightFormat;
using packed_layouts::Matrix;
using packed_layouts::Stored;
using tensor::DType;
using ::testing::HasSubstr;

const std::string kName = "model.layers.0.mlp.up_proj";

std::string gptq_config(int bits, std::int64_t group_size, const std::string& format = "gptq") {
  return fmt::format(R"({{"quant_method": "gptq", "bits": {}, "group_size": {}, "checkpoint_format": "{}"}})",
                     bits, group_size == 0 ? -1 : group_size, format);
}
std::string awq_config(std::int64_t group_size) {
  return fmt::format(R"({{"quant_method": "awq", "bits": 4, "group_size": {}, "version": "gemm"}})",
                     group_size);
}
std::string packed_config(int bits, std::int64_t group_size, bool symmetric) {
  return fmt::format(
      R"({{"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {{"group_0": {{"weights":
         {{"num_bits": {}, "type": "int", "symmetric": {}, "strategy": "{}", "group_size": {}}}}}}}}})",
      bits, symmetric, group_size == 0 ? "channel" : "group", group_size == 0 ? -1 : group_size);
}
const char* const kFp8Config = R"({"quant_method": "fp8", "activation_scheme": "static"})";

class FusedLinearTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "fused_XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
  }
  void TearDown() override { fs::remove_all(directory_); }

  void make(const std::string& quantization, const std::vector<Stored>& tensors) {
    auto opened = packed_layouts::open_alone(directory_, quantization, tensors);
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    checkpoint_ = std::make_unique<Checkpoint>(std::move(opened).value());
  }
  StoredLinear find(std::int64_t out, std::int64_t in, const std::string& name = kName) const {
    auto linear = find_linear(*checkpoint_, name, out, in);
    EXPECT_TRUE(linear.ok()) << linear.status().message();
    return std::move(linear).value();
  }
  fs::path directory_;
  std::unique_ptr<Checkpoint> checkpoint_;
};

void expect_equal(const Matrix& m, const StoredLinear& stored, const kernels::WeightSource& source,
                  bool exact) {
  std::vector<float> row(m.in);
  for (std::int64_t o = 0; o < m.out; ++o) {
    stored.copy_floats(o, row.data());
    for (std::int64_t i = 0; i < m.in; ++i) ASSERT_EQ(row[i], m.weight(o, i)) << o << ", " << i;
    kernels::dequantize_row(source, o, row.data());
    for (std::int64_t i = 0; i < m.in; ++i) {
      const float want = exact ? m.weight(o, i) : tensor::to_float(tensor::to_bfloat16(m.weight(o, i)));
      ASSERT_EQ(row[i], want) << o << ", " << i;
    }
  }
}

// Value k of row `row` of a part, by what kernels/weight.h says of its order.
int stored_value(const kernels::StoredIntegers& part, bool int4, std::int64_t in, std::int64_t row,
                 std::int64_t k) {
  if (!int4) return static_cast<std::int8_t>(part.data[row * in + k]);
  const std::int64_t nibble = kernels::stored_nibble(part.order, part.rows, in, row, k);
  return std::to_integer<int>(part.data[nibble / 2]) >> nibble % 2 * 4 & 15;
}

// All rows from `first` on, read together, are what each of them is alone, and what the file has.
void expect_rows_together(const kernels::WeightSource& source, std::int64_t first) {
  const std::int64_t count = source.out_features - first, in = source.in_features, groups = source.groups();
  struct Rows {
    Rows(std::int64_t count, std::int64_t in, std::int64_t groups)
        : values(count * in), zeros(count * groups), scales(count * groups) {}
    kernels::QuantizedRow out() { return {values.data(), scales.data(), zeros.data()}; }
    std::vector<std::int8_t> values, zeros;
    std::vector<float> scales;
  };
  Rows together(count, in, groups);
  read_quantized_rows(source, first, count, together.out());
  for (std::int64_t row = 0; row < count; ++row) {
    Rows alone(1, in, groups);
    read_quantized_rows(source, first + row, 1, alone.out());
    const auto part = [row](const auto& all, std::int64_t size) {
      return std::vector(all.begin() + row * size, all.begin() + (row + 1) * size);
    };
    ASSERT_EQ(part(together.values, in), alone.values) << row;
    ASSERT_EQ(part(together.zeros, groups), alone.zeros) << row;
    ASSERT_EQ(part(together.scales, groups), alone.scales) << row;
  }
  Rows without(count, in, groups);
  read_quantized_rows(source, first, count, {nullptr, without.scales.data(), without.zeros.data()});
  EXPECT_EQ(without.scales, together.scales);
  EXPECT_EQ(without.zeros, together.zeros);
  std::int64_t first_row = 0;
  for (const kernels::StoredIntegers& part : source.stored) {
    for (std::int64_t row = 0; row < part.rows; ++row)
      for (std::int64_t k = 0; k < in; ++k) {
        if (first_row + row < first) continue;
        ASSERT_EQ(stored_value(part, source.format == WeightFormat::kInt4, in, row, k),
                  together.values[(first_row + row - first) * in + k])
            << row << ", " << k;
      }
    first_row += part.rows;
  }
}

struct Shape {
  std::int64_t out, in, group_size;
};
// Whole rows, whole groups, a short last one, one input group wider than the row.
const Shape kShapes[] = {{8, 64, 32}, {24, 96, 64}, {64, 320, 128}, {16, 64, 0}, {8, 32, 128}, {40, 232, 32}};

TEST_F(FusedLinearTest, ReadsGptqOfEitherVersionInAnyOrder) {
  unsigned seed = 0;
  for (const Shape& shape : kShapes)
    for (const int bits : {4, 8})
      for (const bool symmetric : {true, false})
        for (const bool v1 : {true, false})
          for (const bool shuffled : {true, false}) {
            SCOPED_TRACE(fmt::format("{}x{} g{} {} bits {} v1 {} shuffled {}", shape.out, shape.in,
                                     shape.group_size, bits, symmetric, v1, shuffled));
            Matrix m =
                packed_layouts::random_matrix(shape.out, shape.in, bits, shape.group_size, symmetric, ++seed);
            if (shuffled) shuffle_groups(&m, seed);
            make(gptq_config(bits, shape.group_size, v1 ? "gptq" : "gptq_v2"),
                 packed_layouts::as_gptq(kName, m, v1));
            const StoredLinear stored = find(shape.out, shape.in);
            const FusedLinear fused = fuse({stored}, WeightFormat::kBF16);
            EXPECT_EQ(fused.widened, "");
            EXPECT_EQ(fused.source.format, bits == 4 ? WeightFormat::kInt4 : WeightFormat::kInt8);
            EXPECT_EQ(fused.source.has_zeros, !symmetric);
            EXPECT_EQ(fused.source.input_order.empty(), !shuffled || m.groups == 1);
            expect_equal(m, stored, fused.source, /*exact=*/true);
            // Across the end of a part too.
            const FusedLinear three = fuse({stored, stored, stored}, WeightFormat::kBF16);
            EXPECT_EQ(three.source.stored.size(), bits == 4 && three.source.input_order.empty() ? 3 : 0);
            expect_rows_together(three.source, 5);
            std::vector<float> row(m.in);
            for (std::int64_t o = 0; o < three.source.out_features; ++o) {
              kernels::dequantize_row(three.source, o, row.data());
              for (std::int64_t i = 0; i < m.in; ++i)
                ASSERT_EQ(row[i], m.weight(o % m.out, i)) << o << ", " << i;
            }
          }
}

TEST_F(FusedLinearTest, ReadsAwq) {
  unsigned seed = 100;
  for (const Shape& shape : kShapes) {
    if (shape.group_size == 0) continue;
    const Matrix m = packed_layouts::random_matrix(shape.out, shape.in, 4, shape.group_size, false, ++seed);
    make(awq_config(shape.group_size), packed_layouts::as_awq(kName, m));
    const StoredLinear stored = find(shape.out, shape.in);
    const FusedLinear fused = fuse({stored}, WeightFormat::kBF16);
    EXPECT_EQ(fused.source.format, WeightFormat::kInt4);
    expect_equal(m, stored, fused.source, /*exact=*/true);
    EXPECT_EQ(fused.source.stored.size(), 1);
    expect_rows_together(fuse({stored, stored}, WeightFormat::kBF16).source, 3);
  }
}

TEST_F(FusedLinearTest, ReadsCompressedTensors) {
  unsigned seed = 200;
  for (const Shape& shape : {Shape{8, 64, 32}, Shape{20, 100, 32}, Shape{6, 62, 0}})  // words may be padded
    for (const int bits : {4, 8})
      for (const bool symmetric : {true, false}) {
        const Matrix m =
            packed_layouts::random_matrix(shape.out, shape.in, bits, shape.group_size, symmetric, ++seed);
        make(packed_config(bits, shape.group_size, symmetric),
             packed_layouts::as_packed(kName, m, symmetric));
        const StoredLinear stored = find(shape.out, shape.in);
        const FusedLinear fused = fuse({stored}, WeightFormat::kBF16);
        EXPECT_EQ(fused.source.format, bits == 4 ? WeightFormat::kInt4 : WeightFormat::kInt8);
        expect_equal(m, stored, fused.source, /*exact=*/true);
        EXPECT_EQ(fused.source.stored.size(), bits == 4 && shape.in % 8 == 0 ? 1 : 0);
        expect_rows_together(fused.source, 0);
      }
}

TEST_F(FusedLinearTest, ReadsFp8WithScalesOfAnyShape) {
  std::vector<std::uint8_t> bytes(4 * 6);
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::uint8_t>(i * 10 + 1);
  const std::vector<float> four = {0.5f, 0.25f, 2.0f, 1.0f};
  std::vector<std::uint16_t> bf16, f16;
  for (const float scale : four) {
    bf16.push_back(tensor::to_bfloat16(scale).bits);
    f16.push_back(packed_layouts::half(scale));
  }
  const auto scale_of = [](const Stored& scale, std::int64_t row) {
    constexpr float kFour[] = {0.5f, 0.25f, 2.0f, 1.0f};
    return scale.shape.empty() || scale.shape[0] == 1 ? kFour[0] : kFour[row];
  };
  using packed_layouts::stored;
  const std::string name = kName + ".weight_scale";
  for (const Stored& scale :
       {stored(name, DType::kF32, {}, std::vector<float>{0.5f}),
        stored(name, DType::kF32, {1}, std::vector<float>{0.5f}), stored(name, DType::kF32, {4}, four),
        stored(name, DType::kBF16, {4, 1}, bf16), stored(name, DType::kF16, {4}, f16)}) {
    make(kFp8Config, {stored(kName + ".weight", DType::kF8E4M3, {4, 6}, bytes), scale,
                      stored(kName + ".input_scale", DType::kF32, {1}, std::vector<float>{0.1f})});
    const FusedLinear fused = fuse({find(4, 6)}, WeightFormat::kBF16);
    EXPECT_EQ(fused.source.format, WeightFormat::kFp8);
    std::vector<float> row(6);
    for (std::int64_t r = 0; r < 4; ++r) {
      kernels::dequantize_row(fused.source, r, row.data());
      for (std::int64_t i = 0; i < 6; ++i)
        EXPECT_EQ(row[i], tensor::float8_e4m3_to_float(bytes[r * 6 + i]) * scale_of(scale, r));
    }
  }
}

TEST_F(FusedLinearTest, FusesPartsThatAgree) {
  Matrix q = packed_layouts::random_matrix(16, 64, 4, 32, true, 1);
  Matrix k = packed_layouts::random_matrix(8, 64, 4, 32, false, 2);
  shuffle_groups(&q, 3);
  k.group_of_input = q.group_of_input;
  std::vector<Stored> tensors = packed_layouts::as_gptq("q", q, true);
  for (Stored& tensor : packed_layouts::as_gptq("k", k, true)) tensors.push_back(std::move(tensor));
  make(gptq_config(4, 32), tensors);
  const FusedLinear fused = fuse({find(16, 64, "q"), find(8, 64, "k")}, WeightFormat::kBF16);
  EXPECT_EQ(fused.widened, "");
  EXPECT_EQ(fused.source.out_features, 24);
  EXPECT_TRUE(fused.source.has_zeros);
  std::vector<float> row(64);
  for (std::int64_t r = 0; r < 24; ++r) {
    kernels::dequantize_row(fused.source, r, row.data());
    for (std::int64_t i = 0; i < 64; ++i)
      ASSERT_EQ(row[i], r < 16 ? q.weight(r, i) : k.weight(r - 16, i)) << r << ", " << i;
  }
}

TEST_F(FusedLinearTest, WidensWhatTheKernelsCannotSay) {
  const auto widened = [&](const Matrix& m, const std::string& why) {
    make(gptq_config(4, m.group_size), packed_layouts::as_gptq(kName, m, true));
    const StoredLinear stored = find(m.out, m.in);
    const FusedLinear fused = fuse({stored}, WeightFormat::kBF16);
    EXPECT_THAT(fused.widened, HasSubstr(why));
    EXPECT_EQ(fused.source.format, WeightFormat::kBF16);
    expect_equal(m, stored, fused.source, /*exact=*/false);
    EXPECT_EQ(fuse({stored}, WeightFormat::kF32).source.format, WeightFormat::kF32);
  };
  widened(packed_layouts::random_matrix(8, 64, 4, 16, true, 1), "groups have 16 inputs");
  Matrix m = packed_layouts::random_matrix(8, 64, 4, 32, true, 2);
  m.group_of_input[0] = 1;
  widened(m, "different numbers of inputs");
  m = packed_layouts::random_matrix(8, 64, 4, 32, true, 3);
  m.zeros[5] = 16;  // stored as 15
  widened(m, "outside the range");

  Matrix other = packed_layouts::random_matrix(8, 64, 4, 32, true, 4);
  shuffle_groups(&other, 5);
  std::vector<Stored> tensors =
      packed_layouts::as_gptq("a", packed_layouts::random_matrix(8, 64, 4, 32, true, 6), true);
  for (Stored& tensor : packed_layouts::as_gptq("b", other, true)) tensors.push_back(std::move(tensor));
  tensors.push_back(
      packed_layouts::stored("c.weight", DType::kBF16, {8, 64}, std::vector<std::uint16_t>(8 * 64)));
  make(gptq_config(4, 32), tensors);
  EXPECT_THAT(fuse({find(8, 64, "a"), find(8, 64, "b")}, WeightFormat::kBF16).widened, HasSubstr("order"));
  EXPECT_THAT(fuse({find(8, 64, "a"), find(8, 64, "c")}, WeightFormat::kBF16).widened,
              HasSubstr("different ways"));
}

TEST_F(FusedLinearTest, RoundsFloatsWhileTheyAreLoaded) {
  std::vector<float> values(8 * 160);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<float>(i));
  make("null", {packed_layouts::stored(kName + ".weight", DType::kF32, {8, 160}, values)});
  for (const auto& [format, bound] :
       {std::pair{WeightFormat::kF32, 0.0f}, std::pair{WeightFormat::kBF16, 0.004f},
        std::pair{WeightFormat::kInt8, 0.004f}, std::pair{WeightFormat::kFp8, 0.07f},
        std::pair{WeightFormat::kInt4, 0.07f}}) {
    const FusedLinear fused = fuse({find(8, 160)}, format);
    EXPECT_EQ(fused.source.format, format);
    EXPECT_EQ(fused.source.group_size, format == WeightFormat::kInt4 ? kRoundedGroup : 0);
    std::vector<float> row(160);
    for (std::int64_t r = 0; r < 8; ++r) {
      kernels::dequantize_row(fused.source, r, row.data());
      for (std::int64_t i = 0; i < 160; ++i) ASSERT_NEAR(row[i], values[r * 160 + i], bound);
    }
  }
}

}  // namespace
}  // namespace pagoda::model
