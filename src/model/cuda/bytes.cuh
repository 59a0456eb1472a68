// Numbers in a byte, and how they become those that products take. All conversions are exact. To f32 some leave a
// factor out, which the sum of products gets with its scale.
//
// Int8: a signed integer. E4m3: a sign, four bits of exponent, three of mantissa, as OCP's 8-bit floats have it: up to
// 448, no infinity, and a NaN (0x7f) that weights do not have.

#pragma once

#include "numbers.cuh"

typedef unsigned char byte;

struct Int8 {
    byte bits;
    // What `to_floats` leaves out.
    static constexpr float FACTOR = 1.0f;
};
struct E4m3 {
    byte bits;
    static constexpr float FACTOR = 256.0f;
};

// Four bytes to f32. 2^23 + u has u in its low bits, so a byte moved there and a subtraction make a float.
__device__ __forceinline__ void to_floats(word bytes, float *out, Int8) {
    const word biased = bytes ^ 0x80808080u;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        out[i] = __uint_as_float(__byte_perm(biased, 0x4b000000u, 0x7650 + i)) - 8388736.0f;
    }
}

// Exponent and mantissa where a wider float has its own make a number that is smaller by the difference of the biases, also
// where it is subnormal: in an f16 by 2^8, in a bf16 by 2^120.
__device__ __forceinline__ word as_small_halves(word bytes, int selector) {
    const word v = __byte_perm(bytes, 0, selector);
    return (v & 0x80008000u) | (v & 0x7f007f00u) >> 1;
}

__device__ __forceinline__ void to_floats(word bytes, float *out, E4m3) {
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const float2 f = to_floats(as_small_halves(bytes, i ? 0x3424 : 0x1404), __half());
        out[2 * i] = f.x, out[2 * i + 1] = f.y;
    }
}

#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800

// Two bytes, the low ones of a word, to two f16. 1024 + u has u in its low bits.
__device__ __forceinline__ word to_pair(word bytes, __half, Int8) {
    const word v = __byte_perm(bytes ^ 0x8080u, 0x64646464u, 0x4140), offset = 0x64806480u; // 1152 twice
    const __half2 d = __hsub2(*reinterpret_cast<const __half2 *>(&v), *reinterpret_cast<const __half2 *>(&offset));
    return *reinterpret_cast<const word *>(&d);
}

// A bf16 has room for seven bits behind its leading one, so the sign is apart: 128 + the low seven bits,
// minus 128, or minus 256 for a negative number.
__device__ __forceinline__ word to_pair(word bytes, __nv_bfloat16, Int8) {
    const word v = __byte_perm(bytes, 0x43434343u, 0x4140);
    const word high = v & 0xff7fff7fu, low = v & 0xff80ff80u;
    const __nv_bfloat162 d = __hsub2(*reinterpret_cast<const __nv_bfloat162 *>(&high),
                                     *reinterpret_cast<const __nv_bfloat162 *>(&low));
    return *reinterpret_cast<const word *>(&d);
}

__device__ __forceinline__ word to_pair(word bytes, __half, E4m3) {
    const word small = as_small_halves(bytes, 0x1404), factor = 0x5c005c00u; // 2^8 twice
    const __half2 d = __hmul2(*reinterpret_cast<const __half2 *>(&small), *reinterpret_cast<const __half2 *>(&factor));
    return *reinterpret_cast<const word *>(&d);
}

__device__ __forceinline__ word to_pair(word bytes, __nv_bfloat16, E4m3) {
    const word v = __byte_perm(bytes, 0, 0x1404), factor = 0x7b807b80u; // 2^120 twice
    const word small = (v & 0x80008000u) | (v & 0x7f007f00u) >> 4;
    const __nv_bfloat162 d = __hmul2(*reinterpret_cast<const __nv_bfloat162 *>(&small),
                                     *reinterpret_cast<const __nv_bfloat162 *>(&factor));
    return *reinterpret_cast<const word *>(&d);
}

#endif
