// Attention of sequences with one new token: rotates and norms its q and k, writes k and v to the cache,
// attends. A block is one (sequence, KV head, part of the context); the query heads of the group are the rows
// of one tensor core tile, so K and V are read once for all of them. The warps take pages in turn, two in one
// step, and meet in shared memory. Contexts over kSplitPages pages are cut into parts; the block that arrives
// last adds the parts up, in order. The order of additions depends on the context and on the warps of a block
// alone.
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

constexpr int kStepPages = 2;  // that a warp fetches, and attends, together

template <int D, KvFormat kFormat, int kWarps>
struct Shared {
  // A warp's pages, K and V of each; afterwards its sums, whose rows fall on different banks.
  union Warp {
    std::byte pages[kStepPages][2][kv_page_bytes(kFormat, D)];
    float out[kMaxGroup][D + 8];
  };
  alignas(16) Warp warps[kWarps];
  alignas(16) __nv_bfloat16 q[kMaxGroup][D + 8];
  alignas(16) float largest[kMaxGroup][kWarps], total[kMaxGroup][kWarps];
  float fresh[2][D];  // the new token's key and value
  bool last;
};

// The new token's heads: q goes to shared memory as bf16, k and v to the cache and to shared memory. A head a
// warp at a time, all of a warp's fetched before the first is worked on.
template <int D, KvFormat kFormat, int kWarps>
struct NewToken {
  static constexpr int kMine = (kMaxGroup + 2 + kWarps - 1) / kWarps;
  int heads, key;  // heads from `key` on are k and v, which only the last part of a context has
  int warp, lane;
  const float* at[kMine];
  RopeValues<D> rope;
  float x[kMine][D / 32];

  __device__ __forceinline__ NewToken(int of_warp, int of_lane) : warp(of_warp), lane(of_lane) {}

  template <typename Work>
  __device__ __forceinline__ void for_mine(Work work) const {
#pragma unroll
    for (int i = 0; i < kMine; ++i) {
      const int head = warp + i * kWarps;
      if (head >= heads) break;
      work(i, head);
    }
  }

  // What does not wait for the projection.
  __device__ __forceinline__ void prepare(const AttentionView& p, const SequenceSlice& slice, int kv_head,
                                          bool has_last) {
    key = p.group;
    heads = has_last ? p.group + 2 : p.group;
    rope.fetch(p.rope, slice.context - 1, lane);
    const float* row = p.qkv + slice.first_row * p.qkv_stride;
    for_mine([&](int i, int head) {
      const int of_row = head < key    ? kv_head * p.group + head
                         : head == key ? p.heads + kv_head
                                       : p.heads + p.kv.kv_heads + kv_head;
      at[i] = row + of_row * D;
    });
  }
  __device__ __forceinline__ void fetch() {
    for_mine([&](int i, int) { load_head<D>(at[i], lane, x[i]); });
  }
  template <typename Memory>
  __device__ __forceinline__ void share(const AttentionView& p, Memory& shared) {
    for_mine([&](int i, int head) {
      if (head <= key) rotate_and_norm<D>(p.rope, rope, head == key, x[i]);
      for (int d = 0; d < D / 32; ++d) {
        if (head < key)
          shared.q[head][lane + 32 * d] = __float2bfloat16(x[i][d] * p.scale_log2);
        else
          shared.fresh[head - key][lane + 32 * d] = x[i][d];
      }
    });
  }
  // To the cache: only the next step reads it there.
  __device__ __forceinline__ void keep(const AttentionView& p, const SequenceSlice& slice,
                                       int kv_head) const {
    const int position = slice.context - 1;
    for_mine([&](int i, int head) {
      if (head < key) return;
      write_head<D, kFormat>(p.kv.page(slice.block_table, position / kPageTokens, kv_head, head > key),
                             head > key, position % kPageTokens, lane, x[i]);
    });
  }
};

// What the warps' sums of a head count in the result, relative to the largest score of all.
template <int kWarps>
struct WarpWeights {
  float of[kWarps], largest = -INFINITY, total = 0;

  __device__ __forceinline__ WarpWeights(const float (&of_warps)[kWarps], const float (&totals)[kWarps]) {
#pragma unroll
    for (int w = 0; w < kWarps; ++w) of[w] = of_warps[w];
#pragma unroll
    for (int w = 0; w < kWarps; ++w) largest = fmaxf(largest, of[w]);
#pragma unroll
    for (int w = 0; w < kWarps; ++w) {
      of[w] = power_of_2(of[w] - largest);
      total += of[w] * totals[w];
    }
  }
};

// Adds up the parts of a pair of dims: parts are (maximum, sum, values) relative to their maxima.
template <typename Part>
__device__ float2 combine(int parts, Part part) {
  float largest = -INFINITY;
  for (int i = 0; i < parts; ++i) largest = fmaxf(largest, part(i, 0).x);
  float total = 0;
  float2 value = {0, 0};
  for (int i = 0; i < parts; ++i) {
    const float2 of = part(i, 0), values = part(i, 1);
    const float weight = power_of_2(of.x - largest);
    total += weight * of.y;
    value.x += weight * values.x;
    value.y += weight * values.y;
  }
  return {value.x / total, value.y / total};
}

template <int D, KvFormat kFormat, int kWarps>
__global__ __launch_bounds__(kWarps * 32, kWarps == 8 ? 1 : 12 / kWarps) void decode_attention(
    const __grid_constant__ AttentionView p) {
  using Memory = Shared<D, kFormat, kWarps>;
  // Every page of a part is under way at once, and registers are free.
  constexpr bool kOneStep = kWarps * kStepPages >= kSplitPages;
  extern __shared__ __align__(16) unsigned char raw[];
  auto& shared = *reinterpret_cast<Memory*>(raw);
  const int split = blockIdx.x, kv_head = blockIdx.y, sequence = blockIdx.z;
  const int warp = warp_index(), lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
  // The slices came before the step, and pages of earlier tokens before it too: they are fetched while the
  // projection that makes q, k and v ends.
  const bool knows_blocks = kOneStep && p.first_blocks != nullptr && split == 0;
  static_assert(kSplitPages <= kFirstBlocks);
  std::int32_t blocks[kStepPages];  // of the warp's first pages
#pragma unroll
  for (int i = 0; i < kStepPages; ++i)
    if (knows_blocks) blocks[i] = p.first_blocks[sequence * kFirstBlocks + p.kv.block_of(warp + i * kWarps)];
  const SequenceSlice slice = p.slices[sequence];
  const int pages = (slice.context + kPageTokens - 1) / kPageTokens;
  const int splits = (pages + kSplitPages - 1) / kSplitPages;
  const int first_page = split * kSplitPages + warp, last = min((split + 1) * kSplitPages, pages);
  auto& mine = shared.warps[warp];
  const auto copy_page = [&](std::int32_t block, int page, int slot) {
#pragma unroll 1
    for (int value = 0; value < 2; ++value)
      stream_page<32, kv_page_bytes(kFormat, D)>(mine.pages[slot][value],
                                                 p.kv.page_of(block, page, kv_head, value), lane);
  };
#pragma unroll
  for (int i = 0; i < kStepPages; ++i) {
    const int page = first_page + i * kWarps;
    if (page < last) {
      if (!knows_blocks) blocks[i] = slice.block_table[p.kv.block_of(page)];
      copy_page(blocks[i], page, i);
    }
  }
  copies_close();
  for (int i = threadIdx.x; i < static_cast<int>(sizeof(shared.q) / 16); i += kWarps * 32)
    reinterpret_cast<uint4*>(shared.q)[i] = {};
  // Of its pairs of elements each has the same k % 64.
  std::byte* out = p.out.data + p.out.to_row(slice.first_row) + p.out.to_k(slice.first_row, 2 * lane);
  // Context 0: a row that only fills up a graph's batch.
  const bool works = split < splits && slice.context > 0;
  NewToken<D, kFormat, kWarps> fresh(warp, lane);
  if constexpr (kOneStep) {
    if (works) fresh.prepare(p, slice, kv_head, last == pages);
    work_out(out);
  }
  wait_for_previous();
  let_next_start();
  if (!works) {
    copies_wait<0>();
    return;
  }
  if constexpr (!kOneStep) fresh.prepare(p, slice, kv_head, last == pages);
  fresh.fetch();
  __syncthreads();
  fresh.share(p, shared);
  if constexpr (!kOneStep) fresh.keep(p, slice, kv_head);
  __syncthreads();

  std::uint32_t q[D / 32][4];  // of 32 dims each
#pragma unroll
  for (int s = 0; s < D / 32; ++s) load_matrices(&shared.q[lane % 8][s * 32 + lane / 8 * 8], q[s]);
  RowState<D> state;
  const std::byte* step[kStepPages][2];
  for (int i = 0; i < kStepPages; ++i)
    for (int value = 0; value < 2; ++value) step[i][value] = mine.pages[i][value];
  const int end = min(slice.context, last * kPageTokens);  // of the part's tokens
  for (int page = first_page; page < last; page += kStepPages * kWarps) {
    copies_wait<0>();
    __syncwarp();
    // In memory the new token may be missing yet: it comes from where it was made.
    if (const int of_last = pages - 1 - page;
        last == pages && of_last % kWarps == 0 && of_last < kStepPages * kWarps) {
      for (int value = 0; value < 2; ++value) {
        float x[D / 32];
        for (int d = 0; d < D / 32; ++d) x[d] = shared.fresh[value][lane + 32 * d];
        write_head<D, kFormat>(mine.pages[of_last / kWarps][value], value == 1,
                               (slice.context - 1) % kPageTokens, lane, x);
      }
      __syncwarp();
    }
    attend_pages<D, kFormat, kStepPages, kWarps * kPageTokens>(q, step, end - page * kPageTokens, lane,
                                                               state);
    if constexpr (kOneStep) break;
    __syncwarp();
    for (int i = 0; i < kStepPages; ++i) {
      const int next = page + (kStepPages + i) * kWarps;
      if (next < last) copy_page(slice.block_table[p.kv.block_of(next)], next, i);
    }
    copies_close();
  }
  copies_wait<0>();
  __syncwarp();
  const float total = over_quad(state.total, Sum());
  if (g < p.group) {
    for (int d = 0; d < D / 8; ++d)
      *reinterpret_cast<float2*>(&mine.out[g][d * 8 + 2 * c]) = {state.out[d][0], state.out[d][1]};
    if (c == 0) {
      shared.largest[g][warp] = state.largest;
      shared.total[g][warp] = total;
    }
  }
  __syncthreads();

  const std::int64_t first_part =
      (static_cast<std::int64_t>(sequence) * p.heads + kv_head * p.group) * p.max_splits;
  const auto part_of = [&](int head, int part) {
    return p.partials + (first_part + head * p.max_splits + part) * (D + 2);
  };
  const auto store = [&](int i, float2 value) {
    const int of_64 = kv_head * p.group * (D / 64) + i / 64;
    *reinterpret_cast<std::uint32_t*>(out + of_64 * p.out.a_step()) = pack_bf16(value.x, value.y);
  };
  constexpr int kTurn = kWarps * 64;
  for (int i = 2 * threadIdx.x; i < p.group * D; i += kTurn) {
    const int head = i / D, d = i % D;
    const WarpWeights<kWarps> weights(shared.largest[head], shared.total[head]);
    float2 value = {0, 0};
#pragma unroll
    for (int w = 0; w < kWarps; ++w) {
      const float2 of_warp = *reinterpret_cast<const float2*>(&shared.warps[w].out[head][d]);
      value.x += weights.of[w] * of_warp.x;
      value.y += weights.of[w] * of_warp.y;
    }
    if (splits == 1) {
      const float inverse = __fdividef(1.0f, weights.total);
      store(i, {value.x * inverse, value.y * inverse});
      continue;
    }
    float* part = part_of(head, split);
    *reinterpret_cast<float2*>(part + 2 + d) = value;
    if (d == 0) *reinterpret_cast<float2*>(part) = {weights.largest, weights.total};
  }
  if constexpr (kOneStep) fresh.keep(p, slice, kv_head);
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
  for (int i = 2 * threadIdx.x; i < p.group * D; i += kTurn) {
    const int head = i / D, d = i % D;
    store(i, combine(splits, [&](int s, int values) {
            return __ldcg(reinterpret_cast<const float2*>(part_of(head, s) + (values ? 2 + d : 0)));
          }));
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
  // (sequence, KV head) pairs an SM; the limits are what bench/kernels/cuda_layer.cc found on an H200. Not
  // every GPU gives a block the shared memory that more warps want.
  const int pairs = decodes * view.kv.kv_heads / launch.multiprocessors;
  const bool always = launch.same_in_any_batch;
  if ((always || pairs < 1) && sizeof(Shared<D, kFormat, 8>) <= launch.block_shared_bytes)
    return launch_warps<D, kFormat, 8>(launch, view, decodes, max_context);
  if (!always && pairs < 2 && sizeof(Shared<D, kFormat, 6>) <= launch.block_shared_bytes)
    return launch_warps<D, kFormat, 6>(launch, view, decodes, max_context);
  if (always || pairs < 2) return launch_warps<D, kFormat, 4>(launch, view, decodes, max_context);
  if (pairs < 4) return launch_warps<D, kFormat, 3>(launch, view, decodes, max_context);
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
