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
  __nv_bfloat16 q[kMaxGroup][D + 8];
  float largest[kWarps][kMaxGroup], total[kWarps][kMaxGroup];
  bool last;
};

// The new token's q heads go to shared memory as bf16, its k and v to the cache: a head a warp at a time, all
// of a warp's fetched before the first is worked on.
template <int D, KvFormat kFormat, int kWarps>
__device__ void prepare(const AttentionView& p, const SequenceSlice& slice, int kv_head, bool writes,
                        int warp, int lane, __nv_bfloat16 (*q)[D + 8]) {
  constexpr int kMine = (kMaxGroup + 2 + kWarps - 1) / kWarps;
  const int position = slice.context - 1, key = p.group, heads = writes ? p.group + 2 : p.group;
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
    if (head < key)
      for (int d = 0; d < D / 32; ++d) q[head][lane + 32 * d] = __float2bfloat16(x[i][d] * p.scale_log2);
    else
      write_head<D, kFormat>(p.kv.page(slice.block_table, position / kPageTokens, kv_head, head > key),
                             head > key, position % kPageTokens, lane, x[i]);
  }
}

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

template <int D, KvFormat kFormat, int kWarps>
__global__ __launch_bounds__(kWarps * 32,
                             16 / kWarps) void decode_attention(const __grid_constant__ AttentionView p) {
  using Memory = Shared<D, kFormat, kWarps>;
  extern __shared__ __align__(16) unsigned char raw[];
  auto& shared = *reinterpret_cast<Memory*>(raw);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
  const int split = blockIdx.x, kv_head = blockIdx.y, sequence = blockIdx.z;
  // The slices came before the step, and pages of earlier tokens before it too: they are fetched while the
  // projection that makes q, k and v ends.
  const SequenceSlice slice = p.slices[sequence];
  const int pages = (slice.context + kPageTokens - 1) / kPageTokens;
  const int splits = (pages + kSplitPages - 1) / kSplitPages;
  const int first_page = split * kSplitPages + warp, last = min((split + 1) * kSplitPages, pages);
  typename Memory::Warp& mine = shared.warps[warp];
  const auto copy_page = [&](int page, int slot) {
    for (int value = 0; value < 2; ++value) {
      const std::byte* from = p.kv.page(slice.block_table, page, kv_head, value);
      for (int i = lane * 16; i < Memory::kPageBytes; i += 32 * 16)
        stream_16_async(&mine.pages[slot][value][i], from + i);
    }
  };
  for (int i = 0; i < Memory::kPagesAhead; ++i) {
    const int page = first_page + i * kWarps;
    if (page < last && page != pages - 1) copy_page(page, i);
    copies_close();
  }
  wait_for_previous();
  let_next_start();
  if (split >= splits || slice.context == 0) {  // context 0: a row that only fills up a graph's batch
    copies_wait<0>();
    return;
  }

  for (int i = threadIdx.x; i < kMaxGroup * (D + 8); i += kWarps * 32)
    (&shared.q[0][0])[i] = __float2bfloat16(0.0f);
  __syncthreads();
  prepare<D, kFormat, kWarps>(p, slice, kv_head, split == splits - 1, warp, lane, shared.q);
  __syncthreads();
  // The new token's page is written only now. It is the last of its warp.
  for (int i = 0; i < Memory::kPagesAhead; ++i)
    if (first_page + i * kWarps == pages - 1 && pages - 1 < last) copy_page(pages - 1, i);
  copies_close();

  std::uint32_t q[D / 16][2];
  for (int s = 0; s < D / 16; ++s) {
    q[s][0] = *reinterpret_cast<const std::uint32_t*>(&shared.q[g][s * 16 + 2 * c]);
    q[s][1] = *reinterpret_cast<const std::uint32_t*>(&shared.q[g][s * 16 + 2 * c + 8]);
  }
  RowState<D, 1> state;
  int slot = 0;
  for (int page = first_page; page < last; page += kWarps) {
    if (page == pages - 1)
      copies_wait<0>();
    else
      copies_wait<Memory::kPagesAhead - 1>();
    __syncwarp();
    const int written = slice.context - page * kPageTokens;
    const int visible[1] = {written};
    attend_page<D, kFormat, 1>(q, mine.pages[slot][0], mine.pages[slot][1], visible, written, lane, state);
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
      return what == 0   ? shared.largest[w][head]
             : what == 1 ? shared.total[w][head]
                         : shared.warps[w].out[head][d];
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
