// Attention of prompts, whose keys and values are in the cache already (rope_and_write.cu): each warp takes
// 32 rows, which are (query, head of the group) pairs of one KV head, over all pages before them. The four
// warps of a block hold neighbouring queries: they fetch the pages for each other, some ahead, to shared
// memory.

#include "kernels/cuda/attention.cuh"

namespace pagoda::kernels::cuda {
namespace {

constexpr int kWarps = 4;

// Rows and tokens that a warp works on at a time: 32 of each make two products of every fragment it reads.
constexpr int kRowTiles = 2, kTilePages = 2, kTileTokens = kTilePages * kPageTokens, kStages = 3;

// Dynamic shared memory: the queries of each warp as A fragments, then tiles of pages, K and V of each.
template <int D>
constexpr int kQueryWords = kRowTiles*(D / 16) * 32;  // a warp's, of 16 bytes
template <int D, KvFormat kFormat>
constexpr int kTileBytes = kTilePages * 2 * kv_page_bytes(kFormat, D);
template <int D, KvFormat kFormat>
constexpr std::size_t kPrefillBytes = kWarps* kQueryWords<D> * 16 + kStages* kTileBytes<D, kFormat>;

// One query of one head, rotated, normed and scaled, as the lanes of a quad hold a row of an A fragment:
// words[s] are dims 16 s + 2c, 2c + 1 and those 8 further.
template <int D>
__device__ __forceinline__ void load_query(const AttentionView& p, const float* head, int position, int c,
                                           std::uint32_t (&words)[D / 16][2]) {
  constexpr int kSteps = D / 16, kHalf = kSteps / 2;
  float2 x[kSteps][2];
  for (int s = 0; s < kSteps; ++s)
    for (int h = 0; h < 2; ++h) x[s][h] = *reinterpret_cast<const float2*>(head + s * 16 + 2 * c + 8 * h);
  if (p.rope.cos != nullptr) {
    const std::int64_t row = static_cast<std::int64_t>(position) * (D / 2) + 2 * c;
    float squares = 0;
    for (int s = 0; s < kHalf; ++s)
      for (int h = 0; h < 2; ++h) {
        const float2 cos = *reinterpret_cast<const float2*>(p.rope.cos + row + s * 16 + 8 * h);
        const float2 sin = *reinterpret_cast<const float2*>(p.rope.sin + row + s * 16 + 8 * h);
        float2 &low = x[s][h], &high = x[s + kHalf][h];
        const float2 a = low, b = high;
        low = {a.x * cos.x - b.x * sin.x, a.y * cos.y - b.y * sin.y};
        high = {b.x * cos.x + a.x * sin.x, b.y * cos.y + a.y * sin.y};
        squares += low.x * low.x + low.y * low.y + high.x * high.x + high.y * high.y;
      }
    if (p.rope.q_norm != nullptr) {
      const float inverse = rsqrtf(over_quad(squares, Sum()) / D + p.rope.eps);
      for (int s = 0; s < kSteps; ++s)
        for (int h = 0; h < 2; ++h) {
          const float2 norm = *reinterpret_cast<const float2*>(p.rope.q_norm + s * 16 + 2 * c + 8 * h);
          x[s][h].x *= inverse * norm.x;
          x[s][h].y *= inverse * norm.y;
        }
    }
  }
  for (int s = 0; s < kSteps; ++s)
    for (int h = 0; h < 2; ++h) words[s][h] = pack_bf16(x[s][h].x * p.scale_log2, x[s][h].y * p.scale_log2);
}

// Online softmax of a warp's rows: lane (g, c) holds rows 16 m + g + 8 r.
template <int D>
struct Rows {
  float out[kRowTiles][D / 8][4] = {};
  float largest[kRowTiles][2];
  float total[kRowTiles][2] = {};  // of this lane's tokens
  __device__ Rows() {
    for (auto& of_tile : largest) of_tile[0] = of_tile[1] = -INFINITY;
  }
};

// score = q k^T of a tile. `tile`: pages of K and V; `query`: the warp's fragments, at this lane's.
template <int D, KvFormat kFormat>
__device__ __forceinline__ void multiply_keys(const uint4* query, const std::byte* tile, int lane,
                                              float (&score)[kRowTiles][2 * kTilePages][4]) {
#pragma unroll
  for (int s = 0; s < D / 32; ++s) {
    uint4 q[kRowTiles][2];
    for (int m = 0; m < kRowTiles; ++m)
      for (int h = 0; h < 2; ++h) q[m][h] = query[(m * (D / 16) + 2 * s + h) * 32];
#pragma unroll
    for (int page = 0; page < kTilePages; ++page) {
      const std::byte* keys = tile + page * 2 * kv_page_bytes(kFormat, D);
      uint4 k[2];
      for (int t = 0; t < 2; ++t) k[t] = load_fragment<kFormat>(keys, ((t * (D / 32) + s) * 32 + lane) * 8);
      for (int h = 0; h < 2; ++h)  // products that need one another are as far apart as can be
        for (int t = 0; t < 2; ++t)
          for (int m = 0; m < kRowTiles; ++m)
            mma_bf16(score[m][2 * page + t], q[m][h], h == 0 ? k[t].x : k[t].z, h == 0 ? k[t].y : k[t].w);
    }
  }
}

// Scores to probabilities, as A fragments of each page, times the scales of V. Of the tile's tokens,
// `visible[m][r]` count for a row.
template <int D, KvFormat kFormat>
__device__ __forceinline__ void weigh(float (&score)[kRowTiles][2 * kTilePages][4], const std::byte* tile,
                                      const int (&visible)[kRowTiles][2], bool all_visible, int present,
                                      int c, Rows<D>& rows, std::uint32_t (&p)[kRowTiles][kTilePages][4]) {
  constexpr int kPageBytes = kv_page_bytes(kFormat, D);
  if constexpr (kFormat != KvFormat::kBF16) {
#pragma unroll
    for (int t = 0; t < 2 * kTilePages; ++t) {
      const float2 scale = load_scales<D, kFormat>(tile + t / 2 * 2 * kPageBytes, c).of[t % 2];
      for (int m = 0; m < kRowTiles; ++m)
        for (int e = 0; e < 4; ++e) score[m][t][e] *= e % 2 == 0 ? scale.x : scale.y;
    }
  }
  if (!all_visible)
#pragma unroll
    for (int m = 0; m < kRowTiles; ++m)
      for (int t = 0; t < 2 * kTilePages; ++t)
        for (int e = 0; e < 4; ++e)
          if (t * 8 + 2 * c + e % 2 >= visible[m][e / 2]) score[m][t][e] = -INFINITY;
#pragma unroll
  for (int m = 0; m < kRowTiles; ++m) {
    float decay[2];
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      float largest = rows.largest[m][r];
#pragma unroll
      for (int t = 0; t < 2 * kTilePages; ++t)
        for (int e = 0; e < 2; ++e) largest = fmaxf(largest, score[m][t][2 * r + e]);
      largest = over_quad(largest, Maximum());
      const float base = largest == -INFINITY ? 0.0f : largest;  // a row that sees nothing yet
      decay[r] = power_of_2(rows.largest[m][r] - base);
      rows.largest[m][r] = largest;
      float total = 0;
#pragma unroll
      for (int t = 0; t < 2 * kTilePages; ++t)
        for (int e = 0; e < 2; ++e)
          total += score[m][t][2 * r + e] = power_of_2(score[m][t][2 * r + e] - base);
      rows.total[m][r] = rows.total[m][r] * decay[r] + total;
    }
    if (__any_sync(0xffffffffu, decay[0] != 1 || decay[1] != 1)) {
#pragma unroll
      for (int d = 0; d < D / 8; ++d)
        for (int e = 0; e < 4; ++e) rows.out[m][d][e] *= decay[e / 2];
    }
  }
#pragma unroll
  for (int t = 0; t < 2 * kTilePages; ++t) {
    float2 scale = {1, 1};
    if constexpr (kFormat != KvFormat::kBF16) {
      scale = load_scales<D, kFormat>(tile + (t / 2 * 2 + 1) * kPageBytes, c).of[t % 2];
      if (t * 8 + 2 * c >= present) scale.x = 0;
      if (t * 8 + 2 * c + 1 >= present) scale.y = 0;
    }
    for (int m = 0; m < kRowTiles; ++m)
      for (int r = 0; r < 2; ++r)
        p[m][t / 2][2 * (t % 2) + r] =
            pack_bf16(score[m][t][2 * r] * scale.x, score[m][t][2 * r + 1] * scale.y);
  }
}

// out += p V. Tokens from `present` on may be anything, NaN included, and probability 0 would not hide that;
// kWhole: there are none.
template <int D, KvFormat kFormat, bool kWhole>
__device__ __forceinline__ void multiply_values(const std::uint32_t (&p)[kRowTiles][kTilePages][4],
                                                const std::byte* tile, int present, int lane, Rows<D>& rows) {
  const int c = lane % 4;
#pragma unroll
  for (int page = 0; page < kTilePages; ++page) {
    const std::byte* values = tile + (page * 2 + 1) * kv_page_bytes(kFormat, D);
    const int left = present - page * kPageTokens - 2 * c;
#pragma unroll
    for (int s = 0; s < D / 16; ++s) {
      uint4 v = load_fragment<kFormat>(values, (s * 32 + lane) * 8);
      if constexpr (!kWhole)
        v = {existing(v.x, left), existing(v.y, left - 8), existing(v.z, left), existing(v.w, left - 8)};
      for (int m = 0; m < kRowTiles; ++m) mma_bf16(rows.out[m][2 * s], p[m][page], v.x, v.y);
      for (int m = 0; m < kRowTiles; ++m) mma_bf16(rows.out[m][2 * s + 1], p[m][page], v.z, v.w);
    }
  }
}

template <int D, KvFormat kFormat>
__global__ __launch_bounds__(kWarps * 32, 2) void prefill_attention(const __grid_constant__ AttentionView p,
                                                                    int first_slice) {
  constexpr int kPageBytes = kv_page_bytes(kFormat, D);
  extern __shared__ __align__(16) std::byte shared[];
  std::byte* const ring = shared + kWarps * kQueryWords<D> * 16;
  wait_for_previous();
  let_next_start();
  const int warp = warp_index(), lane = threadIdx.x % 32, g = lane / 4, c = lane % 4;
  const SequenceSlice slice = p.slices[first_slice + blockIdx.z];
  const int kv_head = blockIdx.y, queries_a_warp = kRowTiles * 16 / p.group;
  // The last queries have the longest way: they start first.
  const int first_of_block = (gridDim.x - 1 - blockIdx.x) * kWarps * queries_a_warp;
  if (first_of_block >= slice.num_queries) return;
  const int first_query = first_of_block + warp * queries_a_warp;
  const int before = slice.context - slice.num_queries;  // tokens, of the first query
  const auto tokens_of = [&](int end_query) { return before + min(end_query, slice.num_queries); };
  const int tokens = first_query < slice.num_queries ? tokens_of(first_query + queries_a_warp) : 0;
  const int tokens_of_block = tokens_of(first_of_block + kWarps * queries_a_warp);
  const int tiles = (tokens_of_block + kTileTokens - 1) / kTileTokens;
  const auto copy_tile = [&](int tile) {
    std::byte* to = ring + tile % kStages * kTileBytes<D, kFormat>;
#pragma unroll
    for (int i = 0; i < kTilePages; ++i) {
      const int page = tile * kTilePages + i;
      if (page * kPageTokens < tokens_of_block)
#pragma unroll
        for (int value = 0; value < 2; ++value) {
          stream_page<kWarps * 32, kPageBytes>(to, p.kv.page(slice.block_table, page, kv_head, value),
                                               threadIdx.x);
          to += kPageBytes;
        }
    }
    copies_close();
  };
  for (int tile = 0; tile < kStages - 1; ++tile) copy_tile(tile);

  uint4* const queries = reinterpret_cast<uint4*>(shared) + warp * kQueryWords<D> + lane;
  const auto row_of = [&](int m, int r, int* head) {
    const int i = m * 16 + r * 8 + g;
    *head = kv_head * p.group + i % p.group;
    return first_query + i / p.group;
  };
  for (int m = 0; m < kRowTiles; ++m)
    for (int r = 0; r < 2; ++r) {
      int head;
      const int query = min(row_of(m, r, &head), slice.num_queries - 1);
      std::uint32_t words[D / 16][2];
      load_query<D>(p, p.qkv + (slice.first_row + query) * p.qkv_stride + head * D, before + query, c, words);
      for (int s = 0; s < D / 16; ++s)
        for (int h = 0; h < 2; ++h)
          reinterpret_cast<std::uint32_t*>(queries + (m * (D / 16) + s) * 32)[2 * h + r] = words[s][h];
    }
  Rows<D> rows;
  for (int tile = 0; tile < tiles; ++tile) {
    copies_wait<kStages - 2>();
    __syncthreads();  // the tile is there, and all are done with the one whose place the next takes
    copy_tile(tile + kStages - 1);
    const int first_token = tile * kTileTokens;
    if (first_token >= tokens) continue;
    const std::byte* pages = ring + tile % kStages * kTileBytes<D, kFormat>;
    float score[kRowTiles][2 * kTilePages][4] = {};
    multiply_keys<D, kFormat>(queries, pages, lane, score);
    int visible[kRowTiles][2];
    for (int m = 0; m < kRowTiles; ++m)
      for (int r = 0; r < 2; ++r)
        visible[m][r] = before + first_query + (m * 16 + r * 8 + g) / p.group + 1 - first_token;
    const bool all_visible = before + first_query + 1 - first_token >= kTileTokens;
    const int present = tokens_of_block - first_token;
    std::uint32_t probabilities[kRowTiles][kTilePages][4];
    weigh<D, kFormat>(score, pages, visible, all_visible, present, c, rows, probabilities);
    if (present >= kTileTokens)
      multiply_values<D, kFormat, true>(probabilities, pages, present, lane, rows);
    else
      multiply_values<D, kFormat, false>(probabilities, pages, present, lane, rows);
  }
  for (int m = 0; m < kRowTiles; ++m)
    for (int r = 0; r < 2; ++r) {
      const float inverse = 1.0f / over_quad(rows.total[m][r], Sum());
      int head;
      const int query = row_of(m, r, &head);
      if (query >= slice.num_queries) continue;
      __nv_bfloat16* out = p.out.row(slice.first_row + query) + head * D + 2 * c;
      for (int d = 0; d < D / 8; ++d)
        *reinterpret_cast<std::uint32_t*>(out + d * 8) =
            pack_bf16(rows.out[m][d][2 * r] * inverse, rows.out[m][d][2 * r + 1] * inverse);
    }
}

template <int D, KvFormat kFormat>
void attention_for(const Launcher& launch, const AttentionView& view, int first_slice, int slices,
                   int max_queries) {
  allow_shared_memory<prefill_attention<D, kFormat>, kPrefillBytes<D, kFormat>>();
  const int queries_a_block = kWarps * (kRowTiles * 16 / view.group);
  launch(prefill_attention<D, kFormat>,
         dim3((max_queries + queries_a_block - 1) / queries_a_block, view.kv.kv_heads, slices),
         dim3(kWarps * 32), kPrefillBytes<D, kFormat>, view, first_slice);
}

}  // namespace

void launch_prefill_attention(const Launcher& launch, const AttentionView& view, int first_slice, int slices,
                              int max_queries) {
  dispatch_kv(view.kv, [&](auto head_dim, auto format) {
    attention_for<decltype(head_dim)::value, decltype(format)::value>(launch, view, first_slice, slices,
                                                                      max_queries);
  });
}

}  // namespace pagoda::kernels::cuda
