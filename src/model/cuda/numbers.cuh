// Numbers as the kernels hold them: f32 in registers, and eight at a time in memory, where they are f16,
// bf16 or f32. Also what a block does together: sums and largest values.

#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <math_constants.h>

typedef unsigned int word;

constexpr word ALL_LANES = 0xffffffffu;
// Every row begins at a 16-byte boundary, so its length is a multiple of this.
constexpr int VECTOR = 8;

__device__ __forceinline__ float to_float(float x) { return x; }
__device__ __forceinline__ float to_float(__half x) { return __half2float(x); }
__device__ __forceinline__ float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }

template <typename T> __device__ __forceinline__ T from_float(float x);
template <> __device__ __forceinline__ float from_float<float>(float x) { return x; }
template <> __device__ __forceinline__ __half from_float<__half>(float x) { return __float2half_rn(x); }
template <> __device__ __forceinline__ __nv_bfloat16 from_float<__nv_bfloat16>(float x) {
    return __float2bfloat16_rn(x);
}

// Two numbers of a word, the first in its low half.
__device__ __forceinline__ float2 to_floats(word pair, __half) {
    return __half22float2(*reinterpret_cast<const __half2 *>(&pair));
}

// A bf16 is the upper half of an f32.
__device__ __forceinline__ float2 to_floats(word pair, __nv_bfloat16) {
    return make_float2(__uint_as_float(pair << 16), __uint_as_float(pair & 0xffff0000u));
}

__device__ __forceinline__ word to_word(float first, float second, __half) {
    const __half2 pair = __floats2half2_rn(first, second);
    return *reinterpret_cast<const word *>(&pair);
}

__device__ __forceinline__ word to_word(float first, float second, __nv_bfloat16) {
    const __nv_bfloat162 pair = __floats2bfloat162_rn(first, second);
    return *reinterpret_cast<const word *>(&pair);
}

// 2^x in one instruction; what is smaller than the smallest normal number is 0.
__device__ __forceinline__ float power_of_2(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}

template <typename T> __device__ __forceinline__ void unpack(uint4 v, float out[VECTOR]) {
    const word words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const float2 f = to_floats(words[i], T());
        out[2 * i] = f.x, out[2 * i + 1] = f.y;
    }
}

template <typename T> __device__ __forceinline__ void load(const T *at, float out[VECTOR]) {
    unpack<T>(*reinterpret_cast<const uint4 *>(at), out);
}

template <> __device__ __forceinline__ void load<float>(const float *at, float out[VECTOR]) {
    const float4 a = reinterpret_cast<const float4 *>(at)[0];
    const float4 b = reinterpret_cast<const float4 *>(at)[1];
    out[0] = a.x, out[1] = a.y, out[2] = a.z, out[3] = a.w;
    out[4] = b.x, out[5] = b.y, out[6] = b.z, out[7] = b.w;
}

template <typename T> __device__ __forceinline__ void store(T *at, const float x[VECTOR]) {
    *reinterpret_cast<uint4 *>(at) = make_uint4(to_word(x[0], x[1], T()), to_word(x[2], x[3], T()),
                                                to_word(x[4], x[5], T()), to_word(x[6], x[7], T()));
}

template <> __device__ __forceinline__ void store<float>(float *at, const float x[VECTOR]) {
    reinterpret_cast<float4 *>(at)[0] = make_float4(x[0], x[1], x[2], x[3]);
    reinterpret_cast<float4 *>(at)[1] = make_float4(x[4], x[5], x[6], x[7]);
}

// Kernels are launched while those before them still run (programmatic dependent launch): a kernel's blocks
// take their places as soon as there is room, and wait here for all that earlier kernels have written. Before
// this nothing may be read that a kernel of the same step writes, and nothing written at all. A step begins with
// a kernel that nothing overtakes (embed, or a copy): what those before it have written may be read.
//
// One kernel does not wait at its beginning: attention of a prompt `beside` that of another (hopper_attention.cu). The kernel before
// it lets it begin only behind its own wait, so that what both read has been written, by kernels that have ended; it reads that by no
// read-only path, and what it writes nobody has read since those.
__device__ __forceinline__ void await_previous_kernels() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// Lets the next kernel's blocks take their places once all blocks of this one have.
__device__ __forceinline__ void let_next_kernel_begin() {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

__device__ __forceinline__ void begin_kernel() {
    let_next_kernel_begin();
    await_previous_kernels();
}

// The sum over a block's threads, of which there are whole warps; every thread gets it.
__device__ __forceinline__ float block_sum(float x) {
    __shared__ float parts[32];
#pragma unroll
    for (int lane = 16; lane > 0; lane /= 2) {
        x += __shfl_xor_sync(ALL_LANES, x, lane);
    }
    if (threadIdx.x % 32 == 0) {
        parts[threadIdx.x / 32] = x;
    }
    __syncthreads();
    x = threadIdx.x % 32 < blockDim.x / 32 ? parts[threadIdx.x % 32] : 0.0f;
#pragma unroll
    for (int lane = 16; lane > 0; lane /= 2) {
        x += __shfl_xor_sync(ALL_LANES, x, lane);
    }
    return x;
}

// silu(gate) * up: what an MLP makes of its two products. Without the division's branches, which would cost a product that
// it follows more than the division.
__device__ __forceinline__ float swiglu_of(float gate, float up) {
    return up * __fdividef(gate, 1.0f + __expf(-gate));
}

// The largest of a block's threads' numbers, none of them negative; as `block_sum`. A NaN counts as nothing.
__device__ __forceinline__ float block_max(float x) {
    __shared__ float parts[32];
#pragma unroll
    for (int lane = 16; lane > 0; lane /= 2) {
        x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, lane));
    }
    if (threadIdx.x % 32 == 0) {
        parts[threadIdx.x / 32] = x;
    }
    __syncthreads();
    x = threadIdx.x % 32 < blockDim.x / 32 ? parts[threadIdx.x % 32] : 0.0f;
#pragma unroll
    for (int lane = 16; lane > 0; lane /= 2) {
        x = fmaxf(x, __shfl_xor_sync(ALL_LANES, x, lane));
    }
    return x;
}

// Marks this block's part of a result as written and says whether the other `parts - 1` are too: true in
// exactly one block, which may then read them all (past the first-level cache: __ldcg). `counter` is 0
// before and after.
__device__ __forceinline__ bool is_last_part(word *counter, word parts) {
    __shared__ bool last;
    // The barriers order what the block's other threads write and read with this one's fences.
    __syncthreads();
    if (threadIdx.x == 0) {
        __threadfence();
        last = atomicInc(counter, parts - 1) == parts - 1;
        __threadfence();
    }
    __syncthreads();
    return last;
}
