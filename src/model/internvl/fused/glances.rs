//! What sequences look at, as the devices sum it: a part of the attention of each that counts, on its way to the host.

use candle_core::{Device, Result};

use super::Fused;
use crate::model::cuda::looks::{Glance, Looking};
use crate::model::cuda::transfer::Download;
use crate::model::internvl::looks::Looks;
use crate::model::output::PageShares;

/// What sequences look at in the layers of a device.
pub(in crate::model::internvl) struct PageSums {
    sums: Download,
    pages_max: usize,
}

impl Fused {
    /// Room for what the sequences look at in the layers of a device.
    pub(super) fn glance(&self, looks: &Looks<'_>, device: &Device) -> Result<Glance> {
        let looking: Vec<_> = looks
            .askers()
            .iter()
            .map(|asker| Looking {
                row: asker.row,
                sequence: asker.sequence,
                seen: asker.seen,
                pages: asker.pages,
            })
            .collect();
        Glance::new(&looking, self.widths.heads, device)
    }

    /// Begins to bring over what a device has summed.
    pub(super) fn page_sums(&self, glance: &Glance) -> Result<PageSums> {
        let sums = glance.sums();
        Ok(PageSums { pages_max: sums.dim(1)?, sums: self.glances.start(sums)? })
    }
}

impl PageSums {
    /// Of each sequence that asks. Waits for them.
    pub(in crate::model::internvl) fn wait(self) -> Result<Vec<PageShares>> {
        let words = self.sums.wait()?;
        let rows = words.chunks_exact(self.pages_max);
        Ok(rows.map(|row| row.iter().map(|word| f32::from_bits(*word)).collect()).collect())
    }
}
