//! What kernels made of `hopper_tiles.cuh` have in common.

use candle_core::{CudaDevice, Result};

use super::argument::BOX_BYTES;
use super::launch::{Module, clusters_at_once};

// As in hopper_tiles.cuh.
/// Rows of x of a tile.
pub(super) const TILE_ROWS: usize = 128;
/// Rows of a box of x.
pub(super) const BOX_ROWS: usize = 64;
pub(super) const THREADS: usize = 3 * 128;
pub(super) const CLUSTER: usize = 2;

/// Shared memory of a block, for tiles of x and of so many rows of the weight, `stages` of them, and their barriers; without
/// results on their way out. The first tile may begin later.
pub(super) const fn shared_bytes(weight_rows: usize, stages: usize) -> usize {
    const BARRIER_BYTES: usize = 8;
    1024 + stages * ((TILE_ROWS + weight_rows) * BOX_BYTES + 2 * BARRIER_BYTES)
}

/// Clusters of the kernel `name` that run at once, with so many bytes of shared memory in a block.
pub(super) fn clusters(
    device: &CudaDevice,
    module: &Module,
    name: &str,
    shared_bytes: usize,
) -> Result<usize> {
    clusters_at_once(device, module, name, (THREADS, shared_bytes), CLUSTER)
}
