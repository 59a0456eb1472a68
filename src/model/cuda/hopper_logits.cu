// Logits of 129 rows and more on compute capability 9.0: y = x . weightT in f32, x [m, k], weight [n, k], y [m, n]; a row of
// k begins at a 16-byte boundary. Where `best` is not null each tile leaves what it knows of the likeliest token there, [m, tiles
// of a row], and only rows of y that `needs` want are written.
//
// Names and block shapes are known to hopper_logits.rs and benches/kernels/hopper_logits.py.

#include "best.cuh"
#include "hopper_tiles.cuh"

// Where logits go, and what is left of them.
struct LogitsOut {
    float *y;
    Found found;
};

struct Logits {
    using Out = LogitsOut;
    static constexpr int WEIGHT_BOXES = 4, WEIGHT_BOX_ROWS = 64, STAGES = 4;
    static constexpr int COLUMNS = WEIGHT_BOXES * WEIGHT_BOX_ROWS;
    static constexpr bool READS_ONCE = true;
    static constexpr int RESULT_BYTES = 0;

    static __device__ __forceinline__ int weight_row(const Work<Logits> &, int column, int box) { return column + box * WEIGHT_BOX_ROWS; }

    // What is known of the logits of a row that four lanes have, of which this one has `of(j, e)`, two in
    // each eight columns.
    template <typename Of>
    static __device__ __forceinline__ Best best_of(Of of, int column, int n, int never) {
        Best best = nothing();
        // Zero times what is not finite is not a number.
        float zero = 0.0f;
        auto each = [&](auto see) {
#pragma unroll
            for (int j = 0; j < COLUMNS / 8; j++) {
#pragma unroll
                for (int e = 0; e < 2; e++) {
                    const int at = column + j * 8 + e;
                    if (at < n) {
                        see(of(j, e), at);
                    }
                }
            }
        };
        each([&](float x, int at) {
            best.peak = fmaxf(best.peak, x);
            zero = fmaf(x, 0.0f, zero);
            if (x > best.value && at != never) {
                best.value = x, best.index = at;
            }
        });
        each([&](float x, int) { best.sum += __expf(x - best.peak); });
        best.sum += zero;
#pragma unroll
        for (int lane = 1; lane < 4; lane *= 2) {
            best = join(best, from_lane(best, lane));
        }
        return best;
    }

    // From registers: a row of y begins anywhere, where the copy engine does not write.
    template <typename T>
    static __device__ __forceinline__ void write(const Work<Logits> &p, const float (&sums)[COLUMNS / 2], Tile tile, int, word, T) {
        const int thread = threadIdx.x % GROUP_THREADS, lane = thread % 32, column = tile.column + lane % 4 * 2;
        const Found &found = p.out.found;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const int line = tile.row + thread / 32 * 16 + i * 8 + lane / 4;
            if (found.best != nullptr) {
                const Best best = best_of([&](int j, int e) { return sums[4 * j + 2 * i + e]; }, column, p.n, found.never);
                // The other block of a cluster may have a tile more than there are.
                if (lane % 4 == 0 && line < p.m && tile.column < p.n) {
                    found.best[(size_t)line * found.parts + tile.column / COLUMNS] = best;
                }
            }
            if (line >= p.m || !found.writes(line)) {
                continue;
            }
            float *to = p.out.y + (size_t)line * p.n;
#pragma unroll
            for (int j = 0; j < COLUMNS / 8; j++) {
                const int at = column + j * 8;
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
                             int m, int n, int k, int same_rows, int band, Best *best, int parts,                \
                             const word *needs, int never) {                                                     \
        multiply<T, Logits>(                                                                                     \
            {&x, &weight, {y, {best, parts, needs, (word)never}}, m, n, k, same_rows != 0, band});               \
    }

LOGITS(f16, __half)
LOGITS(bf16, __nv_bfloat16)
