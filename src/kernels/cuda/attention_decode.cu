// Attention of sequences with one new token: rotates and norms its q and k, writes k and v to the cache,
// attends. A block is one (sequence, KV head, part of the context); the query heads of the group are the rows
// of one tensor core tile, so K and V are read once for all of them. The warps take pages in turn and meet
// in shared memory. Contexts over kSplitPages pages are cut into parts; the block that arrives last adds the
// parts up, in order. The order of additions depends on the context alone.
//
// Floor: the bytes of K and V at read bandwidth.

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/rope.cuh"

namespace pagoda::kernels::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kMaxGroup = 8;  // query heads of a KV head: rows g of the tile

// The new token's q heads go to shared memory as bf16, its k and v to the cache.
template <int D, KvFormat kFormat>
__device__ void prepare(const AttentionView& p, const SequenceSlice& slice, int kv_head, bool writes,
                        int warp, int lane, __nv_bfloat16 (*q)[D + 8]) {
  const int position = slice.context - 1;
  const float* row = p.qkv + slice.first_row * p.qkv_stride;
  for (int head = warp; head < p.group + 1; head += kWarps) {
    const bool key = head == p.group;
    if (key && !writes) continue;
    float x[D / 32];
    load_head<D>(row + (key ? p.heads + kv_head : kv_head * p.group + head) * D, lane, x);
    rotate_and_norm<D>(p.rope, key ? p.rope.k_norm : p.rope.q_norm, position, lane, x);
    if (key) {
      write_head<D, kFormat>(p.kv.page(slice.block_table, position / kPageTokens, kv_head, false), false,
                             position % kPageTokens, lane, x);
    } else {
      for (int i = 0; i < D / 32; ++i) q[head][lane + 32 * i] = __float2bfloat16(x[i] * p.scale_log2);
    }
  }
  if (writes && warp == kWarps - 1) {
    float v[D / 32];
    load_head<D>(row + (p.heads + p.kv.kv_heads + kv_head) * D, lane, v);
    write_head<D, kFormat>(p.kv.page(slice.block_table, position / kPageTokens, kv_head, true), true,
                           position % kPageTokens, lane, v);
  }
}

template <int D>
struct Shared {
  __nv_bfloat16 q[kMaxGroup][D + 8];
  float out[kWarps][kMaxGroup][D];
  float largest[kWarps][kMaxGroup], total[kWarps][kMaxGroup];
  bool last;
};

// Adds up the parts of row `head`, dim `d`: parts are (maximum, sum, values) relative to their maxima.
template <typename Part>
__device__ float combine(int parts, Part part) {
  float largest = -INFINITY;
  for (int i = 0; i < parts; ++i) largest = fmaxf(largest, part(i, 0));
  float total = 0, value = 0;
  for (int i = 0; i < parts; ++i) {
    const float weight = exp2f(part(i, 0) - largest);
    total += weight * part(i, 1);
    value += weight * part(i, 2);
  }
  return value / total;
}

// Two blocks an SM: with one, batch 256 leaves the memory idle between waves.
template <int D, KvFormat kFormat>
__global__ __launch_bounds__(kWarps * 32, 2) void decode_attention(const __grid_constant__ AttentionView p) {
  extern __shared__ unsigned char raw[];
  auto& shared = *reinterpret_cast<Shared<D>*>(raw);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
  const int split = blockIdx.x, kv_head = blockIdx.y, sequence = blockIdx.z;
  // The slices came before the step, and pages of earlier tokens before it too: they are fetched into L2
  // while the projection that makes q, k and v ends.
  const SequenceSlice slice = p.slices[sequence];
  const int pages = (slice.context + kPageTokens - 1) / kPageTokens;
  const int splits = (pages + kSplitPages - 1) / kSplitPages;
  const int first_page = split * kSplitPages + warp, last = min((split + 1) * kSplitPages, pages);
  for (int page = first_page; page < last; page += kWarps) {
    const std::byte* lines = p.kv.page(slice.block_table, page, kv_head, lane >= 16);
    for (int i = lane % 16; i < (kv_page_bytes(kFormat, D) + 127) / 128; i += 16)
      prefetch_l2(lines + i * 128);
  }
  wait_for_previous();
  let_next_start();
  if (split >= splits || slice.context == 0) return;  // context 0: a row that only fills up a graph's batch

  for (int i = threadIdx.x; i < kMaxGroup * (D + 8); i += kWarps * 32)
    (&shared.q[0][0])[i] = __float2bfloat16(0.0f);
  __syncthreads();
  prepare<D, kFormat>(p, slice, kv_head, split == splits - 1, warp, lane, shared.q);
  __syncthreads();

  std::uint32_t q[D / 16][2];
  for (int s = 0; s < D / 16; ++s) {
    q[s][0] = *reinterpret_cast<const std::uint32_t*>(&shared.q[g][s * 16 + 2 * c]);
    q[s][1] = *reinterpret_cast<const std::uint32_t*>(&shared.q[g][s * 16 + 2 * c + 8]);
  }
  RowState<D, 1> state;
  for (int page = first_page; page < last; page += kWarps) {
    const int written = slice.context - page * kPageTokens;
    const int visible[1] = {written};
    attend_page<D, kFormat, 1>(q, p.kv.page(slice.block_table, page, kv_head, false),
                               p.kv.page(slice.block_table, page, kv_head, true), visible, written, lane,
                               state);
  }
  if (g < p.group) {
    for (int d = 0; d < D / 8; ++d) {
      shared.out[warp][g][d * 8 + 2 * c] = state.out[d][0];
      shared.out[warp][g][d * 8 + 2 * c + 1] = state.out[d][1];
    }
    if (c == 0) {
      shared.largest[warp][g] = state.largest[0];
      shared.total[warp][g] = state.total[0];
    }
  }
  __syncthreads();

  const std::int64_t first_part =
      (static_cast<std::int64_t>(sequence) * p.heads + kv_head * p.group) * p.max_splits;
  const auto part_of = [&](int head, int part) {
    return p.partials + (first_part + head * p.max_splits + part) * (D + 2);
  };
  __nv_bfloat16* out = p.out + slice.first_row * p.out_stride + kv_head * p.group * D;
  for (int i = threadIdx.x; i < p.group * D; i += kWarps * 32) {
    const int head = i / D, d = i % D;
    const auto part = [&](int w, int what) {
      return what == 0 ? shared.largest[w][head] : what == 1 ? shared.total[w][head] : shared.out[w][head][d];
    };
    const float value = combine(kWarps, part);
    if (splits == 1) {
      out[head * D + d] = __float2bfloat16(value);
      continue;
    }
    // A part is kept normalised, with its maximum and sum.
    float largest = -INFINITY, total = 0;
    for (int w = 0; w < kWarps; ++w) largest = fmaxf(largest, shared.largest[w][head]);
    for (int w = 0; w < kWarps; ++w)
      total += exp2f(shared.largest[w][head] - largest) * shared.total[w][head];
    float* mine = part_of(head, split);
    mine[2 + d] = value * total;
    if (d == 0) {
      mine[0] = largest;
      mine[1] = total;
    }
  }
  if (splits == 1) return;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) {
    int* counter = p.arrivals + sequence * p.kv.kv_heads + kv_head;
    shared.last = atomicAdd(counter, 1) == splits - 1;
    if (shared.last) *counter = 0;
  }
  __syncthreads();
  if (!shared.last) return;
  __threadfence();
  for (int i = threadIdx.x; i < p.group * D; i += kWarps * 32) {
    const int head = i / D, d = i % D;
    const auto part = [&](int s, int what) { return __ldcg(part_of(head, s) + (what < 2 ? what : 2 + d)); };
    out[head * D + d] = __float2bfloat16(combine(splits, part));
  }
}

template <int D, KvFormat kFormat>
void launch_for(const Launcher& launch, const AttentionView& view, int decodes, int max_context) {
  static const bool raised = [] {
    CUDA_CHECK(cudaFuncSetAttribute(decode_attention<D, kFormat>, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    sizeof(Shared<D>)));
    return true;
  }();
  (void)raised;
  launch(decode_attention<D, kFormat>, dim3(splits_of(max_context), view.kv.kv_heads, decodes),
         dim3(kWarps * 32), sizeof(Shared<D>), view);
}

}  // namespace

void launch_decode_attention(const Launcher& launch, const AttentionView& view, int decodes,
                             int max_context) {
  dispatch_kv(view.kv, [&](auto head_dim, auto format) {
    launch_for<decltype(head_dim)::value, decltype(format)::value>(launch, view, decodes, max_context);
  });
}

}  // namespace pagoda::kernels::cuda
