// Keys and values of prompts to the cache, keys rotated and normed, and queries where attention does not do
// that itself.

#include "kernels/cuda/kv_format.cuh"
#include "kernels/cuda/rope.cuh"

namespace pagoda::kernels::cuda {
namespace {

// One warp a (token, head), from first_head on: q heads in place, k and v heads to the cache.
template <int D, KvFormat kFormat>
__global__ void rope_and_write(const __grid_constant__ AttentionView p, int first_slice, int first_head) {
  wait_for_previous();
  let_next_start();
  const int lane = threadIdx.x % 32;
  const int head = first_head + blockIdx.x * (blockDim.x / 32) + threadIdx.x / 32;
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

template <int D, KvFormat kFormat>
void rope_for(const Launcher& launch, const AttentionView& view, int first_slice, int slices, int max_queries,
              bool queries) {
  constexpr int kRopeWarps = 8;
  const int first_head = queries ? 0 : view.heads, heads = view.heads + 2 * view.kv.kv_heads - first_head;
  launch(rope_and_write<D, kFormat>, dim3((heads + kRopeWarps - 1) / kRopeWarps, max_queries, slices),
         dim3(kRopeWarps * 32), 0, view, first_slice, first_head);
}

}  // namespace

void launch_rope_and_write(const Launcher& launch, const AttentionView& view, int first_slice, int slices,
                           int max_queries, bool queries) {
  dispatch_kv(view.kv, [&](auto head_dim, auto format) {
    rope_for<decltype(head_dim)::value, decltype(format)::value>(launch, view, first_slice, slices,
                                                                 max_queries, queries);
  });
}

}  // namespace pagoda::kernels::cuda
