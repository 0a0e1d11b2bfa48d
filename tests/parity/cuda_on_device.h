#pragma once
// Matrices on both sides, for tests of the CUDA backend. The tests skip where there is no GPU.

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "kernels/cuda/cuda_backend.h"
#include "tensor/dtype.h"

namespace pagoda::kernels {

class CudaTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto ops = make_cuda_ops(options());
    if (!ops.ok()) GTEST_SKIP() << ops.status().message();
    cuda_ = std::move(ops).value();
    reference_ = make_reference_ops();
  }
  virtual CudaOptions options() const { return {.device = 0, .pack_threads = 2, .deterministic = false}; }

  // Copies to the device; the buffer lives as long as the test.
  template <typename T>
  T* to_device(const std::vector<T>& values) {
    tensor::Buffer host(tensor::MemoryTag::kStaging, values.size() * sizeof(T));
    std::memcpy(host.data(), values.data(), values.size() * sizeof(T));
    buffers_.push_back(cuda_->place(std::move(host)));
    return buffers_.back().as<T>();
  }
  template <typename T>
  std::vector<T> to_host(const T* device, std::size_t count) {
    const tensor::Buffer pinned = cuda_->allocate_pinned(count * sizeof(T));
    cuda_->download(pinned.data(), device, count * sizeof(T));
    cuda_->synchronize();
    return {pinned.as<T>(), pinned.as<T>() + count};
  }

  std::unique_ptr<CudaBackend> cuda_;
  std::unique_ptr<Ops> reference_;
  std::vector<tensor::Buffer> buffers_;
};

// Host floats with a view, as the reference wants them.
struct HostMatrix {
  std::vector<float> values;
  std::int64_t rows, cols;
  HostMatrix(std::int64_t rows, std::int64_t cols) : values(rows * cols), rows(rows), cols(cols) {}
  tensor::View view() { return tensor::View::of(values.data(), rows, cols, cols); }
};

class Random {
 public:
  explicit Random(unsigned seed) : generator_(seed) {}
  float normal() { return normal_(generator_); }
  int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(generator_); }
  // Values that bf16 holds, so that both sides multiply the same numbers.
  HostMatrix matrix(std::int64_t rows, std::int64_t cols) {
    HostMatrix result(rows, cols);
    for (float& value : result.values) value = tensor::to_float(tensor::to_bfloat16(normal()));
    return result;
  }

 private:
  std::mt19937 generator_;
  std::normal_distribution<float> normal_;
};

inline std::vector<std::uint16_t> as_bf16(const std::vector<float>& values) {
  std::vector<std::uint16_t> result;
  for (const float value : values) result.push_back(tensor::to_bfloat16(value).bits);
  return result;
}

inline std::vector<float> from_bf16(const std::vector<std::uint16_t>& values) {
  std::vector<float> result;
  for (const std::uint16_t value : values) result.push_back(tensor::to_float(tensor::BFloat16{value}));
  return result;
}

// |actual - expected| / |expected|; NaN makes it NaN, which is less than nothing.
inline double relative_error(const std::vector<float>& actual, const std::vector<float>& expected) {
  EXPECT_EQ(actual.size(), expected.size());
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    difference += std::pow(static_cast<double>(actual[i]) - expected[i], 2);
    size += std::pow(static_cast<double>(expected[i]), 2);
  }
  return std::sqrt(difference / size);
}

}  // namespace pagoda::kernels
