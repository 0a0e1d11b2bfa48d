#pragma once
// The only door to the kernels. A backend (reference, cpu, cuda) implements these; model/ is written in
// them. Operators enqueue or run, never allocate, and read and write only what they are given. Activations
// are row-major views [tokens, features]; all tokens of a step lie below one another, sequences in any order.
// One thread calls at a time; the CPU backend forks inside.
//
// Everything that operators are given (views, spans, pointers) lies where the backend computes: in host
// memory, or on the device, where only the sizes of spans are known to the caller. Inputs of linear layers
// have the type linear_input_dtype(), all other activations are float.
//
// Every operator computes a row from that row alone (attention: from the row and its sequence's cache), with
// the same order of additions whatever else is in the batch, so that batching and chunking do not change
// tokens. The AMX path (cpu/panel_amx.cc) is the one exception; `deterministic` turns it off.

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/status.h"
#include "kernels/kv_cache.h"
#include "kernels/weight.h"
#include "tensor/view.h"

namespace pagoda::kernels {

// Rotates, normalises, and stores to the cache the output of the fused q|k|v projection.
struct RopeArgs {
  tensor::View qkv;            // [tokens, (num_heads + 2 * num_kv_heads) * head_dim]; q is updated in place
  std::int64_t num_heads = 0;  // query heads
  const std::int32_t* positions = nullptr;  // [tokens]
  const float* cos = nullptr;               // [max_position, head_dim / 2]
  const float* sin = nullptr;               // [max_position, head_dim / 2]
  const float* q_norm = nullptr;  // [head_dim], or null: no norm. Applied after the rotation (dense models).
  const float* k_norm = nullptr;  // [head_dim], or null
  float eps = 0;
};

struct AttentionArgs {
  tensor::View q;    // [tokens, num_heads * head_dim], rotated
  tensor::View out;  // [tokens, num_heads * head_dim]
  std::int64_t num_heads = 0;
  float scale = 0;                 // head_dim ^ -1/2
  const Weight* reader = nullptr;  // as of linear_add_norm()
};

// The sequences of a step. A device's launches depend on the bounds, never on the slices themselves.
struct SequenceBatch {
  std::span<const SequenceSlice> slices;
  std::int32_t num_decodes = 0;  // leading slices with one query each
  std::int32_t max_queries = 0;  // of the other slices
  std::int32_t max_context = 0;  // of all slices
  // [num_decodes][kFirstBlocks]: where the block tables of decodes begin, for devices that would otherwise
  // read a slice first to know where its table lies; or null.
  const std::int32_t* first_blocks = nullptr;
};

// The largest arguments any later call will have; reserve() allocates scratch for them.
struct OpsLimits {
  std::int64_t max_tokens = 0;    // rows of a step
  std::int64_t max_features = 0;  // columns of any linear input
  std::int64_t num_heads = 0;
  KvShape kv;
  std::int64_t max_sequences = 0;  // of a step
  std::int64_t max_context = 0;    // tokens of a sequence
};

class Ops {
 public:
  virtual ~Ops() = default;
  // What runs, for the start-up lines: "cpu avx512-bf16 vnni, 2 threads".
  virtual std::string description() const = 0;

  // Load time. pack() may fork threads that call the source's functions.
  virtual tensor::DType linear_input_dtype() const { return tensor::DType::kF32; }
  // Zeroed memory where the operators work, and a host buffer's content moved there.
  virtual tensor::Buffer allocate(tensor::MemoryTag tag, std::size_t bytes) { return {tag, bytes}; }
  virtual tensor::Buffer place(tensor::Buffer host) { return host; }
  virtual Weight pack(const WeightSource& source) = 0;
  // Whether views, weights and the KV cache lie on a device.
  virtual bool on_device() const { return false; }
  // Whether norms that linear_add_norm() leaves to the next product must not be mixed with those that
  // rms_norm() makes: they round at different places, and a row must not depend on what else is computed with
  // it.
  virtual bool same_in_any_batch() const { return false; }
  // What may be planned with, of the memory that allocate() hands out; 0: ordinary host memory.
  virtual std::size_t memory_budget_bytes() const { return 0; }
  // What the driver's and a library's kernels take of that memory besides, for layers of such weights.
  virtual std::size_t driver_bytes(WeightFormat /*layers*/) const { return 0; }
  // kInvalidArgument if this backend cannot compute such heads or blocks.
  virtual base::Status check_kv_shape(const KvShape& shape, std::int64_t /*num_heads*/) const {
    if (shape.format != KvFormat::kBF16)
      return base::invalid("--kv-cache-dtype: a CPU keeps keys and values as bf16; fp8 and int8 need a GPU");
    return {};
  }
  virtual std::size_t kv_layer_block_bytes(const KvShape& shape) const = 0;
  virtual std::size_t scratch_bytes(const OpsLimits& limits) const = 0;
  virtual void reserve(const OpsLimits& limits) = 0;

  // out[t] = row tokens[t] of the embedding.
  virtual void embed(std::span<const std::int32_t> tokens, const Weight& embedding, tensor::View out) = 0;
  // out = x / sqrt(mean(x^2) + eps) * weight, row by row.
  virtual void rms_norm(tensor::View x, const float* weight, float eps, tensor::View out) = 0;
  // out = x W^T, or out += x W^T.
  virtual void linear(tensor::View x, const Weight& weight, tensor::View out, bool accumulate) = 0;
  // q, k <- RMSNorm(rotate_half(q, k)); k and v are written to the slots of their positions.
  virtual void rope_and_write_kv(const RopeArgs& args, const KvCache& cache, std::int64_t layer,
                                 const SequenceBatch& sequences) = 0;
  // Causal grouped-query attention over the pages of each sequence.
  virtual void attention(const AttentionArgs& args, const KvCache& cache, std::int64_t layer,
                         const SequenceBatch& sequences) = 0;
  // out = silu(gate) * up, with gate_up = [gate | up] as a linear layer with WeightSource::pairs left it.
  virtual void swiglu(tensor::View gate_up, tensor::View out) = 0;
  // out[i] = x[rows[i]].
  virtual void gather_rows(tensor::View x, std::span<const std::int32_t> rows, tensor::View out) = 0;

  // Combinations that a backend may compute in one pass. `reader` promises that the next linear operator is
  // that of the weight, with the result as its x, and that nothing else reads that: the backend may leave it
  // in a form, and in a place, that only this operator knows. Null: more than one reads it, or none.
  // sum += x W^T; normed = rms_norm(sum), which linear operators alone can read.
  virtual void linear_add_norm(tensor::View x, const Weight& weight, tensor::View sum, const float* norm,
                               float eps, tensor::View normed, const Weight* /*reader*/) {
    linear(x, weight, sum, /*accumulate=*/true);
    rms_norm(sum, norm, eps, normed);
  }
  // out = swiglu(x W^T); gate_up is scratch.
  virtual void linear_swiglu(tensor::View x, const Weight& weight, tensor::View gate_up, tensor::View out,
                             const Weight* /*reader*/) {
    linear(x, weight, gate_up, /*accumulate=*/false);
    swiglu(gate_up, out);
  }
  virtual void rope_attention(const RopeArgs& rope, const AttentionArgs& args, const KvCache& cache,
                              std::int64_t layer, const SequenceBatch& sequences) {
    rope_and_write_kv(rope, cache, layer, sequences);
    attention(args, cache, layer, sequences);
  }
};

// Plain loops in float: the oracle of every other backend, and slow.
std::unique_ptr<Ops> make_reference_ops();

struct CpuOptions {
  int threads = 0;             // 0: one a core
  bool deterministic = false;  // no AMX: its order of additions depends on the batch
  // "": the best this machine has; or one of "sse4", "avx2", "avx512", "avx512-bf16", "amx", for tests and
  // benchmarks.
  std::string isa;
};
std::unique_ptr<Ops> make_cpu_ops(const CpuOptions& options);

}  // namespace pagoda::kernels
