// The two ends of a step: rows of the embedding for tokens that are on the device, and the likeliest token
// of each row of logits. Names are known to decode.rs and benches/kernels/decode.py.

#include "numbers.cuh"

// A block takes a row. A token beyond the vocabulary is padding: zeros.
template <typename T, typename R>
__device__ __forceinline__ void embed(const T *table, const word *tokens, R *out, int vocabulary, int width) {
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

// What is known of some logits of a row.
struct Best {
    float value;
    word index;
    float sum; // of exp(logit - value)
    word strange; // whether some are not finite
};

// The largest, of equals the first, whatever the order in which parts are joined.
__device__ __forceinline__ Best join(Best a, Best b) {
    const bool first = a.value > b.value || (a.value == b.value && a.index < b.index);
    const float value = first ? a.value : b.value, other = first ? b.value : a.value;
    const float sum = first ? a.sum : b.sum, other_sum = first ? b.sum : a.sum;
    const float faded = other_sum == 0.0f ? 0.0f : other_sum * expf(other - value);
    return {value, first ? a.index : b.index, sum + faded, a.strange | b.strange};
}

__device__ __forceinline__ Best from_lane(Best a, int lane) {
    return {__shfl_xor_sync(ALL_LANES, a.value, lane), __shfl_xor_sync(ALL_LANES, a.index, lane),
            __shfl_xor_sync(ALL_LANES, a.sum, lane), __shfl_xor_sync(ALL_LANES, a.strange, lane)};
}

constexpr int ARGMAX_THREADS = 512;

__device__ __forceinline__ Best nothing() { return {-CUDART_INF_F, 0xffffffffu, 0.0f, 0}; }

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

// The grid is (parts of a row, rows): gridDim.x blocks share a row, and the last of them to end joins what
// they found. `parts` has room for gridDim.x of each row, `counters` are 0 before and after. Of a row with
// logits that are not finite only that is said, and some index in the vocabulary.
template <typename T>
__device__ __forceinline__ void argmax(const T *logits, Best *parts, word *counters, word *indices, word *finite,
                                       float2 *largest_and_log_sum, int vocabulary) {
    const T *row = logits + (size_t)blockIdx.y * vocabulary;
    Best best = nothing();
    // Zero times what is not finite is not zero.
    float zero = 0.0f;
    auto see = [&](const float x[VECTOR], int index) {
        float most = x[0];
#pragma unroll
        for (int e = 0; e < VECTOR; e++) {
            most = fmaxf(most, x[e]);
            zero = fmaf(x[e], 0.0f, zero);
        }
        if (most > best.value) {
            best.sum *= expf(best.value - most);
            best.value = most;
#pragma unroll
            for (int e = VECTOR - 1; e >= 0; e--) {
                best.index = x[e] == most ? index + e : best.index;
            }
        }
#pragma unroll
        for (int e = 0; e < VECTOR; e++) {
            best.sum += __expf(x[e] - best.value);
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
        zero = fmaf(x, 0.0f, zero);
        best = join(best, {x, (word)index, 1.0f, 0});
    }
    best.strange = zero != 0.0f;
    best = join_block(best);
    if (threadIdx.x == 0) {
        parts[blockIdx.y * gridDim.x + blockIdx.x] = best;
    }
    if (!is_last_part(counters + blockIdx.y, gridDim.x)) {
        return;
    }
    best = nothing();
    for (int i = threadIdx.x; i < gridDim.x; i += ARGMAX_THREADS) {
        const uint4 raw = __ldcg(reinterpret_cast<const uint4 *>(parts + blockIdx.y * gridDim.x + i));
        best = join(best, {__uint_as_float(raw.x), raw.y, __uint_as_float(raw.z), raw.w});
    }
    best = join_block(best);
    if (threadIdx.x == 0) {
        const bool known = best.strange == 0;
        indices[blockIdx.y] = best.index < vocabulary ? best.index : 0;
        finite[blockIdx.y] = known;
        largest_and_log_sum[blockIdx.y] = make_float2(best.value, known ? best.value + logf(best.sum) : CUDART_NAN_F);
    }
}

#define ARGMAX(NAME, T)                                                                                        \
    extern "C" __global__ void __launch_bounds__(ARGMAX_THREADS)                                               \
        argmax_##NAME(const T *logits, Best *parts, word *counters, word *indices, word *finite,               \
                      float2 *largest_and_log_sum, int vocabulary) {                                           \
        argmax(logits, parts, counters, indices, finite, largest_and_log_sum, vocabulary);                     \
    }

ARGMAX(f32, float)
ARGMAX(f16, __half)
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
ARGMAX(bf16, __nv_bfloat16)
#endif
