// The likeliest token of a row of logits, of which parts are looked at by different threads, blocks and kernels.

#pragma once

#include "numbers.cuh"

// What is known of some logits of a row: the largest that may be chosen, with its place, and the largest of
// all with the sum of exp(logit - largest), which is NaN where a logit is not finite.
struct Best {
    float value;
    word index;
    float peak;
    float sum;
};

// The largest, of equals the first, whatever the order in which parts are joined.
__device__ __forceinline__ Best join(Best a, Best b) {
    const bool first = a.value > b.value || (a.value == b.value && a.index < b.index);
    const bool higher = a.peak >= b.peak;
    const float peak = higher ? a.peak : b.peak, low = higher ? b.peak : a.peak;
    const float sum = higher ? a.sum : b.sum, low_sum = higher ? b.sum : a.sum;
    const float faded = low_sum == 0.0f ? 0.0f : low_sum * expf(low - peak);
    return {first ? a.value : b.value, first ? a.index : b.index, peak, sum + faded};
}

__device__ __forceinline__ Best from_lane(Best a, int lane) {
    return {__shfl_xor_sync(ALL_LANES, a.value, lane), __shfl_xor_sync(ALL_LANES, a.index, lane),
            __shfl_xor_sync(ALL_LANES, a.peak, lane), __shfl_xor_sync(ALL_LANES, a.sum, lane)};
}

__device__ __forceinline__ Best nothing() { return {-CUDART_INF_F, 0xffffffffu, -CUDART_INF_F, 0.0f}; }

// Bits of what a row of logits is needed for: its mask is looked at, somebody reads the row. Known to found.rs.
constexpr word MASKED = 1, WANTED = 2;

// What a product with the output matrix leaves of each row of logits beside the row, or instead.
struct Found {
    // [rows, parts]; null: nothing is left, and all rows are written.
    Best *best;
    int parts;
    // Of each row: one that is not WANTED is not written.
    const word *needs;
    // The token that is not chosen.
    word never;

    __device__ __forceinline__ bool writes(int row) const { return best == nullptr || (needs[row] & WANTED) != 0; }
};
