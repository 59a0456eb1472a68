// Words that go between the device and page-locked memory of the host, where a copy by the copy engine would make the
// kernels before and behind it wait for it, and it for them. Names are known to transfer.rs.

#include "numbers.cuh"

// A thread takes a word. A step's `words` come from the host, which has written them before the launch and leaves them as they
// are: so they are read while the kernels before still run. The first `tokens` of them are tokens; one that is the
// number of a row of `choices` becomes what was chosen there. It lets no kernel begin before its end: the next ones read what
// it writes before they wait.
extern "C" __global__ void take(const volatile word *given, word *inputs, const uint4 *choices, int chosen, int tokens,
                                int words) {
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    word value = at < words ? given[at] : 0;
    await_previous_kernels();
    if (at < tokens && value < chosen) {
        value = choices[value].x;
    }
    if (at < words) {
        inputs[at] = value;
    }
}

// A thread takes a word, which the host reads once the kernel has ended.
extern "C" __global__ void tell(const word *values, word *told, int words) {
    begin_kernel();
    const int at = blockIdx.x * blockDim.x + threadIdx.x;
    if (at < words) {
        told[at] = values[at];
    }
}
