// What stands between the fused qkv product and attention: the bias, the rotation of queries and keys in
// f32, and the keys and values' way into the cache.
//
// Rows are tokens of any sequences. Where a token goes is read on the device: positions[row], and the
// blocks of its sequence in tables[sequence, blocks of a sequence]. The cache of a layer is
// [blocks, kv_heads, block_tokens, head_dim]. A row of a sequence, with a position or in a block
// that there is not, is padding: nothing of it is stored. Names are known to attention.rs and
// benches/kernels/decode.py.

#include "numbers.cuh"

// The kernels' arguments in their order.
template <typename T> struct RopeCache {
    const T *qkv;          // [rows, (heads + 2 * kv_heads) * head_dim]
    const T *bias;         // null, or of a row
    const float *cos;      // [angles, head_dim / 2]
    const float *sin;
    const word *positions; // [rows]
    const word *sequences; // [rows], null where a row is its sequence
    const word *tables;    // [sequences, table_blocks]
    T *q;                  // [rows, heads, head_dim]
    T *k_cache;
    T *v_cache;
    int heads, kv_heads, head_dim;
    int angles, sequence_count, table_blocks, blocks, block_tokens;
};

// A block takes a row, a thread 8 elements of a head's first half and the 8 that they are rotated with.
template <typename T> __device__ __forceinline__ void rope_cache(const RopeCache<T> &p) {
    let_next_kernel_begin();
    const int row = blockIdx.x, half = p.head_dim / 2, of_head = half / VECTOR;
    const word position = p.positions[row];
    const word sequence = p.sequences == nullptr ? row : p.sequences[row];
    // Each is asked for before the first is needed: the way to memory is most of the time.
    const word angle = position < p.angles ? position : 0;
    const word index = position / p.block_tokens;
    const bool has_place = index < p.table_blocks && sequence < p.sequence_count;
    const word block = has_place ? p.tables[(size_t)sequence * p.table_blocks + index] : 0;
    const int all_heads = p.heads + 2 * p.kv_heads;
    await_previous_kernels();
    for (int unit = threadIdx.x; unit < all_heads * of_head; unit += blockDim.x) {
        const int head = unit / of_head, at = unit % of_head * VECTOR;
        const size_t in_row = (size_t)head * p.head_dim + at;
        const T *from = p.qkv + (size_t)row * all_heads * p.head_dim + in_row;
        float a[VECTOR], b[VECTOR];
        load(from, a);
        load(from + half, b);
        if (p.bias != nullptr) {
            float x[VECTOR], y[VECTOR];
            load(p.bias + in_row, x);
            load(p.bias + in_row + half, y);
#pragma unroll
            for (int e = 0; e < VECTOR; e++) {
                a[e] += x[e], b[e] += y[e];
            }
        }
        if (head < p.heads + p.kv_heads) {
            float c[VECTOR], s[VECTOR];
            load(p.cos + (size_t)angle * half + at, c);
            load(p.sin + (size_t)angle * half + at, s);
#pragma unroll
            for (int e = 0; e < VECTOR; e++) {
                const float x = a[e], y = b[e];
                a[e] = x * c[e] - y * s[e];
                b[e] = y * c[e] + x * s[e];
            }
        }
        T *to;
        if (head < p.heads) {
            to = p.q + ((size_t)row * p.heads + head) * p.head_dim + at;
        } else if (!has_place || position >= p.angles || block >= p.blocks) {
            continue;
        } else {
            const bool is_key = head < p.heads + p.kv_heads;
            const int kv_head = head - p.heads - (is_key ? 0 : p.kv_heads);
            const size_t token = ((size_t)block * p.kv_heads + kv_head) * p.block_tokens + position % p.block_tokens;
            to = (is_key ? p.k_cache : p.v_cache) + token * p.head_dim + at;
        }
        store(to, a);
        store(to + half, b);
    }
}

#define ROPE_CACHE(NAME, T)                                                                                    \
    extern "C" __global__ void rope_cache_##NAME(                                                              \
        const T *qkv, const T *bias, const float *cos, const float *sin, const word *positions,                \
        const word *sequences, const word *tables, T *q, T *k_cache, T *v_cache, int heads, int kv_heads,      \
        int head_dim, int angles, int sequence_count, int table_blocks, int blocks, int block_tokens) {        \
        rope_cache<T>({qkv, bias, cos, sin, positions, sequences, tables, q, k_cache, v_cache, heads,          \
                       kv_heads, head_dim, angles, sequence_count, table_blocks, blocks, block_tokens});       \
    }

ROPE_CACHE(f16, __half)
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
ROPE_CACHE(bf16, __nv_bfloat16)
#endif
