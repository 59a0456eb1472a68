// Draws a token of each row of logits that is not to have its likeliest one, as draw.rs of the model has it, to the bit: in
// whole numbers, whose sums are the same in any order. A block takes a row; up to some 60 rows are in an H100's
// second-level cache, where the product that made them left them. Names are known to draw.rs and benches/kernels/draw.py.

#include "best.cuh"

typedef unsigned long long mass_t;

constexpr int DRAW_THREADS = 1024, WARPS = DRAW_THREADS / 32;
// Logits that a thread reads at a time.
constexpr int TOGETHER = 8;
// Of a distance, behind the point; and beyond how many halvings a token has no mass.
constexpr int FRACTION_BITS = 26, HALVINGS = 40;
// Distances are told apart by their upper, middle and lower bits, one after the other.
constexpr int LEVELS = 3, MIDDLE = 20, LOWER = 9;
// The farthest distance of all has a bin of its own.
constexpr int BINS_MAX = (HALVINGS << (FRACTION_BITS - MIDDLE)) + 1;
constexpr int THREAD_BINS = (BINS_MAX + DRAW_THREADS - 1) / DRAW_THREADS;

// As the host writes it.
struct Draw {
    // 0: the row has its choice already, as all have whose other words mean nothing.
    word is_drawn;
    // 0: the likeliest token.
    float sharpness;
    // 1: logits stay.
    float penalty;
    word reach;
    // 0: all are kept.
    word top_k;
    word has_top_p;
    mass_t top_p;
    mass_t number;
};

// What a block has in common.
struct Shared {
    // Sums of bins, in two words.
    word low[BINS_MAX], high[BINS_MAX];
    // The bin in which a cut is, what is in those before it, and in it.
    word bin;
    mass_t before, inside;
    // Candidates, in any order.
    word distances[DRAW_THREADS], tokens[DRAW_THREADS];
    mass_t masses[DRAW_THREADS];
    int candidates, token;
};

// The last token that is kept.
struct Cut {
    word distance, token;
};

struct Row {
    const float *logits;
    // None: every token may be drawn; none was seen.
    const word *mask, *seen;
    float penalty, peak, sharpness;
    int never, vocabulary;
    // Tokens of each warp, a multiple of 32.
    int chunk;
    Cut cut;

    // What a token is drawn by.
    __device__ __forceinline__ float value(int token, float logit) const {
        const word bit = 1u << token % 32;
        if (token == never || (mask != nullptr && (mask[token / 32] & bit) == 0)) {
            return -CUDART_INF_F;
        }
        if (seen != nullptr && (seen[token / 32] & bit) != 0) {
            return logit > 0.0f ? __fdiv_rn(logit, penalty) : __fmul_rn(logit, penalty);
        }
        return logit;
    }

    __device__ __forceinline__ word distance(float value) const {
        return __float2uint_rz(__fmul_rn(__fsub_rn(peak, value), sharpness) * (1 << FRACTION_BITS));
    }

    __device__ __forceinline__ bool keeps(word distance, int token) const {
        return distance < cut.distance || (distance == cut.distance && (word)token <= cut.token);
    }
};

__device__ __forceinline__ mass_t mass(word distance) {
    const word x = distance << (32 - FRACTION_BITS);
    word sum = 4069712u;
    sum = 39589773u - __umulhi(x, sum);
    sum = 237568913u - __umulhi(x, sum);
    sum = 1031600030u - __umulhi(x, sum);
    sum = 2977034827u - __umulhi(x, sum);
    return (((1ull << 32) - __umulhi(x, sum)) << (HALVINGS - 32)) >> (distance >> FRACTION_BITS);
}

// `share`, in units of 2^-64, of `all`, rounded up.
__device__ __forceinline__ mass_t share_of(mass_t all, mass_t share) {
    return __umul64hi(all, share) + (all * share != 0);
}

// Calls `see` with the tokens of this thread's warp and their values, 32 at a time.
template <typename See> __device__ __forceinline__ void each(const Row &row, See see) {
    const int begin = threadIdx.x / 32 * row.chunk, end = min(begin + row.chunk, row.vocabulary);
    for (int first = begin + threadIdx.x % 32; first < end; first += 32 * TOGETHER) {
        float logits[TOGETHER];
#pragma unroll
        for (int i = 0; i < TOGETHER; i++) {
            logits[i] = row.logits[min(first + 32 * i, end - 1)];
        }
#pragma unroll
        for (int i = 0; i < TOGETHER; i++) {
            if (first + 32 * i < end) {
                see(first + 32 * i, row.value(first + 32 * i, logits[i]));
            }
        }
    }
}

// The sum over the threads before this one, and over all.
__device__ mass_t before(mass_t own, mass_t &all) {
    __shared__ mass_t parts[WARPS];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    auto up_to = [lane](mass_t sum) {
#pragma unroll
        for (int step = 1; step < 32; step *= 2) {
            const mass_t other = __shfl_up_sync(ALL_LANES, sum, step);
            sum += lane >= step ? other : 0;
        }
        return sum;
    };
    const mass_t sum = up_to(own);
    // What was there may still be read.
    __syncthreads();
    if (lane == 31) {
        parts[warp] = sum;
    }
    __syncthreads();
    const mass_t warps = up_to(parts[lane]);
    all = __shfl_sync(ALL_LANES, warps, WARPS - 1);
    const mass_t earlier = __shfl_sync(ALL_LANES, warps, (warp + 31) % 32);
    return (warp == 0 ? 0 : earlier) + sum - own;
}

// The greatest of what the threads have.
__device__ mass_t greatest(mass_t x) {
    __shared__ mass_t parts[WARPS];
    auto of_warp = [](mass_t x) {
#pragma unroll
        for (int lane = 16; lane > 0; lane /= 2) {
            x = max(x, __shfl_xor_sync(ALL_LANES, x, lane));
        }
        return x;
    };
    x = of_warp(x);
    if (threadIdx.x % 32 == 0) {
        parts[threadIdx.x / 32] = x;
    }
    __syncthreads();
    return of_warp(parts[threadIdx.x % 32]);
}

// The token at which the sum of what tokens weigh, one after the other, goes beyond `rest(sum of all)`; -1 where it never
// does.
template <typename Weigh, typename Rest> __device__ int locate(const Row &row, Weigh weigh, Rest rest_of) {
    __shared__ mass_t rest_of_chunk;
    __shared__ int chunk_begin, located;
    mass_t own = 0, all, ignored;
    each(row, [&](int token, float value) { own += weigh(token, value); });
    const mass_t earlier = before(own, all), rest = rest_of(all);
    if (rest >= all) {
        return -1;
    }
    // Of a warp's first lane what is before it are whole chunks.
    const mass_t begin = __shfl_sync(ALL_LANES, earlier, 0), end = __shfl_sync(ALL_LANES, earlier + own, 31);
    if (threadIdx.x % 32 == 0 && begin <= rest && rest < end) {
        chunk_begin = threadIdx.x / 32 * row.chunk;
        rest_of_chunk = rest - begin;
    }
    __syncthreads();
    // All threads at that chunk, each at tokens that lie side by side.
    const int each_thread = (row.chunk + DRAW_THREADS - 1) / DRAW_THREADS;
    const int first = chunk_begin + threadIdx.x * each_thread;
    const int last = min(min(first + each_thread, chunk_begin + row.chunk), row.vocabulary);
    auto weight = [&](int token) { return weigh(token, row.value(token, row.logits[token])); };
    own = 0;
    for (int token = first; token < last; token++) {
        own += weight(token);
    }
    mass_t sum = before(own, ignored);
    if (sum <= rest_of_chunk && rest_of_chunk < sum + own) {
        for (int token = first; token < last; token++) {
            sum += weight(token);
            if (rest_of_chunk < sum) {
                located = token;
                break;
            }
        }
    }
    __syncthreads();
    return located;
}

// Draws from the tokens up to a distance, among which all are that may be drawn, where each thread can have one of them: -1
// where they are more. `target` is the mass that is kept; 0: the draw's share of what its top_k keeps.
__device__ int draw_of_few(const Row &row, const Draw &draw, word limit, mass_t target, Shared &shared) {
    if (threadIdx.x == 0) {
        shared.candidates = 0;
    }
    __syncthreads();
    each(row, [&](int token, float value) {
        const word distance = row.distance(value);
        if (distance <= limit && row.keeps(distance, token)) {
            const int at = atomicAdd(&shared.candidates, 1);
            if (at < DRAW_THREADS) {
                shared.distances[at] = distance, shared.tokens[at] = token, shared.masses[at] = mass(distance);
            }
        }
    });
    __syncthreads();
    const int candidates = shared.candidates;
    if (candidates > DRAW_THREADS) {
        return -1;
    }
    const bool is_one = threadIdx.x < candidates;
    const word distance = is_one ? shared.distances[threadIdx.x] : 0, token = is_one ? shared.tokens[threadIdx.x] : 0;
    const mass_t own = is_one ? shared.masses[threadIdx.x] : 0;
    // Of those that are likelier, or as likely and lower.
    word rank = 0;
    mass_t likelier = 0, all;
    for (int i = 0; i < candidates; i++) {
        const word other = shared.distances[i];
        const bool is_likelier = other < distance || (other == distance && shared.tokens[i] < token);
        rank += is_likelier;
        likelier += is_likelier ? shared.masses[i] : 0;
    }
    bool is_kept = is_one && (draw.top_k == 0 || rank < draw.top_k);
    if (draw.has_top_p != 0) {
        if (target == 0) {
            before(is_kept ? own : 0, all);
            target = max(share_of(all, draw.top_p), 1ull);
        }
        is_kept = is_kept && likelier < target;
    }
    // In here all threads have read the masses.
    before(is_kept ? own : 0, all);
    shared.masses[threadIdx.x] = is_kept ? own : 0;
    __syncthreads();
    mass_t lower = 0;
    for (int i = 0; i < candidates; i++) {
        lower += shared.tokens[i] < token ? shared.masses[i] : 0;
    }
    const mass_t rest = __umul64hi(all, draw.number);
    if (is_kept && lower <= rest && rest < lower + own) {
        shared.token = token;
    }
    __syncthreads();
    return shared.token;
}

// Narrows the row's cut to the first tokens, the likeliest first and of equals the lower, that are so many, or have that
// share of all mass; or draws a token where that is sooner done, and returns it.
template <bool BY_MASS> __device__ int narrow(Row &row, const Draw &draw, Shared &shared) {
    const mass_t wanted = BY_MASS ? draw.top_p : draw.top_k;
    word base = 0;
    mass_t target = wanted;
#pragma unroll 1
    for (int level = 0; level < LEVELS; level++) {
        const int shift = level == 0 ? MIDDLE : level == 1 ? LOWER : 0;
        const int bins = level == 0 ? BINS_MAX : 1 << (level == 1 ? MIDDLE - LOWER : LOWER);
        __syncthreads();
        for (int bin = threadIdx.x; bin < bins; bin += DRAW_THREADS) {
            shared.low[bin] = 0, shared.high[bin] = 0;
        }
        __syncthreads();
        each(row, [&](int token, float value) {
            const word distance = row.distance(value);
            const word bin = (distance - base) >> shift;
            if (distance >= base && bin < bins && row.keeps(distance, token)) {
                const mass_t weight = BY_MASS ? mass(distance) : 1;
                const word added = (word)weight, was = atomicAdd(&shared.low[bin], added);
                const word carried = (word)(weight >> 32) + (was + added < was);
                if (carried != 0) {
                    atomicAdd(&shared.high[bin], carried);
                }
            }
        });
        __syncthreads();
        mass_t sums[THREAD_BINS], own = 0, all;
#pragma unroll
        for (int i = 0; i < THREAD_BINS; i++) {
            const int bin = threadIdx.x * THREAD_BINS + i;
            sums[i] = bin < bins ? (mass_t)shared.high[bin] << 32 | shared.low[bin] : 0;
            own += sums[i];
        }
        mass_t sum = before(own, all);
        if (level == 0) {
            target = BY_MASS ? max(share_of(all, wanted), 1ull) : wanted;
            if (all < target) {
                return -1;
            }
        }
#pragma unroll
        for (int i = 0; i < THREAD_BINS; i++) {
            if (sum < target && target <= sum + sums[i]) {
                shared.bin = threadIdx.x * THREAD_BINS + i, shared.before = sum, shared.inside = sums[i];
            }
            sum += sums[i];
        }
        __syncthreads();
        base += shared.bin << shift;
        const word last = base + ((1u << shift) - 1);
        if (level == 0) {
            const int token = draw_of_few(row, draw, last, BY_MASS ? target : 0, shared);
            if (token >= 0) {
                return token;
            }
        }
        target -= shared.before;
        if (target == shared.inside) {
            // All of the bin. The cut that is there may lie in it.
            row.cut = last < row.cut.distance ? Cut{last, 0xffffffffu} : row.cut;
            return -1;
        }
    }
    // Some of those that are equally far.
    const mass_t count = BY_MASS ? (target + mass(base) - 1) / mass(base) : target;
    const int token = locate(
        row,
        [&](int token, float value) -> mass_t {
            const word distance = row.distance(value);
            return distance == base && row.keeps(distance, token);
        },
        [&](mass_t) { return count - 1; });
    if (token >= 0) {
        row.cut = {base, (word)token};
    }
    return -1;
}

// Draws a token of those that the row keeps; -1: none is.
__device__ int draw_one(Row &row, const Draw &draw, Shared &shared) {
    if (draw.top_k != 0) {
        const int token = narrow<false>(row, draw, shared);
        if (token >= 0) {
            return token;
        }
    }
    if (draw.has_top_p != 0) {
        const int token = narrow<true>(row, draw, shared);
        if (token >= 0) {
            return token;
        }
    }
    return locate(
        row,
        [&](int token, float value) -> mass_t {
            const word distance = row.distance(value);
            return row.keeps(distance, token) ? mass(distance) : 0;
        },
        [&](mass_t all) { return __umul64hi(all, draw.number); });
}

// Greater for greater numbers; 0 for none.
__device__ __forceinline__ word ordered(float x) {
    // Both zeros are one.
    const word bits = __float_as_uint(x + 0.0f);
    return bits >> 31 != 0 ? ~bits : bits | 0x80000000u;
}

__device__ __forceinline__ float from_ordered(word x) { return __uint_as_float(x >> 31 != 0 ? x & 0x7fffffffu : ~x); }

// `choices` are those of argmax, which knows the masks too, and are changed where a row is drawn: the token and its logit.
// `seen`, [rows, words], is read of rows with a penalty, `masks`, [rows, words], of rows whose `needs` say so.
extern "C" __global__ void __launch_bounds__(DRAW_THREADS)
    draw_f32(const float *logits, uint4 *choices, const Draw *draws, const word *seen, const word *masks,
             const word *needs, int never, int vocabulary) {
    __shared__ Shared shared;
    begin_kernel();
    const Draw draw = draws[blockIdx.x];
    const uint4 choice = choices[blockIdx.x];
    // Nor is a row of which some are not finite.
    if (draw.is_drawn == 0 || choice.y == 0) {
        return;
    }
    const size_t words = (size_t)blockIdx.x * ((vocabulary + 31) / 32);
    const bool has_mask = masks != nullptr && (needs[blockIdx.x] & MASKED) != 0;
    Row row;
    row.logits = logits + (size_t)blockIdx.x * vocabulary;
    row.mask = has_mask ? masks + words : nullptr;
    row.seen = draw.penalty != 1.0f ? seen + words : nullptr;
    row.penalty = draw.penalty, row.sharpness = draw.sharpness;
    row.never = never, row.vocabulary = vocabulary;
    row.chunk = ((vocabulary + WARPS - 1) / WARPS + 31) / 32 * 32;
    row.cut = {draw.reach, 0xffffffffu};
    word token = choice.x;
    row.peak = __uint_as_float(choice.z);
    if (row.seen != nullptr) {
        mass_t best = 0;
        each(row, [&](int token, float value) {
            const bool is_some = value > -CUDART_INF_F;
            best = max(best, is_some ? (mass_t)ordered(value) << 32 | ~(word)token : 0);
        });
        best = greatest(best);
        token = best == 0 ? token : ~(word)best;
        row.peak = best == 0 ? -CUDART_INF_F : from_ordered((word)(best >> 32));
    }
    // None may be drawn.
    if (row.peak == -CUDART_INF_F) {
        return;
    }
    if (row.sharpness > 0.0f) {
        const int drawn = draw_one(row, draw, shared);
        token = drawn < 0 ? token : (word)drawn;
    }
    if (threadIdx.x == 0) {
        choices[blockIdx.x].x = token;
        choices[blockIdx.x].z = __float_as_uint(row.logits[token]);
    }
}
