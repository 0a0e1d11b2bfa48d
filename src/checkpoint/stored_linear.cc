#include "checkpoint/stored_linear.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"

namespace pagoda::checkpoint {
namespace {

using tensor::DType;

// Column of its eight that nibble i of a word of AWQ holds is kAwqColumns[i]; this is the inverse.
constexpr int kAwqNibble[8] = {0, 4, 1, 5, 2, 6, 3, 7};

// Tensors in files are not aligned.
std::uint32_t word_at(const Tensor& tensor, std::int64_t index) {
  std::uint32_t word;
  std::memcpy(&word, tensor.bytes().data() + index * sizeof word, sizeof word);
  return word;
}

float float_at(const Tensor& tensor, std::int64_t index) {
  const std::byte* bytes = tensor.bytes().data();
  if (tensor.info.dtype == DType::kF32) {
    float value;
    std::memcpy(&value, bytes + index * sizeof value, sizeof value);
    return value;
  }
  std::uint16_t bits;
  std::memcpy(&bits, bytes + index * sizeof bits, sizeof bits);
  return tensor.info.dtype == DType::kF16 ? tensor::half_to_float(bits)
                                          : tensor::to_float(tensor::BFloat16{bits});
}

// Which of `count` floats, of as many bytes as Bits has, is not finite: the first; -1: none.
template <typename Bits>
std::int64_t first_not_finite(const std::byte* bytes, std::int64_t count, Bits exponent) {
  constexpr std::int64_t kAtOnce = 4096;  // in a loop that the compiler turns into vectors
  std::array<Bits, kAtOnce> bits;
  for (std::int64_t first = 0; first < count; first += kAtOnce) {
    const std::int64_t some = std::min(kAtOnce, count - first);
    std::memcpy(bits.data(), bytes + first * sizeof(Bits), some * sizeof(Bits));
    int found = 0;
    for (std::int64_t i = 0; i < some; ++i) found += (bits[i] & exponent) == exponent;
    if (found == 0) continue;
    return first + (std::find_if(bits.begin(), bits.begin() + some,
                                 [exponent](Bits b) { return (b & exponent) == exponent; }) -
                    bits.begin());
  }
  return -1;
}
std::int64_t first_not_finite(const Tensor& tensor) {
  const std::byte* bytes = tensor.bytes().data();
  const std::int64_t count = tensor.info.elements();
  switch (tensor.info.dtype) {
    case DType::kF32:
      return first_not_finite<std::uint32_t>(bytes, count, 0x7f800000u);
    case DType::kF16:
      return first_not_finite<std::uint16_t>(bytes, count, 0x7c00);
    default:
      return first_not_finite<std::uint16_t>(bytes, count, 0x7f80);
  }
}

}  // namespace

int StoredLinear::zero(std::int64_t row, std::int64_t group) const {
  const int per_word = 32 / std::max(bits_, 1);
  const std::uint32_t mask = (1u << bits_) - 1;
  if (!has_zeros_) return 1 << (bits_ - 1);
  switch (layout_) {
    case Layout::kGptq: {
      const std::uint32_t word = word_at(zeros_, group * (out_ / per_word) + row / per_word);
      return static_cast<int>((word >> (row % per_word * bits_)) & mask) + zero_surplus_;
    }
    case Layout::kAwq:
      return static_cast<int>((word_at(zeros_, group * (out_ / 8) + row / 8) >> (4 * kAwqNibble[row % 8])) &
                              mask);
    case Layout::kPacked:
      return static_cast<int>(
          (word_at(zeros_, row / per_word * groups() + group) >> (row % per_word * bits_)) & mask);
    default:
      return 1 << (bits_ - 1);
  }
}

float StoredLinear::scale(std::int64_t row, std::int64_t group) const {
  switch (layout_) {
    case Layout::kGptq:
    case Layout::kAwq:
      return float_at(scales_, group * out_ + row);
    case Layout::kPacked:
      return float_at(scales_, row * groups() + group);
    default:
      return float_at(scales_, scales_.info.elements() == 1 ? 0 : row);
  }
}

void StoredLinear::copy_integers(std::int64_t row, std::int64_t count, std::uint8_t* values, float* scales,
                                 std::int32_t* zeros) const {
  CHECK(form_ == Form::kInteger && row >= 0 && count >= 0 && row + count <= out_);
  if (values != nullptr) copy_values(row, count, values);
  for (std::int64_t r = 0; r < count; ++r)
    for (std::int64_t g = 0; g < groups(); ++g) {
      scales[r * groups() + g] = scale(row + r, g);
      zeros[r * groups() + g] = zero(row + r, g);
    }
}

void StoredLinear::copy_values(std::int64_t row, std::int64_t count, std::uint8_t* values) const {
  if (layout_ == Layout::kGptq) return copy_gptq(row, count, values);
  for (std::int64_t r = 0; r < count; ++r) copy_row(row + r, values + r * in_);
}

void StoredLinear::copy_gptq(std::int64_t row, std::int64_t count, std::uint8_t* values) const {
  const std::int64_t per_word = 32 / bits_;
  for (std::int64_t i = 0; i < in_; i += per_word)
    for (std::int64_t r = 0; r < count; ++r) {
      const std::uint32_t word = word_at(weight_, i / per_word * out_ + row + r);
      std::uint8_t* to = values + r * in_ + i;
      if (bits_ == 8) {
        std::memcpy(to, &word, sizeof word);
        continue;
      }
      // Each nibble to a byte of its own.
      std::uint64_t bytes = word;
      bytes = (bytes | bytes << 16) & 0x0000ffff0000ffffu;
      bytes = (bytes | bytes << 8) & 0x00ff00ff00ff00ffu;
      bytes = (bytes | bytes << 4) & 0x0f0f0f0f0f0f0f0fu;
      std::memcpy(to, &bytes, sizeof bytes);
    }
}

void StoredLinear::copy_row(std::int64_t row, std::uint8_t* values) const {
  const std::int64_t per_word = 32 / bits_;
  const std::uint32_t mask = (1u << bits_) - 1;
  switch (layout_) {
    case Layout::kAwq: {
      const int shift = 4 * kAwqNibble[row % 8];
      for (std::int64_t i = 0; i < in_; ++i)
        values[i] = static_cast<std::uint8_t>((word_at(weight_, i * (out_ / 8) + row / 8) >> shift) & mask);
      break;
    }
    case Layout::kPacked: {
      const std::int64_t words = (in_ + per_word - 1) / per_word;
      for (std::int64_t w = 0; w < words; ++w) {
        const std::uint32_t word = word_at(weight_, row * words + w);
        for (std::int64_t j = 0; j < per_word && w * per_word + j < in_; ++j)
          values[w * per_word + j] = static_cast<std::uint8_t>((word >> (j * bits_)) & mask);
      }
      break;
    }
    default: {
      const std::byte* bytes = weight_.bytes().data() + row * in_;
      for (std::int64_t i = 0; i < in_; ++i)
        values[i] = static_cast<std::uint8_t>(std::to_integer<std::uint8_t>(bytes[i]) ^ 0x80u);  // + 128
    }
  }
}

void StoredLinear::copy_float8(std::int64_t row, std::uint8_t* values, float* row_scale) const {
  CHECK(form_ == Form::kFloat8 && row >= 0 && row < out_);
  std::memcpy(values, weight_.bytes().data() + row * in_, in_);
  *row_scale = scale(row, 0);
}

void StoredLinear::copy_floats(std::int64_t row, float* out) const {
  if (form_ == Form::kFloat) return Checkpoint::copy_row(weight_, row, out);
  std::vector<std::uint8_t> values(in_);
  if (form_ == Form::kFloat8) {
    float row_scale = 0;
    copy_float8(row, values.data(), &row_scale);
    for (std::int64_t i = 0; i < in_; ++i) out[i] = tensor::float8_e4m3_to_float(values[i]) * row_scale;
    return;
  }
  std::vector<float> scales(groups());
  std::vector<std::int32_t> zeros(groups());
  copy_integers(row, 1, values.data(), scales.data(), zeros.data());
  for (std::int64_t i = 0; i < in_; ++i) {
    const std::int64_t group = !group_of_input_.empty() ? group_of_input_[i]
                               : group_size_ == 0       ? 0
                                                        : i / group_size_;
    out[i] = static_cast<float>(values[i] - zeros[group]) * scales[group];
  }
}

void StoredLinear::release() const {
  for (const Tensor* tensor : {&weight_, &scales_, &zeros_})
    if (tensor->file != nullptr) tensor->file->release(tensor->info);
}

// Fills in a StoredLinear, checking tensor by tensor.
class LinearFinder {
 public:
  LinearFinder(const Checkpoint& checkpoint, const std::string& name, std::int64_t out, std::int64_t in)
      : checkpoint_(checkpoint), quantization_(checkpoint.config().quantization), name_(name) {
    linear_.out_ = out;
    linear_.in_ = in;
  }

  base::Result<StoredLinear> find() {
    RETURN_IF_ERROR(find_layout());
    return std::move(linear_);
  }

 private:
  static inline const std::vector<DType> kFloats = {DType::kBF16, DType::kF16, DType::kF32};
  using Shape = std::vector<std::int64_t>;

  bool is_table() const { return name_ == "model.embed_tokens" || name_ == "lm_head"; }

  base::Status find_layout() {
    const bool has_weight = checkpoint_.has(name_ + ".weight");
    const bool is_int8 = has_weight && dtype_of(name_ + ".weight") == DType::kI8;
    const bool is_float =
        has_weight && std::ranges::find(kFloats, dtype_of(name_ + ".weight")) != kFloats.end();
    switch (quantization_.method) {
      case QuantMethod::kNone:
        return find_float();
      case QuantMethod::kInt8PerChannel:
        return is_float ? find_float() : find_int8({DType::kF32});
      case QuantMethod::kGptq:
      case QuantMethod::kAwq:
        if (quantization_.embedding && is_int8 && is_table()) return find_int8({DType::kF32});
        if (has_weight && !checkpoint_.has(name_ + ".qweight")) return find_float();
        return quantization_.method == QuantMethod::kGptq ? find_gptq() : find_awq();
      case QuantMethod::kFp8:
        return is_float ? find_float() : find_float8();
      case QuantMethod::kPackedIntegers:
        if (is_float && !checkpoint_.has(name_ + ".weight_packed")) return find_float();
        return quantization_.packed ? find_packed() : find_int8(kFloats);
    }
    return {};
  }

  DType dtype_of(const std::string& tensor) const {
    return checkpoint_.index().at(tensor)->tensors().at(tensor).dtype;
  }
  Shape shape_of(const std::string& tensor) const {
    return checkpoint_.index().at(tensor)->tensors().at(tensor).shape;
  }

  base::Status take(const std::string& suffix, const Shape& shape, const std::vector<DType>& dtypes,
                    Tensor* out) {
    base::Result<Tensor> found = checkpoint_.find(name_ + suffix, shape, dtypes);
    if (!found.ok()) return explained(found.status(), suffix, shape);
    *out = std::move(found).value();
    return {};
  }

  // A shape alone does not tell a user that config.json speaks of other tensors than the files hold.
  base::Status explained(const base::Status& failure, const std::string& suffix, const Shape& shape) const {
    if (quantization_.method == QuantMethod::kNone) {
      for (const char* packed : {".qweight", ".weight_packed", ".weight_scale"})
        if (checkpoint_.has(name_ + packed))
          return base::data_loss("{}; {}{} is there, but config.json has no quantization_config",
                                 failure.message(), name_, packed);
      return failure;
    }
    const bool in_words = linear_.layout_ == StoredLinear::Layout::kGptq ||
                          linear_.layout_ == StoredLinear::Layout::kAwq ||
                          linear_.layout_ == StoredLinear::Layout::kPacked;
    if (!in_words || !checkpoint_.has(name_ + suffix) || shape_of(name_ + suffix) == shape) return failure;
    return base::data_loss(
        "{}, for {} inputs and {} outputs with {} bits and group_size {} as config.json says",
        failure.message(), linear_.in_, linear_.out_, linear_.bits_,
        linear_.group_size_ == 0 ? -1 : linear_.group_size_);
  }

  base::Status find_float() {
    linear_.form_ = StoredLinear::Form::kFloat;
    linear_.layout_ = StoredLinear::Layout::kFloat;
    return take(".weight", {linear_.out_, linear_.in_}, kFloats, &linear_.weight_);
  }

  base::Status find_int8(const std::vector<DType>& scale_dtypes) {
    begin_integers(StoredLinear::Layout::kInt8, 8, 0);
    RETURN_IF_ERROR(take(".weight", {linear_.out_, linear_.in_}, {DType::kI8}, &linear_.weight_));
    RETURN_IF_ERROR(find_row_scales(scale_dtypes, /*one_for_all=*/false));
    return check_zeros();
  }

  base::Status find_float8() {
    linear_.form_ = StoredLinear::Form::kFloat8;
    linear_.layout_ = StoredLinear::Layout::kFloat8;
    RETURN_IF_ERROR(take(".weight", {linear_.out_, linear_.in_}, {DType::kF8E4M3}, &linear_.weight_));
    return find_row_scales(kFloats, /*one_for_all=*/true);
  }

  // weight_scale: [out] or [out, 1], or one for all rows: [] or [1].
  base::Status find_row_scales(const std::vector<DType>& dtypes, bool one_for_all) {
    const std::string tensor = name_ + ".weight_scale";
    Shape shape = {linear_.out_};
    if (checkpoint_.has(tensor)) {
      const Shape found = shape_of(tensor);
      if (found == Shape{linear_.out_, 1} || (one_for_all && (found.empty() || found == Shape{1})))
        shape = found;
    }
    RETURN_IF_ERROR(take(".weight_scale", shape, dtypes, &linear_.scales_));
    return check_scales();
  }

  void begin_integers(StoredLinear::Layout layout, std::int64_t bits, std::int64_t group_size) {
    linear_.form_ = StoredLinear::Form::kInteger;
    linear_.layout_ = layout;
    linear_.bits_ = static_cast<int>(bits);
    linear_.group_size_ = group_size;
  }

  // Whole words along a side, as the layouts have it.
  base::Status check_multiple(std::int64_t size, const char* what, std::int64_t multiple) const {
    if (size % multiple == 0) return {};
    return base::data_loss("{} has {} {}, not a multiple of {} as {} weights need", name_, size, what,
                           multiple, quantization_.method == QuantMethod::kAwq ? "AWQ" : "GPTQ");
  }

  base::Status find_gptq() {
    begin_integers(StoredLinear::Layout::kGptq, quantization_.bits, quantization_.group_size);
    const std::int64_t per_word = 32 / linear_.bits_, groups = linear_.groups();
    RETURN_IF_ERROR(check_multiple(linear_.in_, "inputs", per_word));
    RETURN_IF_ERROR(check_multiple(linear_.out_, "outputs", per_word));
    RETURN_IF_ERROR(
        take(".qweight", {linear_.in_ / per_word, linear_.out_}, {DType::kI32}, &linear_.weight_));
    RETURN_IF_ERROR(take(".scales", {groups, linear_.out_}, kFloats, &linear_.scales_));
    RETURN_IF_ERROR(take(".qzeros", {groups, linear_.out_ / per_word}, {DType::kI32}, &linear_.zeros_));
    linear_.has_zeros_ = true;
    linear_.zero_surplus_ = quantization_.zeros_minus_one ? 1 : 0;
    RETURN_IF_ERROR(read_group_of_input(".g_idx"));
    RETURN_IF_ERROR(check_scales());
    return check_zeros();
  }

  base::Status find_awq() {
    begin_integers(StoredLinear::Layout::kAwq, quantization_.bits, quantization_.group_size);
    const std::int64_t groups = linear_.groups();
    RETURN_IF_ERROR(check_multiple(linear_.out_, "outputs", 8));
    RETURN_IF_ERROR(take(".qweight", {linear_.in_, linear_.out_ / 8}, {DType::kI32}, &linear_.weight_));
    RETURN_IF_ERROR(take(".scales", {groups, linear_.out_}, kFloats, &linear_.scales_));
    RETURN_IF_ERROR(take(".qzeros", {groups, linear_.out_ / 8}, {DType::kI32}, &linear_.zeros_));
    linear_.has_zeros_ = true;
    RETURN_IF_ERROR(check_scales());
    return check_zeros();
  }

  base::Status find_packed() {
    begin_integers(StoredLinear::Layout::kPacked, quantization_.bits, quantization_.group_size);
    const std::int64_t per_word = 32 / linear_.bits_, groups = linear_.groups();
    const std::int64_t words = (linear_.in_ + per_word - 1) / per_word;
    RETURN_IF_ERROR(take(".weight_packed", {linear_.out_, words}, {DType::kI32}, &linear_.weight_));
    RETURN_IF_ERROR(take(".weight_scale", {linear_.out_, groups}, kFloats, &linear_.scales_));
    if (!quantization_.symmetric) {
      const std::int64_t zero_words = (linear_.out_ + per_word - 1) / per_word;
      RETURN_IF_ERROR(take(".weight_zero_point", {zero_words, groups}, {DType::kI32}, &linear_.zeros_));
      linear_.has_zeros_ = true;
    }
    RETURN_IF_ERROR(check_stored_shape());
    RETURN_IF_ERROR(read_group_of_input(".weight_g_idx"));
    RETURN_IF_ERROR(check_scales());
    return check_zeros();
  }

  base::Status check_stored_shape() const {
    if (!checkpoint_.has(name_ + ".weight_shape")) return {};
    ASSIGN_OR_RETURN(const Tensor shape,
                     checkpoint_.find(name_ + ".weight_shape", {2}, {DType::kI64, DType::kI32}));
    std::int64_t sizes[2] = {word_at(shape, 0), word_at(shape, 1)};
    if (shape.info.dtype == DType::kI64) std::memcpy(sizes, shape.bytes().data(), sizeof sizes);
    if (sizes[0] == linear_.out_ && sizes[1] == linear_.in_) return {};
    return base::data_loss("{} says [{}, {}], expected [{}, {}]", shape.label(), sizes[0], sizes[1],
                           linear_.out_, linear_.in_);
  }

  base::Status read_group_of_input(const char* suffix) {
    if (!checkpoint_.has(name_ + suffix)) return {};
    Tensor indices;
    RETURN_IF_ERROR(take(suffix, {linear_.in_}, {DType::kI32}, &indices));
    const std::int64_t size = linear_.group_size_ == 0 ? linear_.in_ : linear_.group_size_;
    bool plain = true, all_zero = true;
    linear_.group_of_input_.resize(linear_.in_);
    for (std::int64_t i = 0; i < linear_.in_; ++i) {
      const auto group = static_cast<std::int32_t>(word_at(indices, i));
      // Of -1, compressed-tensors means "not in use".
      if (group == -1 && i == 0 && linear_.layout_ == StoredLinear::Layout::kPacked) break;
      if (group < 0 || group >= linear_.groups())
        return base::data_loss("{} says that input {} is in group {}, but the groups are 0 to {}",
                               indices.label(), i, group, linear_.groups() - 1);
      linear_.group_of_input_[i] = group;
      plain = plain && group == i / size;
      all_zero = all_zero && group == 0;
    }
    // Zeros alone mean "not in use" as well, as other engines have it: what would the other groups be for?
    if (plain || all_zero) linear_.group_of_input_.clear();
    return {};
  }

  base::Status check_scales() const {
    const std::int64_t found = first_not_finite(linear_.scales_);
    if (found >= 0)
      return base::data_loss("{} holds a scale that is not finite (element {})", linear_.scales_.label(),
                             found);
    return {};
  }

  base::Status check_zeros() {
    const int middle = 1 << (linear_.bits_ - 1);
    linear_.lowest_zero_ = linear_.highest_zero_ = middle;
    if (!linear_.has_zeros_) return {};
    linear_.lowest_zero_ = 1 << linear_.bits_;
    linear_.highest_zero_ = 0;
    if (linear_.layout_ != StoredLinear::Layout::kPacked) {
      see_zero_words();
      return {};
    }
    for (std::int64_t group = 0; group < linear_.groups(); ++group)
      for (std::int64_t row = 0; row < linear_.out_; ++row) see_zero(linear_.zero(row, group));
    return {};
  }
  // All words of the tensor are full. Most are like the one before.
  void see_zero_words() {
    const int per_word = 32 / linear_.bits_;
    const std::int64_t words = linear_.zeros_.info.elements();
    for (std::int64_t i = 0; i < words; ++i) {
      std::uint32_t word = word_at(linear_.zeros_, i);
      if (i > 0 && word == word_at(linear_.zeros_, i - 1)) continue;
      for (int j = 0; j < per_word; ++j, word >>= linear_.bits_)
        see_zero(static_cast<int>(word & ((1u << linear_.bits_) - 1)) + linear_.zero_surplus_);
    }
  }
  void see_zero(int zero) {
    linear_.lowest_zero_ = std::min(linear_.lowest_zero_, zero);
    linear_.highest_zero_ = std::max(linear_.highest_zero_, zero);
  }

  const Checkpoint& checkpoint_;
  const Quantization& quantization_;
  const std::string& name_;
  StoredLinear linear_;
};

base::Result<StoredLinear> find_linear(const Checkpoint& checkpoint, const std::string& name,
                                       std::int64_t out_features, std::int64_t in_features) {
  return LinearFinder(checkpoint, name, out_features, in_features).find();
}

}  // namespace pagoda::checkpoint
