// An MLP's first product and what is made of it, silu(x . gateT) * (x . upT), for many rows on compute capability
// 9.0: what the product comes to does not go through memory. x is [m, k], weight [2n, k] with the rows of gate
// above those of up, out [m, n]; a row begins at a 16-byte boundary.
//
// Names and block shapes are known to hopper_swiglu.rs and benches/kernels/hopper_swiglu.py.

#include "hopper_tiles.cuh"

// Columns of the result in a tile: 128, or 96, which fill all multiprocessors to the end for other numbers of rows.
template <int TILE_COLUMNS, int TILE_STAGES> struct Swiglu {
    using Out = const Boxes *;
    static constexpr int COLUMNS = TILE_COLUMNS, STAGES = TILE_STAGES;
    // Boxes of gate, and as many of up.
    static constexpr int GATE_BOXES = COLUMNS / 64;
    static constexpr int WEIGHT_BOXES = 2 * GATE_BOXES, WEIGHT_BOX_ROWS = COLUMNS / GATE_BOXES;
    static constexpr bool READS_ONCE = false;
    // On its way out a box has half as many bytes in a row, so that it divides a tile, and is swizzled by halves of rows.
    static constexpr int OUT_COLUMNS = 32, OUT_ROW_BYTES = ROW_BYTES / 2, OUT_BYTES = BOX_ROWS * OUT_ROW_BYTES;
    static constexpr int RESULT_BYTES = COLUMNS / OUT_COLUMNS * OUT_BYTES;

    // Gate, and behind it up.
    static __device__ __forceinline__ int weight_row(const Work<Swiglu> &p, int column, int box) {
        return column + box / GATE_BOXES * p.n + box % GATE_BOXES * WEIGHT_BOX_ROWS;
    }

    template <typename T>
    static __device__ __forceinline__ void write(const Work<Swiglu> &p, const float (&sums)[COLUMNS], Tile tile, int group,
                                                 word results, T) {
        const int thread = threadIdx.x % GROUP_THREADS, lane = thread % 32, line = thread / 32 * 16 + lane / 4;
        // The results before these have been read.
        if (thread == 0) {
            await_stores_read();
        }
        sync_threads(1 + group, GROUP_THREADS);
#pragma unroll
        for (int j = 0; j < COLUMNS / 8; j++) {
#pragma unroll
            for (int i = 0; i < 2; i++) {
                const float *gate = sums + 4 * j + 2 * i, *up = gate + COLUMNS / 2;
                const word pair = to_word(swiglu_of(gate[0], up[0]), swiglu_of(gate[1], up[1]), T());
                const int row = line + i * 8;
                const word to = results + j / 4 * OUT_BYTES + row * OUT_ROW_BYTES + (j % 4 ^ row / 2 % 4) * 16 + lane % 4 * 4;
                asm volatile("st.shared.u32 [%0], %1;" ::"r"(to), "r"(pair) : "memory");
            }
        }
        publish_writes();
        sync_threads(1 + group, GROUP_THREADS);
        if (thread == 0) {
#pragma unroll
            for (int i = 0; i < COLUMNS / OUT_COLUMNS; i++) {
                const int column = tile.column + i * OUT_COLUMNS;
                if (column < p.n) {
                    store_box(results + i * OUT_BYTES, p.out, column, tile.row);
                }
            }
            commit_stores();
        }
    }

    static __device__ __forceinline__ void finish() {
        if (threadIdx.x % GROUP_THREADS == 0) {
            await_stores();
        }
    }
};

#define SWIGLU(NAME, T, COLUMNS, STAGES)                                                                         \
    extern "C" __global__ void __launch_bounds__((GROUPS + 1) * GROUP_THREADS, 1)                                \
        hopper_swiglu_##NAME##_##COLUMNS(const __grid_constant__ Boxes x, const __grid_constant__ Boxes weight,  \
                                         const __grid_constant__ Boxes out, int m, int n, int k, int same_rows,  \
                                         int band) {                                                             \
        multiply<T, Swiglu<COLUMNS, STAGES>>({&x, &weight, &out, m, n, k, same_rows != 0, band});                \
    }
#define SWIGLU_OF(NAME, T)                                                                                       \
    SWIGLU(NAME, T, 128, 4)                                                                                      \
    SWIGLU(NAME, T, 96, 5)

SWIGLU_OF(f16, __half)
SWIGLU_OF(bf16, __nv_bfloat16)
