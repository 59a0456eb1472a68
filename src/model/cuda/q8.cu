// Products with 8-bit weights: out[m, n] = (x[m, k] . weights[n, k]^T) * scales[n] + addend.
//
// Weights are bytes, row by row, with one f32 scale per row: signed integers (q8) or 8-bit floats (fp8). x, the addend
// and usually the output are f16, bf16 or f32; sums are f32. Reading the weights is what these products cost, so each
// kernel reads them 16 bytes at a time and turns them into numbers in registers:
//
//   *_gemv_*        up to 8 rows of x, on plain cores. Every architecture.
//   *_thin_*        a few dozen rows of x, on tensor cores. From sm_80.
//   *_dequantise_*  the dense matrix, for products of many rows by the library.
//
// All but dequantise need k to be a multiple of 16 and rows that begin at 16-byte boundaries. Names and block shapes are
// known to q8.rs and benches/kernels/q8.py.

#include "bytes.cuh"

// What a product is made of; the kernels' arguments in their order.
struct Product {
    const byte *weights; // [n, k]
    const float *scales; // [n]
    const void *x;       // [m, k]
    const void *addend;  // null, [n] or [m, n], of x's type
    void *out;           // [m, n], f32 or of x's type
    int addend_stride;   // elements from one row of the addend to the next: 0 or n
    int out_is_f32;
    int m, n, k;
};

// Writes element (row of x, row of the weights), whose sum of products is `sum`.
template <typename T>
__device__ __forceinline__ void finish(const Product &p, int row, int column, float sum, float scale) {
    float value = sum * scale;
    if (p.addend != nullptr) {
        const T *addend = static_cast<const T *>(p.addend);
        value += to_float(__ldg(&addend[(size_t)row * p.addend_stride + column]));
    }
    const size_t at = (size_t)row * p.n + column;
    if (p.out_is_f32) {
        static_cast<float *>(p.out)[at] = value;
    } else {
        static_cast<T *>(p.out)[at] = from_float<T>(value);
    }
}

// ---- gemv ----------------------------------------------------------------------------------------------

// Rows of weights of one block: each element of x that is loaded serves all of them. With more rows of x
// there are registers for fewer, and more 16-byte pieces of each are under way at once.
constexpr int GEMV_ROWS_OF_FEW = 8;
constexpr int GEMV_ROWS_OF_MORE = 4;
constexpr int GEMV_FEW = 2;
constexpr int GEMV_WARPS_MAX = 8;

// Weights pass by once: they need no place in the first-level cache.
__device__ __forceinline__ uint4 load_once(const byte *at) {
    uint4 v;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
                 : "l"(at));
    return v;
}

__device__ __forceinline__ void load8(const float *x, float *out) {
    const float4 a = reinterpret_cast<const float4 *>(x)[0];
    const float4 b = reinterpret_cast<const float4 *>(x)[1];
    out[0] = a.x, out[1] = a.y, out[2] = a.z, out[3] = a.w;
    out[4] = b.x, out[5] = b.y, out[6] = b.z, out[7] = b.w;
}

__device__ __forceinline__ void load8(const __half *x, float *out) {
    const uint4 v = *reinterpret_cast<const uint4 *>(x);
    const word words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const __half2 pair = *reinterpret_cast<const __half2 *>(&words[i]);
        const float2 f = __half22float2(pair);
        out[2 * i] = f.x, out[2 * i + 1] = f.y;
    }
}

// A bf16 is the upper half of an f32.
__device__ __forceinline__ void load8(const __nv_bfloat16 *x, float *out) {
    const uint4 v = *reinterpret_cast<const uint4 *>(x);
    const word words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
    for (int i = 0; i < 4; i++) {
        out[2 * i] = __uint_as_float(words[i] << 16);
        out[2 * i + 1] = __uint_as_float(words[i] & 0xffff0000u);
    }
}

// A block computes a few columns of the output for up to M rows of x; its threads share k.
template <typename T, typename W, int M> __device__ __forceinline__ void gemv(const Product &p) {
    constexpr int ROWS = M <= GEMV_FEW ? GEMV_ROWS_OF_FEW : GEMV_ROWS_OF_MORE;
    constexpr int PIECES = M <= GEMV_FEW ? 1 : 2;
    const int first = blockIdx.x * ROWS;
    const int pieces = p.k / 16;
    const T *x = static_cast<const T *>(p.x);
    float sums[ROWS][M] = {};
    for (int base = threadIdx.x; base < pieces; base += PIECES * blockDim.x) {
        uint4 raw[PIECES][ROWS];
#pragma unroll
        for (int i = 0; i < PIECES; i++) {
            const int piece = base + i * blockDim.x;
#pragma unroll
            for (int r = 0; r < ROWS; r++) {
                const int row = min(first + r, p.n - 1);
                raw[i][r] = piece < pieces ? load_once(p.weights + (size_t)row * p.k + piece * 16)
                                           : make_uint4(0, 0, 0, 0);
            }
        }
#pragma unroll
        for (int i = 0; i < PIECES; i++) {
            const int piece = min(base + i * (int)blockDim.x, pieces - 1);
#pragma unroll
            for (int half = 0; half < 2; half++) {
                float xs[M][8];
#pragma unroll
                for (int j = 0; j < M; j++) {
                    load8(x + (size_t)min(j, p.m - 1) * p.k + piece * 16 + half * 8, xs[j]);
                }
#pragma unroll
                for (int r = 0; r < ROWS; r++) {
                    float ws[8];
                    to_floats(half ? raw[i][r].z : raw[i][r].x, ws, W());
                    to_floats(half ? raw[i][r].w : raw[i][r].y, ws + 4, W());
#pragma unroll
                    for (int j = 0; j < M; j++) {
#pragma unroll
                        for (int e = 0; e < 8; e++) {
                            sums[r][j] = fmaf(ws[e], xs[j][e], sums[r][j]);
                        }
                    }
                }
            }
        }
    }
    __shared__ float partial[GEMV_WARPS_MAX][ROWS * M];
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
#pragma unroll
        for (int j = 0; j < M; j++) {
            float sum = sums[r][j];
#pragma unroll
            for (int lane = 16; lane > 0; lane /= 2) {
                sum += __shfl_xor_sync(0xffffffffu, sum, lane);
            }
            if (threadIdx.x % 32 == 0) {
                partial[threadIdx.x / 32][j * ROWS + r] = sum;
            }
        }
    }
    __syncthreads();
    const int row = threadIdx.x / ROWS;
    const int column = first + threadIdx.x % ROWS;
    if (row < M && row < p.m && column < p.n) {
        float sum = 0.0f;
        for (int warp = 0; warp < blockDim.x / 32; warp++) {
            sum += partial[warp][threadIdx.x];
        }
        finish<T>(p, row, column, sum, p.scales[column] * W::FACTOR);
    }
}

#define GEMV(FORMAT, W, NAME, T, M)                                                                            \
    extern "C" __global__ void __launch_bounds__(32 * GEMV_WARPS_MAX)                                          \
        FORMAT##_gemv_##NAME##_##M(const byte *weights, const float *scales, const void *x, const void *addend, \
                                   void *out, int addend_stride, int out_is_f32, int m, int n, int k) {        \
        begin_kernel();                                                                                        \
        gemv<T, W, M>({weights, scales, x, addend, out, addend_stride, out_is_f32, m, n, k});                  \
    }
#define GEMVS_OF(FORMAT, W, NAME, T)                                                                           \
    GEMV(FORMAT, W, NAME, T, 1)                                                                                \
    GEMV(FORMAT, W, NAME, T, 2)                                                                                \
    GEMV(FORMAT, W, NAME, T, 4)                                                                                \
    GEMV(FORMAT, W, NAME, T, 8)
#define GEMVS(NAME, T) GEMVS_OF(q8, Int8, NAME, T) GEMVS_OF(fp8, E4m3, NAME, T)

GEMVS(f32, float)
GEMVS(f16, __half)
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
GEMVS(bf16, __nv_bfloat16)
#endif

// ---- tensor cores: product ----------------------------------------------------------------------------

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800

__device__ __forceinline__ void multiply(float c[4], const word a[4], word b0, word b1, __half) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

__device__ __forceinline__ void multiply(float c[4], const word a[4], word b0, word b1, __nv_bfloat16) {
    asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// The right matrix of one of four steps, of 16 elements of a row of x.
__device__ __forceinline__ word right(const uint4 b[2], int step, int half) {
    const uint4 &v = b[step / 2];
    return step % 2 ? (half ? v.w : v.z) : (half ? v.y : v.x);
}

// Sums of one thread: 32 rows of weights a warp, N rows of x.
template <int N> struct Sums {
    float v[2][N / 8][4];
    __device__ __forceinline__ void clear() {
#pragma unroll
        for (int i = 0; i < N; i++) {
            (&v[0][0][0])[i] = 0.0f;
        }
    }
};

// ---- tensor cores: a tile in shared memory ---------------------------------------------------------------

// Bytes of k in a tile. With 64 of a row at once the second-level cache was a third slower.
constexpr int DEPTH = 128;

// Copies 16 bytes to shared memory in the background, or zeros.
__device__ __forceinline__ void copy16(word to, const void *from, bool valid) {
    const int bytes = valid ? 16 : 0;
    asm volatile("cp.async.cg.shared.global.L2::256B [%0], [%1], 16, %2;" ::"r"(to), "l"(from), "r"(bytes));
}

__device__ __forceinline__ void commit_copies() { asm volatile("cp.async.commit_group;" ::: "memory"); }

// Waits until at most `PENDING` commits of this thread are under way.
template <int PENDING> __device__ __forceinline__ void await_copies() {
    asm volatile("cp.async.wait_group %0;" ::"n"(PENDING) : "memory");
}

// A tile is ROWS rows of weights and N rows of x, both from `first` and `first_x` on, DEPTH of k from `depth`
// on, which THREADS threads start to copy. Pieces of 16 bytes go where eight threads that later read together
// hit different banks: the place of a piece is its number, one bit flipped in odd rows.
template <int ROWS, int THREADS>
__device__ __forceinline__ void copy_weights(const Product &p, int first, int depth, word to) {
    constexpr int STRIDE = THREADS / 8;
    const int piece = threadIdx.x % 8, row = threadIdx.x % THREADS / 8;
    const int at = depth + piece * 16;
    const int rows = at < p.k ? p.n - first - row : 0;
    const byte *from = p.weights + (size_t)(first + row) * p.k + at;
    const word place = to + row * DEPTH + (piece ^ ((row & 1) << 2)) * 16;
#pragma unroll
    for (int i = 0; i < ROWS; i += STRIDE) {
        copy16(place + i * DEPTH, i < rows ? from : p.weights, i < rows);
        from += (size_t)STRIDE * p.k;
    }
}

template <typename T, int ROWS, int N, int THREADS>
__device__ __forceinline__ void copy_x(const Product &p, int first_x, int depth, word to) {
    constexpr int STRIDE = THREADS / 16;
    const int piece = threadIdx.x % 16, row = threadIdx.x % THREADS / 16;
    const int at = depth + piece * 8;
    const int rows = at < p.k ? p.m - first_x - row : 0;
    const T *from = static_cast<const T *>(p.x) + (size_t)(first_x + row) * p.k + at;
    const word place = to + ROWS * DEPTH + row * DEPTH * 2 + (piece ^ (row & 1)) * 16;
#pragma unroll
    for (int i = 0; i < N; i += STRIDE) {
        copy16(place + i * DEPTH * 2, i < rows ? from : p.x, i < rows);
        from += (size_t)STRIDE * p.k;
    }
}

// Adds the products of 64 of k, half `part` of a tile, for 32 rows of weights. These are the tensor
// core's left matrix, so that few rows of x waste little: its right one is 8 wide. The order of k within
// a product is free as long as both sides keep to it: of 64 bytes of a row of weights each of four
// threads takes 16 in a row, for four tensor-core steps of four, and the same 16 elements of x.
template <typename T, typename W, int N>
__device__ __forceinline__ void multiply_half(Sums<N> &sums, const byte *weights, const byte *x, int part) {
    // Eights of rows of x that are loaded at once: the sums of as many need not wait for each other.
    constexpr int TOGETHER = N / 8 < 4 ? N / 8 : 4;
    const int group = threadIdx.x % 32 / 4, member = threadIdx.x % 4;
    word a[2][4][4];
    const byte *left = weights + group * DEPTH + ((part * 4 + member) ^ ((group & 1) << 2)) * 16;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const uint4 v = *reinterpret_cast<const uint4 *>(left + i * 8 * DEPTH);
        const word words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
        for (int step = 0; step < 4; step++) {
            a[i / 2][step][i % 2] = to_pair(words[step], T(), W());
            a[i / 2][step][i % 2 + 2] = to_pair(words[step] >> 16, T(), W());
        }
    }
#pragma unroll
    for (int first = 0; first < N / 8; first += TOGETHER) {
        uint4 b[TOGETHER][2];
#pragma unroll
        for (int i = 0; i < 2 * TOGETHER; i++) {
            const int place = (part * 8 + member * 2 + i % 2) ^ (group & 1);
            b[i / 2][i % 2] =
                *reinterpret_cast<const uint4 *>(x + ((first + i / 2) * 8 + group) * DEPTH * 2 + place * 16);
        }
#pragma unroll
        for (int step = 0; step < 4; step++) {
#pragma unroll
            for (int i = 0; i < 2 * TOGETHER; i++) {
                const uint4 *v = b[i % TOGETHER];
                multiply(sums.v[i / TOGETHER][first + i % TOGETHER], a[i / TOGETHER][step], right(v, step, 0),
                         right(v, step, 1), T());
            }
        }
    }
}

// ---- thin ----------------------------------------------------------------------------------------------

constexpr int THIN_ROWS = 32;
constexpr int THIN_WARPS_MAX = 8;
constexpr int THIN_STAGES = 2;

// A block computes THIN_ROWS columns of the output for N rows of x; the grid's second dimension walks
// more of these. The warps take turns along k, each with tiles of its own, and add up at the end: until
// then no warp waits for another.
template <typename T, typename W, int N> __device__ __forceinline__ void thin(const Product &p) {
    extern __shared__ uint4 shared[];
    constexpr int TILE = THIN_ROWS * DEPTH + N * DEPTH * 2;
    const int warp = threadIdx.x / 32, group = threadIdx.x % 32 / 4, member = threadIdx.x % 4;
    const int warps = blockDim.x / 32;
    const int first = blockIdx.x * THIN_ROWS, first_x = blockIdx.y * N;
    const int tiles = (p.k + DEPTH - 1) / DEPTH;
    const byte *mine = reinterpret_cast<const byte *>(shared) + warp * THIN_STAGES * TILE;
    const word address = (word)__cvta_generic_to_shared(mine);
    int ahead = warp;
    auto copy_next_weights = [&](int stage, int tile) {
        if (tile < tiles) {
            copy_weights<THIN_ROWS, 32>(p, first, tile * DEPTH, address + stage * TILE);
        }
    };
    auto copy_next_x = [&](int stage) {
        if (ahead < tiles) {
            copy_x<T, THIN_ROWS, N, 32>(p, first_x, ahead * DEPTH, address + stage * TILE);
        }
        ahead += warps;
        commit_copies();
    };
    // No kernel writes weights.
    for (int stage = 0; stage < THIN_STAGES; stage++) {
        copy_next_weights(stage, warp + stage * warps);
    }
    await_previous_kernels();
    for (int stage = 0; stage < THIN_STAGES; stage++) {
        copy_next_x(stage);
    }
    Sums<N> sums;
    sums.clear();
    int stage = 0;
    for (int tile = warp; tile < tiles; tile += warps) {
        await_copies<THIN_STAGES - 1>();
        __syncwarp();
        const byte *weights = mine + stage * TILE;
#pragma unroll
        for (int part = 0; part < DEPTH / 64; part++) {
            multiply_half<T, W, N>(sums, weights, weights + THIN_ROWS * DEPTH, part);
        }
        __syncwarp();
        copy_next_weights(stage, ahead);
        copy_next_x(stage);
        stage = stage + 1 == THIN_STAGES ? 0 : stage + 1;
    }
    await_copies<0>();
    __syncthreads();
    float *partial = reinterpret_cast<float *>(shared);
#pragma unroll
    for (int i = 0; i < N; i++) {
        const int row = i / 4 % (N / 8) * 8 + member * 2 + i % 2;
        const int column = i / (N / 2) * 16 + i % 4 / 2 * 8 + group;
        partial[(warp * N + row) * THIN_ROWS + column] = (&sums.v[0][0][0])[i];
    }
    __syncthreads();
    for (int i = threadIdx.x; i < N * THIN_ROWS; i += blockDim.x) {
        const int row = first_x + i / THIN_ROWS, column = first + i % THIN_ROWS;
        if (row < p.m && column < p.n) {
            float sum = 0.0f;
            for (int w = 0; w < warps; w++) {
                sum += partial[w * N * THIN_ROWS + i];
            }
            finish<T>(p, row, column, sum, p.scales[column]);
        }
    }
}

#define THIN(FORMAT, W, NAME, T, N)                                                                            \
    extern "C" __global__ void __launch_bounds__(32 * THIN_WARPS_MAX)                                           \
        FORMAT##_thin_##NAME##_##N(const byte *weights, const float *scales, const void *x, const void *addend, \
                                   void *out, int addend_stride, int out_is_f32, int m, int n, int k) {        \
        let_next_kernel_begin();                                                                               \
        thin<T, W, N>({weights, scales, x, addend, out, addend_stride, out_is_f32, m, n, k});                  \
    }
#define THINS_OF(FORMAT, W, NAME, T)                                                                           \
    THIN(FORMAT, W, NAME, T, 8) THIN(FORMAT, W, NAME, T, 16) THIN(FORMAT, W, NAME, T, 32)
#define THINS(NAME, T) THINS_OF(q8, Int8, NAME, T) THINS_OF(fp8, E4m3, NAME, T)

THINS(f16, __half)
THINS(bf16, __nv_bfloat16)

#endif

// ---- dequantise ----------------------------------------------------------------------------------------

// out[n, k] = weights * scales. A block takes a part of one row; the grid's second dimension walks rows.
template <typename T, typename W>
__device__ __forceinline__ void dequantise(const byte *weights, const float *scales, T *out, int n, int k) {
    const int piece = blockIdx.x * blockDim.x + threadIdx.x;
    for (int row = blockIdx.y; row < n; row += gridDim.y) {
        const float scale = scales[row] * W::FACTOR;
        const size_t at = (size_t)row * k + (size_t)piece * 16;
        if (k % 16 == 0 && piece * 16 < k) {
            const uint4 raw = load_once(weights + at);
            const word words[4] = {raw.x, raw.y, raw.z, raw.w};
            alignas(16) T values[16];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                float f[4];
                to_floats(words[i], f, W());
#pragma unroll
                for (int j = 0; j < 4; j++) {
                    values[4 * i + j] = from_float<T>(f[j] * scale);
                }
            }
#pragma unroll
            for (int i = 0; i < (int)sizeof(T); i++) {
                reinterpret_cast<uint4 *>(out + at)[i] = reinterpret_cast<const uint4 *>(values)[i];
            }
        } else {
            for (int i = 0; i < 16 && piece * 16 + i < k; i++) {
                float f[4];
                to_floats(weights[at + i], f, W());
                out[at + i] = from_float<T>(f[0] * scale);
            }
        }
    }
}

#define DEQUANTISE_OF(FORMAT, W, NAME, T)                                                                      \
    extern "C" __global__ void FORMAT##_dequantise_##NAME(const byte *weights, const float *scales, T *out,    \
                                                          int n, int k) {                                      \
        begin_kernel();                                                                                        \
        dequantise<T, W>(weights, scales, out, n, k);                                                          \
    }
#define DEQUANTISE(NAME, T) DEQUANTISE_OF(q8, Int8, NAME, T) DEQUANTISE_OF(fp8, E4m3, NAME, T)

DEQUANTISE(f32, float)
DEQUANTISE(f16, __half)
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
DEQUANTISE(bf16, __nv_bfloat16)
#endif
