// An MLP's first product and what is made of it, silu(x . gateT) * (x . upT), for many rows on compute capability
// 9.0: what the product comes to does not go through memory. x is [m, k], weight [2n, k] with the rows of gate
// above those of up, out [m, n]; a row begins at a 16-byte boundary.
//
// Names and block shapes are known to hopper_swiglu.rs and benches/kernels/hopper_swiglu.py.

#include "hopper_tiles.cuh"

struct Swiglu {
    using Out = const Boxes *;
    static constexpr int COLUMNS = WEIGHT_ROWS / 2;
    static constexpr bool READS_ONCE = false;
    static constexpr int RESULT_BYTES = 2 * BOX_BYTES;

    // Gate, and behind it up.
    static __device__ __forceinline__ int weight_row(const Work<Swiglu> &p, int column, int box) {
        return column + box / 2 * p.n + box % 2 * BOX_ROWS;
    }

    template <typename T>
    static __device__ __forceinline__ void write(const Work<Swiglu> &p, const float (&sums)[WEIGHT_ROWS / 2], int row, int column,
                                                 int group, word results, T) {
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
                const word to = results + j / 8 * BOX_BYTES + row * ROW_BYTES + (j % 8 ^ row % 8) * 16 + lane % 4 * 4;
                asm volatile("st.shared.u32 [%0], %1;" ::"r"(to), "r"(pair) : "memory");
            }
        }
        publish_writes();
        sync_threads(1 + group, GROUP_THREADS);
        if (thread == 0) {
#pragma unroll
            for (int i = 0; i < 2; i++) {
                if (column + i * 64 < p.n) {
                    store_box(results + i * BOX_BYTES, p.out, column + i * 64, row);
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

#define SWIGLU(NAME, T)                                                                                         \
    extern "C" __global__ void __launch_bounds__((GROUPS + 1) * GROUP_THREADS, 1)                                \
        hopper_swiglu_##NAME(const __grid_constant__ Boxes x, const __grid_constant__ Boxes weight,              \
                             const __grid_constant__ Boxes out, int m, int n, int k, int same_rows, int band) {  \
        multiply<T, Swiglu>({&x, &weight, &out, m, n, k, same_rows != 0, band});                                 \
    }

SWIGLU(f16, __half)
SWIGLU(bf16, __nv_bfloat16)
