// Attention of prompts: rope_and_write first brings q, k and v in order and into the cache, then each warp
// takes 16 rows, which are (query, head of the group) pairs of one KV head, over all pages before them. The
// four warps of a block hold neighbouring queries: they fetch the pages for each other, some ahead, to shared
// memory.

#include "kernels/cuda/attention.cuh"
#include "kernels/cuda/rope.cuh"

namespace pagoda::kernels::cuda {
namespace {

constexpr int kWarps = 4;

// One warp a (token, head): q heads in place, k and v heads to the cache.
template <int D, KvFormat kFormat>
__global__ void rope_and_write(const __grid_constant__ AttentionView p, int first_slice) {
  wait_for_previous();
  let_next_start();
  const int lane = threadIdx.x % 32, head = blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
  const SequenceSlice slice = p.slices[first_slice + blockIdx.z];
  const int heads = p.heads + 2 * p.kv.kv_heads;
  if (head >= heads || static_cast<int>(blockIdx.y) >= slice.num_queries) return;
  const int row = slice.first_row + blockIdx.y, position = slice.context - slice.num_queries + blockIdx.y;
  float* x_row = p.qkv + row * p.qkv_stride + head * D;
  float x[D / 32];
  load_head<D>(x_row, lane, x);
  RopeValues<D> values;
  values.fetch(p.rope, position, lane);
  if (head < p.heads) {
    rotate_and_norm<D>(p.rope, values, /*key=*/false, x);
    for (int i = 0; i < D / 32; ++i) x_row[lane + 32 * i] = x[i];
    return;
  }
  const bool value = head >= p.heads + p.kv.kv_heads;
  const int kv_head = (head - p.heads) % p.kv.kv_heads, token = position % kPageTokens;
  if (!value) rotate_and_norm<D>(p.rope, values, /*key=*/true, x);
  write_head<D, kFormat>(p.kv.page(slice.block_table, position / kPageTokens, kv_head, value), value, token,
                         lane, x);
}

constexpr int kPagesAhead = 4;
template <int D, KvFormat kFormat>
constexpr std::size_t kRingBytes = kPagesAhead * 2 * kv_page_bytes(kFormat, D);  // K and V of each

template <int D, KvFormat kFormat>
__global__ __launch_bounds__(kWarps * 32) void prefill_attention(const __grid_constant__ AttentionView p,
                                                                 int first_slice) {
  constexpr int kPageBytes = kv_page_bytes(kFormat, D);
  extern __shared__ __align__(16) std::byte ring[];
  wait_for_previous();
  let_next_start();
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
  const SequenceSlice slice = p.slices[first_slice + blockIdx.z];
  const int kv_head = blockIdx.y, queries_a_warp = 16 / p.group;
  // The last queries have the longest way: they start first.
  const int first_of_block = (gridDim.x - 1 - blockIdx.x) * kWarps * queries_a_warp;
  const int first_query = first_of_block + warp * queries_a_warp;
  if (first_of_block >= slice.num_queries) return;
  const auto pages_of = [&](int end_query) {
    return (slice.context - slice.num_queries + min(end_query, slice.num_queries) - 1) / kPageTokens + 1;
  };
  const int pages = first_query < slice.num_queries ? pages_of(first_query + queries_a_warp) : 0;
  const int pages_of_block = pages_of(first_of_block + kWarps * queries_a_warp);
  const auto copy_page = [&](int page) {
    if (page < pages_of_block)
      for (int value = 0; value < 2; ++value) {
        const std::byte* from = p.kv.page(slice.block_table, page, kv_head, value);
        std::byte* to = ring + (page % kPagesAhead * 2 + value) * kPageBytes;
        for (int i = threadIdx.x * 16; i < kPageBytes; i += kWarps * 32 * 16)
          stream_16_async(to + i, from + i);
      }
    copies_close();
  };
  for (int page = 0; page < kPagesAhead - 1; ++page) copy_page(page);

  const float* heads[2];  // of rows g and g + 8
  int positions[2], rows[2];
  for (int r = 0; r < 2; ++r) {
    const int query = min(first_query + (g + 8 * r) / p.group, slice.num_queries - 1);
    rows[r] = slice.first_row + query;
    positions[r] = slice.context - slice.num_queries + query;
    heads[r] = p.qkv + rows[r] * p.qkv_stride + (kv_head * p.group + (g + 8 * r) % p.group) * D;
  }
  std::uint32_t q[D / 16][4];
  for (int s = 0; s < D / 16; ++s)
    for (int e = 0; e < 4; ++e) {
      const float* x = heads[e % 2] + s * 16 + 2 * c + (e >= 2 ? 8 : 0);
      q[s][e] = pack_bf16(x[0] * p.scale_log2, x[1] * p.scale_log2);
    }
  RowState<D, 2> state;
  for (int page = 0; page < pages_of_block; ++page) {
    copies_wait<kPagesAhead - 2>();
    __syncthreads();  // the page is there, and all are done with the one before, whose place the next takes
    copy_page(page + kPagesAhead - 1);
    if (page >= pages) continue;
    const int visible[2] = {positions[0] + 1 - page * kPageTokens, positions[1] + 1 - page * kPageTokens};
    const std::byte* keys = ring + page % kPagesAhead * 2 * kPageBytes;
    attend_page<D, kFormat, 2>(q, keys, keys + kPageBytes, visible, slice.context - page * kPageTokens, lane,
                               state);
  }
  for (int r = 0; r < 2; ++r) {
    if (first_query + (g + 8 * r) / p.group >= slice.num_queries) continue;
    __nv_bfloat16* out = p.out + rows[r] * p.out_stride + (kv_head * p.group + (g + 8 * r) % p.group) * D;
    const float inverse = 1.0f / state.total[r];
    for (int d = 0; d < D / 8; ++d)
      *reinterpret_cast<std::uint32_t*>(out + d * 8 + 2 * c) =
          pack_bf16(state.out[d][2 * r] * inverse, state.out[d][2 * r + 1] * inverse);
  }
}

template <int D, KvFormat kFormat>
void rope_for(const Launcher& launch, const AttentionView& view, int first_slice, int slices,
              int max_queries) {
  constexpr int kRopeWarps = 8;
  const int heads = view.heads + 2 * view.kv.kv_heads;
  launch(rope_and_write<D, kFormat>, dim3((heads + kRopeWarps - 1) / kRopeWarps, max_queries, slices),
         dim3(kRopeWarps * 32), 0, view, first_slice);
}

template <int D, KvFormat kFormat>
void attention_for(const Launcher& launch, const AttentionView& view, int first_slice, int slices,
                   int max_queries) {
  allow_shared_memory<prefill_attention<D, kFormat>, kRingBytes<D, kFormat>>();
  const int queries_a_block = kWarps * (16 / view.group);
  launch(prefill_attention<D, kFormat>,
         dim3((max_queries + queries_a_block - 1) / queries_a_block, view.kv.kv_heads, slices),
         dim3(kWarps * 32), kRingBytes<D, kFormat>, view, first_slice);
}

}  // namespace

void launch_rope_and_write(const Launcher& launch, const AttentionView& view, int first_slice, int slices,
                           int max_queries) {
  dispatch_kv(view.kv, [&](auto head_dim, auto format) {
    rope_for<decltype(head_dim)::value, decltype(format)::value>(launch, view, first_slice, slices,
                                                                 max_queries);
  });
}

void launch_prefill_attention(const Launcher& launch, const AttentionView& view, int first_slice, int slices,
                              int max_queries) {
  dispatch_kv(view.kv, [&](auto head_dim, auto format) {
    attention_for<decltype(head_dim)::value, decltype(format)::value>(launch, view, first_slice, slices,
                                                                      max_queries);
  });
}

}  // namespace pagoda::kernels::cuda
