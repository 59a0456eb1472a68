// Products of up to 128 rows with a stored matrix, y = x . weightT, on compute capability 9.0: reading the
// matrix at the memory's speed is all that counts. x is [m, k], weight [n, k] in x's type or in bytes, integers or
// floats, with an f32 scale for each row, y [m, n]; a row of k begins at a 16-byte boundary.
//
// There is one block on each multiprocessor. A cluster of blocks takes `rows` rows of the matrix, so that
// all clusters have the same work; its blocks share k, and add up at the end through each other's shared memory. One
// warp orders tiles from the copy engine, as many ahead as shared memory holds, before the kernels before
// this one have ended: no kernel writes weights. The other warps multiply, the matrix as the left operand, so
// that few rows of x waste little. A block goes through its rows in passes of up to TILES tiles of 64, of which
// the last may have fewer; x is read again in each pass.
//
// Logits are f32. Where `best` is not null each warp leaves there what it knows of the likeliest token, [m, warps that
// multiply], and only rows of y that `needs` want are written; a cluster has one block then.
//
// Names and block shapes are known to hopper.rs and benches/kernels/hopper.py.

#include "best.cuh"
#include "bytes.cuh"
#include "hopper.cuh"
#include "tensor_cores.cuh"

constexpr int TILE_ROWS = 64;
constexpr int GROUP_THREADS = 128;

struct Product {
    const Boxes *whole; // boxes of TILE_ROWS rows of weights
    const Boxes *rest;  // boxes of pass_rows % TILE_ROWS
    const Boxes *x;     // boxes of N rows
    const float *scales;      // of bytes, else null
    void *y;
    int m, n, k;
    int rows;      // of a cluster
    int pass_rows; // of a pass: a multiple of 4
    int stages;
    Found found;
};

// What of `chunks` chunks of k this block has.
struct Share {
    int first, count;

    __device__ __forceinline__ Share(int chunks, int rank, int blocks) {
        first = chunks * rank / blocks;
        count = chunks * (rank + 1) / blocks - first;
    }
};

// Shared memory: stages of a tile of weights and one of x, then barriers.
template <typename W, int N, int TILES> struct Memory {
    // Rows of weights are 128 bytes of k; of x there are one or two tiles of as many elements.
    static constexpr int CHUNK = ROW_BYTES / sizeof(W);
    static constexpr int X_BYTES = N * CHUNK * 2;

    word start;
    int weight_bytes, stages;

    __device__ __forceinline__ Memory(const Product &p, const void *shared) {
        start = ((word)__cvta_generic_to_shared(shared) + 1023) & ~1023u;
        weight_bytes = (p.pass_rows + 7) / 8 * 8 * ROW_BYTES;
        stages = p.stages;
    }
    __device__ __forceinline__ word weights(int stage) const { return start + stage * (weight_bytes + X_BYTES); }
    __device__ __forceinline__ word x(int stage) const { return weights(stage) + weight_bytes; }
    // Products take whole tiles: behind the last stage there is room for those that reach past its end.
    __device__ __forceinline__ word full(int stage) const {
        return weights(stages) + TILES * TILE_ROWS * ROW_BYTES - weight_bytes + stage * 8;
    }
    __device__ __forceinline__ word empty(int stage) const { return full(stages + stage); }
};

// One thread orders all copies.
template <typename W, int N, int TILES>
__device__ __forceinline__ void copy_tiles(const Product &p, const Memory<W, N, TILES> &memory, Share share) {
    constexpr int CHUNK = Memory<W, N, TILES>::CHUNK;
    const unsigned long long once = read_once(), again = read_again();
    const int whole = p.pass_rows / TILE_ROWS, rest = p.pass_rows % TILE_ROWS;
    const int first = blockIdx.y * p.rows, passes = (p.rows + p.pass_rows - 1) / p.pass_rows;
    const int bytes = p.pass_rows * ROW_BYTES + Memory<W, N, TILES>::X_BYTES, total = passes * share.count;
    auto weights = [&](int stage, int turn) {
        const word to = memory.weights(stage), barrier = memory.full(stage);
        const int row = first + turn / share.count * p.pass_rows;
        const int column = (share.first + turn % share.count) * CHUNK;
        expect_bytes(barrier, bytes);
        for (int i = 0; i < whole; i++) {
            copy_box(to + i * TILE_ROWS * ROW_BYTES, p.whole, column, row + i * TILE_ROWS, barrier, once);
        }
        if (rest > 0) {
            copy_box(to + whole * TILE_ROWS * ROW_BYTES, p.rest, column, row + whole * TILE_ROWS, barrier, once);
        }
    };
    auto x = [&](int stage, int turn) {
        const int column = (share.first + turn % share.count) * CHUNK;
#pragma unroll
        for (int i = 0; i < (int)(2 / sizeof(W)); i++) {
            copy_box(memory.x(stage) + i * N * ROW_BYTES, p.x, column + i * 64, 0, memory.full(stage), again);
        }
    };
    const int ahead = min(total, p.stages);
    for (int turn = 0; turn < ahead; turn++) {
        weights(turn, turn);
    }
    await_previous_kernels();
    for (int turn = 0; turn < ahead; turn++) {
        x(turn, turn);
    }
    Stage stage;
    for (int turn = ahead; turn < total; turn++) {
        await(memory.empty(stage.index), stage.parity);
        weights(stage.index, turn);
        x(stage.index, turn);
        stage.advance(p.stages);
    }
}

__device__ __forceinline__ word load_two_bytes(word address) {
    unsigned short v;
    asm volatile("ld.shared.u16 %0, [%1];" : "=h"(v) : "r"(address) : "memory");
    return v;
}

// Adds the products of one stage; `add` is 0 where sums begin. A group of four warps has every GROUPS-th tile.
template <typename T, int N, int GROUPS, int TILES>
__device__ __forceinline__ void multiply_stage(float (&sums)[TILES][N / 2], word weights, word x, int group, int add,
                                               T) {
    begin_products();
#pragma unroll
    for (int step = 0; step < 4; step++) {
        const unsigned long long right = rows_matrix(x + step * 32);
#pragma unroll
        for (int i = 0; i < TILES; i++) {
            const unsigned long long left =
                rows_matrix(weights + (group + i * GROUPS) * TILE_ROWS * ROW_BYTES + step * 32);
            Products<T, N>::add(sums[i], left, right, add | step);
        }
    }
    commit_products();
}

// Bytes become the left operand in registers, half a stage of one tile at a time, while the products of the
// one before are under way.
template <typename T, int N, int GROUPS, int TILES, typename W>
__device__ __forceinline__ void multiply_bytes(float (&sums)[TILES][N / 2], word weights, word x, int group, int add) {
    const int lane = threadIdx.x % 32, row = threadIdx.x / 32 % 4 * 16 + lane / 4;
    word left[2][4][4];
#pragma unroll
    for (int turn = 0; turn < 2 * TILES; turn++) {
        const int half = turn / TILES, tile = turn % TILES;
        word (&a)[4][4] = left[turn % 2];
        const word from = weights + ((group + tile * GROUPS) * TILE_ROWS + row) * ROW_BYTES + lane % 4 * 2;
#pragma unroll
        for (int step = 0; step < 4; step++) {
            const word place = from + ((half * 4 + step) ^ (lane / 4)) * 16;
#pragma unroll
            for (int i = 0; i < 4; i++) {
                a[step][i] = to_pair(load_two_bytes(place + i % 2 * 8 * ROW_BYTES + i / 2 * 8), T(), W());
            }
        }
        begin_products();
#pragma unroll
        for (int step = 0; step < 4; step++) {
            const unsigned long long right = rows_matrix(x + half * N * ROW_BYTES + step * 32);
            Products<T, N>::add(sums[tile], a[step], right, add | half | step);
        }
        commit_products();
        // The registers of the turn before are free for the next.
        await_products<1>();
    }
}

template <typename T, int N, int GROUPS, int TILES>
__device__ __forceinline__ void multiply_stage(float (&sums)[TILES][N / 2], word weights, word x, int group, int add,
                                               Int8) {
    multiply_bytes<T, N, GROUPS, TILES, Int8>(sums, weights, x, group, add);
}

template <typename T, int N, int GROUPS, int TILES>
__device__ __forceinline__ void multiply_stage(float (&sums)[TILES][N / 2], word weights, word x, int group, int add,
                                               E4m3) {
    multiply_bytes<T, N, GROUPS, TILES, E4m3>(sums, weights, x, group, add);
}

// Whether a kernel can say which tokens are likeliest: logits are f32. For more rows registers are lacking, and bytes leave none.
template <typename W, typename Y, int N> constexpr bool KNOWS_LIKELIEST = sizeof(Y) == 4 && sizeof(W) == 2 && N <= 64;

// Of the rows of y that a thread has sums of, those that are written: bits in the order of a tile's columns of `sums`.
template <int N> __device__ __forceinline__ word written_rows(const Product &p) {
    word written = 0;
#pragma unroll
    for (int i = 0; i < N / 4; i++) {
        const int to = i / 2 * 8 + threadIdx.x % 4 * 2 + i % 2;
        written |= (word)(to >= p.m || p.found.writes(to)) << i;
    }
    return written;
}

// What a warp knows of the likeliest tokens of all rows of y, from its rows of the matrix: of rows 8j to 8j + 7 lanes 4j to 4j + 3
// keep two each.
template <int N> struct Likeliest {
    static_assert(N <= 64, "lanes for all rows");
    Best best[2] = {nothing(), nothing()};

    // Adds sums of TILES tiles, the first of whose rows are this thread's group's `row`, and each GROUPS tiles further.
    template <int GROUPS, int TILES>
    __device__ __forceinline__ void see(const Product &p, const float (&sums)[TILES][N / 2], int row, int end) {
        const int lane = threadIdx.x % 32, first = row + threadIdx.x / 32 % 4 * 16 + lane / 4;
#pragma unroll
        for (int j = 0; j < N / 8; j++) {
#pragma unroll
            for (int e = 0; e < 2; e++) {
                Best here = nothing();
                // Zero times what is not finite is not a number.
                float zero = 0.0f;
                auto each = [&](auto see) {
#pragma unroll
                    for (int i = 0; i < TILES; i++) {
#pragma unroll
                        for (int h = 0; h < 2; h++) {
                            const int at = first + i * GROUPS * TILE_ROWS + h * 8;
                            if (at < end) {
                                see(sums[i][4 * j + 2 * h + e], at);
                            }
                        }
                    }
                };
                each([&](float x, int at) {
                    here.peak = fmaxf(here.peak, x);
                    zero = fmaf(x, 0.0f, zero);
                    if (x > here.value && at != p.found.never) {
                        here.value = x, here.index = at;
                    }
                });
                // Of the whole warp, so that sums need no other scale.
#pragma unroll
                for (int other = 4; other < 32; other *= 2) {
                    here.peak = fmaxf(here.peak, __shfl_xor_sync(ALL_LANES, here.peak, other));
                }
                each([&](float x, int) { here.sum += __expf(x - here.peak); });
                here.sum += zero;
#pragma unroll
                for (int other = 4; other < 32; other *= 2) {
                    here.sum += __shfl_xor_sync(ALL_LANES, here.sum, other);
                    const float value = __shfl_xor_sync(ALL_LANES, here.value, other);
                    const word index = __shfl_xor_sync(ALL_LANES, here.index, other);
                    const bool better = value > here.value || (value == here.value && index < here.index);
                    here.value = better ? value : here.value, here.index = better ? index : here.index;
                }
                if (lane / 4 == j) {
                    best[e] = join(best[e], here);
                }
            }
        }
    }

    __device__ __forceinline__ void leave(const Product &p, int group, int groups) const {
        const int lane = threadIdx.x % 32, part = (blockIdx.y * groups + group) * 4 + threadIdx.x / 32 % 4;
#pragma unroll
        for (int e = 0; e < 2; e++) {
            const int row = lane * 2 + e;
            if (row < p.m && row < N) {
                p.found.best[(size_t)row * p.found.parts + part] = best[e];
            }
        }
    }
};

// Writes a tile's sums, whose first row is `row` of the matrix, where there is one block in a cluster.
template <typename T, typename Y, int N>
__device__ __forceinline__ void write_tile(const Product &p, const float (&sums)[N / 2], int row, int end, word written) {
    const int lane = threadIdx.x % 32;
    Y *y = static_cast<Y *>(p.y);
    row += threadIdx.x / 32 % 4 * 16;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const int at = row + i * 8 + lane / 4;
        const float scale = p.scales != nullptr && at < end ? __ldg(&p.scales[at]) : 1.0f;
#pragma unroll
        for (int j = 0; j < N / 8; j++) {
            const float first = sums[4 * j + 2 * i] * scale, second = sums[4 * j + 2 * i + 1] * scale;
            if (sizeof(Y) == 2) {
                // Neighbours in a column become neighbours in a row.
                const word pair = transposed(to_word(first, second, T()));
                const int to = j * 8 + lane / 4, column = row + i * 8 + lane % 4 * 2;
                const size_t place = (size_t)to * p.n + column;
                if (to < p.m && column < end) {
                    if (p.n % 2 == 0) {
                        *reinterpret_cast<word *>(y + place) = pair;
                    } else {
                        reinterpret_cast<unsigned short *>(y)[place] = pair & 0xffffu;
                        if (column + 1 < end) {
                            reinterpret_cast<unsigned short *>(y)[place + 1] = pair >> 16;
                        }
                    }
                }
            } else {
                const int to = j * 8 + lane % 4 * 2;
                if (to < p.m && (written >> (2 * j) & 1) != 0 && at < end) {
                    y[(size_t)to * p.n + at] = from_float<Y>(first);
                }
                if (to + 1 < p.m && (written >> (2 * j + 1) & 1) != 0 && at < end) {
                    y[(size_t)(to + 1) * p.n + at] = from_float<Y>(second);
                }
            }
        }
    }
}

// A column's sums in shared memory: padded so that those that a warp writes at once are in all banks.
__device__ __forceinline__ int column_stride(int pass_rows) { return (pass_rows + 15) / 16 * 16 + 4; }

template <int N>
__device__ __forceinline__ void keep_tile(const float (&sums)[N / 2], word memory, int stride, int row, int rows) {
    const int lane = threadIdx.x % 32;
    row += threadIdx.x / 32 % 4 * 16 + lane / 4;
#pragma unroll
    for (int i = 0; i < N / 2; i++) {
        const int column = i / 4 * 8 + lane % 4 * 2 + i % 2, at = row + i % 4 / 2 * 8;
        if (at < rows) {
            asm volatile("st.shared.f32 [%0], %1;" ::"r"(memory + (column * stride + at) * 4), "f"(sums[i])
                         : "memory");
        }
    }
}

// Adds the columns that are this block's over all blocks of the cluster, and writes them.
template <typename Y>
__device__ __forceinline__ void write_columns(const Product &p, word memory, int stride, int rank, int blocks,
                                              int thread, int threads) {
    const int first = blockIdx.y * p.rows, end = min(first + p.rows, p.n), quads = p.rows / 4;
    const int columns = (p.m - rank + blocks - 1) / blocks;
    Y *y = static_cast<Y *>(p.y);
    for (int i = thread; i < columns * quads; i += threads) {
        const int column = i / quads * blocks + rank, row = i % quads * 4;
        const word at = memory + (column * stride + row) * 4;
        float4 sum = load_from(at, 0);
        for (int j = 1; j < blocks; j++) {
            const float4 v = load_from(at, j);
            sum.x += v.x, sum.y += v.y, sum.z += v.z, sum.w += v.w;
        }
        const float values[4] = {sum.x, sum.y, sum.z, sum.w};
        const size_t to = (size_t)column * p.n + first + row;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            if (first + row + j < end) {
                const float scale = p.scales != nullptr ? __ldg(&p.scales[first + row + j]) : 1.0f;
                y[to + j] = from_float<Y>(values[j] * scale);
            }
        }
    }
}

// What one of GROUPS groups of four warps does; it has TILES of a pass's tiles.
template <typename T, typename W, typename Y, int N, int GROUPS, int TILES, typename M>
__device__ __forceinline__ void multiply_group(const Product &p, const M &memory, Share share, int group, int blocks) {
    const int first = blockIdx.y * p.rows, end = min(first + p.rows, p.n);
    const int passes = (p.rows + p.pass_rows - 1) / p.pass_rows;
    float sums[TILES][N / 2];
    constexpr bool KNOWS = KNOWS_LIKELIEST<W, Y, N>;
    Likeliest<KNOWS ? N : 8> likeliest;
    const word written = KNOWS ? written_rows<N>(p) : ~0u;
    Stage stage;
    for (int pass = 0; pass < passes; pass++) {
        int before = 0;
        for (int turn = 0; turn < share.count; turn++) {
            await(memory.full(stage.index), stage.parity);
            multiply_stage<T, N, GROUPS, TILES>(sums, memory.weights(stage.index), memory.x(stage.index), group,
                                                turn, W());
            // The stage before this one has been read.
            if (turn > 0) {
                await_products<1>();
                if (threadIdx.x % 32 == 0) {
                    arrive(memory.empty(before));
                }
            }
            before = stage.index;
            stage.advance(p.stages);
        }
        await_products<0>();
        if (threadIdx.x % 32 == 0) {
            arrive(memory.empty(before));
        }
#pragma unroll
        for (int i = 0; i < TILES; i++) {
            settle(sums[i]);
        }
        if (blocks == 1) {
            const int row = first + pass * p.pass_rows;
#pragma unroll
            for (int i = 0; i < TILES; i++) {
                write_tile<T, Y, N>(p, sums[i], row + (group + i * GROUPS) * TILE_ROWS, min(end, row + p.pass_rows), written);
            }
            if constexpr (KNOWS) {
                if (p.found.best != nullptr) {
                    likeliest.template see<GROUPS>(p, sums, row + group * TILE_ROWS, min(end, row + p.pass_rows));
                }
            }
        }
    }
    if constexpr (KNOWS) {
        if (p.found.best != nullptr) {
            likeliest.leave(p, group, GROUPS);
        }
    }
    if (blocks > 1) {
        // Tiles are read by all groups, and no copy is under way: their memory is free.
        sync_threads(1, GROUPS * GROUP_THREADS);
#pragma unroll
        for (int i = 0; i < TILES; i++) {
            keep_tile<N>(sums[i], memory.start, column_stride(p.pass_rows), (group + i * GROUPS) * TILE_ROWS,
                         p.pass_rows);
        }
    }
}

// The grid is (blocks of a cluster, clusters), and so is the cluster: (blocks, 1).
template <typename T, typename W, typename Y, int N, int GROUPS, int TILES>
__device__ __forceinline__ void product(const Product &p) {
    extern __shared__ uint4 shared[];
    static_assert(TILES >= GROUPS, "every group has a tile");
    constexpr int CHUNK = Memory<W, N, TILES>::CHUNK;
    const Memory<W, N, TILES> memory(p, shared);
    const int blocks = gridDim.x, rank = blockIdx.x;
    const Share share((p.k + CHUNK - 1) / CHUNK, rank, blocks);
    const int group = threadIdx.x / GROUP_THREADS;
    let_next_kernel_begin();
    if (threadIdx.x == GROUPS * GROUP_THREADS) {
        for (int i = 0; i < p.stages; i++) {
            init_barrier(memory.full(i), 1);
            init_barrier(memory.empty(i), GROUPS * 4);
        }
        publish_barriers();
    }
    __syncthreads();
    if (group == GROUPS) {
        if (threadIdx.x == GROUPS * GROUP_THREADS) {
            copy_tiles(p, memory, share);
        }
        __syncwarp();
    } else {
        await_previous_kernels();
        if (group < TILES % GROUPS) {
            multiply_group<T, W, Y, N, GROUPS, TILES / GROUPS + 1>(p, memory, share, group, blocks);
        } else {
            multiply_group<T, W, Y, N, GROUPS, TILES / GROUPS>(p, memory, share, group, blocks);
        }
    }
    if (blocks > 1) {
        const int stride = column_stride(p.pass_rows);
        sync_cluster();
        if (group < GROUPS) {
            write_columns<Y>(p, memory.start, stride, rank, blocks, threadIdx.x, GROUPS * GROUP_THREADS);
        }
        // What another block still reads stays until it has.
        sync_cluster();
    }
}

#define PRODUCT(NAME, T, W, Y, N, GROUPS, TILES)                                                               \
    extern "C" __global__ void __launch_bounds__(GROUPS *GROUP_THREADS + 32, 1)                                \
        product_##NAME##_##N##_##TILES(const __grid_constant__ Boxes whole,                              \
                                       const __grid_constant__ Boxes rest,                               \
                                       const __grid_constant__ Boxes x, const float *scales, void *y,    \
                                       int m, int n, int k, int rows, int pass_rows, int stages, Best *best,   \
                                       int parts, const word *needs, int never) {                              \
        product<T, W, Y, N, GROUPS, TILES>({&whole, &rest, &x, scales, y, m, n, k, rows, pass_rows, stages,    \
                                            {best, parts, needs, (word)never}});                               \
    }

// By rows of x, and tiles of a pass.
#define PRODUCTS_OF(NAME, T, W, Y)                                                                             \
    PRODUCT(NAME, T, W, Y, 8, 2, 2)                                                                            \
    PRODUCT(NAME, T, W, Y, 8, 2, 5)                                                                            \
    PRODUCT(NAME, T, W, Y, 16, 2, 2)                                                                           \
    PRODUCT(NAME, T, W, Y, 16, 2, 5)                                                                           \
    PRODUCT(NAME, T, W, Y, 32, 2, 2)                                                                           \
    PRODUCT(NAME, T, W, Y, 32, 2, 5)                                                                           \
    PRODUCT(NAME, T, W, Y, 64, 2, 2)                                                                           \
    PRODUCT(NAME, T, W, Y, 64, 2, 5)                                                                           \
    PRODUCT(NAME, T, W, Y, 128, 2, 2)                                                                          \
    PRODUCT(NAME, T, W, Y, 128, 2, 3)

#define PRODUCTS_OF_BYTES(FORMAT, W)                                                                           \
    PRODUCTS_OF(bf16_##FORMAT##_bf16, __nv_bfloat16, W, __nv_bfloat16)                                         \
    PRODUCTS_OF(bf16_##FORMAT##_f32, __nv_bfloat16, W, float)                                                  \
    PRODUCTS_OF(f16_##FORMAT##_f16, __half, W, __half)                                                         \
    PRODUCTS_OF(f16_##FORMAT##_f32, __half, W, float)

PRODUCTS_OF_BYTES(q8, Int8)
PRODUCTS_OF_BYTES(fp8, E4m3)

PRODUCTS_OF(bf16_bf16, __nv_bfloat16, __nv_bfloat16, __nv_bfloat16)
PRODUCTS_OF(bf16_f32, __nv_bfloat16, __nv_bfloat16, float)
PRODUCTS_OF(f16_f16, __half, __half, __half)
PRODUCTS_OF(f16_f32, __half, __half, float)
