// How much of the attention of some queries falls on each of the pages of their sequences.
//
// The cache of a layer is as in decode_attention.cu. The keys of a sequence are cut into jobs, each of which lies on
// one page or on none; a job has as many keys as a block has threads, at most. `page_scores_*` leaves of each job and
// query head the largest score, in powers of two, with the sum of weights beside it; `page_sums` joins the jobs of a
// sequence, and adds each page's share of all weights to what earlier layers left.
//
// Names and block shapes are known to looks.rs.

#include "numbers.cuh"

constexpr int JOB_KEYS = 256;
constexpr int WARPS = JOB_KEYS / 32;
// Query heads of a key and value head, absent ones included.
constexpr int GROUP = 8;
constexpr int HEADS_MAX = 256;

constexpr float LOG2_E = 1.4426950408889634f;

// A job: its query's row, its sequence, and its keys.
struct Job {
    word row, sequence, first, end;
};

// A sequence: its jobs.
struct Jobs {
    word first, count;
};

constexpr word NO_PAGE = 0xffffffffu;

template <typename T, int D>
__device__ __forceinline__ void page_scores(const T *q, const T *k_cache, const word *tables, const Job *jobs,
                                            float2 *partial, int group, int table_blocks, int blocks,
                                            int block_tokens, float scale) {
    begin_kernel();
    __shared__ alignas(16) float queries[GROUP][D];
    __shared__ float largest[WARPS][GROUP], sums[WARPS][GROUP];
    const Job job = jobs[blockIdx.x];
    const int head = blockIdx.y, kv_heads = gridDim.y, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
    const T *of_row = q + ((size_t)job.row * kv_heads + head) * group * D;
    for (int i = threadIdx.x; i < GROUP * D; i += blockDim.x) {
        queries[i / D][i % D] = i / D < group ? to_float(of_row[i]) * scale * LOG2_E : 0.0f;
    }
    __syncthreads();
    const word key = job.first + threadIdx.x;
    const bool valid = key < min(job.end, (word)table_blocks * (word)block_tokens);
    float scores[GROUP] = {};
    if (valid) {
        const word index = key / (word)block_tokens;
        const word block = min(tables[(size_t)job.sequence * table_blocks + index], (word)blocks - 1);
        const T *k = k_cache + (((size_t)block * kv_heads + head) * block_tokens + key % (word)block_tokens) * D;
#pragma unroll 4
        for (int at = 0; at < D; at += VECTOR) {
            float x[VECTOR];
            load(k + at, x);
#pragma unroll
            for (int h = 0; h < GROUP; h++) {
                float y[VECTOR];
                load(&queries[h][at], y);
#pragma unroll
                for (int e = 0; e < VECTOR; e++) {
                    scores[h] = fmaf(x[e], y[e], scores[h]);
                }
            }
        }
    }
#pragma unroll
    for (int h = 0; h < GROUP; h++) {
        scores[h] = valid ? scores[h] : -CUDART_INF_F;
        float most = scores[h];
#pragma unroll
        for (int other = 16; other > 0; other /= 2) {
            most = fmaxf(most, __shfl_xor_sync(ALL_LANES, most, other));
        }
        float sum = valid ? power_of_2(scores[h] - most) : 0.0f;
#pragma unroll
        for (int other = 16; other > 0; other /= 2) {
            sum += __shfl_xor_sync(ALL_LANES, sum, other);
        }
        if (lane == 0) {
            largest[warp][h] = most, sums[warp][h] = sum;
        }
    }
    __syncthreads();
    if (threadIdx.x < group) {
        float most = -CUDART_INF_F, sum = 0.0f;
        for (int w = 0; w < WARPS; w++) {
            most = fmaxf(most, largest[w][threadIdx.x]);
        }
        for (int w = 0; w < WARPS; w++) {
            const float of_warp = largest[w][threadIdx.x];
            sum += of_warp == -CUDART_INF_F ? 0.0f : sums[w][threadIdx.x] * power_of_2(of_warp - most);
        }
        partial[((size_t)blockIdx.x * kv_heads + head) * group + threadIdx.x] = make_float2(most, sum);
    }
}

#define PAGE_SCORES(NAME, T, D)                                                                                \
    extern "C" __global__ void __launch_bounds__(JOB_KEYS) page_scores_##NAME##_##D(                           \
        const T *q, const T *k_cache, const word *tables, const Job *jobs, float2 *partial, int group,         \
        int table_blocks, int blocks, int block_tokens, float scale) {                                         \
        page_scores<T, D>(q, k_cache, tables, jobs, partial, group, table_blocks, blocks, block_tokens, scale); \
    }

PAGE_SCORES(f16, __half, 64)
PAGE_SCORES(f16, __half, 128)
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
PAGE_SCORES(bf16, __nv_bfloat16, 64)
PAGE_SCORES(bf16, __nv_bfloat16, 128)
#endif

// A block for each sequence, a thread for each head and then for each page. `pages` names the page of each job.
extern "C" __global__ void __launch_bounds__(HEADS_MAX) page_sums(const float2 *partial, const word *pages,
                                                                  const Jobs *sequences, float *sums, int heads,
                                                                  int pages_max, float part) {
    begin_kernel();
    __shared__ float largest[HEADS_MAX], inverse[HEADS_MAX];
    const Jobs jobs = sequences[blockIdx.x];
    for (int head = threadIdx.x; head < heads; head += blockDim.x) {
        float most = -CUDART_INF_F, sum = 0.0f;
        for (word job = jobs.first; job < jobs.first + jobs.count; job++) {
            most = fmaxf(most, partial[(size_t)job * heads + head].x);
        }
        for (word job = jobs.first; job < jobs.first + jobs.count; job++) {
            const float2 x = partial[(size_t)job * heads + head];
            sum += x.y == 0.0f ? 0.0f : x.y * power_of_2(x.x - most);
        }
        largest[head] = most, inverse[head] = sum == 0.0f ? 0.0f : 1.0f / sum;
    }
    __syncthreads();
    if (threadIdx.x < pages_max) {
        float share = 0.0f;
        for (word job = jobs.first; job < jobs.first + jobs.count; job++) {
            if (pages[job] != threadIdx.x) {
                continue;
            }
            for (int head = 0; head < heads; head++) {
                const float2 x = partial[(size_t)job * heads + head];
                share += x.y == 0.0f ? 0.0f : x.y * power_of_2(x.x - largest[head]) * inverse[head];
            }
        }
        // The mean over the heads.
        sums[(size_t)blockIdx.x * pages_max + threadIdx.x] += share * part / heads;
    }
}
