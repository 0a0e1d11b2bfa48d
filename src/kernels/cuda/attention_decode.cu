// Attention of sequences with one new token: rotates and norms its q and k, writes k and v to the cache,
// attends. A block is one (sequence, KV head, part of the context); the query heads of the group are the rows
// of one tensor core tile, so K and V are read once for all of them. The warps take pages in turn and meet
// in shared memory. Contexts over kSplitPages pages are cut into parts; the block that arrives last adds the
// parts up, in order. The order of additions depends on the context and on the warps of a block alone.
//
// Few sequences are worth many warps each; with many, fewer warps a block have less to exchange. Pages come
// to shared memory by asynchronous copies, those of earlier tokens before the kernel before has ended.
//
// Floor: the bytes of K and V at read bandwidth.

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/rope.cuh"

namespace pagoda::kernels::cuda {
namespace {

constexpr int kMaxGroup = 8;  // query heads of a KV head: rows g of the tile

template <int D, KvFormat kFormat, int kWarps>
struct Shared {
  // Of a warp: the pages it has fetched or is fetching, K and V of each; afterwards, its sums. Sixteen warps
  // an SM have enough under way with one page each; more would leave room for fewer blocks.
  static constexpr int kPageBytes = kv_page_bytes(kFormat, D);
  static constexpr int kPagesAhead = kFormat == KvFormat::kBF16 ? 1 : 2;
  union Warp {
    std::byte pages[kPagesAhead][2][kPageBytes];
    float out[kMaxGroup][D];
  };
  alignas(16) Warp warps[kWarps];
  alignas(16) __nv_bfloat16 q[kMaxGroup][D + 8];
  float largest[kWarps][kMaxGroup], total[kWarps][kMaxGroup];
  float weight[kWarps][kMaxGroup];                     // of a warp's sums in the result
  float all_largest[kMaxGroup], all_total[kMaxGroup];  // over the warps
  float fresh[2][D];                                   // the new token's key and value
  bool last;
};

// The new token's q heads go to shared memory as bf16, its k and v to the cache and to shared memory: a head
// a warp at a time, all of a warp's fetched before the first is worked on.
template <int D, KvFormat kFormat, int kWarps>
__device__ __forceinline__ void prepare(const AttentionView& p, const SequenceSlice& slice, int kv_head,
                                        bool has_last, int warp, int lane,
                                        Shared<D, kFormat, kWarps>& shared) {
  constexpr int kMine = (kMaxGroup + 2 + kWarps - 1) / kWarps;
  const int position = slice.context - 1, key = p.group, heads = has_last ? p.group + 2 : p.group;
  const float* row = p.qkv + slice.first_row * p.qkv_stride;
  RopeValues<D> rope;
  rope.fetch(p.rope, position, lane);
  float x[kMine][D / 32];
#pragma unroll
  for (int i = 0; i < kMine; ++i) {
    const int head = warp + i * kWarps;
    if (head >= heads) break;
    const int of_row = head < key    ? kv_head * p.group + head
                       : head == key ? p.heads + kv_head
                                     : p.heads + p.kv.kv_heads + kv_head;
    load_head<D>(row + of_row * D, lane, x[i]);
  }
#pragma unroll
  for (int i = 0; i < kMine; ++i) {
    const int head = warp + i * kWarps;
    if (head >= heads) break;
    if (head <= key) rotate_and_norm<D>(p.rope, rope, head == key, x[i]);
    for (int d = 0; d < D / 32; ++d) {
      if (head < key)
        shared.q[head][lane + 32 * d] = __float2bfloat16(x[i][d] * p.scale_log2);
      else
        shared.fresh[head - key][lane + 32 * d] = x[i][d];
    }
    if (head >= key)
      write_head<D, kFormat>(p.kv.page(slice.block_table, position / kPageTokens, kv_head, head > key),
                             head > key, position % kPageTokens, lane, x[i]);
  }
}

// What the sums of the warps count in the result, and their maximum and sum: a head a warp at a time.
template <int D, KvFormat kFormat, int kWarps>
__device__ __forceinline__ void weigh_warps(int group, int working, int warp, int lane,
                                            Shared<D, kFormat, kWarps>& shared) {
  for (int head = warp; head < group; head += kWarps) {
    const bool works = lane < working;
    const float largest = works ? shared.largest[lane][head] : -INFINITY, over_all = warp_max(largest);
    const float weight = works ? power_of_2(largest - over_all) : 0.0f;
    const float total = warp_sum(works ? weight * shared.total[lane][head] : 0.0f);
    if (works) shared.weight[lane][head] = weight / total;
    if (lane > 0) continue;
    shared.all_largest[head] = over_all;
    shared.all_total[head] = total;
  }
}

// Adds up the parts of row `head`, dim `d`: parts are (maximum, sum, values) relative to their maxima.
template <typename Part>
__device__ float combine(int parts, Part part) {
  float largest = -INFINITY;
  for (int i = 0; i < parts; ++i) largest = fmaxf(largest, part(i, 0));
  float total = 0, value = 0;
  for (int i = 0; i < parts; ++i) {
    const float weight = power_of_2(part(i, 0) - largest);
    total += weight * part(i, 1);
    value += weight * part(i, 2);
  }
  return value / total;
}

template <int D, KvFormat kFormat, int kWarps>
__global__ __launch_bounds__(kWarps * 32,
                             16 / kWarps) void decode_attention(const __grid_constant__ AttentionView p) {
  using Memory = Shared<D, kFormat, kWarps>;
  extern __shared__ __align__(16) unsigned char raw[];
  auto& shared = *reinterpret_cast<Memory*>(raw);
  const int split = blockIdx.x, kv_head = blockIdx.y, sequence = blockIdx.z;
  const int warp = warp_index(), lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
  // The slices came before the step, and pages of earlier tokens before it too: they are fetched while the
  // projection that makes q, k and v ends.
  const SequenceSlice slice = p.slices[sequence];
  const int pages = (slice.context + kPageTokens - 1) / kPageTokens;
  const int splits = (pages + kSplitPages - 1) / kSplitPages;
  const int first_page = split * kSplitPages + warp, last = min((split + 1) * kSplitPages, pages);
  typename Memory::Warp& mine = shared.warps[warp];
  const auto copy_page = [&](int page, int slot) {
#pragma unroll 1
    for (int value = 0; value < 2; ++value)
      stream_page<32, Memory::kPageBytes>(mine.pages[slot][value],
                                          p.kv.page(slice.block_table, page, kv_head, value), lane);
  };
  for (int i = 0; i < Memory::kPagesAhead; ++i) {
    const int page = first_page + i * kWarps;
    if (page < last) copy_page(page, i);
    copies_close();
  }
  for (int i = threadIdx.x; i < static_cast<int>(sizeof(shared.q) / 16); i += kWarps * 32)
    reinterpret_cast<uint4*>(shared.q)[i] = {};
  wait_for_previous();
  let_next_start();
  if (split >= splits || slice.context == 0) {  // context 0: a row that only fills up a graph's batch
    copies_wait<0>();
    return;
  }
  __syncthreads();
  prepare<D, kFormat, kWarps>(p, slice, kv_head, split == splits - 1, warp, lane, shared);
  __syncthreads();

  std::uint32_t q[D / 16][2];
  for (int s = 0; s < D / 16; ++s) {
    q[s][0] = *reinterpret_cast<const std::uint32_t*>(&shared.q[g][s * 16 + 2 * c]);
    q[s][1] = *reinterpret_cast<const std::uint32_t*>(&shared.q[g][s * 16 + 2 * c + 8]);
  }
  RowState<D> state;
  int slot = 0;
  for (int page = first_page; page < last; page += kWarps) {
    if (page == pages - 1)
      copies_wait<0>();
    else
      copies_wait<Memory::kPagesAhead - 1>();
    __syncwarp();
    const int written = slice.context - page * kPageTokens;
    if (page == pages - 1) {
      // In memory the new token may be missing yet: it comes from where it was made.
      for (int value = 0; value < 2; ++value) {
        float x[D / 32];
        for (int d = 0; d < D / 32; ++d) x[d] = shared.fresh[value][lane + 32 * d];
        write_head<D, kFormat>(mine.pages[slot][value], value == 1, written - 1, lane, x);
      }
      __syncwarp();
    }
    attend_page<D, kFormat>(q, mine.pages[slot][0], mine.pages[slot][1], written, lane, state);
    __syncwarp();
    const int next = page + Memory::kPagesAhead * kWarps;
    if (next < last) copy_page(next, slot);
    copies_close();
    slot = (slot + 1) % Memory::kPagesAhead;
  }
  copies_wait<0>();
  __syncwarp();
  if (g < p.group) {
    for (int d = 0; d < D / 8; ++d) {
      mine.out[g][d * 8 + 2 * c] = state.out[d][0];
      mine.out[g][d * 8 + 2 * c + 1] = state.out[d][1];
    }
    if (c == 0) {
      shared.largest[warp][g] = state.largest;
      shared.total[warp][g] = state.total;
    }
  }
  __syncthreads();
  const int working = min(kWarps, last - split * kSplitPages);
  weigh_warps(p.group, working, warp, lane, shared);
  __syncthreads();

  const std::int64_t first_part =
      (static_cast<std::int64_t>(sequence) * p.heads + kv_head * p.group) * p.max_splits;
  const auto part_of = [&](int head, int part) {
    return p.partials + (first_part + head * p.max_splits + part) * (D + 2);
  };
  // Of its elements each has the same k % 64.
  static_assert(kWarps * 32 % 64 == 0 && D % 64 == 0);
  std::byte* const out =
      p.out.data + p.out.to_row(slice.first_row) + p.out.to_k(slice.first_row, threadIdx.x % 64);
  const auto store = [&](int i, float value) {
    const int of_64 = kv_head * p.group * (D / 64) + i / 64;
    *reinterpret_cast<__nv_bfloat16*>(out + of_64 * p.out.a_step()) = __float2bfloat16(value);
  };
  for (int i = threadIdx.x; i < p.group * D; i += kWarps * 32) {
    const int head = i / D, d = i % D;
    float value = 0;
#pragma unroll
    for (int w = 0; w < kWarps; ++w)
      if (w < working) value += shared.weight[w][head] * shared.warps[w].out[head][d];
    if (splits == 1) {
      store(i, value);
      continue;
    }
    // A part is kept with its maximum and sum.
    float* mine = part_of(head, split);
    mine[2 + d] = value * shared.all_total[head];
    if (d == 0) {
      mine[0] = shared.all_largest[head];
      mine[1] = shared.all_total[head];
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
    store(i, combine(splits, part));
  }
}

template <int D, KvFormat kFormat, int kWarps>
void launch_warps(const Launcher& launch, const AttentionView& view, int decodes, int max_context) {
  constexpr std::size_t bytes = sizeof(Shared<D, kFormat, kWarps>);
  allow_shared_memory<decode_attention<D, kFormat, kWarps>, bytes>();
  launch(decode_attention<D, kFormat, kWarps>, dim3(splits_of(max_context), view.kv.kv_heads, decodes),
         dim3(kWarps * 32), bytes, view);
}

template <int D, KvFormat kFormat>
void launch_for(const Launcher& launch, const AttentionView& view, int decodes, int max_context) {
  // (sequence, KV head) pairs an SM; the limits are what bench/kernels/cuda_layer.cc found on an H200.
  const int pairs = decodes * view.kv.kv_heads / launch.multiprocessors;
  if (launch.same_in_any_batch || pairs < 2)
    return launch_warps<D, kFormat, 8>(launch, view, decodes, max_context);
  if (pairs < 4) return launch_warps<D, kFormat, 4>(launch, view, decodes, max_context);
  return launch_warps<D, kFormat, 2>(launch, view, decodes, max_context);
}

}  // namespace

void launch_decode_attention(const Launcher& launch, const AttentionView& view, int decodes,
                             int max_context) {
  dispatch_kv(view.kv, [&](auto head_dim, auto format) {
    launch_for<decltype(head_dim)::value, decltype(format)::value>(launch, view, decodes, max_context);
  });
}

}  // namespace pagoda::kernels::cuda
