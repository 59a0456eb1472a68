// Instructions of compute capability 9.0 alone (sm_90a): copies of tiles by the copy engine, barriers in
// shared memory on which they complete, and products by four warps together with operands in shared memory.
//
// A tile in shared memory is rows of 128 bytes, swizzled: piece i of 16 bytes of row r is at piece i ^ (r % 8).
// It begins at a 1024-byte boundary. On its way out a box may have rows of 64 bytes, piece i at piece i ^ (r / 2 % 4).

#pragma once

#include "numbers.cuh"

constexpr int ROW_BYTES = 128;

// How the copy engine finds boxes of a matrix, as the driver encodes it.
struct alignas(64) Boxes {
    unsigned long long words[16];
};

// ---- barriers ------------------------------------------------------------------------------------------

__device__ __forceinline__ void init_barrier(word barrier, int arrivals) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

// Makes barriers known to the copy engine and to other blocks.
__device__ __forceinline__ void publish_barriers() {
    asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;" ::: "memory");
}

__device__ __forceinline__ void arrive(word barrier) {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(barrier) : "memory");
}

// Arrives, and lets the barrier wait for so many bytes of copies.
__device__ __forceinline__ void expect_bytes(word barrier, int bytes) {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

// Waits until the phase of this parity is over.
__device__ __forceinline__ void await(word barrier, word parity) {
    asm volatile("{\n"
                 ".reg .pred done;\n"
                 "again:\n"
                 "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
                 "@done bra over;\n"
                 "bra again;\n"
                 "over:\n"
                 "}" ::"r"(barrier),
                 "r"(parity)
                 : "memory");
}

// A place in a ring of stages, and the parity of the phase that its barriers are in.
struct Stage {
    int index = 0;
    word parity = 0;

    __device__ __forceinline__ void advance(int stages) {
        if (++index == stages) {
            index = 0;
            parity ^= 1;
        }
    }
};

// Shows what this thread wrote to shared memory to products and to the copy engine.
__device__ __forceinline__ void publish_writes() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// Holds the named barrier's threads until all `threads` have come.
__device__ __forceinline__ void sync_threads(int barrier, int threads) {
    asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}

// Counts this block's warp among those that the named barrier waits for, and goes on.
__device__ __forceinline__ void arrive_threads(int barrier, int threads) {
    asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
}

// ---- registers -----------------------------------------------------------------------------------------

// The four warps of a group give registers up, or wait until there are as many.
template <int COUNT> __device__ __forceinline__ void give_registers() {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(COUNT));
}
template <int COUNT> __device__ __forceinline__ void take_registers() {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(COUNT));
}

// ---- copies --------------------------------------------------------------------------------------------

// What passes by once should leave the second-level cache first.
__device__ __forceinline__ unsigned long long read_once() {
    unsigned long long policy;
    asm volatile("createpolicy.fractional.L2::evict_first.b64 %0, 1.0;" : "=l"(policy));
    return policy;
}

__device__ __forceinline__ unsigned long long read_again() {
    unsigned long long policy;
    asm volatile("createpolicy.fractional.L2::evict_last.b64 %0, 1.0;" : "=l"(policy));
    return policy;
}

// Copies the box of `map` at (column, row) to shared memory; what lies outside the matrix is zeros.
__device__ __forceinline__ void copy_box(word to, const Boxes *map, int column, int row, word barrier,
                                         unsigned long long policy) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.L2::cache_hint "
                 "[%0], [%1, {%2, %3}], [%4], %5;" ::"r"(to),
                 "l"(map), "r"(column), "r"(row), "r"(barrier), "l"(policy)
                 : "memory");
}

// As `copy_box`, to the same place in each block of the cluster that `blocks` has a bit for, and each one's barrier.
__device__ __forceinline__ void copy_box_to(unsigned short blocks, word to, const Boxes *map, int column, int row,
                                            word barrier, unsigned long long policy) {
    asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster"
                 ".L2::cache_hint [%0], [%1, {%2, %3}], [%4], %5, %6;" ::"r"(to),
                 "l"(map), "r"(column), "r"(row), "r"(barrier), "h"(blocks), "l"(policy)
                 : "memory");
}

// Copies a box of shared memory, which `publish_writes` has shown, to (column, row) of the matrix; what lies outside stays
// as it is.
__device__ __forceinline__ void store_box(word from, const Boxes *map, int column, int row) {
    asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%1, %2}], [%3];" ::"l"(map), "r"(column),
                 "r"(row), "r"(from)
                 : "memory");
}
__device__ __forceinline__ void commit_stores() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }
// Waits until what this thread's stores copy has been read: its memory may be written again.
__device__ __forceinline__ void await_stores_read() { asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory"); }
__device__ __forceinline__ void await_stores() { asm volatile("cp.async.bulk.wait_group 0;" ::: "memory"); }

// ---- clusters ------------------------------------------------------------------------------------------

__device__ __forceinline__ word cluster_rank() {
    word rank;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
}

__device__ __forceinline__ void sync_cluster() {
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
}

// Arrives at the barrier in the same place of another block's shared memory. What this block wrote is not made known to the
// other: that takes a fence of a whole GPU, and who has only read needs none.
__device__ __forceinline__ void arrive_at(word barrier, word rank) {
    word there;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(barrier), "r"(rank));
    asm volatile("mbarrier.arrive.shared::cluster.b64 _, [%0];" ::"r"(there) : "memory");
}

// Four floats at the same place of another block's shared memory.
__device__ __forceinline__ float4 load_from(word address, word rank) {
    word there;
    float4 v;
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(address), "r"(rank));
    asm volatile("ld.shared::cluster.v4.f32 {%0, %1, %2, %3}, [%4];"
                 : "=f"(v.x), "=f"(v.y), "=f"(v.z), "=f"(v.w)
                 : "r"(there)
                 : "memory");
    return v;
}

// ---- products ------------------------------------------------------------------------------------------

// A matrix in swizzled rows of 128 bytes, its depth along the rows; groups of 8 rows follow each other.
__device__ __forceinline__ unsigned long long rows_matrix(word address) {
    return (unsigned long long)((address & 0x3ffffu) >> 4) | (1ull << 16) | (64ull << 32) | (1ull << 62);
}

// A matrix in swizzled rows of 128 bytes, its depth across them: what is `beside` it, 64 columns further, begins so many
// bytes behind.
__device__ __forceinline__ unsigned long long columns_matrix(word address, int beside) {
    return (unsigned long long)((address & 0x3ffffu) >> 4) | ((unsigned long long)(beside >> 4) << 16) |
           (64ull << 32) | (1ull << 62);
}

// Before the first product after registers or shared memory were written.
__device__ __forceinline__ void begin_products() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void commit_products() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int PENDING> __device__ __forceinline__ void await_products() {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(PENDING) : "memory");
}

// Sums that a product is still writing are not to be moved before the wait.
template <int COUNT> __device__ __forceinline__ void settle(float (&sums)[COUNT]) {
#pragma unroll
    for (int i = 0; i < COUNT; i++) {
        asm volatile("" : "+f"(sums[i])::"memory");
    }
}

#define SLOTS_4 "%0, %1, %2, %3"
#define SLOTS_8 SLOTS_4 ", %4, %5, %6, %7"
#define SLOTS_16 SLOTS_8 ", %8, %9, %10, %11, %12, %13, %14, %15"
#define SLOTS_32                                                                                               \
    SLOTS_16 ", %16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define SLOTS_64                                                                                               \
    SLOTS_32 ", %32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, "              \
             "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define SLOTS_96                                                                                               \
    SLOTS_64 ", %64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, "             \
             "%80, %81, %82, %83, %84, %85, %86, %87, %88, %89, %90, %91, %92, %93, %94, %95"
#define SLOTS_128                                                                                              \
    SLOTS_96 ", %96, %97, %98, %99, %100, %101, %102, %103, %104, %105, %106, %107, %108, %109, %110, %111, "  \
             "%112, %113, %114, %115, %116, %117, %118, %119, %120, %121, %122, %123, %124, %125, %126, %127"
#define SUMS_4(c) "+f"((c)[0]), "+f"((c)[1]), "+f"((c)[2]), "+f"((c)[3])
#define SUMS_8(c) SUMS_4(c), SUMS_4((c) + 4)
#define SUMS_16(c) SUMS_8(c), SUMS_8((c) + 8)
#define SUMS_32(c) SUMS_16(c), SUMS_16((c) + 16)
#define SUMS_64(c) SUMS_32(c), SUMS_32((c) + 32)
#define SUMS_96(c) SUMS_64(c), SUMS_32((c) + 64)
#define SUMS_128(c) SUMS_64(c), SUMS_64((c) + 64)

// sums += left (64 x 16) . right (16 x N), or = where `add` is 0. Thread t of the four warps has of each 8
// columns j of the result rows t / 32 * 16 + t % 32 / 4, elements 4j and 4j + 1, and 8 further down, 4j + 2
// and 4j + 3, in columns t % 4 * 2 and the next.
//
// The left matrix is in shared memory as well, or in registers: words of two elements as of an m16n8k16 product's left
// matrix. `add_across` takes a right matrix whose depth is across its rows.
template <typename T, int N> struct Products;

#define PRODUCTS(T, NAME, N, COUNT, A, B, P, A1, A2, A3, B4, P5)                                               \
    template <> struct Products<T, N> {                                                                        \
        static __device__ __forceinline__ void add(float (&c)[COUNT], unsigned long long left,                 \
                                                   unsigned long long right, int add) {                        \
            asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " P ", 0;\n"                                        \
                         "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." NAME "." NAME " {" SLOTS_##COUNT    \
                         "}, " A ", " B ", p, 1, 1, 0, 0;\n}"                                                  \
                         : SUMS_##COUNT(c)                                                                     \
                         : "l"(left), "l"(right), "r"(add));                                                   \
        }                                                                                                      \
        static __device__ __forceinline__ void add(float (&c)[COUNT], const word (&left)[4],                   \
                                                   unsigned long long right, int add) {                        \
            asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, " P5 ", 0;\n"                                       \
                         "wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." NAME "." NAME " {" SLOTS_##COUNT    \
                         "}, {" A ", " A1 ", " A2 ", " A3 "}, " B4 ", p, 1, 1, 0;\n}"                          \
                         : SUMS_##COUNT(c)                                                                     \
                         : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "l"(right), "r"(add));      \
        }                                                                                                      \
        static __device__ __forceinline__ void add_across(float (&c)[COUNT], const word (&left)[4],            \
                                                          unsigned long long right) {                          \
            asm volatile("wgmma.mma_async.sync.aligned.m64n" #N "k16.f32." NAME "." NAME " {" SLOTS_##COUNT    \
                         "}, {" A ", " A1 ", " A2 ", " A3 "}, " B4 ", 1, 1, 1, 1;"                             \
                         : SUMS_##COUNT(c)                                                                     \
                         : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "l"(right));                \
        }                                                                                                      \
    };
#define GROUP_PRODUCTS_OF(T, NAME)                                                                             \
    PRODUCTS(T, NAME, 8, 4, "%4", "%5", "%6", "%5", "%6", "%7", "%8", "%9")                                    \
    PRODUCTS(T, NAME, 16, 8, "%8", "%9", "%10", "%9", "%10", "%11", "%12", "%13")                              \
    PRODUCTS(T, NAME, 32, 16, "%16", "%17", "%18", "%17", "%18", "%19", "%20", "%21")                          \
    PRODUCTS(T, NAME, 64, 32, "%32", "%33", "%34", "%33", "%34", "%35", "%36", "%37")                          \
    PRODUCTS(T, NAME, 128, 64, "%64", "%65", "%66", "%65", "%66", "%67", "%68", "%69")                        \
    PRODUCTS(T, NAME, 192, 96, "%96", "%97", "%98", "%97", "%98", "%99", "%100", "%101")                       \
    PRODUCTS(T, NAME, 256, 128, "%128", "%129", "%130", "%129", "%130", "%131", "%132", "%133")

GROUP_PRODUCTS_OF(__half, "f16")
GROUP_PRODUCTS_OF(__nv_bfloat16, "bf16")
