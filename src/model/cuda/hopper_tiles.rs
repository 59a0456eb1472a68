//! What kernels made of `hopper_tiles.cuh` have in common.

use candle_core::{CudaDevice, Result};

use super::launch::{BOX_BYTES, Module, clusters_at_once};

// As in hopper_tiles.cuh.
const STAGES: usize = 4;
const BARRIERS_BYTES: usize = STAGES * 16;
/// Of a tile: rows of x, and of the weight.
pub(super) const TILE_ROWS: usize = 128;
pub(super) const WEIGHT_ROWS: usize = 256;
pub(super) const BOX_ROWS: usize = 64;
pub(super) const THREADS: usize = 3 * 128;
pub(super) const CLUSTER: usize = 2;
/// Tiles of x and of the weight, and where they may begin, with the barriers; without results on their way out.
pub(super) const SHARED_BYTES: usize =
    1024 + STAGES * (TILE_ROWS + WEIGHT_ROWS) * BOX_BYTES + BARRIERS_BYTES;

/// Clusters of the kernel `name` that run at once, with so many bytes of shared memory in a block.
pub(super) fn clusters(
    device: &CudaDevice,
    module: &Module,
    name: &str,
    shared_bytes: usize,
) -> Result<usize> {
    clusters_at_once(device, module, name, (THREADS, shared_bytes), CLUSTER)
}
