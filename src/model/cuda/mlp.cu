// out = silu(gate) * up, of rows [gate | up]. Computed in f32 and rounded once. Names are known to rows.rs
// and benches/kernels/decode.py.

#include "numbers.cuh"

// The grid is (vectors of a row, rows).
template <typename T> __device__ __forceinline__ void swiglu(const T *x, T *out, int width) {
    begin_kernel();
    const int at = (blockIdx.x * blockDim.x + threadIdx.x) * VECTOR;
    if (at >= width) {
        return;
    }
    const T *row = x + (size_t)blockIdx.y * 2 * width + at;
    float gate[VECTOR], up[VECTOR];
    load(row, gate);
    load(row + width, up);
#pragma unroll
    for (int e = 0; e < VECTOR; e++) {
        up[e] = swiglu_of(gate[e], up[e]);
    }
    store(out + (size_t)blockIdx.y * width + at, up);
}

extern "C" __global__ void swiglu_f16(const __half *x, __half *out, int width) { swiglu(x, out, width); }
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
extern "C" __global__ void swiglu_bf16(const __nv_bfloat16 *x, __nv_bfloat16 *out, int width) {
    swiglu(x, out, width);
}
#endif
