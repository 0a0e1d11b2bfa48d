#include <cmath>

#include "model/hunyuan_dense.h"

namespace pagoda::model {

std::size_t RopeTable::bytes(std::int64_t head_dim, std::int64_t max_positions) {
  return static_cast<std::size_t>(2 * max_positions * (head_dim / 2)) * sizeof(float);
}

// Frequencies and angles in double: at position 30,000 a float angle is off by 1e-3 already.
RopeTable::RopeTable(double base, std::int64_t head_dim, std::int64_t max_positions, kernels::Ops& ops) {
  tensor::Buffer cos(tensor::MemoryTag::kActivations, bytes(head_dim, max_positions) / 2);
  tensor::Buffer sin(tensor::MemoryTag::kActivations, bytes(head_dim, max_positions) / 2);
  const std::int64_t half = head_dim / 2;
  for (std::int64_t i = 0; i < half; ++i) {
    const double frequency = std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
    for (std::int64_t position = 0; position < max_positions; ++position) {
      const double angle = static_cast<double>(position) * frequency;
      cos.as<float>()[position * half + i] = static_cast<float>(std::cos(angle));
      sin.as<float>()[position * half + i] = static_cast<float>(std::sin(angle));
    }
  }
  cos_ = ops.place(std::move(cos));
  sin_ = ops.place(std::move(sin));
}

}  // namespace pagoda::model
