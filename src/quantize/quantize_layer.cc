#include "quantize/quantize_layer.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"
#include "checkpoint/stored_linear.h"
#include "model/load_dense.h"
#include "quantize/awq.h"
#include "quantize/fold_scales.h"
#include "quantize/matrix_product.h"

namespace pagoda::quantize {
namespace {

using checkpoint::Checkpoint;
using tensor::DType;
using tensor::View;

struct Part {
  std::string name;
  std::int64_t rows;
};

struct Product {  // one of the four of a layer
  std::vector<Part> parts;
  std::int64_t out, in;
};

std::string prefix_of(std::int64_t index) { return fmt::format("model.layers.{}.", index); }

Product qkv_product(const model::DenseShape& shape, std::int64_t index) {
  const std::string attention = prefix_of(index) + "self_attn.";
  return {{{attention + "q_proj", shape.q_size()},
           {attention + "k_proj", shape.kv_size()},
           {attention + "v_proj", shape.kv_size()}},
          shape.q_size() + 2 * shape.kv_size(),
          shape.hidden_size};
}
Product o_product(const model::DenseShape& shape, std::int64_t index) {
  return {{{prefix_of(index) + "self_attn.o_proj", shape.hidden_size}}, shape.hidden_size, shape.q_size()};
}
Product gate_up_product(const model::DenseShape& shape, std::int64_t index) {
  const std::string mlp = prefix_of(index) + "mlp.";
  return {{{mlp + "gate_proj", shape.intermediate_size}, {mlp + "up_proj", shape.intermediate_size}},
          2 * shape.intermediate_size,
          shape.hidden_size};
}
Product down_product(const model::DenseShape& shape, std::int64_t index) {
  return {
      {{prefix_of(index) + "mlp.down_proj", shape.hidden_size}}, shape.hidden_size, shape.intermediate_size};
}

base::Status read_matrix(const Checkpoint& checkpoint, const Product& product, std::vector<float>* out) {
  out->resize(product.out * product.in);
  float* next = out->data();
  for (const Part& part : product.parts) {
    ASSIGN_OR_RETURN(const checkpoint::StoredLinear stored,
                     find_linear(checkpoint, part.name, part.rows, product.in));
    for (std::int64_t row = 0; row < part.rows; ++row, next += product.in) {
      stored.copy_floats(row, next);
      for (std::int64_t i = 0; i < product.in; ++i)
        if (!std::isfinite(next[i]))
          return base::data_loss("{}: tensor {}.weight holds a value that is not finite",
                                 checkpoint.directory(), part.name);
    }
    stored.release();
  }
  return {};
}

base::Status read_vector(const Checkpoint& checkpoint, const std::string& name, std::int64_t size,
                         std::vector<float>* out, DType* dtype) {
  ASSIGN_OR_RETURN(const checkpoint::Tensor found,
                   checkpoint.find(name, {size}, {DType::kBF16, DType::kF16, DType::kF32}));
  out->resize(size);
  Checkpoint::copy_row(found, 0, out->data());
  if (*dtype != found.info.dtype) *dtype = DType::kF32;  // holds them all
  return {};
}

StoredTensor store_vector(const std::string& name, const std::vector<float>& values, DType dtype) {
  StoredTensor stored{name, dtype, {static_cast<std::int64_t>(values.size())}, {}};
  stored.bytes.resize(values.size() * tensor::dtype_bytes(dtype));
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (dtype == DType::kF32) {
      std::memcpy(stored.bytes.data() + i * sizeof(float), &values[i], sizeof(float));
      continue;
    }
    const std::uint16_t bits =
        dtype == DType::kBF16 ? tensor::to_bfloat16(values[i]).bits : tensor::float_to_half(values[i]);
    std::memcpy(stored.bytes.data() + i * sizeof bits, &bits, sizeof bits);
  }
  return stored;
}

double mean_square(const float* values, std::int64_t count) {
  double sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += static_cast<double>(values[i]) * values[i];
  return sum / static_cast<double>(count);
}

// Quantises product after product, each on what the ones before leave.
class LayerWork {
 public:
  LayerWork(const Options& options, kernels::Ops& ops, base::ThreadPool& threads)
      : options_(options), ops_(ops), threads_(threads) {}

  // gram += the inputs of `product`, each token counted as LayerPass::weight() says. `stream`: the residual
  // stream at a token, by which the next norm divides what becomes of the product's errors there; null: not
  // known. Without it the few tokens with huge activations that all texts share are all that counts.
  using Stream = const float* (LayerPass::*)(std::int64_t token) const;
  LayerPass::Visit accumulate(const LayerPass& pass, Stream stream, const Product& product,
                              const std::vector<float>& w, std::vector<float>& gram) {
    gram.assign(product.in * product.in, 0.0f);
    double squares = 0;  // mean of the weights', by which the product itself adds to the stream
    for (const float value : w) squares += static_cast<double>(value) * value / static_cast<double>(w.size());
    const bool adds = product.out == pass.hidden_size();
    return [this, &pass, stream, adds, squares, &gram](View rows, std::int64_t first) {
      weighted_.resize(rows.rows * rows.cols);
      threads_.run(rows.rows, 16, [&](std::size_t begin, std::size_t end, int) {
        for (auto r = static_cast<std::int64_t>(begin); r < static_cast<std::int64_t>(end); ++r) {
          double size = 1;
          if (stream != nullptr) size = mean_square((pass.*stream)(first + r), pass.hidden_size());
          if (stream != nullptr && adds)
            size += squares * static_cast<double>(rows.cols) * mean_square(rows.row(r), rows.cols);
          const auto root = static_cast<float>(std::sqrt(pass.weight(first + r) / std::max(size, 1e-12)));
          for (std::int64_t i = 0; i < rows.cols; ++i) weighted_[r * rows.cols + i] = rows.row(r)[i] * root;
        }
      });
      accumulate_gram({weighted_.data(), rows.rows, rows.cols, rows.cols, 1}, gram.data(), threads_);
    };
  }

  // Keeps the tensors of the product; the gram may be empty. The dequantised matrix, for the passes that
  // follow, is made only where there is a gram.
  kernels::Weight quantize(const Product& product, const std::vector<float>& w,
                           const std::vector<float>& gram, MatrixError* error) {
    const QuantizedMatrix matrix = round(product, w, gram);
    *error = error_of(w, matrix, gram, threads_);
    std::int64_t first = 0;
    for (const Part& part : product.parts) {
      keep(matrix.scheme.fp8                 ? pack_fp8(part.name, matrix, first, part.rows)
           : options_.method == Method::kAwq ? pack_awq(part.name, matrix, first, part.rows)
                                             : pack_gptq(part.name, matrix, first, part.rows));
      first += part.rows;
    }
    if (gram.empty()) return {};
    std::vector<float> floats(product.out * product.in);
    for (std::int64_t row = 0; row < product.out; ++row)
      matrix.dequantize_row(row, floats.data() + row * product.in);
    return pack_floats(ops_, floats, product.out, product.in);
  }

  void keep(std::vector<StoredTensor> tensors) {
    for (StoredTensor& tensor : tensors) tensors_.push_back(std::move(tensor));
  }
  std::vector<StoredTensor> take() { return std::move(tensors_); }

 private:
  QuantizedMatrix round(const Product& product, const std::vector<float>& w, const std::vector<float>& gram) {
    switch (options_.method) {
      case Method::kGptq:
      case Method::kFp8:
        return gptq(w, product.out, product.in, gram, options_.scheme, options_.gptq, threads_);
      case Method::kAwq:
        return round_clipped(w, product.out, product.in, gram, options_.scheme, threads_);
      default:
        return round_to_nearest(w, product.out, product.in, options_.scheme, threads_);
    }
  }

  const Options& options_;
  kernels::Ops& ops_;
  base::ThreadPool& threads_;
  std::vector<float> weighted_;  // rows of one chunk
  std::vector<StoredTensor> tensors_;
};

const float* or_null(const std::vector<float>& values) { return values.empty() ? nullptr : values.data(); }

}  // namespace

base::Result<FloatLayer> read_layer(const Checkpoint& checkpoint, std::int64_t index) {
  const model::DenseShape shape = model::shape_of(checkpoint.config());
  const std::string prefix = prefix_of(index);
  FloatLayer layer;
  const std::string first = prefix + "input_layernorm.weight";
  if (const auto file = checkpoint.index().find(first); file != checkpoint.index().end())
    layer.norm_dtype = file->second->tensors().at(first).dtype;
  RETURN_IF_ERROR(read_vector(checkpoint, prefix + "input_layernorm.weight", shape.hidden_size,
                              &layer.input_norm, &layer.norm_dtype));
  RETURN_IF_ERROR(read_vector(checkpoint, prefix + "post_attention_layernorm.weight", shape.hidden_size,
                              &layer.mlp_norm, &layer.norm_dtype));
  if (shape.use_qk_norm) {
    RETURN_IF_ERROR(read_vector(checkpoint, prefix + "self_attn.query_layernorm.weight", shape.head_dim,
                                &layer.q_norm, &layer.norm_dtype));
    RETURN_IF_ERROR(read_vector(checkpoint, prefix + "self_attn.key_layernorm.weight", shape.head_dim,
                                &layer.k_norm, &layer.norm_dtype));
  }
  RETURN_IF_ERROR(read_matrix(checkpoint, qkv_product(shape, index), &layer.qkv));
  RETURN_IF_ERROR(read_matrix(checkpoint, o_product(shape, index), &layer.o));
  RETURN_IF_ERROR(read_matrix(checkpoint, gate_up_product(shape, index), &layer.gate_up));
  RETURN_IF_ERROR(read_matrix(checkpoint, down_product(shape, index), &layer.down));
  return layer;
}

std::vector<StoredTensor> quantize_layer(FloatLayer layer, std::int64_t index, const model::DenseShape& shape,
                                         const Options& options, kernels::Ops& ops, LayerPass* pass,
                                         base::ThreadPool& threads, LayerReport* report) {
  LayerWork work(options, ops, threads);
  const Product qkv = qkv_product(shape, index), o = o_product(shape, index),
                gate_up = gate_up_product(shape, index), down = down_product(shape, index);
  if (options.method == Method::kRoundToNearest) {
    work.quantize(qkv, layer.qkv, {}, &report->qkv);
    work.quantize(o, layer.o, {}, &report->o);
    work.quantize(gate_up, layer.gate_up, {}, &report->gate_up);
    work.quantize(down, layer.down, {}, &report->down);
  } else {
    CHECK(pass != nullptr);
    const float* q_norm = or_null(layer.q_norm);
    const float* k_norm = or_null(layer.k_norm);
    const float* input_norm = layer.input_norm.data();
    const float* mlp_norm = layer.mlp_norm.data();
    if (options.method == Method::kAwq) {
      LayerGrams grams;
      pass->qkv_inputs(input_norm, work.accumulate(*pass, nullptr, qkv, layer.qkv, grams.qkv));
      pass->o_inputs(input_norm, pack_floats(ops, layer.qkv, qkv.out, qkv.in), q_norm, k_norm,
                     work.accumulate(*pass, nullptr, o, layer.o, grams.o));
      pass->gate_up_inputs(pack_floats(ops, layer.o, o.out, o.in), mlp_norm,
                           work.accumulate(*pass, nullptr, gate_up, layer.gate_up, grams.gate_up));
      pass->down_inputs(mlp_norm, pack_floats(ops, layer.gate_up, gate_up.out, gate_up.in),
                        work.accumulate(*pass, nullptr, down, layer.down, grams.down));
      fold_awq_scales(grams, shape, options.scheme, threads, &layer);
    }
    const bool awq = options.method == Method::kAwq;
    const LayerWork::Stream before = awq ? nullptr : &LayerPass::layer_input,
                            between = awq ? nullptr : &LayerPass::mlp_input;
    std::vector<float> gram;
    pass->qkv_inputs(input_norm, work.accumulate(*pass, nullptr, qkv, layer.qkv, gram));
    kernels::Weight weight = work.quantize(qkv, layer.qkv, gram, &report->qkv);
    pass->o_inputs(input_norm, weight, q_norm, k_norm, work.accumulate(*pass, before, o, layer.o, gram));
    weight = work.quantize(o, layer.o, gram, &report->o);
    pass->gate_up_inputs(weight, mlp_norm, work.accumulate(*pass, between, gate_up, layer.gate_up, gram));
    weight = work.quantize(gate_up, layer.gate_up, gram, &report->gate_up);
    pass->down_inputs(mlp_norm, weight, work.accumulate(*pass, between, down, layer.down, gram));
    pass->finish(work.quantize(down, layer.down, gram, &report->down));
  }
  const std::string prefix = prefix_of(index);
  std::vector<StoredTensor> norms;
  norms.push_back(store_vector(prefix + "input_layernorm.weight", layer.input_norm, layer.norm_dtype));
  norms.push_back(store_vector(prefix + "post_attention_layernorm.weight", layer.mlp_norm, layer.norm_dtype));
  if (shape.use_qk_norm) {
    norms.push_back(
        store_vector(prefix + "self_attn.query_layernorm.weight", layer.q_norm, layer.norm_dtype));
    norms.push_back(store_vector(prefix + "self_attn.key_layernorm.weight", layer.k_norm, layer.norm_dtype));
  }
  work.keep(std::move(norms));
  return work.take();
}

void run_layer(const FloatLayer& layer, const model::DenseShape& shape, kernels::Ops& ops, LayerPass& pass) {
  const LayerPass::Visit nobody = [](View, std::int64_t) {};
  const std::int64_t hidden = shape.hidden_size;
  pass.o_inputs(layer.input_norm.data(),
                pack_floats(ops, layer.qkv, shape.q_size() + 2 * shape.kv_size(), hidden),
                or_null(layer.q_norm), or_null(layer.k_norm), nobody);
  pass.gate_up_inputs(pack_floats(ops, layer.o, hidden, shape.q_size()), layer.mlp_norm.data(), nobody);
  pass.down_inputs(layer.mlp_norm.data(),
                   pack_floats(ops, layer.gate_up, 2 * shape.intermediate_size, hidden), nobody);
  pass.finish(pack_floats(ops, layer.down, hidden, shape.intermediate_size));
}

}  // namespace pagoda::quantize
