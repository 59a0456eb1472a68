// Attention of many queries to many keys on compute capability 9.0, as prefill_attention.cu has it for others: a chunk
// of a prompt to its sequence's cache, causally, or the tiles of a picture each to itself.
//
// A block takes GROUPS * 64 queries of one head, 64 for each group of four warps, and walks the keys, 128 at a time, the
// last first: only there are keys that some queries do not see. One thread of one group more orders them from the copy
// engine, STAGES tiles ahead. A group's scores, softmax and sums
// stay in registers, in f32; the weights are rounded to the values' type. While a group is at the softmax of a
// tile, the product of the weights before with their values is under way, and other groups' products.
//
// Names and block shapes are known to attention.rs and benches/kernels/attention.py.

#include "hopper.cuh"

constexpr int KEYS = 128;
// Rows of a box.
constexpr int BOX_KEYS = 64;
constexpr int GROUP_THREADS = 128;
constexpr int STAGES = 3;
// A last tile of no more keys than this is not taken whole: a picture has 1,025.
constexpr int FEW = 16;

constexpr float LOG2_E = 1.4426950408889634f;

// Where 64 keys begin in the matrix that boxes are cut from: in blocks of a cache, [blocks * kv_heads * 64, head_dim],
// that a table names.
struct Paged {
    const word *table;
    int head, kv_heads, table_blocks, blocks;

    __device__ __forceinline__ int row(int key) const {
        const word index = min((word)key / BOX_KEYS, (word)table_blocks - 1);
        return (min(table[index], (word)blocks - 1) * kv_heads + head) * BOX_KEYS;
    }
};

// Rows of a matrix.
struct Strided {
    int first;

    __device__ __forceinline__ int row(int key) const { return first + key; }
};

// Keys and values of one head, and what is read of them.
template <typename From> struct Source {
    const Boxes *keys, *values;
    int key_column, value_column;
    From from;
};

// Shared memory: stages of keys and of values, each in tiles of 64 elements, the groups' queries alike, and the barriers.
template <int D, int GROUPS> struct Memory {
    static constexpr int TILE_BYTES = KEYS * ROW_BYTES;
    static constexpr int HALF_BYTES = D / 64 * TILE_BYTES;
    static constexpr int QUERY_TILE_BYTES = 64 * ROW_BYTES;
    word start;

    __device__ __forceinline__ explicit Memory(const void *shared) {
        start = ((word)__cvta_generic_to_shared(shared) + 1023) & ~1023u;
    }
    __device__ __forceinline__ word keys(int stage) const { return start + stage * 2 * HALF_BYTES; }
    __device__ __forceinline__ word values(int stage) const { return keys(stage) + HALF_BYTES; }
    __device__ __forceinline__ word queries(int group) const { return keys(STAGES) + group * D / 64 * QUERY_TILE_BYTES; }
    __device__ __forceinline__ word full(int stage) const { return queries(GROUPS) + stage * 8; }
    __device__ __forceinline__ word empty(int stage) const { return full(STAGES + stage); }
};

// One thread orders all tiles.
template <int D, int GROUPS, typename From>
__device__ __forceinline__ void copy_tiles(const Memory<D, GROUPS> &memory, const Source<From> &source, int tiles) {
    typedef Memory<D, GROUPS> M;
    const unsigned long long again = read_again();
    Stage stage;
    for (int tile = tiles - 1; tile >= 0; tile--) {
        if (tile < tiles - STAGES) {
            await(memory.empty(stage.index), stage.parity ^ 1);
        }
        const word barrier = memory.full(stage.index);
        expect_bytes(barrier, 2 * M::HALF_BYTES);
#pragma unroll
        for (int half = 0; half < KEYS / BOX_KEYS; half++) {
            const int row = source.from.row(tile * KEYS + half * BOX_KEYS);
#pragma unroll
            for (int i = 0; i < D / 64; i++) {
                const word to = i * M::TILE_BYTES + half * BOX_KEYS * ROW_BYTES;
                copy_box(memory.keys(stage.index) + to, source.keys, source.key_column + i * 64, row, barrier, again);
                copy_box(memory.values(stage.index) + to, source.values, source.value_column + i * 64, row, barrier,
                         again);
            }
        }
        stage.advance(STAGES);
    }
}

// Values of keys that are not there become zeros: weight 0 does not undo a NaN. Every group does so for itself.
template <typename M, int D> __device__ __forceinline__ void clear_values(word values, int first, int end, int barrier) {
    for (int i = threadIdx.x % GROUP_THREADS; i < (end - first) * D / 8; i += GROUP_THREADS) {
        const int row = first + i / (D / 8), piece = i % (D / 8);
        const word to = values + piece / 8 * M::TILE_BYTES + row * ROW_BYTES + piece % 8 * 16;
        asm volatile("st.shared.v4.u32 [%0], {%1, %1, %1, %1};" ::"r"(to), "r"(0) : "memory");
    }
    publish_writes();
    sync_threads(barrier, GROUP_THREADS);
}

// Groups begin their products in turns, so that those of one are under way while another is at its softmax. Each group takes
// as many turns as the block has tiles.
template <int GROUPS> struct Turns {
    int group;

    __device__ __forceinline__ explicit Turns(int group) : group(group) {
        // The first turn of a group is that of all before it.
        for (int other = 0; other < group; other++) {
            pass_to(other);
        }
    }
    __device__ __forceinline__ void await() const { sync_threads(1 + GROUPS + group, GROUPS * GROUP_THREADS); }
    __device__ __forceinline__ void pass() const {
#pragma unroll
        for (int other = 1; other < GROUPS; other++) {
            pass_to(group + other < GROUPS ? group + other : group + other - GROUPS);
        }
    }
    __device__ __forceinline__ void pass_to(int other) const {
        arrive_threads(1 + GROUPS + other, GROUPS * GROUP_THREADS);
    }
};

// What attends, and where the result goes: as `prefill_attention` of prefill_attention.cu.
template <typename T> struct Queries {
    const T *q;
    size_t q_stride;
    T *out;
    size_t out_stride;
    const T *q_bias, *v_bias;
    int first, rows, start, keys;
    float scale;
};

// What a thread has of its group's 64 queries: rows `line` and `line` + 8 of its warp's 16.
template <int D> struct State {
    float largest[2] = {-CUDART_INF_F, -CUDART_INF_F};
    float weights[2] = {};
    float values[D / 2];
};

// Begins the products of queries with the first N keys of a stage.
template <typename T, int D, int N, typename M>
__device__ __forceinline__ void begin_scores(float (&scores)[N / 2], word queries, word keys) {
#pragma unroll
    for (int i = 0; i < D / 16; i++) {
        Products<T, N>::add(scores, rows_matrix(queries + i / 4 * M::QUERY_TILE_BYTES + i % 4 * 32),
                            rows_matrix(keys + i / 4 * M::TILE_BYTES + i % 4 * 32), i);
    }
    commit_products();
}

// Begins to add values, each with its weight.
template <typename T, int D, int N, typename M>
__device__ __forceinline__ void begin_values(float (&sums)[D / 2], const word (&weights)[N / 16][4], word values) {
#pragma unroll
    for (int i = 0; i < N / 16; i++) {
        Products<T, D>::add_across(sums, weights[i], columns_matrix(values + i * 16 * ROW_BYTES, M::TILE_BYTES));
    }
    commit_products();
}

// Scores become weights. `fade` is what sums before are multiplied by.
template <int D, int N>
__device__ __forceinline__ void soften(float (&scores)[N / 2], State<D> &state, float (&fade)[2], float scale) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
        float most = state.largest[i];
#pragma unroll
        for (int j = 0; j < N / 8; j++) {
            most = fmaxf(most, fmaxf(scores[4 * j + 2 * i], scores[4 * j + 2 * i + 1]));
        }
        most = fmaxf(most, __shfl_xor_sync(ALL_LANES, most, 1));
        most = fmaxf(most, __shfl_xor_sync(ALL_LANES, most, 2));
        state.weights[i] *= fade[i] = most == -CUDART_INF_F ? 1.0f : power_of_2((state.largest[i] - most) * scale);
        // Of keys that this query does not see nothing is left, however many they are.
        const float offset = most == -CUDART_INF_F ? 0.0f : most * scale;
        state.largest[i] = most;
        float sum = 0.0f;
#pragma unroll
        for (int j = 0; j < N / 8; j++) {
#pragma unroll
            for (int e = 4 * j + 2 * i; e < 4 * j + 2 * i + 2; e++) {
                scores[e] = power_of_2(fmaf(scores[e], scale, -offset));
                sum += scores[e];
            }
        }
        state.weights[i] += sum;
    }
}

template <int D> __device__ __forceinline__ void fade_values(State<D> &state, const float (&fade)[2]) {
#pragma unroll
    for (int i = 0; i < D / 2; i++) {
        state.values[i] *= fade[i % 4 / 2];
    }
}

// Weights as the left matrix of products.
template <typename T, int N>
__device__ __forceinline__ void pack(word (&weights)[N / 16][4], const float (&scores)[N / 2]) {
#pragma unroll
    for (int i = 0; i < N / 16; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const float *pair = &scores[8 * i + j / 2 * 4 + j % 2 * 2];
            weights[i][j] = to_word(pair[0], pair[1], T());
        }
    }
}

// 64 queries of one group, which sees `p.keys` keys of the `end` that there are. The block walks `tiles`.
template <typename T, int D, int GROUPS, bool CAUSAL>
__device__ __forceinline__ void attend(const Memory<D, GROUPS> &memory, const Queries<T> &p, int group, int tiles, int end) {
    typedef Memory<D, GROUPS> M;
    const int warp = threadIdx.x / 32 % 4, lane = threadIdx.x % 32, line = lane / 4, member = lane % 4;
    const int mine = p.first + warp * 16 + line;
    const float scale = p.scale * LOG2_E;
    const word to_queries = memory.queries(group);
#pragma unroll
    for (int i = 0; i < D / 16; i++) {
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int row = mine + j % 2 * 8, at = i * 16 + j / 2 * 8 + member * 2;
            word pair = row < p.rows ? *reinterpret_cast<const word *>(p.q + row * p.q_stride + at) : 0;
            if (!CAUSAL && p.q_bias != nullptr) {
                const word bias = *reinterpret_cast<const word *>(p.q_bias + at);
                const float2 x = to_floats(pair, T()), b = to_floats(bias, T());
                pair = to_word(x.x + b.x, x.y + b.y, T());
            }
            const int piece = (i % 4 * 2 + j / 2) ^ line;
            const word to = to_queries + i / 4 * M::QUERY_TILE_BYTES + (warp * 16 + line + j % 2 * 8) * ROW_BYTES +
                            piece * 16 + member * 4;
            asm volatile("st.shared.u32 [%0], %1;" ::"r"(to), "r"(pair) : "memory");
        }
    }
    publish_writes();
    sync_threads(1 + group, GROUP_THREADS);
    State<D> state;
#pragma unroll
    for (int i = 0; i < D / 2; i++) {
        state.values[i] = 0.0f;
    }
    const int own = (p.keys + KEYS - 1) / KEYS;
    Stage stage;
    const Turns<GROUPS> turns(group);
    auto release = [&](int index) {
        if (lane == 0) {
            arrive(memory.empty(index));
        }
    };
    // Tiles that only later queries of the block see: a stage's turns are counted by all groups.
    for (int tile = tiles - 1; tile >= own; tile--) {
        await(memory.full(stage.index), stage.parity);
        turns.await();
        turns.pass();
        release(stage.index);
        stage.advance(STAGES);
    }
    float fade[2];
    int tile = own - 1;
    const int rest = p.keys - tile * KEYS;
    if (!CAUSAL && rest <= FEW && tile >= 0) {
        await(memory.full(stage.index), stage.parity);
        float scores[FEW / 2];
        turns.await();
        begin_products();
        begin_scores<T, D, FEW, M>(scores, to_queries, memory.keys(stage.index));
        turns.pass();
        clear_values<M, D>(memory.values(stage.index), rest, FEW, 1 + group);
        await_products<0>();
        settle(scores);
#pragma unroll
        for (int i = 0; i < FEW / 2; i++) {
            scores[i] = i / 4 * 8 + member * 2 + i % 2 < rest ? scores[i] : -CUDART_INF_F;
        }
        soften<D, FEW>(scores, state, fade, scale);
        word weights[FEW / 16][4];
        pack<T, FEW>(weights, scores);
        begin_products();
        begin_values<T, D, FEW, M>(state.values, weights, memory.values(stage.index));
        await_products<0>();
        settle(state.values);
        release(stage.index);
        stage.advance(STAGES);
        tile--;
    }
    // Only the last tiles have keys that a query may not see.
    auto hide = [&](float (&scores)[KEYS / 2]) {
        const int behind = tile * KEYS + KEYS - 1;
        if (behind >= p.keys || (CAUSAL && behind > p.start + p.first + warp * 16)) {
#pragma unroll
            for (int i = 0; i < KEYS / 2; i++) {
                const int key = tile * KEYS + i / 4 * 8 + member * 2 + i % 2, row = mine + i % 4 / 2 * 8;
                if (key >= p.keys || (CAUSAL && key > p.start + row)) {
                    scores[i] = -CUDART_INF_F;
                }
            }
        }
    };
    if (tile >= 0) {
        await(memory.full(stage.index), stage.parity);
        float scores[KEYS / 2];
        turns.await();
        begin_products();
        begin_scores<T, D, KEYS, M>(scores, to_queries, memory.keys(stage.index));
        turns.pass();
        if (tile * KEYS + KEYS > end) {
            clear_values<M, D>(memory.values(stage.index), max(end - tile * KEYS, 0), KEYS, 1 + group);
        }
        await_products<0>();
        settle(scores);
        hide(scores);
        soften<D, KEYS>(scores, state, fade, scale);
        fade_values(state, fade);
        word weights[KEYS / 16][4];
        pack<T, KEYS>(weights, scores);
        for (tile--; tile >= 0; tile--) {
            const int before = stage.index;
            stage.advance(STAGES);
            await(memory.full(stage.index), stage.parity);
            turns.await();
            begin_products();
            begin_scores<T, D, KEYS, M>(scores, to_queries, memory.keys(stage.index));
            begin_values<T, D, KEYS, M>(state.values, weights, memory.values(before));
            turns.pass();
            await_products<1>();
            settle(scores);
            if (CAUSAL) {
                hide(scores);
            }
            soften<D, KEYS>(scores, state, fade, scale);
            await_products<0>();
            settle(state.values);
            release(before);
            fade_values(state, fade);
            pack<T, KEYS>(weights, scores);
        }
        begin_products();
        begin_values<T, D, KEYS, M>(state.values, weights, memory.values(stage.index));
        await_products<0>();
        settle(state.values);
        release(stage.index);
    }
#pragma unroll
    for (int i = 0; i < 2; i++) {
        float sum = state.weights[i] + __shfl_xor_sync(ALL_LANES, state.weights[i], 1);
        sum += __shfl_xor_sync(ALL_LANES, sum, 2);
        const float part = 1.0f / sum;
        const int row = mine + i * 8;
        if (row < p.rows) {
#pragma unroll
            for (int j = 0; j < D / 8; j++) {
                float2 bias = make_float2(0.0f, 0.0f);
                if (!CAUSAL && p.v_bias != nullptr) {
                    bias = to_floats(*reinterpret_cast<const word *>(p.v_bias + j * 8 + member * 2), T());
                }
                // Weights sum to 1: what is added to every value is added to their mean.
                *reinterpret_cast<word *>(p.out + row * p.out_stride + j * 8 + member * 2) =
                    to_word(fmaf(state.values[4 * j + 2 * i], part, bias.x),
                            fmaf(state.values[4 * j + 2 * i + 1], part, bias.y), T());
            }
        }
    }
}

// The block's queries begin at `p.first`; of its sequence `end` keys are there. `waits` for the kernel before it at its end.
template <typename T, int D, int GROUPS, bool CAUSAL, typename From>
__device__ __forceinline__ void attention(const Source<From> &source, Queries<T> p, int end, bool waits) {
    extern __shared__ uint4 shared[];
    const Memory<D, GROUPS> memory(shared);
    // The same in all lanes, which the compiler must know: it has products wait for each other otherwise.
    const int group = __shfl_sync(ALL_LANES, threadIdx.x / GROUP_THREADS, 0);
    if (threadIdx.x == 0) {
        for (int i = 0; i < STAGES; i++) {
            init_barrier(memory.full(i), 1);
            init_barrier(memory.empty(i), GROUPS * 4);
        }
        publish_barriers();
    }
    __syncthreads();
    // Keys that the last of the first so many queries sees.
    auto seen = [&](int queries) { return CAUSAL ? min(end, p.start + min(p.first + queries, p.rows)) : end; };
    const int tiles = (seen(GROUPS * 64) + KEYS - 1) / KEYS;
    // A group is given 512 / (GROUPS + 1) registers a thread. Copies need few of them.
    constexpr int COPYING = GROUPS == 2 ? 24 : 32, ATTENDING = (512 - COPYING) / GROUPS / 8 * 8;
    if (group == GROUPS) {
        give_registers<COPYING>();
        if (threadIdx.x == GROUPS * GROUP_THREADS) {
            copy_tiles(memory, source, tiles);
            if (waits) {
                await_previous_kernels();
            }
        }
    } else {
        take_registers<ATTENDING>();
        p.keys = p.first + group * 64 < p.rows ? seen(group * 64 + 64) : 0;
        p.first += group * 64;
        attend<T, D, GROUPS, CAUSAL>(memory, p, group, tiles, end);
    }
}

// The grid is (heads, GROUPS * 64s of queries): blocks that run at once share keys, and those with the most keys begin.
// Queries and results are [rows, heads, head_dim]; the first query's position is read on the device. Blocks of the cache
// have 64 tokens.
//
// Prompts of a step follow each other, and `beside` says that the kernel before this one is for another of them: its last blocks
// leave multiprocessors to the first of these. It lets this one begin when the kernels before it have ended, so this one waits for
// nothing but, at its end, for that one: whoever waits for this one waits for both.
#define PREFILL_ATTENTION(NAME, T, D, GROUPS)                                                                  \
    extern "C" __global__ void __launch_bounds__((GROUPS + 1) * GROUP_THREADS, 1)                                \
        hopper_prefill_attention_##NAME##_##D(const T *q, const __grid_constant__ Boxes keys,                  \
                                              const __grid_constant__ Boxes values, const word *table,         \
                                              const word *positions, T *out, int rows, int kv_heads,           \
                                              int table_blocks, int blocks, float scale, int beside) {         \
        if (beside == 0) {                                                                                     \
            await_previous_kernels();                                                                          \
        }                                                                                                      \
        let_next_kernel_begin();                                                                               \
        const int heads = gridDim.x, head = blockIdx.x, kv_head = head / (heads / kv_heads);                   \
        const int first = (gridDim.y - 1 - blockIdx.y) * GROUPS * 64, room = table_blocks * BOX_KEYS;          \
        const int start = min(positions[0], (word)room);                                                       \
        const Source<Paged> source = {&keys, &values, 0, 0, {table, kv_head, kv_heads, table_blocks, blocks}}; \
        const Queries<T> queries = {q + head * D, (size_t)heads *D, out + head * D, (size_t)heads *D, nullptr, \
                                    nullptr, first, rows, start, 0, scale};                                    \
        attention<T, D, GROUPS, true>(source, queries, min(start + rows, room), beside != 0);                  \
    }

PREFILL_ATTENTION(f16, __half, 64, 3)
PREFILL_ATTENTION(f16, __half, 128, 2)
PREFILL_ATTENTION(bf16, __nv_bfloat16, 64, 3)
PREFILL_ATTENTION(bf16, __nv_bfloat16, 128, 2)

// The grid is (GROUPS * 64s of queries, heads, batch), all queries to all keys of their own row of the batch.
// qkv is [batch, rows, 3, heads, head_dim], of which `boxes` are cut, out [batch, rows, heads, head_dim], bias null or
// that of a row.
#define FULL_ATTENTION(NAME, T, D, GROUPS)                                                                     \
    extern "C" __global__ void __launch_bounds__((GROUPS + 1) * GROUP_THREADS, 1)                                \
        hopper_full_attention_##NAME##_##D(const T *qkv, const __grid_constant__ Boxes boxes, const T *bias,   \
                                           T *out, int rows, float scale) {                                    \
        begin_kernel();                                                                                        \
        const size_t width = gridDim.y * D, head = blockIdx.y * D, row = (size_t)blockIdx.z * rows;            \
        const Source<Strided> source = {&boxes, &boxes, (int)(width + head), (int)(2 * width + head),          \
                                        {(int)row}};                                                           \
        const Queries<T> queries = {qkv + row * 3 * width + head, 3 * width,                                   \
                                    out + row * width + head,     width,                                       \
                                    bias == nullptr ? nullptr : bias + head,                                   \
                                    bias == nullptr ? nullptr : bias + head + 2 * width,                       \
                                    (int)blockIdx.x * GROUPS * 64, rows, 0, 0, scale};                         \
        attention<T, D, GROUPS, false>(source, queries, rows, false);                                          \
    }

FULL_ATTENTION(f16, __half, 64, 3)
FULL_ATTENTION(f16, __half, 128, 2)
FULL_ATTENTION(bf16, __nv_bfloat16, 64, 3)
FULL_ATTENTION(bf16, __nv_bfloat16, 128, 2)
