// Rows of activations in 8-bit floats (e4m3), each with its own scale, for products on tensor cores that take 8 bits on
// both sides: x[m, k] = values[m, k] * scales[m], rounded. A row's largest magnitude becomes 448, the largest that there is.
//
// k is a multiple of 16. What is not finite stays so: it makes its row's products NaN. Names and block shapes are known to
// fp8.rs.

#include <cuda_fp8.h>

#include "bytes.cuh"

constexpr float E4M3_MAX = 448.0f;

// A block has a row. Each thread reads the vectors that it would write.
template <typename T> __device__ __forceinline__ void quantise(const T *row, byte *values, float *scales, int k) {
    byte *out = values + (size_t)blockIdx.x * k;
    float largest = 0.0f;
    for (int i = threadIdx.x * VECTOR; i < k; i += blockDim.x * VECTOR) {
        float v[VECTOR];
        load(row + i, v);
#pragma unroll
        for (int j = 0; j < VECTOR; j++) {
            largest = fmaxf(largest, fabsf(v[j]));
        }
    }
    const float scale = block_max(largest) / E4M3_MAX;
    const float inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
    if (threadIdx.x == 0) {
        scales[blockIdx.x] = scale;
    }
    for (int i = threadIdx.x * VECTOR; i < k; i += blockDim.x * VECTOR) {
        float v[VECTOR];
        load(row + i, v);
        word words[2];
#pragma unroll
        for (int j = 0; j < 2; j++) {
            const float2 low = make_float2(v[4 * j] * inverse, v[4 * j + 1] * inverse);
            const float2 high = make_float2(v[4 * j + 2] * inverse, v[4 * j + 3] * inverse);
            words[j] = (word)__nv_cvt_float2_to_fp8x2(low, __NV_SATFINITE, __NV_E4M3) |
                       (word)__nv_cvt_float2_to_fp8x2(high, __NV_SATFINITE, __NV_E4M3) << 16;
        }
        *reinterpret_cast<uint2 *>(out + i) = make_uint2(words[0], words[1]);
    }
}

// Rows of what an MLP makes of [gate | up], rounded on the way as it is where it is stored: two passes over it less.
// A row of it has room in shared memory.
template <typename T>
__device__ __forceinline__ void swiglu_quantise(const T *x, byte *values, float *scales, int k) {
    extern __shared__ uint4 room[];
    T *row = reinterpret_cast<T *>(room);
    const T *from = x + (size_t)blockIdx.x * 2 * k;
    for (int i = threadIdx.x * VECTOR; i < k; i += blockDim.x * VECTOR) {
        float gate[VECTOR], up[VECTOR];
        load(from + i, gate);
        load(from + k + i, up);
#pragma unroll
        for (int j = 0; j < VECTOR; j++) {
            up[j] = swiglu_of(gate[j], up[j]);
        }
        store(row + i, up);
    }
    quantise(row, values, scales, k);
}

#define QUANTISE(NAME, T)                                                                                      \
    extern "C" __global__ void fp8_quantise_##NAME(const T *x, byte *values, float *scales, int k) {           \
        begin_kernel();                                                                                        \
        quantise<T>(x + (size_t)blockIdx.x * k, values, scales, k);                                            \
    }                                                                                                          \
    extern "C" __global__ void fp8_swiglu_##NAME(const T *x, byte *values, float *scales, int k) {             \
        begin_kernel();                                                                                        \
        swiglu_quantise<T>(x, values, scales, k);                                                              \
    }

QUANTISE(f16, __half)
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
QUANTISE(bf16, __nv_bfloat16)
#endif
