// The linear operators of the CUDA backend against the reference: every format over ragged shapes and
// batches, the epilogues, act order, and that a row does not depend on its batch.

#include <numeric>

#include "cuda_on_device.h"

namespace pagoda::kernels {
namespace {

using tensor::DType;
using tensor::View;

struct Format {
  const char* name;
  WeightFormat format;
  std::int64_t group_size;
  bool has_zeros;
};
constexpr Format kFormats[] = {
    {"bf16", WeightFormat::kBF16, 0, false},        {"fp8", WeightFormat::kFp8, 0, false},
    {"int8", WeightFormat::kInt8, 0, false},        {"int8 zeros", WeightFormat::kInt8, 64, true},
    {"int4 g128", WeightFormat::kInt4, 128, false}, {"int4 g128 zeros", WeightFormat::kInt4, 128, true},
    {"int4 g64", WeightFormat::kInt4, 64, false},   {"int4 g32 zeros", WeightFormat::kInt4, 32, true},
    {"int4 g256", WeightFormat::kInt4, 256, false}, {"int4 row", WeightFormat::kInt4, 0, true},
};

WeightSource source_of(const Format& format, std::int64_t out, std::int64_t in, bool pairs = false) {
  WeightSource source;
  source.out_features = out;
  source.in_features = in;
  source.format = format.format;
  source.group_size = format.group_size;
  source.has_zeros = format.has_zeros;
  source.pairs = pairs;
  source.row_f32 = [in](std::int64_t row, float* values) {
    Random random(static_cast<unsigned>(row) + 1);
    for (std::int64_t i = 0; i < in; ++i) values[i] = random.normal();
  };
  source.row_fp8 = [in](std::int64_t row, std::uint8_t* values, float* scale) {
    Random random(static_cast<unsigned>(row) + 1);
    for (std::int64_t i = 0; i < in; ++i) values[i] = tensor::float_to_float8_e4m3(50 * random.normal());
    values[0] = 1;  // the smallest subnormal
    *scale = 0.01f + 0.001f * static_cast<float>(row % 7);
  };
  source.set_row_quantized([in, format, groups = source.groups()](std::int64_t row,
                                                                  const QuantizedRow& quantized) {
    Random random(static_cast<unsigned>(row) + 1);
    const bool int4 = format.format == WeightFormat::kInt4;
    for (std::int64_t i = 0; i < in; ++i)
      quantized.values[i] =
          static_cast<std::int8_t>(int4 ? random.between(0, 15) : random.between(-127, 127));
    for (std::int64_t g = 0; g < groups; ++g) {
      quantized.scales[g] = static_cast<float>(random.between(1, 64)) / 1024;  // exact in FP16
      if (format.has_zeros)
        quantized.zeros[g] = static_cast<std::int8_t>(int4 ? random.between(0, 15) : random.between(-20, 20));
    }
  });
  return source;
}

// Products in the library are of weights rounded to bf16; with FP8 weights and more than 8 rows, of
// activations rounded to FP8 too.
double tolerance_of(const Format& format, std::int64_t m) {
  return format.format == WeightFormat::kFp8 && m > 8 ? 4e-2 : 4e-3;
}

class CudaLinear : public CudaTest {
 protected:
  // Rows are readable up to whole chunks of 128, as a workspace's are.
  View input(const HostMatrix& x) {
    const std::int64_t stride = (x.cols + 127) / 128 * 128;
    std::vector<std::uint16_t> padded(x.rows * stride);
    const std::vector<std::uint16_t> halves = as_bf16(x.values);
    for (std::int64_t r = 0; r < x.rows; ++r)
      std::copy_n(halves.begin() + r * x.cols, x.cols, padded.begin() + r * stride);
    return {reinterpret_cast<std::byte*>(to_device(padded)), x.rows, x.cols, stride, DType::kBF16};
  }
  View floats(const HostMatrix& x) { return View::of(to_device(x.values), x.rows, x.cols, x.cols); }
  View halves(std::int64_t rows, std::int64_t cols) {
    return {reinterpret_cast<std::byte*>(to_device(std::vector<std::uint16_t>(rows * cols))), rows, cols,
            cols, DType::kBF16};
  }
  std::vector<float> read(View view) {
    const auto count = static_cast<std::size_t>(view.rows * view.stride);
    return view.dtype == DType::kBF16 ? from_bf16(to_host(view.as<std::uint16_t>(), count))
                                      : to_host(view.as<float>(), count);
  }
  void reserve(std::int64_t tokens, std::int64_t features) {
    cuda_->reserve({.max_tokens = tokens,
                    .max_features = features,
                    .num_heads = 4,
                    .kv = {1, 1, 128, 16},
                    .max_sequences = 4,
                    .max_context = 256});
  }
};

TEST_F(CudaLinear, EveryFormatEqualsItsDefinition) {
  reserve(600, 1024);
  Random random(7);
  for (const Format& format : kFormats)
    for (const auto& [out, in] : {std::pair<std::int64_t, std::int64_t>{48, 512}, {320, 1024}, {1000, 208}}) {
      const WeightSource source = source_of(format, out, in);
      const Weight plain = reference_->pack(source), packed = cuda_->pack(source);
      for (const std::int64_t m : {1, 3, 8, 11, 16, 29, 33, 64, 65, 130, 300}) {
        for (const bool accumulate : {false, true}) {
          if (accumulate && m % 2 == 0) continue;
          HostMatrix x = random.matrix(m, in), expected = random.matrix(m, out);
          const View actual = floats(expected);
          reference_->linear(x.view(), plain, expected.view(), accumulate);
          cuda_->linear(input(x), packed, actual, accumulate);
          EXPECT_LT(relative_error(read(actual), expected.values), tolerance_of(format, m))
              << format.name << " " << out << "x" << in << " m " << m << " accumulate " << accumulate;
        }
      }
    }
}

// More tiles than the device takes at once, and more k than one block of a cluster takes.
TEST_F(CudaLinear, LargeMatrices) {
  reserve(300, 4096);
  Random random(11);
  for (const auto& [out, in] : {std::pair<std::int64_t, std::int64_t>{40000, 192}, {4352, 4096}})
    for (const Format& format : {kFormats[0], kFormats[1], kFormats[2], kFormats[4], kFormats[7]}) {
      const WeightSource source = source_of(format, out, in);
      const Weight plain = reference_->pack(source), packed = cuda_->pack(source);
      for (const std::int64_t m : {20, 70, 150}) {
        HostMatrix x = random.matrix(m, in), expected(m, out);
        const View actual = floats(expected);
        reference_->linear(x.view(), plain, expected.view(), false);
        cuda_->linear(input(x), packed, actual, false);
        EXPECT_LT(relative_error(read(actual), expected.values), tolerance_of(format, m))
            << format.name << " " << out << "x" << in << " m " << m;
      }
    }
}

TEST_F(CudaLinear, ActOrderReadsItsOwnInputs) {
  reserve(300, 512);
  Random random(3);
  WeightSource source = source_of({"int4", WeightFormat::kInt4, 128, true}, 64, 512);
  source.input_order.resize(512);
  std::iota(source.input_order.begin(), source.input_order.end(), 0);
  for (int i = 511; i > 0; --i) std::swap(source.input_order[i], source.input_order[random.between(0, i)]);
  const Weight plain = reference_->pack(source), packed = cuda_->pack(source);
  for (const std::int64_t m : {1, 40, 300}) {
    HostMatrix x = random.matrix(m, 512), expected(m, 64);
    const View actual = floats(expected);
    reference_->linear(x.view(), plain, expected.view(), false);
    cuda_->linear(input(x), packed, actual, false);
    EXPECT_LT(relative_error(read(actual), expected.values), 4e-3) << "m " << m;
  }
}

// linear_add_norm may leave the norm to the next operator: only what comes out of that counts.
TEST_F(CudaLinear, AddNormThenLinear) {
  reserve(300, 512);
  Random random(5);
  for (const Format& format : {kFormats[0], kFormats[1], kFormats[2], kFormats[4]}) {
    const WeightSource first = source_of(format, 512, 384), second = source_of(format, 96, 512);
    const Weight plain_first = reference_->pack(first), plain_second = reference_->pack(second);
    const Weight packed_first = cuda_->pack(first), packed_second = cuda_->pack(second);
    std::vector<float> norm(512);
    for (float& value : norm) value = 1 + 0.1f * random.normal();
    const float* device_norm = to_device(norm);
    for (const std::int64_t m : {1, 9, 64, 100, 270}) {
      HostMatrix x = random.matrix(m, 384), sum = random.matrix(m, 512), normed(m, 512), expected(m, 96);
      const View device_sum = floats(sum), device_normed = halves(m, 512), actual = floats(expected);
      reference_->linear_add_norm(x.view(), plain_first, sum.view(), norm.data(), 1e-5f, normed.view(),
                                  nullptr);
      reference_->linear(normed.view(), plain_second, expected.view(), false);
      cuda_->linear_add_norm(input(x), packed_first, device_sum, device_norm, 1e-5f, device_normed, nullptr);
      cuda_->linear(device_normed, packed_second, actual, false);
      EXPECT_LT(relative_error(read(device_sum), sum.values), tolerance_of(format, m))
          << format.name << " m " << m;
      EXPECT_LT(relative_error(read(actual), expected.values), 2 * tolerance_of(format, m))
          << format.name << " m " << m;
    }
  }
}

TEST_F(CudaLinear, Swiglu) {
  reserve(300, 512);
  Random random(6);
  for (const Format& format : kFormats) {
    const WeightSource source = source_of(format, 2 * 192, 256, /*pairs=*/true);
    const Weight plain = reference_->pack(source), packed = cuda_->pack(source);
    for (const std::int64_t m : {1, 20, 64, 90, 290}) {
      HostMatrix x = random.matrix(m, 256), gate_up(m, 384), expected(m, 192);
      for (float& value : x.values) value *= 0.1f;
      x.values = from_bf16(as_bf16(x.values));
      const View device_gate_up = halves(m, 384), actual = halves(m, 192);
      reference_->linear_swiglu(x.view(), plain, gate_up.view(), expected.view(), nullptr);
      cuda_->linear_swiglu(input(x), packed, device_gate_up, actual, nullptr);
      const double tolerance = format.format == WeightFormat::kFp8 && m > 8 ? 6e-2 : 1e-2;
      EXPECT_LT(relative_error(read(actual), expected.values), tolerance) << format.name << " m " << m;
    }
  }
}

// Each result goes to the one product that is named as its reader, in whatever form and place.
TEST_F(CudaLinear, ResultsAreLeftForTheirReader) {
  reserve(300, 1024);
  Random random(12);
  for (const Format& format : kFormats)
    for (const Format& last : {format, kFormats[2]}) {
      const WeightSource source_gate_up = source_of(format, 2 * 1024, 256, /*pairs=*/true),
                         source_down = source_of(format, 384, 1024), source_last = source_of(last, 96, 384);
      const Weight plain_gate_up = reference_->pack(source_gate_up), gate_up = cuda_->pack(source_gate_up);
      const Weight plain_down = reference_->pack(source_down), down = cuda_->pack(source_down);
      const Weight plain_last = reference_->pack(source_last), packed_last = cuda_->pack(source_last);
      std::vector<float> norm(384);
      for (float& value : norm) value = 1 + 0.1f * random.normal();
      const float* device_norm = to_device(norm);
      for (const std::int64_t m : {1, 20, 33, 64, 100, 200, 270}) {
        HostMatrix x = random.matrix(m, 256), both(m, 2048), activated(m, 1024), sum = random.matrix(m, 384),
                   normed(m, 384), expected(m, 96);
        for (float& value : x.values) value *= 0.1f;
        x.values = from_bf16(as_bf16(x.values));
        const View device_sum = floats(sum), actual = floats(expected), device_both = halves(m, 2048),
                   device_activated = halves(m, 1024), device_normed = halves(m, 384);
        reference_->linear_swiglu(x.view(), plain_gate_up, both.view(), activated.view(), &plain_down);
        reference_->linear_add_norm(activated.view(), plain_down, sum.view(), norm.data(), 1e-5f,
                                    normed.view(), &plain_last);
        reference_->linear(normed.view(), plain_last, expected.view(), false);
        cuda_->linear_swiglu(input(x), gate_up, device_both, device_activated, &down);
        cuda_->linear_add_norm(device_activated, down, device_sum, device_norm, 1e-5f, device_normed,
                               &packed_last);
        cuda_->linear(device_normed, packed_last, actual, false);
        const bool fp8 = format.format == WeightFormat::kFp8 && m > 8;
        EXPECT_LT(relative_error(read(device_sum), sum.values), fp8 ? 6e-2 : 1e-2)
            << format.name << " m " << m;
        EXPECT_LT(relative_error(read(actual), expected.values), fp8 ? 8e-2 : 1e-2)
            << format.name << " then " << last.name << " m " << m;
      }
    }
}

// What makes no images must not be asked for one: products of BF16 that are ours, then integers.
TEST_F(CudaLinear, IntegersAfterOurBf16) {
  reserve(64, 4096);
  Random random(13);
  const WeightSource first = source_of(kFormats[0], 4096, 4096), second = source_of(kFormats[2], 96, 4096);
  const Weight plain_first = reference_->pack(first), plain_second = reference_->pack(second);
  const Weight packed_first = cuda_->pack(first), packed_second = cuda_->pack(second);
  const std::vector<float> norm(4096, 1.0f);
  const float* device_norm = to_device(norm);
  HostMatrix x = random.matrix(20, 4096), sum = random.matrix(20, 4096), normed(20, 4096), expected(20, 96);
  const View device_sum = floats(sum), device_normed = halves(20, 4096), actual = floats(expected);
  reference_->linear_add_norm(x.view(), plain_first, sum.view(), norm.data(), 1e-5f, normed.view(),
                              &plain_second);
  reference_->linear(normed.view(), plain_second, expected.view(), false);
  cuda_->linear_add_norm(input(x), packed_first, device_sum, device_norm, 1e-5f, device_normed,
                         &packed_second);
  cuda_->linear(device_normed, packed_second, actual, false);
  EXPECT_LT(relative_error(read(actual), expected.values), 1e-2);
}

TEST_F(CudaLinear, ARowIsTheSameInAnyBatch) {
  // Without the library, whose kernels depend on the shape.
  cuda_ = make_cuda_ops({.device = 0, .pack_threads = 2, .deterministic = true}).value();
  reserve(64, 1024);
  Random random(8);
  for (const Format& format : kFormats) {
    const Weight packed = cuda_->pack(source_of(format, 320, 1024));
    const HostMatrix x = random.matrix(64, 1024);
    const View whole = input(x), all = floats(HostMatrix(64, 320));
    cuda_->linear(whole, packed, all, false);
    const std::vector<float> expected = read(all);
    for (const std::int64_t m : {1, 8, 16, 31}) {
      const View some = floats(HostMatrix(m, 320));
      cuda_->linear(whole.first_rows(m), packed, some, false);
      const std::vector<float> actual = read(some);
      EXPECT_TRUE(std::equal(actual.begin(), actual.end(), expected.begin())) << format.name << " m " << m;
    }
  }
}

TEST_F(CudaLinear, EmbedNormGather) {
  reserve(16, 512);
  Random random(9);
  for (const Format& format : kFormats) {
    const WeightSource source = source_of(format, 100, 208);
    const Weight plain = reference_->pack(source), packed = cuda_->pack(source);
    const std::vector<std::int32_t> tokens = {3, 99, 0, 17, 17};
    HostMatrix expected(5, 208), normed(5, 208), gathered(2, 208);
    reference_->embed(tokens, plain, expected.view());
    const View actual = floats(HostMatrix(5, 208));
    cuda_->embed({to_device(tokens), tokens.size()}, packed, actual);
    // Grouped INT8 is stored as BF16.
    const double tolerance = packed.format == format.format ? 1e-6 : 4e-3;
    EXPECT_LT(relative_error(read(actual), expected.values), tolerance) << format.name;

    std::vector<float> norm(208);
    for (float& value : norm) value = random.normal();
    reference_->rms_norm(expected.view(), norm.data(), 1e-5f, normed.view());
    const View device_normed = halves(5, 208);
    cuda_->rms_norm(actual, to_device(norm), 1e-5f, device_normed);
    EXPECT_LT(relative_error(read(device_normed), normed.values), 4e-3);

    const std::vector<std::int32_t> rows = {4, 1};
    reference_->gather_rows(expected.view(), rows, gathered.view());
    const View device_gathered = floats(HostMatrix(2, 208));
    cuda_->gather_rows(actual, {to_device(rows), 2}, device_gathered);
    EXPECT_LT(relative_error(read(device_gathered), gathered.values), tolerance);
  }
}

}  // namespace
}  // namespace pagoda::kernels
