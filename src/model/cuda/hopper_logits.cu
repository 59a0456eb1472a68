// Logits of 129 rows and more on compute capability 9.0: y = x . weightT in f32, x [m, k], weight [n, k], y [m, n]; a row of
// k begins at a 16-byte boundary.
//
// Names and block shapes are known to hopper_logits.rs and benches/kernels/hopper_logits.py.

#include "hopper_tiles.cuh"

struct Logits {
    using Out = float *;
    static constexpr int WEIGHT_BOXES = 4, WEIGHT_BOX_ROWS = 64, STAGES = 4;
    static constexpr int COLUMNS = WEIGHT_BOXES * WEIGHT_BOX_ROWS;
    static constexpr bool READS_ONCE = true;
    static constexpr int RESULT_BYTES = 0;

    static __device__ __forceinline__ int weight_row(const Work<Logits> &, int column, int box) { return column + box * WEIGHT_BOX_ROWS; }

    // From registers: a row of y begins anywhere, where the copy engine does not write.
    template <typename T>
    static __device__ __forceinline__ void write(const Work<Logits> &p, const float (&sums)[COLUMNS / 2], Tile tile, int, word, T) {
        const int thread = threadIdx.x % GROUP_THREADS, lane = thread % 32;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const int line = tile.row + thread / 32 * 16 + i * 8 + lane / 4;
            if (line >= p.m) {
                continue;
            }
            float *to = p.out + (size_t)line * p.n;
#pragma unroll
            for (int j = 0; j < COLUMNS / 8; j++) {
                const int at = tile.column + j * 8 + lane % 4 * 2;
                const float2 pair = make_float2(sums[4 * j + 2 * i], sums[4 * j + 2 * i + 1]);
                if (p.n % 2 == 0) {
                    if (at < p.n) {
                        *reinterpret_cast<float2 *>(to + at) = pair;
                    }
                } else {
                    if (at < p.n) {
                        to[at] = pair.x;
                    }
                    if (at + 1 < p.n) {
                        to[at + 1] = pair.y;
                    }
                }
            }
        }
    }

    static __device__ __forceinline__ void finish() {}
};

#define LOGITS(NAME, T)                                                                                         \
    extern "C" __global__ void __launch_bounds__((GROUPS + 1) * GROUP_THREADS, 1)                                \
        hopper_logits_##NAME(const __grid_constant__ Boxes x, const __grid_constant__ Boxes weight, float *y,    \
                             int m, int n, int k, int same_rows, int band) {                                     \
        multiply<T, Logits>({&x, &weight, y, m, n, k, same_rows != 0, band});                                    \
    }

LOGITS(f16, __half)
LOGITS(bf16, __nv_bfloat16)
