// What stands between the products of the vision tower: patches cut out of pixels, layer norms with the
// scaled addition before them, GELU with the bias before it, and the shuffle on the way to the projector.
//
// The sum that runs through is bf16, or f32 beside f16 products. Everything is computed in f32. Rows begin
// at 16-byte boundaries. Names are known to vision.rs and benches/kernels/vision.py.

#include "numbers.cuh"

// Vectors of a row that one thread holds.
constexpr int NORM_VECTORS = 4;
constexpr int NORM_THREADS_MAX = 1024;

// What samples stand for: values[tile, channel, i] = table[channel][samples[tile, channel, i]], the table, f32,
// `table_at` bytes behind the first sample. A block takes part of a plane, a thread four samples.
extern "C" __global__ void sample_values(const unsigned char *samples, int table_at, float *values, int channels,
                                         int plane) {
    constexpr int SAMPLES = 256;
    __shared__ float table[SAMPLES];
    begin_kernel();
    const float *from = (const float *)(samples + table_at) + blockIdx.y % channels * SAMPLES;
    for (int i = threadIdx.x; i < SAMPLES; i += blockDim.x) {
        table[i] = from[i];
    }
    __syncthreads();
    const int at = (blockIdx.x * blockDim.x + threadIdx.x) * 4;
    if (at < plane) {
        const size_t first = (size_t)blockIdx.y * plane + at;
        const uchar4 four = *(const uchar4 *)(samples + first);
        *(float4 *)(values + first) = make_float4(table[four.x], table[four.y], table[four.z], table[four.w]);
    }
}

// Rows of patch pixels in the convolution kernel's order: out[tile, patch, channel, y, x]. A block takes a
// patch.
template <typename C>
__device__ __forceinline__ void patch_rows(const float *pixels, C *out, int channels, int side, int patch) {
    begin_kernel();
    const int grid = side / patch, area = patch * patch, width = channels * area;
    const int tile = blockIdx.x / (grid * grid), at = blockIdx.x % (grid * grid);
    const int top = at / grid * patch, left = at % grid * patch;
    for (int i = threadIdx.x; i < width; i += blockDim.x) {
        const int channel = i / area, y = i % area / patch, x = i % patch;
        const size_t from = (((size_t)tile * channels + channel) * side + top + y) * side + left + x;
        out[(size_t)blockIdx.x * width + i] = from_float<C>(pixels[from]);
    }
}

// x[tile, 1 + patches] = [class; embedded + bias] + position. A block takes a row.
template <typename R, typename C>
__device__ __forceinline__ void vision_rows(const R *embedded, const C *bias, const R *class_row, const R *position,
                                            R *out, int tokens, int width) {
    begin_kernel();
    const int tile = blockIdx.x / tokens, token = blockIdx.x % tokens;
    const R *from = token == 0 ? class_row : embedded + ((size_t)tile * (tokens - 1) + token - 1) * width;
    for (int at = threadIdx.x * VECTOR; at < width; at += blockDim.x * VECTOR) {
        float x[VECTOR], p[VECTOR], b[VECTOR] = {};
        load(from + at, x);
        load(position + (size_t)token * width + at, p);
        if (token > 0) {
            load(bias + at, b);
        }
#pragma unroll
        for (int e = 0; e < VECTOR; e++) {
            // As it is stored between the two additions elsewhere.
            x[e] = to_float(from_float<R>(x[e] + b[e])) + p[e];
        }
        store(out + (size_t)blockIdx.x * width + at, x);
    }
}

// The norm of the vectors that a block's threads hold.
template <typename R, typename C>
__device__ __forceinline__ void layer_norm(float x[NORM_VECTORS][VECTOR], const R *weight, const R *bias, C *y,
                                           int width, float eps) {
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < NORM_VECTORS; i++) {
        if ((i * blockDim.x + threadIdx.x) * VECTOR < width) {
#pragma unroll
            for (int e = 0; e < VECTOR; e++) {
                sum += x[i][e];
            }
        }
    }
    const float mean = block_sum(sum) / width;
    float squares = 0.0f;
#pragma unroll
    for (int i = 0; i < NORM_VECTORS; i++) {
        if ((i * blockDim.x + threadIdx.x) * VECTOR < width) {
#pragma unroll
            for (int e = 0; e < VECTOR; e++) {
                x[i][e] -= mean;
                squares = fmaf(x[i][e], x[i][e], squares);
            }
        }
    }
    // The first sum's parts are read by all before they are written again.
    __syncthreads();
    const float scale = rsqrtf(block_sum(squares) / width + eps);
#pragma unroll
    for (int i = 0; i < NORM_VECTORS; i++) {
        const int at = (i * blockDim.x + threadIdx.x) * VECTOR;
        if (at < width) {
            float w[VECTOR], b[VECTOR];
            load(weight + at, w);
            load(bias + at, b);
#pragma unroll
            for (int e = 0; e < VECTOR; e++) {
                w[e] = fmaf(x[i][e] * scale, w[e], b[e]);
            }
            store(y + at, w);
        }
    }
}

// sum = residual + (delta + delta_bias) * layer_scale, y = layer norm of sum. Without `delta` the residual
// is the sum and is not written again; `sum` may be the residual itself; without `y` there is no norm. A
// block takes a row.
template <typename R, typename C>
__device__ __forceinline__ void add_layer_norm(const R *residual, const R *delta, const C *delta_bias,
                                               const R *layer_scale, const R *weight, const R *bias, R *sum, C *y,
                                               int width, float eps) {
    begin_kernel();
    const size_t row = (size_t)blockIdx.x * width;
    float x[NORM_VECTORS][VECTOR];
#pragma unroll
    for (int i = 0; i < NORM_VECTORS; i++) {
        const int at = (i * blockDim.x + threadIdx.x) * VECTOR;
        if (at >= width) {
            break;
        }
        load(residual + row + at, x[i]);
        if (delta != nullptr) {
            float d[VECTOR], b[VECTOR], s[VECTOR];
            load(delta + row + at, d);
            load(delta_bias + at, b);
            load(layer_scale + at, s);
#pragma unroll
            for (int e = 0; e < VECTOR; e++) {
                // The norm is that of what is stored.
                x[i][e] = to_float(from_float<R>(fmaf(d[e] + b[e], s[e], x[i][e])));
            }
            store(sum + row + at, x[i]);
        }
    }
    if (y != nullptr) {
        layer_norm(x, weight, bias, y + row, width, eps);
    }
}

// Squares of `side` x `side` patches joined to one row, channels of a patch together, patches in reading
// order, and the row's layer norm. features is [tiles, 1 + grid * grid, width], y
// [tiles * (grid / side)^2, side * side * width]. A block takes a row of y.
template <typename R, typename C>
__device__ __forceinline__ void shuffle_norm(const R *features, const R *weight, const R *bias, C *y, int grid,
                                             int side, int width, float eps) {
    begin_kernel();
    const int cells = grid / side, joined = side * side * width;
    const int tile = blockIdx.x / (cells * cells), cell = blockIdx.x % (cells * cells);
    const int top = cell / cells * side, left = cell % cells * side;
    float x[NORM_VECTORS][VECTOR];
#pragma unroll
    for (int i = 0; i < NORM_VECTORS; i++) {
        const int at = (i * blockDim.x + threadIdx.x) * VECTOR;
        if (at >= joined) {
            break;
        }
        const int part = at / width, down = part / side, right = part % side;
        const int patch = (top + down) * grid + left + right;
        load(features + ((size_t)tile * (1 + grid * grid) + 1 + patch) * width + at % width, x[i]);
    }
    layer_norm(x, weight, bias, y + (size_t)blockIdx.x * joined, joined, eps);
}

__device__ __forceinline__ float gelu(float x) { return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f)); }

// x = gelu(x + bias), in place. The grid is (vectors of a row, rows).
template <typename C> __device__ __forceinline__ void bias_gelu(C *x, const C *bias, int width) {
    begin_kernel();
    const int at = (blockIdx.x * blockDim.x + threadIdx.x) * VECTOR;
    if (at >= width) {
        return;
    }
    C *row = x + (size_t)blockIdx.y * width + at;
    float v[VECTOR], b[VECTOR];
    load(row, v);
    load(bias + at, b);
#pragma unroll
    for (int e = 0; e < VECTOR; e++) {
        // The product is stored with its bias elsewhere.
        v[e] = gelu(to_float(from_float<C>(v[e] + b[e])));
    }
    store(row, v);
}

// x = x + bias, in place. The grid is (vectors of a row, rows).
template <typename R, typename C> __device__ __forceinline__ void add_bias(R *x, const C *bias, int width) {
    begin_kernel();
    const int at = (blockIdx.x * blockDim.x + threadIdx.x) * VECTOR;
    if (at >= width) {
        return;
    }
    R *row = x + (size_t)blockIdx.y * width + at;
    float v[VECTOR], b[VECTOR];
    load(row, v);
    load(bias + at, b);
#pragma unroll
    for (int e = 0; e < VECTOR; e++) {
        v[e] += b[e];
    }
    store(row, v);
}

#define OF_COMPUTE(NAME, C)                                                                                    \
    extern "C" __global__ void patch_rows_##NAME(const float *pixels, C *out, int channels, int side,          \
                                                 int patch) {                                                  \
        patch_rows(pixels, out, channels, side, patch);                                                        \
    }                                                                                                          \
    extern "C" __global__ void bias_gelu_##NAME(C *x, const C *bias, int width) { bias_gelu(x, bias, width); }

#define OF_BOTH(NAME, R, C)                                                                                    \
    extern "C" __global__ void vision_rows_##NAME(const R *embedded, const C *bias, const R *class_row,        \
                                                  const R *position, R *out, int tokens, int width) {          \
        vision_rows(embedded, bias, class_row, position, out, tokens, width);                                  \
    }                                                                                                          \
    extern "C" __global__ void __launch_bounds__(NORM_THREADS_MAX) add_layer_norm_##NAME(                      \
        const R *residual, const R *delta, const C *delta_bias, const R *layer_scale, const R *weight,         \
        const R *bias, R *sum, C *y, int width, float eps) {                                                   \
        add_layer_norm(residual, delta, delta_bias, layer_scale, weight, bias, sum, y, width, eps);            \
    }                                                                                                          \
    extern "C" __global__ void __launch_bounds__(NORM_THREADS_MAX) shuffle_norm_##NAME(                        \
        const R *features, const R *weight, const R *bias, C *y, int grid, int side, int width, float eps) {   \
        shuffle_norm(features, weight, bias, y, grid, side, width, eps);                                       \
    }                                                                                                          \
    extern "C" __global__ void add_bias_##NAME(R *x, const C *bias, int width) { add_bias(x, bias, width); }

// By residual and compute.
OF_COMPUTE(f16, __half)
OF_BOTH(f32_f16, float, __half)
#if !defined(__CUDA_ARCH__) || __CUDA_ARCH__ >= 800
OF_COMPUTE(bf16, __nv_bfloat16)
OF_BOTH(bf16_bf16, __nv_bfloat16, __nv_bfloat16)
#endif
