//! What a rendering process sends back: pages, each with its number and size before its pixels and its text
//! behind them, and at the end that it is done, or why not.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::PdfError;
use crate::limits;
use crate::preprocess::decode::{DecodeError, NumberedPage};
use crate::preprocess::page::Page;

const PAGE: u8 = b'P';
const END: u8 = b'E';
/// Bytes of the last frame's text.
const END_BYTES_MAX: usize = 64 << 10;

/// One message.
#[derive(Debug)]
pub(super) enum Frame {
    Page(NumberedPage),
    End(Result<(), Fault>),
}

/// What can be wrong with a PDF file, as it crosses between processes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Fault {
    Pdf(PdfError),
    NoSuchPage { page: usize, pages: usize },
    TooManyPages { pages_max: usize },
    NoPixels { page: usize, width_px: u32, height_px: u32 },
    TooManyPixelsTogether { page: usize, pixels: u64, pixels_max: u64 },
}

pub(super) fn write_page(out: &mut impl Write, numbered: &NumberedPage) -> io::Result<()> {
    let NumberedPage { number, page, text } = numbered;
    out.write_all(&[PAGE])?;
    for number in [*number as u32, page.width_px(), page.height_px()] {
        out.write_all(&number.to_le_bytes())?;
    }
    out.write_all(page.rgb())?;
    let text = text.as_deref().unwrap_or_default();
    out.write_all(&(text.len() as u32).to_le_bytes())?;
    out.write_all(text.as_bytes())?;
    out.flush()
}

pub(super) fn write_end(out: &mut impl Write, end: &Result<(), Fault>) -> io::Result<()> {
    let text = serde_json::to_vec(end)?;
    out.write_all(&[END])?;
    out.write_all(&(text.len() as u32).to_le_bytes())?;
    out.write_all(&text)?;
    out.flush()
}

/// The next frame; a page of more than `pixels_max` is none.
pub(super) fn read(from: &mut impl Read, pixels_max: u64) -> io::Result<Frame> {
    let mut kind = [0];
    from.read_exact(&mut kind)?;
    match kind[0] {
        PAGE => {
            let number = number_of(from)? as usize;
            let (width, height) = (number_of(from)?, number_of(from)?);
            let pixels = u64::from(width) * u64::from(height);
            if pixels > pixels_max {
                return Err(io::ErrorKind::InvalidData.into());
            }
            let mut rgb = vec![0; pixels as usize * 3];
            from.read_exact(&mut rgb)?;
            let page = Page::from_rgb(width, height, rgb).ok_or(io::ErrorKind::InvalidData)?;
            let text = text_of(from, limits::PDF_TEXT_BYTES_MAX)?;
            let text = (!text.is_empty())
                .then(|| String::from_utf8(text).map_err(|_| io::ErrorKind::InvalidData));
            Ok(Frame::Page(NumberedPage { number, page, text: text.transpose()? }))
        }
        END => Ok(Frame::End(serde_json::from_slice(&text_of(from, END_BYTES_MAX)?)?)),
        _ => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Bytes behind their number, which is at most `bytes_max`.
fn text_of(from: &mut impl Read, bytes_max: usize) -> io::Result<Vec<u8>> {
    let bytes = number_of(from)? as usize;
    if bytes > bytes_max {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut text = vec![0; bytes];
    from.read_exact(&mut text)?;
    Ok(text)
}

fn number_of(from: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        match error {
            DecodeError::Pdf(error) => Self::Pdf(error),
            DecodeError::NoSuchPage { page, pages } => Self::NoSuchPage { page, pages },
            DecodeError::TooManyPages { pages_max } => Self::TooManyPages { pages_max },
            DecodeError::NoPixels { page, width_px, height_px } => {
                Self::NoPixels { page, width_px, height_px }
            }
            DecodeError::TooManyPixelsTogether { page, pixels, pixels_max } => {
                Self::TooManyPixelsTogether { page, pixels, pixels_max }
            }
            // No other one can come of rendering; its text is all that is left of it.
            other => Self::Pdf(PdfError::Failed { page: 1, problem: other.to_string() }),
        }
    }
}

impl From<Fault> for DecodeError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Pdf(error) => Self::Pdf(error),
            Fault::NoSuchPage { page, pages } => Self::NoSuchPage { page, pages },
            Fault::TooManyPages { pages_max } => Self::TooManyPages { pages_max },
            Fault::NoPixels { page, width_px, height_px } => {
                Self::NoPixels { page, width_px, height_px }
            }
            Fault::TooManyPixelsTogether { page, pixels, pixels_max } => {
                Self::TooManyPixelsTogether { page, pixels, pixels_max }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_were_written() {
        let page = Page::from_rgb(2, 1, vec![1, 2, 3, 4, 5, 6]).unwrap();
        let mut bytes = Vec::new();
        let pages = [None, Some("fünf".to_owned())];
        let pages = pages.map(|text| NumberedPage { number: 7, page: page.clone(), text });
        for page in &pages {
            write_page(&mut bytes, page).unwrap();
        }
        let fault = Fault::NoSuchPage { page: 9, pages: 3 };
        write_end(&mut bytes, &Err(fault.clone())).unwrap();
        let mut from = bytes.as_slice();
        for page in pages {
            let Frame::Page(found) = read(&mut from, 2).unwrap() else { panic!("no page") };
            assert_eq!(found, page);
        }
        let Frame::End(end) = read(&mut from, 2).unwrap() else { panic!("no end") };
        assert_eq!(end, Err(fault));
    }

    #[test]
    fn what_is_no_frame_or_too_large_is_refused() {
        let page = Page::from_rgb(2, 1, vec![0; 6]).unwrap();
        let mut bytes = Vec::new();
        write_page(&mut bytes, &NumberedPage { number: 1, page, text: None }).unwrap();
        assert!(read(&mut bytes.as_slice(), 1).is_err(), "over the limit");
        assert!(read(&mut &bytes[..10], 2).is_err(), "cut off");
        assert!(read(&mut b"x".as_slice(), 2).is_err(), "of another kind");
        let length = bytes.len() - 4;
        bytes[length..].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(read(&mut bytes.as_slice(), 2).is_err(), "a text over the limit");
    }
}
