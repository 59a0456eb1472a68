// A residual sum and its RMS norm in one pass: sum = residual + delta, y = sum / rms(sum) * weight.
//
// The sum that runs through is bf16, or f32 beside f16 products, whose range it can pass. Rows begin at
// 16-byte boundaries. Names are known to rows.rs and benches/kernels/decode.py.

#include "numbers.cuh"

// Vectors of a row that one thread holds.
constexpr int NORM_VECTORS = 4;
constexpr int NORM_THREADS_MAX = 1024;

// A block takes a row. Without `delta` the residual is the sum and is not written again; `sum` may be the
// residual itself.
template <typename R, typename D, typename C>
__device__ __forceinline__ void add_rms_norm(const R *residual, const D *delta, const R *weight, R *sum, C *y,
                                             int width, float eps) {
    let_next_kernel_begin();
    // No kernel writes weights. Of most rows a thread has one vector; registers for more would be too many.
    float w[VECTOR];
    if (threadIdx.x * VECTOR < width) {
        load(weight + threadIdx.x * VECTOR, w);
    }
    await_previous_kernels();
    const size_t row = (size_t)blockIdx.x * width;
    float x[NORM_VECTORS][VECTOR];
    float squares = 0.0f;
#pragma unroll
    for (int i = 0; i < NORM_VECTORS; i++) {
        const int at = (i * blockDim.x + threadIdx.x) * VECTOR;
        if (at >= width) {
            break;
        }
        load(residual + row + at, x[i]);
        if (delta != nullptr) {
            float d[VECTOR];
            load(delta + row + at, d);
#pragma unroll
            for (int e = 0; e < VECTOR; e++) {
                // The norm is that of what is stored.
                x[i][e] = to_float(from_float<R>(x[i][e] + d[e]));
            }
            store(sum + row + at, x[i]);
        }
#pragma unroll
        for (int e = 0; e < VECTOR; e++) {
            squares = fmaf(x[i][e], x[i][e], squares);
        }
    }
    const float scale = rsqrtf(block_sum(squares) / width + eps);
#pragma unroll
    for (int i = 0; i < NORM_VECTORS; i++) {
        const int at = (i * blockDim.x + threadIdx.x) * VECTOR;
        if (at >= width) {
            break;
        }
        if (i > 0) {
            load(weight + at, w);
        }
#pragma unroll
        for (int e = 0; e < VECTOR; e++) {
            x[i][e] = w[e] * (x[i][e] * scale);
        }
        store(y + row + at, x[i]);
    }
}

#define ADD_RMS_NORM(NAME, R, D, C)                                                                            \
    extern "C" __global__ void __launch_bounds__(NORM_THREADS_MAX) add_rms_norm_##NAME(                         \
        const R *residual, const D *delta, const R *weight, R *sum, C *y, int width, float eps) {              \
        add_rms_norm<R, D, C>(residual, delta, weight, sum, y, width, eps);                                    \
    }

// By residual, delta and y.
ADD_RMS_NORM(f16_f16_f16, __half, __half, __half)
ADD_RMS_NORM(f32_f16_f16, float, __half, __half)
ADD_RMS_NORM(f32_f32_f16, float, float, __half)
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
ADD_RMS_NORM(bf16_bf16_bf16, __nv_bfloat16, __nv_bfloat16, __nv_bfloat16)
ADD_RMS_NORM(f32_bf16_bf16, float, __nv_bfloat16, __nv_bfloat16)
ADD_RMS_NORM(f32_f32_bf16, float, float, __nv_bfloat16)
#endif
