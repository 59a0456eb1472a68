// Products of many rows with a stored matrix, on compute capability 9.0: x is [m, k], the weight has rows of k; a row begins
// at a 16-byte boundary.
//
// There is one block on each multiprocessor, and each takes tile after tile: 128 rows of x with up to 256 rows of the weight. Two
// groups of four warps have 64 rows of x each, and their sums in registers. One thread of a third group orders x and weights from
// the copy engine, as many stages ahead as fit, also of the next tile. The two blocks of a cluster take neighbouring tiles, and each
// copies half of what both need to both.
//
// A `Kind` says which rows of the weight a tile has, and what becomes of its sums:
//     Out                                         where the result goes
//     COLUMNS                                     of the result in a tile
//     WEIGHT_BOXES, WEIGHT_BOX_ROWS               of a tile's rows of the weight, an even number of boxes
//     STAGES                                      that are ordered ahead
//     READS_ONCE                                  whether no row of the weight is needed again
//     RESULT_BYTES                                of shared memory that a group has on the way out
//     weight_row(p, column, box)                  the first row of a box
//     write(p, sums, tile, group, results, T())   writes those of a group, whose first row and column the tile has
//     finish()                                    once all are written

#pragma once

#include "hopper.cuh"

constexpr int GROUPS = 2;
constexpr int GROUP_THREADS = 128;
// Rows of a box of x, and of what a group multiplies.
constexpr int BOX_ROWS = 64;
// Rows of x of a tile.
constexpr int ROWS = GROUPS * BOX_ROWS;
// Elements of k in a stage.
constexpr int DEPTH = 64;
constexpr int BLOCKS = 2;

constexpr int BOX_BYTES = BOX_ROWS * ROW_BYTES;
constexpr int X_BYTES = ROWS * ROW_BYTES;

// Rows of the weight of a tile, and the sums that a thread has of it.
template <typename Kind> constexpr int WEIGHT_ROWS = Kind::WEIGHT_BOXES * Kind::WEIGHT_BOX_ROWS;
template <typename Kind> constexpr int SUMS = WEIGHT_ROWS<Kind> / 2;
template <typename Kind> constexpr int WEIGHT_BOX_BYTES = Kind::WEIGHT_BOX_ROWS * ROW_BYTES;
template <typename Kind> constexpr int STAGE_BYTES = X_BYTES + WEIGHT_ROWS<Kind> * ROW_BYTES;

template <typename Kind> struct Work {
    const Boxes *x, *weight;
    typename Kind::Out out;
    int m, n, k;
    // Whether the blocks of a cluster have the same rows of x and neighbouring columns, or neighbouring rows and the same
    // columns.
    bool same_rows;
    // Rows of clusters' tiles that are taken together: all their columns before the next rows.
    int band;
};

// Its first row of x, and its first column of the result.
struct Tile {
    int row, column;
};

// Shared memory: stages of x and of weights, results of each group on their way out, and the barriers.
template <typename Kind> struct Memory {
    word start;

    __device__ __forceinline__ explicit Memory(const void *shared) {
        start = ((word)__cvta_generic_to_shared(shared) + 1023) & ~1023u;
    }
    __device__ __forceinline__ word x(int stage) const { return start + stage * STAGE_BYTES<Kind>; }
    __device__ __forceinline__ word weights(int stage) const { return x(stage) + X_BYTES; }
    __device__ __forceinline__ word results(int group) const { return x(Kind::STAGES) + group * Kind::RESULT_BYTES; }
    __device__ __forceinline__ word full(int stage) const { return results(GROUPS) + stage * 8; }
    __device__ __forceinline__ word empty(int stage) const { return full(Kind::STAGES + stage); }
};

// The tiles of a cluster: this block's.
template <typename Kind> struct Tiles {
    int rows, columns, band, same_rows, rank;

    __device__ __forceinline__ Tiles(const Work<Kind> &p, int rank) : band(p.band), same_rows(p.same_rows), rank(rank) {
        rows = (p.m + ROWS - 1) / ROWS, columns = (p.n + Kind::COLUMNS - 1) / Kind::COLUMNS;
        if (same_rows) {
            columns = (columns + BLOCKS - 1) / BLOCKS;
        } else {
            rows = (rows + BLOCKS - 1) / BLOCKS;
        }
    }
    __device__ __forceinline__ int count() const { return rows * columns; }
    __device__ __forceinline__ Tile at(int index) const {
        const int first = index / (band * columns) * band, high = min(band, rows - first);
        const int rest = index - first * columns, row = first + rest % high, column = rest / high;
        return same_rows ? Tile{row * ROWS, (column * BLOCKS + rank) * Kind::COLUMNS}
                         : Tile{(row * BLOCKS + rank) * ROWS, column * Kind::COLUMNS};
    }
};

// One thread orders all copies. What both blocks need comes from the block whose turn it is, half each.
template <typename Kind>
__device__ __forceinline__ void copy_tiles(const Work<Kind> &p, const Memory<Kind> &memory, const Tiles<Kind> &tiles) {
    // A weight that passes by once should leave the second-level cache to what is read again.
    const bool once = Kind::READS_ONCE || tiles.rows == 1;
    const unsigned long long again = read_again(), weights = once ? read_once() : again;
    const int chunks = (p.k + DEPTH - 1) / DEPTH, rank = tiles.rank;
    constexpr unsigned short BOTH = (1 << BLOCKS) - 1;
    constexpr int BYTES = WEIGHT_BOX_BYTES<Kind>;
    Stage stage;
    for (int index = blockIdx.x / BLOCKS, turn = 0; index < tiles.count(); index += gridDim.x / BLOCKS) {
        const auto [row, column] = tiles.at(index);
        for (int chunk = 0; chunk < chunks; chunk++, turn++) {
            if (turn >= Kind::STAGES) {
                await(memory.empty(stage.index), stage.parity ^ 1);
            }
            const word barrier = memory.full(stage.index), x = memory.x(stage.index), w = memory.weights(stage.index);
            const int depth = chunk * DEPTH;
            expect_bytes(barrier, STAGE_BYTES<Kind>);
            if (p.same_rows) {
                copy_box_to(BOTH, x + rank * BOX_BYTES, p.x, depth, row + rank * BOX_ROWS, barrier, again);
#pragma unroll
                for (int i = 0; i < Kind::WEIGHT_BOXES; i++) {
                    copy_box(w + i * BYTES, p.weight, depth, Kind::weight_row(p, column, i), barrier, weights);
                }
            } else {
#pragma unroll
                for (int i = 0; i < GROUPS; i++) {
                    copy_box(x + i * BOX_BYTES, p.x, depth, row + i * BOX_ROWS, barrier, again);
                }
#pragma unroll
                for (int box = 0; box < Kind::WEIGHT_BOXES; box += BLOCKS) {
                    copy_box_to(BOTH, w + (box + rank) * BYTES, p.weight, depth, Kind::weight_row(p, column, box + rank), barrier,
                                weights);
                }
            }
            stage.advance(Kind::STAGES);
        }
    }
}

// What a group does with its rows of each tile.
template <typename T, typename Kind>
__device__ __forceinline__ void multiply_tiles(const Work<Kind> &p, const Memory<Kind> &memory, const Tiles<Kind> &tiles,
                                               int group) {
    const int lane = threadIdx.x % 32;
    const int chunks = (p.k + DEPTH - 1) / DEPTH;
    // The blocks' copies to both wait for both.
    auto release = [&](int stage) {
        if (lane < BLOCKS) {
            arrive_at(memory.empty(stage), lane);
        }
    };
    Stage stage;
    for (int index = blockIdx.x / BLOCKS; index < tiles.count(); index += gridDim.x / BLOCKS) {
        Tile tile = tiles.at(index);
        tile.row += group * BOX_ROWS;
        if (tile.row >= p.m) {
            // What is copied for both groups is not waited for by one of them alone.
            for (int chunk = 0; chunk < chunks; chunk++) {
                await(memory.full(stage.index), stage.parity);
                release(stage.index);
                stage.advance(Kind::STAGES);
            }
            continue;
        }
        float sums[SUMS<Kind>];
        int before = 0;
        for (int chunk = 0; chunk < chunks; chunk++) {
            await(memory.full(stage.index), stage.parity);
            const word x = memory.x(stage.index) + group * BOX_BYTES, w = memory.weights(stage.index);
            begin_products();
#pragma unroll
            for (int step = 0; step < 4; step++) {
                Products<T, WEIGHT_ROWS<Kind>>::add(sums, rows_matrix(x + step * 32), rows_matrix(w + step * 32), chunk | step);
            }
            commit_products();
            // The stage before this one has been read.
            if (chunk > 0) {
                await_products<1>();
                release(before);
            }
            before = stage.index;
            stage.advance(Kind::STAGES);
        }
        await_products<0>();
        release(before);
        settle(sums);
        Kind::write(p, sums, tile, group, memory.results(group), T());
    }
    Kind::finish();
}

// The grid is (BLOCKS of a cluster, one cluster after the other), and so is the cluster.
template <typename T, typename Kind> __device__ __forceinline__ void multiply(const Work<Kind> &p) {
    extern __shared__ uint4 shared[];
    const Memory<Kind> memory(shared);
    const Tiles<Kind> tiles(p, cluster_rank());
    // The same in all lanes, which the compiler must know: it has products wait for each other otherwise.
    const int group = __shfl_sync(ALL_LANES, threadIdx.x / GROUP_THREADS, 0);
    let_next_kernel_begin();
    if (threadIdx.x == 0) {
        for (int i = 0; i < Kind::STAGES; i++) {
            init_barrier(memory.full(i), 1);
            init_barrier(memory.empty(i), BLOCKS * GROUPS * 4);
        }
        publish_barriers();
    }
    // The other block's barriers are there as well.
    sync_cluster();
    if (group == GROUPS) {
        give_registers<40>();
        if (threadIdx.x == GROUPS * GROUP_THREADS) {
            await_previous_kernels();
            copy_tiles(p, memory, tiles);
        }
        __syncwarp();
    } else {
        take_registers<232>();
        await_previous_kernels();
        multiply_tiles<T>(p, memory, tiles, group);
    }
    // A block's memory is written, and its barriers arrived at, by the other.
    sync_cluster();
}
