#pragma once
// Writes one quantised matrix in the layouts that checkpoints have, value by value, as their descriptions
// read: slow and plain, so that tests may compare the readers and writers of src/ with it.

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"
#include "checkpoint/safetensors.h"

namespace pagoda::packed_layouts {

// w[row][i] = (value - zero) * scale, with the zero and scale of group_of_input[i].
struct Matrix {
  std::int64_t out = 0, in = 0, group_size = 0, groups = 1;
  int bits = 4;
  std::vector<int> values;                   // [out, in]
  std::vector<int> zeros;                    // [out, groups]
  std::vector<float> scales;                 // [out, groups]; exact in half precision
  std::vector<std::int32_t> group_of_input;  // [in]

  float weight(std::int64_t row, std::int64_t i) const {
    const std::int64_t at = row * groups + group_of_input[i];
    return static_cast<float>(values[row * in + i] - zeros[at]) * scales[at];
  }
};

inline Matrix random_matrix(std::int64_t out, std::int64_t in, int bits, std::int64_t group_size,
                            bool symmetric, unsigned seed) {
  std::mt19937 random(seed);
  const auto below = [&random](int limit) {
    return static_cast<int>(random() % static_cast<unsigned>(limit));
  };
  Matrix m;
  m.out = out;
  m.in = in;
  m.bits = bits;
  m.group_size = group_size;
  m.groups = group_size == 0 ? 1 : (in + group_size - 1) / group_size;
  for (std::int64_t i = 0; i < out * in; ++i) m.values.push_back(below(1 << bits));
  for (std::int64_t i = 0; i < out * m.groups; ++i) {
    m.zeros.push_back(symmetric ? 1 << (bits - 1) : 1 + below((1 << bits) - 1));
    m.scales.push_back(static_cast<float>(1 + below(2000)) / 4096.0f);
  }
  for (std::int64_t i = 0; i < in; ++i)
    m.group_of_input.push_back(static_cast<std::int32_t>(group_size == 0 ? 0 : i / group_size));
  return m;
}

inline void shuffle_groups(Matrix* m, unsigned seed) {
  std::mt19937 random(seed);
  for (std::size_t i = m->group_of_input.size() - 1; i > 0; --i)
    std::swap(m->group_of_input[i], m->group_of_input[random() % (i + 1)]);
}

struct Stored {
  std::string name;
  tensor::DType dtype;
  std::vector<std::int64_t> shape;
  std::vector<std::byte> bytes;
};

template <typename T>
Stored stored(std::string name, tensor::DType dtype, std::vector<std::int64_t> shape,
              const std::vector<T>& values) {
  Stored s{std::move(name), dtype, std::move(shape), std::vector<std::byte>(values.size() * sizeof(T))};
  std::memcpy(s.bytes.data(), values.data(), s.bytes.size());
  return s;
}

// Floats that are exact as halves: normal ones only.
inline std::uint16_t half(float value) {
  std::uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if ((bits & 0x7fffffffu) == 0) return static_cast<std::uint16_t>(bits >> 16);
  const std::uint32_t exponent = ((bits >> 23) & 0xff) - 112;
  return static_cast<std::uint16_t>((bits >> 16 & 0x8000u) | exponent << 10 | (bits >> 13 & 0x3ffu));
}

inline std::vector<std::uint16_t> halves_by_group(const Matrix& m) {  // [groups, out]
  std::vector<std::uint16_t> halves(m.groups * m.out);
  for (std::int64_t g = 0; g < m.groups; ++g)
    for (std::int64_t o = 0; o < m.out; ++o) halves[g * m.out + o] = half(m.scales[o * m.groups + g]);
  return halves;
}

inline std::vector<Stored> as_gptq(const std::string& name, const Matrix& m, bool v1) {
  using tensor::DType;
  const int per = 32 / m.bits;
  std::vector<std::uint32_t> weight(m.in / per * m.out), zeros(m.groups * (m.out / per));
  for (std::int64_t i = 0; i < m.in; ++i)
    for (std::int64_t o = 0; o < m.out; ++o)
      weight[i / per * m.out + o] |= static_cast<std::uint32_t>(m.values[o * m.in + i]) << (i % per * m.bits);
  for (std::int64_t g = 0; g < m.groups; ++g)
    for (std::int64_t o = 0; o < m.out; ++o)
      zeros[g * (m.out / per) + o / per] |=
          static_cast<std::uint32_t>(m.zeros[o * m.groups + g] - (v1 ? 1 : 0)) << (o % per * m.bits);
  return {stored(name + ".qweight", DType::kI32, {m.in / per, m.out}, weight),
          stored(name + ".qzeros", DType::kI32, {m.groups, m.out / per}, zeros),
          stored(name + ".scales", DType::kF16, {m.groups, m.out}, halves_by_group(m)),
          stored(name + ".g_idx", DType::kI32, {m.in}, m.group_of_input)};
}

inline std::vector<Stored> as_awq(const std::string& name, const Matrix& m) {
  using tensor::DType;
  constexpr int kOrder[8] = {0, 2, 4, 6, 1, 3, 5, 7};
  std::vector<std::uint32_t> weight(m.in * (m.out / 8)), zeros(m.groups * (m.out / 8));
  for (std::int64_t c = 0; c < m.out / 8; ++c)
    for (int nibble = 0; nibble < 8; ++nibble) {
      const std::int64_t o = c * 8 + kOrder[nibble];
      for (std::int64_t i = 0; i < m.in; ++i)
        weight[i * (m.out / 8) + c] |= static_cast<std::uint32_t>(m.values[o * m.in + i]) << (4 * nibble);
      for (std::int64_t g = 0; g < m.groups; ++g)
        zeros[g * (m.out / 8) + c] |= static_cast<std::uint32_t>(m.zeros[o * m.groups + g]) << (4 * nibble);
    }
  return {stored(name + ".qweight", DType::kI32, {m.in, m.out / 8}, weight),
          stored(name + ".qzeros", DType::kI32, {m.groups, m.out / 8}, zeros),
          stored(name + ".scales", DType::kF16, {m.groups, m.out}, halves_by_group(m))};
}

// compressed-tensors' pack-quantized.
inline std::vector<Stored> as_packed(const std::string& name, const Matrix& m, bool symmetric) {
  using tensor::DType;
  const int per = 32 / m.bits;
  const std::int64_t words = (m.in + per - 1) / per, zero_words = (m.out + per - 1) / per;
  std::vector<std::uint32_t> weight(m.out * words), zeros(zero_words * m.groups);
  std::vector<float> scales(m.scales);
  for (std::int64_t o = 0; o < m.out; ++o) {
    for (std::int64_t i = 0; i < m.in; ++i)
      weight[o * words + i / per] |= static_cast<std::uint32_t>(m.values[o * m.in + i]) << (i % per * m.bits);
    for (std::int64_t g = 0; g < m.groups; ++g)
      zeros[o / per * m.groups + g] |= static_cast<std::uint32_t>(m.zeros[o * m.groups + g])
                                       << (o % per * m.bits);
  }
  std::vector<Stored> list = {
      stored(name + ".weight_packed", DType::kI32, {m.out, words}, weight),
      stored(name + ".weight_scale", DType::kF32, {m.out, m.groups}, scales),
      stored(name + ".weight_shape", DType::kI64, {2}, std::vector<std::int64_t>{m.out, m.in}),
      stored(name + ".weight_g_idx", DType::kI32, {m.in}, m.group_of_input)};
  if (!symmetric)
    list.push_back(stored(name + ".weight_zero_point", DType::kI32, {zero_words, m.groups}, zeros));
  return list;
}

inline base::Status write(const std::string& path, const std::vector<Stored>& tensors) {
  std::vector<checkpoint::TensorToWrite> list;
  for (const Stored& s : tensors) list.push_back({s.name, s.dtype, s.shape, s.bytes});
  return checkpoint::write_safetensors(path, list, {});
}

// Makes `directory` a checkpoint with these tensors alone, of which find_linear can read, and opens it.
inline base::Result<checkpoint::Checkpoint> open_alone(const std::filesystem::path& directory,
                                                       const std::string& quantization,
                                                       const std::vector<Stored>& tensors) {
  std::ofstream(directory / "config.json")
      << R"({"architectures": ["HunYuanDenseV1ForCausalLM"], "vocab_size": 64, "hidden_size": 64,
             "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4,
             "max_position_embeddings": 64, "quantization_config": )"
      << quantization << "}";
  RETURN_IF_ERROR(write((directory / "model.safetensors").string(), tensors));
  return checkpoint::Checkpoint::open(directory.string());
}

}  // namespace pagoda::packed_layouts
