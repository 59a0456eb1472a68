// Attention of one new query of each sequence to the sequence's cache.
//
// The cache of a layer is [blocks, kv_heads, block_tokens, head_dim]; tables[sequence, table_blocks] names
// the blocks of a sequence in order, and block_tokens is a multiple of 16. How long a sequence is is read on
// the device: a launch is for any lengths, and a sequence without tokens, which is padding, gives zeros.
//
// The grid is (splits, kv_heads, sequences). The blocks of a sequence and head take turns at its keys, so
// that each knows its first key before it knows the length; the last of them to end joins what they
// summed. Up to 8 query heads share a key and value head, and all of them are served by one reading, which
// is what this costs. Scores, softmax and sums are f32; the weights are rounded to the values' type.
//
//   decode_attention_*        on tensor cores. From sm_80.
//   decode_attention_plain_*  on plain cores, f16. Every architecture.
//
// Names and block shapes are known to attention.rs and benches/kernels/decode.py.

#include "numbers.cuh"
#include "tensor_cores.cuh"

constexpr int DECODE_WARPS = 8;
constexpr int SPLITS_MAX = 16;
// Query heads of a key and value head, absent ones included.
constexpr int GROUP = 8;
// Keys that a warp takes at a time.
constexpr int TILE = 16;

constexpr float LOG2_E = 1.4426950408889634f;

// The kernels' arguments in their order.
template <typename T> struct Decode {
    const T *q;          // [sequences, kv_heads * group, head_dim]
    const T *k_cache;
    const T *v_cache;
    const word *tables;  // [sequences, table_blocks]
    const word *lengths; // [sequences], the new token included
    T *out;              // as q
    float *partial;      // [sequences, kv_heads, splits, group, head_dim]
    float2 *extents;     // [sequences, kv_heads, splits, group]
    word *counters;      // [sequences, kv_heads], 0 before and after
    int group, table_blocks, blocks, block_tokens;
    float scale;
    // Tokens at a sequence's end that this step has put into the cache. Those before are there already: what reads
    // them does not wait for the kernels of this step.
    int fresh;
};

// What the warps of a block have summed: of each query head the values, not yet divided, and the largest
// score, in powers of two, with the sum of weights beside it. Values lie as tensor cores leave them, so that
// a warp's threads write to different banks; the space between heads serves the same end.
template <int D> struct Sums {
    float values[DECODE_WARPS][GROUP][D + 8];
    float largest[DECODE_WARPS][GROUP];
    float weights[DECODE_WARPS][GROUP];
};

// Which element of a head lies at an even place of the sums; the next lies at the next.
__device__ __forceinline__ int element(int at) { return at / 64 * 64 + at % 16 / 2 * 8 + at % 64 / 16 * 2; }

// And where an element lies.
__device__ __forceinline__ int place(int element) {
    return element / 64 * 64 + element % 8 / 2 * 16 + element % 64 / 8 * 2 + element % 2;
}

// The first key of a tile in this layer's cache, in tokens; nothing beyond the cache is named.
template <typename T> struct Keys {
    const word *table;
    int head, kv_heads, table_blocks, blocks, block_tokens;

    __device__ __forceinline__ Keys(const Decode<T> &p)
        : table(p.tables + (size_t)blockIdx.z * p.table_blocks), head(blockIdx.y), kv_heads(gridDim.y),
          table_blocks(p.table_blocks), blocks(p.blocks), block_tokens(p.block_tokens) {}

    __device__ __forceinline__ size_t first(int tile) const {
        const word at = (word)tile * TILE, index = at / (word)block_tokens;
        const word block = min(__ldg(&table[min(index, (word)table_blocks - 1)]), (word)blocks - 1);
        return ((size_t)block * kv_heads + head) * block_tokens + (at - index * block_tokens);
    }
};

// Weight of a part whose largest score is `largest` among parts whose largest is `most`.
__device__ __forceinline__ float share(float largest, float most) {
    return largest == -CUDART_INF_F ? 0.0f : power_of_2(largest - most);
}

__device__ __forceinline__ void add(float4 &sum, const float4 &x, float weight) {
    sum.x = fmaf(x.x, weight, sum.x), sum.y = fmaf(x.y, weight, sum.y);
    sum.z = fmaf(x.z, weight, sum.z), sum.w = fmaf(x.w, weight, sum.w);
}

template <typename T, int D>
__device__ __forceinline__ void write(const Decode<T> &p, int head, int at, const float4 &x, float weights) {
    const float part = weights == 0.0f ? 0.0f : 1.0f / weights;
    T *to = p.out + (((size_t)blockIdx.z * gridDim.y + blockIdx.y) * p.group + head) * D;
    *reinterpret_cast<word *>(to + element(at)) = to_word(x.x * part, x.y * part, T());
    *reinterpret_cast<word *>(to + element(at + 2)) = to_word(x.z * part, x.w * part, T());
}

// Joins the warps of this block, and then the `parts` blocks of this sequence and head. A thread has four
// elements of one query head.
template <typename T, int D>
__device__ __forceinline__ void finish(const Decode<T> &p, const Sums<D> &sums, int parts) {
    static_assert(GROUP * D / 4 <= 32 * DECODE_WARPS, "a thread for each four elements");
    __syncthreads();
    const int head = threadIdx.x / (D / 4), at = threadIdx.x % (D / 4) * 4;
    const bool mine = head < p.group;
    const size_t pair = (size_t)blockIdx.z * gridDim.y + blockIdx.y;
    float most = -CUDART_INF_F, weights = 0.0f;
    float4 sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
    if (mine) {
#pragma unroll
        for (int w = 0; w < DECODE_WARPS; w++) {
            most = fmaxf(most, sums.largest[w][head]);
        }
#pragma unroll
        for (int w = 0; w < DECODE_WARPS; w++) {
            const float weight = share(sums.largest[w][head], most);
            add(sum, *reinterpret_cast<const float4 *>(&sums.values[w][head][at]), weight);
            weights = fmaf(sums.weights[w][head], weight, weights);
        }
    }
    if (parts == 1) {
        if (mine) {
            write<T, D>(p, head, at, sum, weights);
        }
        return;
    }
    const size_t first = pair * gridDim.x;
    if (mine) {
        const size_t part = (first + blockIdx.x) * p.group + head;
        *reinterpret_cast<float4 *>(p.partial + part * D + at) = sum;
        if (at == 0) {
            p.extents[part] = make_float2(most, weights);
        }
    }
    if (!is_last_part(p.counters + pair, parts) || !mine) {
        return;
    }
    // All parts are asked for before the first is needed.
    float4 values[SPLITS_MAX];
    float2 extents[SPLITS_MAX];
#pragma unroll
    for (int i = 0; i < SPLITS_MAX; i++) {
        const size_t part = (first + min(i, parts - 1)) * p.group + head;
        extents[i] = __ldcg(&p.extents[part]);
        values[i] = __ldcg(reinterpret_cast<const float4 *>(p.partial + part * D + at));
    }
    most = -CUDART_INF_F, weights = 0.0f;
    sum = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
#pragma unroll
    for (int i = 0; i < SPLITS_MAX; i++) {
        most = fmaxf(most, extents[i].x);
    }
#pragma unroll
    for (int i = 0; i < SPLITS_MAX; i++) {
        const float weight = i < parts ? share(extents[i].x, most) : 0.0f;
        add(sum, values[i], weight);
        weights = fmaf(extents[i].y, weight, weights);
    }
    write<T, D>(p, head, at, sum, weights);
}

// Tokens of this block's sequence, no more than its table has room for.
template <typename T> __device__ __forceinline__ int length(const Decode<T> &p) {
    return min(__ldg(&p.lengths[blockIdx.z]), (word)p.table_blocks * (word)p.block_tokens);
}

// Blocks of this sequence and head that have keys; at least one, which writes.
__device__ __forceinline__ int busy_parts(int tiles) {
    return max(1, min((int)gridDim.x, (tiles + DECODE_WARPS - 1) / DECODE_WARPS));
}

// ---- tensor cores --------------------------------------------------------------------------------------

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800

// A piece of a row, or zeros: what lies behind a sequence's end may be anything, and zero times that too.
// Not by the read-only path: the kernel before this one, which wrote it, may have ended after this one began.
template <typename T> __device__ __forceinline__ uint4 piece(const T *at, bool valid) {
    uint4 v = make_uint4(0, 0, 0, 0);
    if (valid) {
        asm volatile("ld.global.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                     : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                     : "l"(at));
    }
    return v;
}

// A warp computes K . Qt, [16 keys, 8 heads], and adds Vt . P, [head_dim, 8 heads]: the 7 heads of a group
// lie along the side of 8. Keys and values go from memory to registers in whole 16-byte pieces: which of a
// row's elements, and of the values' rows, make which row of a matrix is arranged so that a piece is used
// by the thread that loaded it.
template <typename T, int D> __device__ __forceinline__ void decode_attention(const Decode<T> &p) {
    let_next_kernel_begin();
    __shared__ Sums<D> sums;
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = lane / 4, member = lane % 4;
    const Keys<T> keys(p);
    const int turn = gridDim.x * DECODE_WARPS;
    int tile = blockIdx.x * DECODE_WARPS + warp;
    // The queries' right matrices are the same for all warps, and wait in shared memory.
    static_assert(D / 32 <= DECODE_WARPS, "a warp for each piece of a query");
    __shared__ uint4 queries[D / 32][32];
    const T *q = p.q + (((size_t)blockIdx.z * gridDim.y + blockIdx.y) * p.group + group) * D;
    const int tokens = length(p), tiles = (tokens + TILE - 1) / TILE;
    size_t first = keys.first(tile);
    const int parts = busy_parts(tiles);
    if (blockIdx.x >= parts) {
        await_previous_kernels();
        return;
    }
    uint4 k[D / 32][2], v[D / 64][4];
    auto load_keys = [&] {
#pragma unroll
        for (int i = 0; i < D / 32; i++) {
#pragma unroll
            for (int j = 0; j < 2; j++) {
                const int key = group + j * 8;
                k[i][j] = piece(p.k_cache + (first + key) * D + i * 32 + member * 8, tile * TILE + key < tokens);
            }
        }
    };
    auto load_values = [&] {
#pragma unroll
        for (int i = 0; i < D / 64; i++) {
#pragma unroll
            for (int j = 0; j < 4; j++) {
                const int key = member * 2 + j % 2 + j / 2 * 8;
                v[i][j] = piece(p.v_cache + (first + key) * D + i * 64 + group * 8, tile * TILE + key < tokens);
            }
        }
    };
    const bool early = (tile + 1) * TILE <= tokens - p.fresh;
    if (early) {
        load_keys();
        load_values();
    }
    await_previous_kernels();
    if (warp < D / 32) {
        queries[warp][lane] = piece(q + warp * 32 + member * 8, group < p.group);
    }
    if (!early && tile < tiles) {
        load_keys();
        load_values();
    }
    __syncthreads();
    // Of heads 2 * member and 2 * member + 1.
    float largest[2] = {-CUDART_INF_F, -CUDART_INF_F}, weights[2] = {};
    float values[D / 16][4] = {};
    const float scale = p.scale * LOG2_E;
    while (tile < tiles) {
        float scores[4] = {};
#pragma unroll
        for (int i = 0; i < D / 32; i++) {
            const uint4 q = queries[i][lane];
            const word even[4] = {k[i][0].x, k[i][1].x, k[i][0].y, k[i][1].y};
            const word odd[4] = {k[i][0].z, k[i][1].z, k[i][0].w, k[i][1].w};
            multiply(scores, even, q.x, q.y, T());
            multiply(scores, odd, q.z, q.w, T());
        }
        const int left = tokens - tile * TILE;
        tile += turn;
        first = keys.first(tile);
        // The next keys are on their way while this tile is finished, and then the next values.
        load_keys();
        float weight[4], fade[2];
#pragma unroll
        for (int i = 0; i < 4; i++) {
            scores[i] = group + i / 2 * 8 < left ? scores[i] * scale : -CUDART_INF_F;
        }
#pragma unroll
        for (int i = 0; i < 2; i++) {
            float most = fmaxf(largest[i], fmaxf(scores[i], scores[i + 2]));
#pragma unroll
            for (int other = 4; other < 32; other *= 2) {
                most = fmaxf(most, __shfl_xor_sync(ALL_LANES, most, other));
            }
            fade[i] = power_of_2(largest[i] - most);
            largest[i] = most;
            weight[i] = power_of_2(scores[i] - most), weight[i + 2] = power_of_2(scores[i + 2] - most);
            weights[i] = fmaf(weights[i], fade[i], weight[i] + weight[i + 2]);
        }
        const word near = transposed(to_word(weight[0], weight[1], T()));
        const word far = transposed(to_word(weight[2], weight[3], T()));
#pragma unroll
        for (int i = 0; i < D / 16; i++) {
            const uint4 *from = v[i / 4];
            word x[4];
#pragma unroll
            for (int j = 0; j < 4; j++) {
                x[j] = (&from[j].x)[i % 4];
            }
            const word a[4] = {__byte_perm(x[0], x[1], 0x5410), __byte_perm(x[0], x[1], 0x7632),
                               __byte_perm(x[2], x[3], 0x5410), __byte_perm(x[2], x[3], 0x7632)};
#pragma unroll
            for (int j = 0; j < 4; j++) {
                values[i][j] *= fade[j % 2];
            }
            multiply(values[i], a, near, far, T());
        }
        load_values();
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
#pragma unroll
        for (int other = 4; other < 32; other *= 2) {
            weights[i] += __shfl_xor_sync(ALL_LANES, weights[i], other);
        }
        if (group == 0) {
            sums.largest[warp][member * 2 + i] = largest[i];
            sums.weights[warp][member * 2 + i] = weights[i];
        }
#pragma unroll
        for (int j = 0; j < D / 16; j++) {
            float *to = &sums.values[warp][member * 2 + i][j * 16 + group * 2];
            *reinterpret_cast<float2 *>(to) = make_float2(values[j][i], values[j][i + 2]);
        }
    }
    finish<T, D>(p, sums, parts);
}

#define DECODE_ATTENTION(NAME, T, D)                                                                           \
    extern "C" __global__ void __launch_bounds__(32 * DECODE_WARPS, 2) decode_attention_##NAME##_##D(          \
        const T *q, const T *k_cache, const T *v_cache, const word *tables, const word *lengths, T *out,       \
        float *partial, float2 *extents, word *counters, int group, int table_blocks, int blocks,              \
        int block_tokens, float scale, int fresh) {                                                            \
        decode_attention<T, D>({q, k_cache, v_cache, tables, lengths, out, partial, extents, counters, group,  \
                                table_blocks, blocks, block_tokens, scale, fresh});                            \
    }

DECODE_ATTENTION(f16, __half, 64)
DECODE_ATTENTION(f16, __half, 128)
DECODE_ATTENTION(bf16, __nv_bfloat16, 64)
DECODE_ATTENTION(bf16, __nv_bfloat16, 128)

#endif

// ---- plain cores ---------------------------------------------------------------------------------------

// Two lanes compute the scores of a key; then a lane has D / 32 elements of every query head and walks the
// tile's values.
template <int D> __device__ __forceinline__ void decode_attention_plain(const Decode<__half> &p) {
    begin_kernel();
    constexpr int OWN = D / 32;
    __shared__ Sums<D> sums;
    __shared__ alignas(16) float queries[GROUP][D];
    __shared__ alignas(16) float tile_weights[DECODE_WARPS][TILE][GROUP];
    __shared__ alignas(16) float fades[DECODE_WARPS][GROUP];
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, key = lane / 2, side = lane % 2;
    const Keys<__half> keys(p);
    const int tokens = length(p), tiles = (tokens + TILE - 1) / TILE;
    const int parts = busy_parts(tiles);
    if (blockIdx.x >= parts) {
        return;
    }
    for (int i = threadIdx.x; i < GROUP * D; i += blockDim.x) {
        const size_t pair = (size_t)blockIdx.z * gridDim.y + blockIdx.y;
        queries[i / D][i % D] = i / D < p.group ? to_float(p.q[pair * p.group * D + i]) * p.scale * LOG2_E : 0.0f;
    }
    __syncthreads();
    // Of heads side * 4 and the three after it.
    float largest[GROUP / 2], weights[GROUP / 2] = {};
    float values[GROUP][OWN] = {};
    for (int i = 0; i < GROUP / 2; i++) {
        largest[i] = -CUDART_INF_F;
    }
    for (int tile = blockIdx.x * DECODE_WARPS + warp; tile < tiles; tile += gridDim.x * DECODE_WARPS) {
        const size_t first = keys.first(tile);
        const int left = tokens - tile * TILE;
        float scores[GROUP] = {};
        if (key < left) {
#pragma unroll
            for (int at = side * VECTOR; at < D; at += 2 * VECTOR) {
                float k[VECTOR];
                load(p.k_cache + (first + key) * D + at, k);
#pragma unroll
                for (int h = 0; h < GROUP; h++) {
                    float q[VECTOR];
                    load(&queries[h][at], q);
#pragma unroll
                    for (int e = 0; e < VECTOR; e++) {
                        scores[h] = fmaf(k[e], q[e], scores[h]);
                    }
                }
            }
        }
#pragma unroll
        for (int h = 0; h < GROUP; h++) {
            scores[h] += __shfl_xor_sync(ALL_LANES, scores[h], 1);
        }
#pragma unroll
        for (int i = 0; i < GROUP / 2; i++) {
            const float score = key < left ? (side ? scores[i + GROUP / 2] : scores[i]) : -CUDART_INF_F;
            float most = fmaxf(largest[i], score);
#pragma unroll
            for (int other = 2; other < 32; other *= 2) {
                most = fmaxf(most, __shfl_xor_sync(ALL_LANES, most, other));
            }
            const float fade = power_of_2(largest[i] - most), weight = power_of_2(score - most);
            largest[i] = most;
            weights[i] = fmaf(weights[i], fade, weight);
            tile_weights[warp][key][side * (GROUP / 2) + i] = weight;
            if (key == 0) {
                fades[warp][side * (GROUP / 2) + i] = fade;
            }
        }
        __syncwarp();
        float w[VECTOR];
        load(fades[warp], w);
#pragma unroll
        for (int h = 0; h < GROUP; h++) {
#pragma unroll
            for (int e = 0; e < OWN; e++) {
                values[h][e] *= w[h];
            }
        }
#pragma unroll 4
        for (int i = 0; i < min(TILE, left); i++) {
            const __half *from = p.v_cache + (first + i) * D + lane * OWN;
            float v[OWN];
#pragma unroll
            for (int e = 0; e < OWN; e += 2) {
                const float2 two = to_floats(*reinterpret_cast<const word *>(from + e), __half());
                v[e] = two.x, v[e + 1] = two.y;
            }
            load(tile_weights[warp][i], w);
#pragma unroll
            for (int h = 0; h < GROUP; h++) {
#pragma unroll
                for (int e = 0; e < OWN; e++) {
                    values[h][e] = fmaf(w[h], v[e], values[h][e]);
                }
            }
        }
        __syncwarp();
    }
#pragma unroll
    for (int i = 0; i < GROUP / 2; i++) {
#pragma unroll
        for (int other = 2; other < 32; other *= 2) {
            weights[i] += __shfl_xor_sync(ALL_LANES, weights[i], other);
        }
        if (key == 0) {
            sums.largest[warp][side * (GROUP / 2) + i] = largest[i];
            sums.weights[warp][side * (GROUP / 2) + i] = weights[i];
        }
    }
#pragma unroll
    for (int h = 0; h < GROUP; h++) {
#pragma unroll
        for (int e = 0; e < OWN; e++) {
            sums.values[warp][h][place(lane * OWN + e)] = values[h][e];
        }
    }
    finish<__half, D>(p, sums, parts);
}

#define DECODE_ATTENTION_PLAIN(D)                                                                              \
    extern "C" __global__ void __launch_bounds__(32 * DECODE_WARPS, 2) decode_attention_plain_f16_##D(         \
        const __half *q, const __half *k_cache, const __half *v_cache, const word *tables,                     \
        const word *lengths, __half *out, float *partial, float2 *extents, word *counters, int group,          \
        int table_blocks, int blocks, int block_tokens, float scale, int fresh) {                              \
        decode_attention_plain<D>({q, k_cache, v_cache, tables, lengths, out, partial, extents, counters,      \
                                   group, table_blocks, blocks, block_tokens, scale, fresh});                  \
    }

DECODE_ATTENTION_PLAIN(64)
DECODE_ATTENTION_PLAIN(128)
