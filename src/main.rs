//! The `tessera` command.

use std::process::ExitCode;

use tessera::telemetry::heap::Counted;

/// Activations are large, short-lived buffers. The system's allocator returns each to the kernel and
/// takes it back page by page, a sixth of the time of a forward pass on the CPU.
#[global_allocator]
static ALLOCATOR: Counted<mimalloc::MiMalloc> = Counted(mimalloc::MiMalloc);

fn main() -> ExitCode {
    // The allocator asks for huge pages, with which the first byte of a KV slot takes all of it: a
    // quarter of the memory of a server on the CPU. A system that refuses costs memory, nothing else.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    tessera::cli::run()
}
