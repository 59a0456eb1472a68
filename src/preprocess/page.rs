//! One decoded page: RGB, 8 bits a channel, rows from the top, no padding.
//!
//! The fields are private so that the one invariant cannot be broken: both sides are at least one
//! pixel and the buffer holds exactly `width * height` pixels. Everything after decoding relies on
//! it.

/// Bytes of one pixel.
pub(crate) const CHANNELS: usize = 3;

/// An upright (or, when asked, as-stored) RGB8 image.
#[derive(Clone, PartialEq, Eq)]
pub struct Page {
    width_px: u32,
    height_px: u32,
    rgb: Vec<u8>,
}

impl Page {
    /// Takes `rgb` as it is; `None` when a side is zero or the length is not `width * height * 3`.
    pub fn from_rgb(width_px: u32, height_px: u32, rgb: Vec<u8>) -> Option<Self> {
        let bytes = (width_px as usize).checked_mul(height_px as usize)?.checked_mul(CHANNELS)?;
        (bytes > 0 && rgb.len() == bytes).then_some(Self { width_px, height_px, rgb })
    }

    pub fn width_px(&self) -> u32 {
        self.width_px
    }

    pub fn height_px(&self) -> u32 {
        self.height_px
    }

    /// Pixels row by row, red first.
    pub fn rgb(&self) -> &[u8] {
        &self.rgb
    }

    pub fn into_rgb(self) -> Vec<u8> {
        self.rgb
    }
}

impl std::fmt::Debug for Page {
    // The pixels of a page never belong in a log line.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Page({}x{} px)", self.width_px, self.height_px)
    }
}
