//! Finds the pages of a TIFF file.
//!
//! The decoder reads the first page of a file only. A page is a directory in a chain, and the
//! header names the first one; so each page is read through a view of the file whose header names
//! that page's directory.

use std::collections::HashSet;
use std::io::{self, BufRead, Read, Seek, SeekFrom};

use crate::limits::TIFF_DIRECTORIES_MAX;
use crate::preprocess::decode::DecodeError;

/// The file with another offset of the first directory.
pub(super) struct View<'a> {
    bytes: &'a [u8],
    /// Replaces the first bytes of the file.
    header: Vec<u8>,
    position: u64,
}

/// The parts of a TIFF file that this module reads, in one of two byte orders and two widths.
struct Layout<'a> {
    bytes: &'a [u8],
    is_little: bool,
    is_big_tiff: bool,
}

/// A view for each page, in order. Refuses a ring, and a chain that is longer than any.
pub(super) fn views(bytes: &[u8]) -> Result<Vec<View<'_>>, DecodeError> {
    let layout = Layout {
        bytes,
        is_little: bytes.starts_with(b"II"),
        is_big_tiff: bytes[2..4].contains(&0x2b),
    };
    let (mut views, mut seen) = (Vec::new(), HashSet::new());
    let mut directory = layout.first_directory();
    while let Some(offset) = directory.filter(|&offset| offset != 0) {
        if views.len() == TIFF_DIRECTORIES_MAX {
            return Err(DecodeError::TooManyPages { pages_max: TIFF_DIRECTORIES_MAX });
        }
        if !seen.insert(offset) {
            let (page, problem) = (views.len(), "the TIFF directories form a ring".to_owned());
            return Err(DecodeError::Damaged { page, problem });
        }
        views.push(View { bytes, header: layout.header_naming(offset), position: 0 });
        directory = layout.next_directory(offset);
    }
    if views.is_empty() || directory.is_none() {
        let page = views.len().max(1);
        let problem = "the chain of TIFF directories leads outside the file".to_owned();
        return Err(DecodeError::Damaged { page, problem });
    }
    Ok(views)
}

// === impl Layout ===

impl Layout<'_> {
    fn first_directory(&self) -> Option<u64> {
        if self.is_big_tiff { self.number(8, 8) } else { self.number(4, 4) }
    }

    fn next_directory(&self, offset: u64) -> Option<u64> {
        let (count_bytes, entry_bytes, offset_bytes) =
            if self.is_big_tiff { (8, 20, 8) } else { (2, 12, 4) };
        let entries = self.number(offset, count_bytes)?.checked_mul(entry_bytes)?;
        let at = offset.checked_add(count_bytes as u64)?.checked_add(entries)?;
        self.number(at, offset_bytes)
    }

    /// The file's header with `offset` as that of the first directory.
    fn header_naming(&self, offset: u64) -> Vec<u8> {
        let (start, width) = if self.is_big_tiff { (8, 8) } else { (4, 4) };
        let mut header = self.bytes[..start].to_vec();
        if self.is_little {
            header.extend_from_slice(&offset.to_le_bytes()[..width]);
        } else {
            header.extend_from_slice(&offset.to_be_bytes()[8 - width..]);
        }
        header
    }

    /// An unsigned number of `width` bytes at `at`.
    fn number(&self, at: u64, width: usize) -> Option<u64> {
        let at = usize::try_from(at).ok()?;
        let bytes = self.bytes.get(at..at.checked_add(width)?)?;
        let more = |number: u64, byte: &u8| (number << 8) | u64::from(*byte);
        Some(if self.is_little {
            bytes.iter().rev().fold(0, more)
        } else {
            bytes.iter().fold(0, more)
        })
    }
}

// === impl View ===

impl Read for View<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

impl BufRead for View<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let at = usize::try_from(self.position).unwrap_or(usize::MAX);
        let header = self.header.get(at..).unwrap_or_default();
        Ok(if header.is_empty() { self.bytes.get(at..).unwrap_or_default() } else { header })
    }

    fn consume(&mut self, read: usize) {
        self.position = self.position.saturating_add(read as u64);
    }
}

impl Seek for View<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => (self.bytes.len() as u64).checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
