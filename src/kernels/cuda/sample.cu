// Greedy rows: the vocabulary in kArgmaxParts parts, the last block to arrive compares the parts. Rows that
// draw: the k-th largest logit is found by its bits, eight at a time (no sort of the vocabulary); the few
// above it are sorted and drawn from as execute/sampler.cc does.

#include "kernels/cuda/sample.cuh"

#include "kernels/cuda/mma.cuh"

namespace pagoda::kernels::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kDrawThreads = 1024;
constexpr int kCandidates = 2 * kMaxDeviceTopK;  // room for ties at the k-th place

struct Best {
  float value;
  std::int32_t token;
};

__device__ Best better(Best a, Best b) {
  return b.value > a.value || (b.value == a.value && b.token < a.token) ? b : a;
}

__device__ Best best_of_block(Best best) {
  __shared__ Best shared[32];
  for (int offset = 16; offset > 0; offset /= 2)
    best = better(best, {__shfl_xor_sync(0xffffffffu, best.value, offset),
                         __shfl_xor_sync(0xffffffffu, best.token, offset)});
  if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = best;
  __syncthreads();
  best = shared[0];
  for (unsigned i = 1; i < blockDim.x / 32; ++i) best = better(best, shared[i]);
  __syncthreads();
  return best;
}

__device__ float penalised(float logit, float penalty) {
  return logit > 0 ? logit / penalty : logit * penalty;
}

__device__ bool is_seen(const SampleView& p, const SampleRow& row, int token) {
  const std::int64_t words = (p.vocab + 31) / 32;
  return (p.seen[row.slot * words + token / 32] >> (token % 32) & 1) != 0;
}

// One thread.
__device__ void choose(const SampleView& p, const SampleRow& row, int index, std::int32_t token) {
  p.out[index] = token;
  p.sampled[row.slot] = token;
  const std::int64_t words = (p.vocab + 31) / 32;
  p.seen[row.slot * words + token / 32] |= 1u << (token % 32);
}

__global__ __launch_bounds__(kThreads) void greedy(const __grid_constant__ SampleView p) {
  wait_for_previous();
  let_next_start();
  const int index = blockIdx.y;
  const SampleRow row = p.rows[index];
  if (row.temperature != 0) return;
  const float* logits = p.logits + index * p.stride;
  const int share = (p.vocab + kArgmaxParts - 1) / kArgmaxParts;
  const int first = blockIdx.x * share, last = min(first + share, p.vocab);
  Best best{-INFINITY, first};  // all NaN: the first
  for (int i = first + threadIdx.x; i < last; i += kThreads) {
    float logit = logits[i];
    if (row.repetition_penalty != 1 && is_seen(p, row, i)) logit = penalised(logit, row.repetition_penalty);
    best = better(best, {logit, i});
  }
  best = best_of_block(best);
  __shared__ bool is_last;
  if (threadIdx.x == 0) {
    p.part_values[index * kArgmaxParts + blockIdx.x] = best.value;
    p.part_tokens[index * kArgmaxParts + blockIdx.x] = best.token;
    __threadfence();
    is_last = atomicAdd(&p.arrivals[index], 1) == kArgmaxParts - 1;
    if (is_last) {
      p.arrivals[index] = 0;
      __threadfence();
      best = {-INFINITY, 0};
      for (int i = 0; i < kArgmaxParts; ++i)
        best = better(best, {__ldcg(&p.part_values[index * kArgmaxParts + i]),
                             __ldcg(&p.part_tokens[index * kArgmaxParts + i])});
      choose(p, row, index, best.token);
    }
  }
}

// Order of floats as unsigned integers; NaN counts as the smallest.
__device__ std::uint32_t ordered(float value) {
  if (value != value) return 0;
  const std::uint32_t bits = __float_as_uint(value);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

__device__ double uniform(std::uint64_t seed, std::uint64_t position) {
  std::uint64_t x = seed + (position + 1) * 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  x ^= x >> 31;
  return static_cast<double>(x >> 11) * 0x1.0p-53;
}

// execute/sampler.cc's draw over candidates in order of likelihood. One thread.
__device__ std::int32_t draw(const float* logits, const std::int32_t* tokens, int count,
                             const SampleRow& row) {
  float weights[kMaxDeviceTopK];
  double total = 0;
  for (int i = 0; i < count; ++i) total += weights[i] = expf((logits[i] - logits[0]) / row.temperature);
  if (row.top_p < 1) {
    double kept = 0;
    int keep = 0;
    while (keep < count && kept < row.top_p * total) kept += weights[keep++];
    count = max(keep, 1);
    total = kept;
  }
  if (row.min_p > 0) {
    int keep = 1;
    total = weights[0];
    while (keep < count && weights[keep] >= row.min_p) total += weights[keep++];
    count = keep;
  }
  double target = uniform(row.seed, row.position) * total;
  for (int i = 0; i < count; ++i)
    if ((target -= weights[i]) < 0) return tokens[i];
  return tokens[count - 1];
}

__global__ __launch_bounds__(kDrawThreads) void draw_rows(const __grid_constant__ SampleView p) {
  __shared__ int histogram[256];
  __shared__ float logits_of[kCandidates];
  __shared__ std::int32_t tokens_of[kCandidates];
  __shared__ std::uint32_t prefix;
  __shared__ int wanted, count;
  wait_for_previous();
  let_next_start();
  const int index = blockIdx.x, thread = threadIdx.x;
  const SampleRow row = p.rows[index];
  if (row.temperature == 0) return;
  float* logits = p.logits + index * p.stride;
  if (row.repetition_penalty != 1)
    for (int i = thread; i < p.vocab; i += kDrawThreads)
      if (is_seen(p, row, i)) logits[i] = penalised(logits[i], row.repetition_penalty);
  if (thread == 0) {
    prefix = 0;
    wanted = min(row.top_k, p.vocab);
    count = 0;
  }
  __syncthreads();
  // After each round `prefix` holds the leading bits of the k-th largest, and `wanted` how many of those with
  // that prefix belong to the k.
  for (int shift = 24; shift >= 0; shift -= 8) {
    for (int i = thread; i < 256; i += kDrawThreads) histogram[i] = 0;
    __syncthreads();
    const std::uint32_t above = shift == 24 ? 0 : prefix >> (shift + 8);
    for (int i = thread; i < p.vocab; i += kDrawThreads) {
      const std::uint32_t bits = ordered(logits[i]);
      if (shift == 24 || bits >> (shift + 8) == above) atomicAdd(&histogram[bits >> shift & 255], 1);
    }
    __syncthreads();
    if (thread == 0) {
      int bin = 255;
      while (bin > 0 && histogram[bin] < wanted) wanted -= histogram[bin--];
      prefix |= static_cast<std::uint32_t>(bin) << shift;
    }
    __syncthreads();
  }
  // All above the k-th and those equal to it; of very many equal ones some, which is as good a choice as any.
  for (int i = thread; i < p.vocab; i += kDrawThreads)
    if (ordered(logits[i]) >= prefix) {
      const int at = atomicAdd(&count, 1);
      if (at < kCandidates) {
        logits_of[at] = logits[i];
        tokens_of[at] = i;
      }
    }
  __syncthreads();
  const int found = min(count, kCandidates);
  // Each candidate finds its own place: larger first, of equals the smaller token.
  float logit = 0;
  std::int32_t token = 0;
  int place = 0;
  if (thread < found) {
    logit = logits_of[thread];
    token = tokens_of[thread];
    for (int i = 0; i < found; ++i)
      if (logits_of[i] > logit || (logits_of[i] == logit && tokens_of[i] < token)) ++place;
  }
  __syncthreads();
  if (thread < found) {
    logits_of[place] = logit;
    tokens_of[place] = token;
  }
  __syncthreads();
  if (thread == 0) {
    const int kept = min(min(row.top_k, p.vocab), found);
    const bool broken = !isfinite(logits_of[0]);
    choose(p, row, index, broken ? tokens_of[0] : draw(logits_of, tokens_of, kept, row));
  }
}

__global__ void resolve(std::int32_t* tokens, int count, const std::int32_t* sampled) {
  wait_for_previous();
  let_next_start();
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count && tokens[i] < 0) tokens[i] = sampled[-tokens[i] - 1];
}

__global__ void clear_seen(std::uint32_t* row, int words) {
  wait_for_previous();
  let_next_start();
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < words) row[i] = 0;
}

__global__ void set_seen(std::uint32_t* row, int vocab, const std::int32_t* tokens, int count) {
  wait_for_previous();
  let_next_start();
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count && tokens[i] >= 0 && tokens[i] < vocab)
    atomicOr(&row[tokens[i] / 32], 1u << (tokens[i] % 32));
}

dim3 blocks_for(int count) { return dim3((count + kThreads - 1) / kThreads); }

}  // namespace

void launch_sample(const Launcher& launch, const SampleView& view, int rows, bool all_greedy) {
  launch(greedy, dim3(kArgmaxParts, rows), dim3(kThreads), 0, view);
  if (!all_greedy) launch(draw_rows, dim3(rows), dim3(kDrawThreads), 0, view);
}

void launch_resolve(const Launcher& launch, std::int32_t* tokens, int count, const std::int32_t* sampled) {
  launch(resolve, blocks_for(count), dim3(kThreads), 0, tokens, count, sampled);
}

void launch_set_seen(const Launcher& launch, std::uint32_t* seen, int vocab, int slot,
                     const std::int32_t* tokens, int count) {
  const int words = (vocab + 31) / 32;
  std::uint32_t* row = seen + static_cast<std::int64_t>(slot) * words;
  launch(clear_seen, blocks_for(words), dim3(kThreads), 0, row, words);
  launch(set_seen, blocks_for(count), dim3(kThreads), 0, row, vocab, tokens, count);
}

}  // namespace pagoda::kernels::cuda
