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
#include "quantize/target.h"

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

// Quantises product after product, each on what the ones before leave.
class LayerWork {
 public:
  LayerWork(const Options& options, kernels::Ops& ops, base::ThreadPool& threads)
      : options_(options), ops_(ops), threads_(threads) {}

  // Keeps the rows of all tokens, for accumulate() of another pass.
  LayerPass::Visit keep_rows() {
    exact_rows_.clear();
    return [this](View rows, std::int64_t) {
      for (std::int64_t r = 0; r < rows.rows; ++r)
        exact_rows_.insert(exact_rows_.end(), rows.row(r), rows.row(r) + rows.cols);
    };
  }

  // Each row counts as its token does: it is scaled by the root. `exact` (may be null) is the float model,
  // whose inputs of this product were kept; `stream`: the residual stream that the product adds to.
  using Stream = const float* (*)(const LayerPass&, std::int64_t token);
  LayerPass::Visit accumulate(const LayerPass& pass, const LayerPass* exact, Stream stream, std::int64_t in,
                              std::int64_t out, InputStatistics& sums) {
    sums.gram.assign(in * in, 0.0f);
    sums.shift.assign(exact != nullptr ? in * in : 0, 0.0f);
    sums.residual.assign(exact != nullptr && stream != nullptr ? out * in : 0, 0.0f);
    return [this, &pass, exact, stream, in, out, &sums](View rows, std::int64_t first) {
      const auto weighted = [&](std::vector<float>& to, std::int64_t columns, const auto& value) {
        to.resize(rows.rows * columns);
        threads_.run(rows.rows, 16, [&](std::size_t begin, std::size_t end, int) {
          for (auto r = static_cast<std::int64_t>(begin); r < static_cast<std::int64_t>(end); ++r) {
            const float root = std::sqrt(pass.weight(first + r));
            for (std::int64_t i = 0; i < columns; ++i) to[r * columns + i] = root * value(r, i);
          }
        });
      };
      weighted(weighted_, in, [&](std::int64_t r, std::int64_t i) { return rows.row(r)[i]; });
      const MatrixRef inputs{weighted_.data(), rows.rows, in, in, 1};
      accumulate_gram(inputs, sums.gram.data(), threads_);
      if (exact == nullptr) return;
      weighted(differences_, in, [&](std::int64_t r, std::int64_t i) {
        return exact_rows_[(first + r) * in + i] - rows.row(r)[i];
      });
      multiply_add(MatrixRef{differences_.data(), rows.rows, in, in, 1}.transposed(), inputs, 1.0f,
                   sums.shift.data(), in, /*upper_only=*/false, threads_);
      if (stream == nullptr) return;
      weighted(differences_, out, [&](std::int64_t r, std::int64_t i) {
        return stream(*exact, first + r)[i] - stream(pass, first + r)[i];
      });
      multiply_add(MatrixRef{differences_.data(), rows.rows, out, out, 1}.transposed(), inputs, 1.0f,
                   sums.residual.data(), in, /*upper_only=*/false, threads_);
    };
  }

  // Keeps the tensors of the product; the sums may be empty. The dequantised matrix, for the passes that
  // follow, is made only where there is a gram.
  kernels::Weight quantize(const Product& product, std::vector<float> w, const InputStatistics& sums,
                           MatrixError* error) {
    const std::vector<float>& gram = sums.gram;
    if (!sums.shift.empty())
      w = corrected_weights(w, product.out, product.in, sums, options_.gptq.correction_damping, threads_);
    const QuantizedMatrix matrix = round(product, w, gram);
    *error = error_of(w, matrix, gram, threads_);
    std::int64_t first = 0;
    for (const Part& part : product.parts) {
      keep(options_.method == Method::kAwq ? pack_awq(part.name, matrix, first, part.rows)
                                           : pack_gptq(part.name, matrix, first, part.rows));
      first += part.rows;
    }
    if (gram.empty()) return {};
    std::vector<float> floats(product.out * product.in);
    for (std::int64_t row = 0; row < product.out; ++row)
      matrix.dequantize_row(row, floats.data() + row * product.in);
    return pack_floats(ops_, floats, product.out, product.in);
  }

  void to_fp8(const Product& product, const std::vector<float>& w, MatrixError* error) {
    const float* rows = w.data();
    for (const Part& part : product.parts) {
      std::vector<StoredTensor> tensors = pack_fp8(part.name, rows, part.rows, product.in);
      for (std::int64_t i = 0; i < part.rows * product.in; ++i) {
        float scale;
        std::memcpy(&scale, tensors[1].bytes.data() + i / product.in * sizeof scale, sizeof scale);
        const double difference =
            rows[i] -
            tensor::float8_e4m3_to_float(std::to_integer<std::uint8_t>(tensors[0].bytes[i])) * scale;
        error->squared_weights += static_cast<double>(rows[i]) * rows[i];
        error->squared_weight_errors += difference * difference;
      }
      keep(std::move(tensors));
      rows += part.rows * product.in;
    }
  }

  void keep(std::vector<StoredTensor> tensors) {
    for (StoredTensor& tensor : tensors) tensors_.push_back(std::move(tensor));
  }
  std::vector<StoredTensor> take() { return std::move(tensors_); }

 private:
  QuantizedMatrix round(const Product& product, const std::vector<float>& w, const std::vector<float>& gram) {
    switch (options_.method) {
      case Method::kGptq:
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
  std::vector<float> weighted_, differences_;  // rows of one chunk
  std::vector<float> exact_rows_;              // of all tokens
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
                                         LayerPass* exact, base::ThreadPool& threads, LayerReport* report) {
  LayerWork work(options, ops, threads);
  const Product qkv = qkv_product(shape, index), o = o_product(shape, index),
                gate_up = gate_up_product(shape, index), down = down_product(shape, index);
  if (options.method == Method::kFp8) {
    work.to_fp8(qkv, layer.qkv, &report->qkv);
    work.to_fp8(o, layer.o, &report->o);
    work.to_fp8(gate_up, layer.gate_up, &report->gate_up);
    work.to_fp8(down, layer.down, &report->down);
  } else if (options.method == Method::kRoundToNearest) {
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
      const auto gram = [&](std::int64_t in, InputStatistics& sums) {
        return work.accumulate(*pass, nullptr, nullptr, in, 0, sums);
      };
      InputStatistics of_qkv, of_o, of_gate_up, of_down;
      pass->qkv_inputs(input_norm, gram(qkv.in, of_qkv));
      pass->o_inputs(input_norm, pack_floats(ops, layer.qkv, qkv.out, qkv.in), q_norm, k_norm,
                     gram(o.in, of_o));
      pass->gate_up_inputs(pack_floats(ops, layer.o, o.out, o.in), mlp_norm, gram(gate_up.in, of_gate_up));
      pass->down_inputs(mlp_norm, pack_floats(ops, layer.gate_up, gate_up.out, gate_up.in),
                        gram(down.in, of_down));
      fold_awq_scales({of_qkv.gram, of_o.gram, of_gate_up.gram, of_down.gram}, shape, options.scheme, threads,
                      &layer);
    }
    const LayerWork::Stream hidden = [](const LayerPass& of, std::int64_t token) -> const float* {
      return of.hidden(token);
    };
    const LayerWork::Stream middle = [](const LayerPass& of, std::int64_t token) { return of.middle(token); };
    InputStatistics sums;
    if (exact != nullptr) exact->qkv_inputs(input_norm, work.keep_rows());
    pass->qkv_inputs(input_norm, work.accumulate(*pass, exact, nullptr, qkv.in, qkv.out, sums));
    kernels::Weight weight = work.quantize(qkv, layer.qkv, sums, &report->qkv);

    if (exact != nullptr)
      exact->o_inputs(input_norm, pack_floats(ops, layer.qkv, qkv.out, qkv.in), q_norm, k_norm,
                      work.keep_rows());
    pass->o_inputs(input_norm, weight, q_norm, k_norm,
                   work.accumulate(*pass, exact, hidden, o.in, o.out, sums));
    weight = work.quantize(o, layer.o, sums, &report->o);

    if (exact != nullptr)
      exact->gate_up_inputs(pack_floats(ops, layer.o, o.out, o.in), mlp_norm, work.keep_rows());
    pass->gate_up_inputs(weight, mlp_norm,
                         work.accumulate(*pass, exact, nullptr, gate_up.in, gate_up.out, sums));
    weight = work.quantize(gate_up, layer.gate_up, sums, &report->gate_up);

    if (exact != nullptr)
      exact->down_inputs(mlp_norm, pack_floats(ops, layer.gate_up, gate_up.out, gate_up.in),
                         work.keep_rows());
    pass->down_inputs(mlp_norm, weight, work.accumulate(*pass, exact, middle, down.in, down.out, sums));
    weight = work.quantize(down, layer.down, sums, &report->down);
    if (exact != nullptr) exact->finish(pack_floats(ops, layer.down, down.out, down.in));
    pass->finish(weight);
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
