// Linear layers and embeddings of the CPU backend, in every weight format and every instruction set that this
// machine has, against the reference, on random ragged shapes.
//
// Two kinds of input. Normal values show that activations are rounded no worse than their format must: BF16
// has 8 bits of fraction, INT8 activations 7. Integers that INT8 activations hold exactly, beside extreme
// weights, show that nothing else is lost: no saturation, no wrong group, zero or column.

#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "kernels/ops.h"
#include "random_matrix.h"
#include "tensor/dtype.h"

namespace pagoda::kernels {
namespace {

using tensor::View;

struct Kind {
  WeightFormat format;
  std::int64_t group_size = 0;
  bool zeros = false;
  bool ordered = false;
  bool extreme = false;  // every integer is the largest or the smallest
  bool half = false;     // scales that FP16 holds

  std::string name() const {
    return fmt::format("{} g{}{}{}{}{}", weight_format_name(format), group_size, zeros ? " zeros" : "",
                       ordered ? " ordered" : "", extreme ? " extreme" : "", half ? " half" : "");
  }
  bool integer() const { return format == WeightFormat::kInt4 || format == WeightFormat::kInt8; }
};

constexpr auto kInt4 = WeightFormat::kInt4, kInt8 = WeightFormat::kInt8;
const std::vector<Kind> kKinds = {{WeightFormat::kBF16},
                                  {WeightFormat::kFp8},
                                  {kInt8},
                                  {kInt8, 0, true},
                                  {kInt8, 32},
                                  {kInt8, 64, true},
                                  {kInt8, 128},
                                  {kInt8, 128, true, true},
                                  {kInt8, 0, false, true},
                                  {kInt8, 0, false, false, true},
                                  {kInt8, 128, true, false, true},
                                  {kInt8, 256},
                                  {kInt4, 0},
                                  {kInt4, 32},
                                  {kInt4, 32, true},
                                  {kInt4, 64},
                                  {kInt4, 96},
                                  {kInt4, 128},
                                  {kInt4, 128, true},
                                  {kInt4, 128, false, true},
                                  {kInt4, 64, true, true},
                                  {kInt4, 128, true, false, true},
                                  {kInt4, 32, false, false, true},
                                  {kInt4, 256, true},
                                  {kInt4, 128, true, false, false, true},
                                  {kInt8, 64, false, false, false, true}};

WeightSource random_weight(std::int64_t out, std::int64_t in, const Kind& kind) {
  WeightSource source;
  source.out_features = out;
  source.in_features = in;
  source.format = kind.format;
  source.group_size = kind.group_size;
  source.has_zeros = kind.zeros;
  if (kind.ordered) source.input_order = Random(99).permutation(in);
  source.row_f32 = [in](std::int64_t row, float* values) {
    Random random(static_cast<unsigned>(row));
    for (std::int64_t i = 0; i < in; ++i) values[i] = random.normal();
  };
  const int low = kind.format == kInt4 ? 0 : -128, high = kind.format == kInt4 ? 15 : 127;
  source.set_row_quantized([=, groups = source.groups()](std::int64_t row, const QuantizedRow& quantized) {
    Random random(static_cast<unsigned>(row));
    const int extreme = row % 2 == 0 ? low : high;
    for (std::int64_t i = 0; i < in; ++i)
      quantized.values[i] = static_cast<std::int8_t>(kind.extreme ? extreme : random.between(low, high));
    for (std::int64_t g = 0; g < groups; ++g) {
      quantized.scales[g] = kind.half ? 0.0078125f + 0.0009765625f * static_cast<float>((row + 3 * g) % 7)
                                      : 0.01f + 0.001f * static_cast<float>((row + 3 * g) % 7);
      if (kind.zeros) quantized.zeros[g] = static_cast<std::int8_t>(random.between(low, high));
    }
  });
  source.row_fp8 = [in](std::int64_t row, std::uint8_t* values, float* scale) {
    Random random(static_cast<unsigned>(row));
    for (std::int64_t i = 0; i < in; ++i) do
        values[i] = static_cast<std::uint8_t>(random.between(0, 255));
      while ((values[i] & 0x7f) == 0x7f);  // NaN
    *scale = 0.01f + 0.001f * static_cast<float>(row % 7);
  };
  return source;
}

OpsLimits limits_of(std::int64_t rows, std::int64_t in) {
  return {.max_tokens = rows, .max_features = in, .num_heads = 1, .kv = {1, 1, 16, 16}};
}

class LinearParity : public ::testing::TestWithParam<const char*> {
 protected:
  void compare(const Kind& kind, std::int64_t in, std::int64_t out, Matrix& x, double bound) {
    Random random(5);
    cpu_->reserve(limits_of(x.view.rows, in));
    const WeightSource source = random_weight(out, in, kind);
    const Weight packed = cpu_->pack(source), plain = reference_->pack(source);
    Matrix expected(x.view.rows, out, 5);
    random.fill(expected);
    for (const bool accumulate : {false, true}) {
      Matrix actual(expected);
      reference_->linear(x.view, plain, expected.view, accumulate);
      cpu_->linear(x.view, packed, actual.view, accumulate);
      EXPECT_LT(relative_error(actual.view, expected.view), bound) << (accumulate ? "accumulate" : "");
      for (std::int64_t r = 0; r < x.view.rows; ++r)  // what lies beside C is not touched
        for (std::int64_t c = out; c < out + 5; ++c)
          ASSERT_EQ(actual.view.row(r)[c], expected.view.row(r)[c]);
    }
  }

  std::unique_ptr<Ops> reference_ = make_reference_ops();
  std::unique_ptr<Ops> cpu_ = make_cpu_ops({.threads = 2, .deterministic = false, .isa = GetParam()});
};

TEST_P(LinearParity, NormalInputs) {
  Random random(1);
  for (const Kind& kind : kKinds) {
    if (kind.extreme) continue;  // all weights of a column alike: its sum is near zero, its error is not
    for (const int m : {1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 16, 17, 31, 33, 50, 70}) {
      const int in = 2 * random.between(1, 300), out = random.between(1, 150);
      SCOPED_TRACE(fmt::format("{} {} m={} in={} out={}", cpu_->description(), kind.name(), m, in, out));
      Matrix x(m, in, 3);
      random.fill(x);
      compare(kind, in, out, x, kind.integer() ? 0.05 : 0.02);
    }
  }
}

// Inputs and weights that every kernel multiplies exactly; the rest is the rounding of a few float additions.
TEST_P(LinearParity, ExactInputs) {
  Random random(2);
  for (const Kind& kind : kKinds) {
    if (!kind.integer()) continue;
    for (int m = 1; m <= 70; m += m < 18 ? 1 : 7)
      for (const bool extreme : {false, true}) {
        const int in = random.between(1, 500), out = random.between(1, 100);
        SCOPED_TRACE(fmt::format("{} {} m={} in={} out={} {}", cpu_->description(), kind.name(), m, in, out,
                                 extreme ? "extreme" : ""));
        Matrix x(m, in, 3);
        random.fill_integers(x, extreme);
        if (kind.ordered && !extreme) {  // the largest must meet every group after the order
          for (float& value : x.values) value = std::copysign(127.0f, value);
        }
        compare(kind, in, out, x, 2e-5);
      }
  }
}

TEST_P(LinearParity, RowDoesNotDependOnBatch) {
  const auto cpu = make_cpu_ops({.threads = 2, .deterministic = true, .isa = GetParam()});
  Random random(2);
  for (const Kind& kind : kKinds) {
    SCOPED_TRACE(kind.name());
    const int in = 322, out = 83, most = 70;
    Matrix x(most, in), one(most, out);
    random.fill(x);
    cpu->reserve(limits_of(most, in));
    const Weight weight = cpu->pack(random_weight(out, in, kind));
    for (int r = 0; r < most; ++r)
      cpu->linear(View::of(x.view.row(r), 1, in, in), weight, View::of(one.view.row(r), 1, out, out),
                  /*accumulate=*/false);
    for (const int rows : {2, 3, 4, 5, 8, 15, 32, 70}) {
      Matrix all(rows, out);
      cpu->linear(x.view.first_rows(rows), weight, all.view, /*accumulate=*/false);
      for (int r = 0; r < rows; ++r)
        for (int n = 0; n < out; ++n)
          ASSERT_EQ(one.view.row(r)[n], all.view.row(r)[n]) << rows << " rows, row " << r << " column " << n;
    }
  }
}

TEST_P(LinearParity, EmbeddingIsExact) {
  Random random(3);
  for (const Kind& kind : kKinds)
    for (int round = 0; round < 5; ++round) {
      SCOPED_TRACE(kind.name());
      const int rows = random.between(1, 30), cols = random.between(1, 400), vocab = 50;
      const WeightSource source = random_weight(vocab, cols, kind);
      const Weight packed = cpu_->pack(source), plain = reference_->pack(source);
      std::vector<std::int32_t> tokens(rows);
      for (auto& token : tokens) token = random.between(0, vocab - 1);
      Matrix actual(rows, cols), expected(rows, cols);
      reference_->embed(tokens, plain, expected.view);
      cpu_->embed(tokens, packed, actual.view);
      ASSERT_EQ(actual.values, expected.values);
    }
}

// Every e4m3 value, subnormals among them, meets an input of 1.
TEST_P(LinearParity, EveryFp8Value) {
  for (int value = 0; value < 256; ++value) {
    if ((value & 0x7f) == 0x7f) continue;
    WeightSource source;
    source.out_features = 1;
    source.in_features = 1;
    source.format = WeightFormat::kFp8;
    source.row_fp8 = [value](std::int64_t, std::uint8_t* values, float* scale) {
      *values = static_cast<std::uint8_t>(value);
      *scale = 1;
    };
    cpu_->reserve(limits_of(1, 1));
    const Weight weight = cpu_->pack(source);
    Matrix x(1, 1), out(1, 1);
    x.values[0] = 1;
    cpu_->linear(x.view, weight, out.view, /*accumulate=*/false);
    EXPECT_EQ(out.values[0], tensor::float8_e4m3_to_float(static_cast<std::uint8_t>(value))) << value;
  }
}

INSTANTIATE_TEST_SUITE_P(Isa, LinearParity, ::testing::Values("sse4", "avx2", "avx512", "avx512-bf16", "amx"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

}  // namespace
}  // namespace pagoda::kernels
