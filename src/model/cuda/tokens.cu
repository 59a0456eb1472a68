// The two ends of a step: rows of the embedding for tokens that are on the device, and the likeliest token
// of each row of logits. Names are known to tokens.rs and benches/kernels/decode.py.

#include "best.cuh"

// A block takes a row. A token beyond the vocabulary is padding: zeros.
template <typename T, typename R>
__device__ __forceinline__ void embed(const T *table, const word *tokens, R *out, int vocabulary, int width) {
    begin_kernel();
    const word token = tokens[blockIdx.x];
    for (int at = threadIdx.x * VECTOR; at < width; at += blockDim.x * VECTOR) {
        float x[VECTOR] = {};
        if (token < vocabulary) {
            load(table + (size_t)token * width + at, x);
        }
        store(out + (size_t)blockIdx.x * width + at, x);
    }
}

#define EMBED(NAME, T, R)                                                                                      \
    extern "C" __global__ void embed_##NAME(const T *table, const word *tokens, R *out, int vocabulary,        \
                                            int width) {                                                       \
        embed(table, tokens, out, vocabulary, width);                                                          \
    }

EMBED(f16_f16, __half, __half)
EMBED(f16_f32, __half, float)
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
EMBED(bf16_bf16, __nv_bfloat16, __nv_bfloat16)
EMBED(bf16_f32, __nv_bfloat16, float)
#endif

constexpr int ARGMAX_THREADS = 512;

// Joins what the threads of a block know; thread 0 gets it.
__device__ __forceinline__ Best join_block(Best best) {
    __shared__ Best parts[ARGMAX_THREADS / 32];
#pragma unroll
    for (int lane = 16; lane > 0; lane /= 2) {
        best = join(best, from_lane(best, lane));
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0) {
        parts[threadIdx.x / 32] = best;
    }
    __syncthreads();
    best = threadIdx.x < ARGMAX_THREADS / 32 ? parts[threadIdx.x] : nothing();
    if (threadIdx.x < 32) {
#pragma unroll
        for (int lane = 16; lane > 0; lane /= 2) {
            best = join(best, from_lane(best, lane));
        }
    }
    return best;
}

// Bits of the VECTOR tokens from `index` on, the first lowest.
__device__ __forceinline__ word bits_at(const word *mask, int words, int index) {
    const int at = index / 32;
    const word low = mask[at], high = at + 1 < words ? mask[at + 1] : 0;
    return __funnelshift_r(low, high, index % 32) & ((1 << VECTOR) - 1);
}

// Writes what is chosen of a row. No comparison holds for what is not a number.
__device__ __forceinline__ void choose(uint4 *choice, Best best, int vocabulary) {
    const bool known = best.sum >= 0.0f;
    const float log_sum = known ? best.peak + logf(best.sum) : CUDART_NAN_F;
    const word token = best.index < vocabulary ? best.index : 0;
    *choice = make_uint4(token, known, __float_as_uint(best.value), __float_as_uint(log_sum));
}

// Joins what `count` parts of a row found; thread 0 gets it.
__device__ __forceinline__ Best join_parts(const Best *parts, int count) {
    Best best = nothing();
    for (int i = threadIdx.x; i < count; i += ARGMAX_THREADS) {
        const uint4 raw = __ldcg(reinterpret_cast<const uint4 *>(parts + i));
        best = join(best, {__uint_as_float(raw.x), raw.y, __uint_as_float(raw.z), __uint_as_float(raw.w)});
    }
    return join_block(best);
}

// The grid is (parts of a row, rows): gridDim.x blocks share a row, and the last of them to end joins what
// they found. `parts` has room for gridDim.x of each row, `counters` are 0 before and after.
//
// Of rows whose `needs` have MASKED only tokens whose bit is set in the row of `masks`, [rows, words], may be chosen; token
// `never` may not. Of rows without WANTED the product that made them found `found_parts` parts in `found`, where that is not
// null, and they are not read.
//
// A row of `choices` is the token, whether all logits are finite, and as f32 the token's logit and the logarithm of the sum of
// all exponentials. Of a row with logits that are not finite only that is said, and some index in the vocabulary.
template <typename T>
__device__ __forceinline__ void argmax(const T *logits, Best *parts, word *counters, uint4 *choices,
                                       const word *masks, const word *needs, int never, int vocabulary,
                                       const Best *found, int found_parts) {
    begin_kernel();
    const word need = needs != nullptr ? needs[blockIdx.y] : 0;
    if (found != nullptr && (need & WANTED) == 0) {
        if (blockIdx.x == 0) {
            const Best best = join_parts(found + (size_t)blockIdx.y * found_parts, found_parts);
            if (threadIdx.x == 0) {
                choose(choices + blockIdx.y, best, vocabulary);
            }
        }
        return;
    }
    const T *row = logits + (size_t)blockIdx.y * vocabulary;
    const int words = (vocabulary + 31) / 32;
    const word *mask = (need & MASKED) != 0 ? masks + (size_t)blockIdx.y * words : nullptr;
    Best best = nothing();
    // Zero times what is not finite is not a number.
    float zero = 0.0f;
    auto see = [&](const float x[VECTOR], int index) {
        word allowed = mask == nullptr ? (1 << VECTOR) - 1 : bits_at(mask, words, index);
        if ((word)(never - index) < VECTOR) {
            allowed &= ~(1u << (never - index));
        }
        float peak = x[0], most = -CUDART_INF_F;
#pragma unroll
        for (int e = 0; e < VECTOR; e++) {
            peak = fmaxf(peak, x[e]);
            most = fmaxf(most, (allowed >> e & 1) != 0 ? x[e] : -CUDART_INF_F);
            zero = fmaf(x[e], 0.0f, zero);
        }
        if (most > best.value) {
            best.value = most;
#pragma unroll
            for (int e = VECTOR - 1; e >= 0; e--) {
                best.index = x[e] == most && (allowed >> e & 1) != 0 ? index + e : best.index;
            }
        }
        if (peak > best.peak) {
            best.sum *= expf(best.peak - peak);
            best.peak = peak;
        }
#pragma unroll
        for (int e = 0; e < VECTOR; e++) {
            best.sum += __expf(x[e] - best.peak);
        }
    };
    // A row may begin anywhere: its vocabulary need not be even.
    constexpr int TOGETHER = 2;
    const int stride = gridDim.x * ARGMAX_THREADS;
    const int aligned = ((16 - (size_t)row % 16) % 16) / sizeof(T);
    const int whole = vocabulary > aligned ? (vocabulary - aligned) / VECTOR : 0;
    const int thread = blockIdx.x * ARGMAX_THREADS + threadIdx.x;
    for (int i = thread; i < whole; i += TOGETHER * stride) {
        float x[TOGETHER][VECTOR];
#pragma unroll
        for (int j = 0; j < TOGETHER; j++) {
            load(row + aligned + (size_t)min(i + j * stride, whole - 1) * VECTOR, x[j]);
        }
#pragma unroll
        for (int j = 0; j < TOGETHER; j++) {
            if (i + j * stride < whole) {
                see(x[j], aligned + (i + j * stride) * VECTOR);
            }
        }
    }
    // What is left of the row before and behind its vectors.
    for (int i = thread; i < vocabulary - whole * VECTOR; i += stride) {
        const int index = i < aligned ? i : whole * VECTOR + i;
        const float x = to_float(row[index]);
        const bool allowed = index != never && (mask == nullptr || (mask[index / 32] >> index % 32 & 1) != 0);
        zero = fmaf(x, 0.0f, zero);
        best = join(best, {allowed ? x : -CUDART_INF_F, allowed ? (word)index : 0xffffffffu, x, 1.0f});
    }
    best.sum += zero;
    best = join_block(best);
    if (threadIdx.x == 0) {
        parts[blockIdx.y * gridDim.x + blockIdx.x] = best;
    }
    if (!is_last_part(counters + blockIdx.y, gridDim.x)) {
        return;
    }
    best = join_parts(parts + blockIdx.y * gridDim.x, gridDim.x);
    if (threadIdx.x == 0) {
        choose(choices + blockIdx.y, best, vocabulary);
    }
}

#define ARGMAX(NAME, T)                                                                                        \
    extern "C" __global__ void __launch_bounds__(ARGMAX_THREADS)                                               \
        argmax_##NAME(const T *logits, Best *parts, word *counters, uint4 *choices, const word *masks,         \
                      const word *needs, int never, int vocabulary, const Best *found, int found_parts) {      \
        argmax(logits, parts, counters, choices, masks, needs, never, vocabulary, found, found_parts);         \
    }

ARGMAX(f32, float)
ARGMAX(f16, __half)
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
ARGMAX(bf16, __nv_bfloat16)
#endif
