#pragma once
// One matrix W[out, in] of a model as a file stores it: floats, e4m3 with scales, or integers in one of the
// layouts below. Finding one checks everything that the files claim about it; afterwards rows may be read in
// any order, from any thread, as long as the Checkpoint lives.
//
//   gptq      qweight I32 [in * bits/32, out], inputs of a word from its low bits up; qzeros I32
//             [groups, out * bits/32], stored less one except in "gptq_v2"; scales [groups, out];
//             g_idx I32 [in], the group of each input (optional: input / group_size)
//   awq       qweight I32 [in, out / 8], qzeros I32 [groups, out / 8], scales [groups, out]; nibble i of a
//             word belongs to column 0 2 4 6 1 3 5 7 [i] of its eight
//   packed    compressed-tensors: weight_packed I32 [out, in * bits/32], low bits first, values + 2^(bits-1);
//             weight_scale [out, groups]; weight_zero_point I32 [out * bits/32, groups]; weight_g_idx;
//             weight_shape
//   int8      weight I8 [out, in], weight_scale [out] or [out, 1]
//   fp8       weight F8_E4M3 [out, in], weight_scale [], [1], [out] or [out, 1]; input_scale is not read, as
//             activations keep a higher precision here
//
// Sources: the writers of AutoGPTQ / GPTQModel, AutoAWQ, compressed-tensors and AngelSlim.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "checkpoint/checkpoint.h"

namespace pagoda::checkpoint {

class StoredLinear {
 public:
  enum class Form { kFloat, kInteger, kFloat8 };
  enum class Layout { kFloat, kGptq, kAwq, kPacked, kInt8, kFloat8 };

  std::int64_t out_features() const { return out_; }
  std::int64_t in_features() const { return in_; }
  Form form() const { return form_; }
  Layout layout() const { return layout_; }
  // All weights, as the layout has them.
  std::span<const std::byte> bytes() const { return weight_.bytes(); }

  // kInteger: w[j] = (value[j] - zero[group of j]) * scale[group of j], value in [0, 2^bits).
  int bits() const { return bits_; }
  std::int64_t group_size() const { return group_size_; }  // 0: the whole row
  std::int64_t groups() const { return group_size_ == 0 ? 1 : (in_ + group_size_ - 1) / group_size_; }
  // Empty: input / group_size.
  const std::vector<std::int32_t>& group_of_input() const { return group_of_input_; }
  // Of all rows. 2^bits occurs in GPTQ files.
  int lowest_zero() const { return lowest_zero_; }
  int highest_zero() const { return highest_zero_; }

  // kInteger: `count` rows from `row` on: values [count, in], scales and zeros [count, groups]. A line of
  // memory of a gptq file holds 16 rows: asked for together they are read once. values may be null: they are
  // not wanted.
  void copy_integers(std::int64_t row, std::int64_t count, std::uint8_t* values, float* scales,
                     std::int32_t* zeros) const;
  // kFloat8: values [in] and the row's scale.
  void copy_float8(std::int64_t row, std::uint8_t* values, float* scale) const;
  // Any form, as the floats [in] it stands for.
  void copy_floats(std::int64_t row, float* out) const;

  // The weights were read for the last time.
  void release() const;

 private:
  friend class LinearFinder;

  void copy_values(std::int64_t row, std::int64_t count, std::uint8_t* values) const;
  void copy_gptq(std::int64_t row, std::int64_t count, std::uint8_t* values) const;
  void copy_row(std::int64_t row, std::uint8_t* values) const;  // of the other layouts of integers
  int zero(std::int64_t row, std::int64_t group) const;
  float scale(std::int64_t row, std::int64_t group) const;

  std::int64_t out_ = 0, in_ = 0;
  Form form_ = Form::kFloat;
  Layout layout_ = Layout::kFloat;
  int bits_ = 0;
  std::int64_t group_size_ = 0;
  int zero_surplus_ = 0;    // added to stored zeros
  bool has_zeros_ = false;  // `zeros_` is filled
  std::vector<std::int32_t> group_of_input_;
  int lowest_zero_ = 0, highest_zero_ = 0;
  Tensor weight_, scales_, zeros_;
};

// The layer `name` ("model.layers.0.mlp.up_proj"), in the layout that the config's method and the tensors
// say. A float X.weight is accepted beside any method. kDataLoss with one sentence otherwise.
base::Result<StoredLinear> find_linear(const Checkpoint& checkpoint, const std::string& name,
                                       std::int64_t out_features, std::int64_t in_features);

}  // namespace pagoda::checkpoint
