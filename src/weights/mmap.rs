//! Weight files mapped into memory: one of the four files with unsafe code, which `tests/tidy`
//! names.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use memmap2::{Mmap, UncheckedAdvice};

/// The bytes of one weight file: mapped from disk, or part of the binary.
#[derive(Debug)]
pub(super) enum FileBytes {
    Mapped(Mmap),
    Static(&'static [u8]),
}

impl FileBytes {
    /// Maps the file at `path`, read-only.
    pub(super) fn map(path: &Path) -> std::io::Result<Self> {
        let file = File::open(path)?;
        #[expect(unsafe_code, reason = "mapping a file has no safe form")]
        // SAFETY: the map is read-only and private to this process. The contract that the file does
        // not change while it is mapped is the operator's: checkpoints are written once, and a
        // server's model directory is documented as read-only while it runs.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self::Mapped(map))
    }

    /// Takes the pages of `range` out of this process, so that its memory does not grow with the file. They are
    /// mapped anew where somebody reads them again.
    pub(super) fn release(&self, range: Range<usize>) {
        let Self::Mapped(map) = self else { return };
        #[expect(
            unsafe_code,
            reason = "dropping pages has no safe form, since of other maps it drops data"
        )]
        // SAFETY: nobody writes to the map, so that its pages hold what the file does, and come back as it.
        let released = unsafe {
            map.unchecked_advise_range(UncheckedAdvice::DontNeed, range.start, range.len())
        };
        if let Err(error) = released {
            tracing::debug!(%error, "pages of a weight file stay mapped");
        }
    }
}

impl std::ops::Deref for FileBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Static(bytes) => bytes,
        }
    }
}
