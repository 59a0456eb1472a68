// Attention of many queries to many keys on tensor cores, from sm_80: a chunk of a prompt to its sequence's
// cache, causally, or the tiles of a picture each to itself.
//
// A block takes 64 queries of one head and walks the keys, 64 at a time, the next ones on their way while it
// computes. Scores, softmax and sums are f32 and never leave registers; the weights are rounded to the
// values' type. Names and block shapes are known to attention.rs and benches/kernels/decode.py.

#include "numbers.cuh"
#include "tensor_cores.cuh"

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800

constexpr int PREFILL_WARPS = 4;
constexpr int QUERIES = 16 * PREFILL_WARPS;
constexpr int KEYS = 64;
constexpr int STAGES = 2;

constexpr float LOG2_E = 1.4426950408889634f;

// Where keys and values are: in blocks of a cache, [blocks, kv_heads, block_tokens, head_dim], that a table
// names; block_tokens is a multiple of 16.
template <typename T, int D> struct Paged {
    const T *k_cache, *v_cache;
    const word *table;
    int head, kv_heads, table_blocks, blocks, block_tokens;

    // Rows of 16 keys are one behind the other.
    __device__ __forceinline__ size_t at(int key) const {
        const word index = (word)key / (word)block_tokens;
        const word block = min(__ldg(&table[min(index, (word)table_blocks - 1)]), (word)blocks - 1);
        return (((size_t)block * kv_heads + head) * block_tokens + (key - index * block_tokens)) * D;
    }
    __device__ __forceinline__ size_t row() const { return D; }
};

// Keys and values in rows of a matrix.
template <typename T, int D> struct Strided {
    const T *k_cache, *v_cache;
    size_t stride;

    __device__ __forceinline__ size_t at(int key) const { return key * stride; }
    __device__ __forceinline__ size_t row() const { return stride; }
};

// Shared memory holds rows of D elements in pieces of 16 bytes. Eight rows are read at once, and the same
// piece of each is then in other banks.
template <int D> __device__ __forceinline__ word place(int row, int piece) {
    return row * D * 2 + (piece ^ (row % 8)) * 16;
}

template <typename T, int D, typename From>
__device__ __forceinline__ void copy_tile(const From &from, int first, int keys, word to_keys, word to_values) {
    constexpr int PIECES = D / 8, TOGETHER = 32 * PREFILL_WARPS / PIECES;
    static_assert(16 % TOGETHER == 0 && KEYS % 16 == 0, "whole groups of 16 keys");
    const int piece = threadIdx.x % PIECES, row = threadIdx.x / PIECES;
#pragma unroll
    for (int group = 0; group < KEYS; group += 16) {
        // Keys that are not there are zeros, and so are their values: weight 0 does not undo a NaN.
        const int last = max(keys - 1, 0);
        const size_t base = from.at(min(first + group, last / 16 * 16));
#pragma unroll
        for (int i = 0; i < 16; i += TOGETHER) {
            const int key = group + i + row;
            const bool valid = first + key < keys;
            const size_t at = valid ? base + (i + row) * from.row() + piece * 8 : base;
            copy16(to_keys + place<D>(key, piece), from.k_cache + at, valid);
            copy16(to_values + place<D>(key, piece), from.v_cache + at, valid);
        }
    }
}

// Queries `first`.. of one head, `rows` in all; query i sees keys up to `start` + i, or all `keys`. A row of
// q, and of out, of this head is `q_stride`, `out_stride` behind the last. `q_bias` and `v_bias`, of D, are
// added to queries and to values, or null. A bias of keys adds the same to all scores of a query, so that
// none is needed.
template <typename T, int D, bool CAUSAL, typename From>
__device__ __forceinline__ void prefill_attention(const T *q, size_t q_stride, T *out, size_t out_stride,
                                                  const From &from, int first, int rows, int start, int keys,
                                                  float scale, const T *q_bias = nullptr,
                                                  const T *v_bias = nullptr) {
    extern __shared__ uint4 shared[];
    constexpr int TILE_BYTES = KEYS * D * 2;
    const word memory = (word)__cvta_generic_to_shared(shared);
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = lane / 4, member = lane % 4;
    const int mine = first + warp * 16 + group;
    scale *= LOG2_E;
    if (CAUSAL) {
        keys = min(keys, start + min(first + QUERIES, rows));
    }
    const int tiles = (keys + KEYS - 1) / KEYS;
    auto copy = [&](int tile) {
        if (tile < tiles) {
            const word to = memory + tile % STAGES * 2 * TILE_BYTES;
            copy_tile<T, D>(from, tile * KEYS, keys, to, to + TILE_BYTES);
        }
        commit_copies();
    };
    copy(0);
    word queries[D / 16][4];
#pragma unroll
    for (int i = 0; i < D / 16; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int row = mine + j % 2 * 8;
            const T *at = q + row * q_stride + i * 16 + j / 2 * 8 + member * 2;
            queries[i][j] = row < rows ? *reinterpret_cast<const word *>(at) : 0;
            if (!CAUSAL && q_bias != nullptr) {
                const word bias = *reinterpret_cast<const word *>(q_bias + i * 16 + j / 2 * 8 + member * 2);
                const float2 x = to_floats(queries[i][j], T()), b = to_floats(bias, T());
                queries[i][j] = to_word(x.x + b.x, x.y + b.y, T());
            }
        }
    }
    // Of rows group and group + 8 of the warp's 16.
    float largest[2] = {-CUDART_INF_F, -CUDART_INF_F}, weights[2] = {};
    float values[D / 8][4] = {};
    for (int tile = 0; tile < tiles; tile++) {
        await_copies<0>();
        __syncthreads();
        // Where the tile before this one was, which every warp has left.
        copy(tile + 1);
        const word to_keys = memory + tile % STAGES * 2 * TILE_BYTES, to_values = to_keys + TILE_BYTES;
        float scores[KEYS / 8][4] = {};
#pragma unroll
        for (int i = 0; i < D / 16; i++) {
#pragma unroll
            for (int j = 0; j < KEYS / 16; j++) {
                word b[4];
                load_matrices(b, to_keys + place<D>(j * 16 + lane / 16 * 8 + lane % 8, i * 2 + lane / 8 % 2));
                multiply(scores[2 * j], queries[i], b[0], b[1], T());
                multiply(scores[2 * j + 1], queries[i], b[2], b[3], T());
            }
        }
        // Only the last tiles have keys that a query may not see.
        const int behind = tile * KEYS + KEYS - 1;
        if (behind >= keys || (CAUSAL && behind > start + first + warp * 16)) {
#pragma unroll
            for (int i = 0; i < KEYS / 2; i++) {
                const int key = tile * KEYS + i / 4 * 8 + member * 2 + i % 2;
                const int row = mine + i % 4 / 2 * 8;
                if (key >= keys || (CAUSAL && key > start + row)) {
                    scores[i / 4][i % 4] = -CUDART_INF_F;
                }
            }
        }
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float most = largest[i];
#pragma unroll
            for (int j = 0; j < KEYS / 8; j++) {
                most = fmaxf(most, fmaxf(scores[j][2 * i], scores[j][2 * i + 1]));
            }
            most = fmaxf(most, __shfl_xor_sync(ALL_LANES, most, 1));
            most = fmaxf(most, __shfl_xor_sync(ALL_LANES, most, 2));
            const float fade = power_of_2((largest[i] - most) * scale), offset = most * scale;
            largest[i] = most;
            weights[i] *= fade;
#pragma unroll
            for (int j = 0; j < KEYS / 8; j++) {
#pragma unroll
                for (int e = 2 * i; e < 2 * i + 2; e++) {
                    scores[j][e] = power_of_2(fmaf(scores[j][e], scale, -offset));
                    weights[i] += scores[j][e];
                }
            }
#pragma unroll
            for (int j = 0; j < D / 8; j++) {
                values[j][2 * i] *= fade, values[j][2 * i + 1] *= fade;
            }
        }
#pragma unroll
        for (int i = 0; i < KEYS / 16; i++) {
            word a[4];
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const float *pair = &scores[2 * i + j / 2][j % 2 * 2];
                a[j] = to_word(pair[0], pair[1], T());
            }
#pragma unroll
            for (int j = 0; j < D / 16; j++) {
                word b[4];
                load_matrices_transposed(b, to_values + place<D>(i * 16 + lane % 16, j * 2 + lane / 16));
                multiply(values[2 * j], a, b[0], b[1], T());
                multiply(values[2 * j + 1], a, b[2], b[3], T());
            }
        }
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        float sum = weights[i] + __shfl_xor_sync(ALL_LANES, weights[i], 1);
        sum += __shfl_xor_sync(ALL_LANES, sum, 2);
        const float part = 1.0f / sum;
        const int row = mine + i * 8;
        if (row < rows) {
#pragma unroll
            for (int j = 0; j < D / 8; j++) {
                float2 bias = make_float2(0.0f, 0.0f);
                if (!CAUSAL && v_bias != nullptr) {
                    bias = to_floats(*reinterpret_cast<const word *>(v_bias + j * 8 + member * 2), T());
                }
                // Weights sum to 1: what is added to every value is added to their mean.
                *reinterpret_cast<word *>(out + row * out_stride + j * 8 + member * 2) =
                    to_word(fmaf(values[j][2 * i], part, bias.x), fmaf(values[j][2 * i + 1], part, bias.y), T());
            }
        }
    }
}

// The grid is (heads, 64s of queries): blocks that run at once share keys, and those with the most keys
// begin. Queries and results are [rows, heads, head_dim]; the first query's position is read on the device.
#define PREFILL_ATTENTION(NAME, T, D)                                                                          \
    extern "C" __global__ void __launch_bounds__(32 * PREFILL_WARPS, 2) prefill_attention_##NAME##_##D(        \
        const T *q, const T *k_cache, const T *v_cache, const word *table, const word *positions, T *out,      \
        int rows, int kv_heads, int table_blocks, int blocks, int block_tokens, float scale) {                 \
        begin_kernel();                                                                                        \
        const int heads = gridDim.x, head = blockIdx.x, kv_head = head / (heads / kv_heads);                   \
        const int first = (gridDim.y - 1 - blockIdx.y) * QUERIES, room = table_blocks * block_tokens;          \
        const int start = min(positions[0], (word)room);                                                       \
        const Paged<T, D> from = {k_cache, v_cache, table, kv_head, kv_heads, table_blocks, blocks,            \
                                  block_tokens};                                                               \
        prefill_attention<T, D, true>(q + head * D, heads * D, out + head * D, heads * D, from, first, rows,   \
                                      start, min(start + rows, room), scale);                                  \
    }

PREFILL_ATTENTION(f16, __half, 64)
PREFILL_ATTENTION(f16, __half, 128)
PREFILL_ATTENTION(bf16, __nv_bfloat16, 64)
PREFILL_ATTENTION(bf16, __nv_bfloat16, 128)

// The grid is (64s of queries, heads, batch), all queries to all keys of their own row of the batch.
// qkv is [batch, rows, 3, heads, head_dim], out [batch, rows, heads, head_dim], bias null or that of a row.
#define FULL_ATTENTION(NAME, T, D)                                                                             \
    extern "C" __global__ void __launch_bounds__(32 * PREFILL_WARPS, 2)                                        \
        full_attention_##NAME##_##D(const T *qkv, const T *bias, T *out, int rows, float scale) {              \
        begin_kernel();                                                                                        \
        const size_t width = gridDim.y * D, head = blockIdx.y * D, row = (size_t)blockIdx.z * rows;            \
        const T *q = qkv + row * 3 * width + head;                                                             \
        const Strided<T, D> from = {q + width, q + 2 * width, 3 * width};                                      \
        const T *q_bias = bias == nullptr ? nullptr : bias + head;                                             \
        const T *v_bias = bias == nullptr ? nullptr : bias + head + 2 * width;                                 \
        prefill_attention<T, D, false>(q, 3 * width, out + row * width + head, width, from,                    \
                                       blockIdx.x * QUERIES, rows, 0, rows, scale, q_bias, v_bias);            \
    }

FULL_ATTENTION(f16, __half, 64)
FULL_ATTENTION(f16, __half, 128)
FULL_ATTENTION(bf16, __nv_bfloat16, 64)
FULL_ATTENTION(bf16, __nv_bfloat16, 128)

#endif
