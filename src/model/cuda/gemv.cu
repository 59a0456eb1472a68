// Products of a few rows with a dense matrix, y = x . weightT, where reading the matrix is all that counts.
// x is [m, k], weight [n, k], y [m, n]; k is a multiple of 32. On tensor cores, from sm_80.
//
// A block takes 8 rows of the matrix, its warps share k. Weights go from memory to registers in pieces of 16
// bytes, once, and are the right matrix of a product whose left one is x: which elements of k make which
// column is arranged so that a piece is used by the thread that loaded it. Sums are f32. Names and block
// shapes are known to product.rs and benches/kernels/gemv.py.

#include "numbers.cuh"
#include "tensor_cores.cuh"

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800

constexpr int ROWS = 8;
// Elements of k that a warp takes from each row at once: in pieces of 8, four threads to a row.
constexpr int PIECES = 4;
constexpr int DEPTH = 32 * PIECES;
constexpr int WARPS_MAX = 8;

template <typename T> __device__ __forceinline__ uint4 load_once(const T *at) {
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.L2::256B.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(at));
    return v;
}

// M is 8 or 16: the rows of x that there may be.
template <typename T, typename Y, int M>
__device__ __forceinline__ void gemv(const T *weight, const T *x, Y *y, int m, int n, int k) {
    let_next_kernel_begin();
    const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, group = lane / 4, member = lane % 4;
    const int warps = blockDim.x / 32, first = blockIdx.x * ROWS;
    const T *row = weight + (size_t)min(first + group, n - 1) * k + member * 8;
    // Rows that are not there are the last one, and their results are not stored.
    const T *near = x + (size_t)min(group, m - 1) * k + member * 8;
    const T *far = x + (size_t)min(group + 8, m - 1) * k + member * 8;
    const uint4 zero = make_uint4(0, 0, 0, 0);
    float sums[2][4] = {};
    uint4 w[PIECES], next[PIECES];
    const int stride = warps * DEPTH;
    int depth = warp * DEPTH;
#pragma unroll
    for (int i = 0; i < PIECES; i++) {
        w[i] = depth + i * 32 < k ? load_once(row + depth + i * 32) : zero;
    }
    // Weights are nobody's result: the first of them are on their way while earlier kernels end.
    await_previous_kernels();
    for (; depth < k; depth += stride) {
#pragma unroll
        for (int i = 0; i < PIECES; i++) {
            const int at = depth + stride + i * 32;
            next[i] = at < k ? load_once(row + at) : zero;
        }
#pragma unroll
        for (int i = 0; i < PIECES; i++) {
            const int at = min(depth + i * 32, k - 32);
            const uint4 a = *reinterpret_cast<const uint4 *>(near + at);
            const uint4 b = M > 8 ? *reinterpret_cast<const uint4 *>(far + at) : zero;
            const word even[4] = {a.x, b.x, a.y, b.y}, odd[4] = {a.z, b.z, a.w, b.w};
            multiply(sums[0], even, w[i].x, w[i].y, T());
            multiply(sums[1], odd, w[i].z, w[i].w, T());
        }
#pragma unroll
        for (int i = 0; i < PIECES; i++) {
            w[i] = next[i];
        }
    }
    __shared__ float parts[WARPS_MAX][M][ROWS];
#pragma unroll
    for (int i = 0; i < M / 8; i++) {
        const float2 pair = make_float2(sums[0][2 * i] + sums[1][2 * i], sums[0][2 * i + 1] + sums[1][2 * i + 1]);
        *reinterpret_cast<float2 *>(&parts[warp][group + i * 8][member * 2]) = pair;
    }
    __syncthreads();
    for (int i = threadIdx.x; i < M * ROWS; i += blockDim.x) {
        const int to = i / ROWS, column = i % ROWS;
        float sum = 0.0f;
        for (int j = 0; j < warps; j++) {
            sum += parts[j][to][column];
        }
        if (to < m && first + column < n) {
            y[(size_t)to * n + first + column] = from_float<Y>(sum);
        }
    }
}

#define GEMV(NAME, T, Y, M)                                                                                    \
    extern "C" __global__ void __launch_bounds__(32 * WARPS_MAX)                                               \
        gemv_##NAME##_##M(const T *weight, const T *x, Y *y, int m, int n, int k) {                            \
        gemv<T, Y, M>(weight, x, y, m, n, k);                                                                  \
    }

// By inputs and result.
GEMV(f16_f16, __half, __half, 8)
GEMV(f16_f16, __half, __half, 16)
GEMV(f16_f32, __half, float, 8)
GEMV(f16_f32, __half, float, 16)
GEMV(bf16_bf16, __nv_bfloat16, __nv_bfloat16, 8)
GEMV(bf16_bf16, __nv_bfloat16, __nv_bfloat16, 16)
GEMV(bf16_f32, __nv_bfloat16, float, 8)
GEMV(bf16_f32, __nv_bfloat16, float, 16)

#endif
