//! Recognises a file by its first bytes. Names and declared types are never believed.

use crate::preprocess::decode::DecodeError;

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Png,
    Jpeg,
    WebP,
    Tiff,
    Pdf,
}

/// A format that is recognised so that its refusal can say what to do instead.
struct Other {
    kind: &'static str,
    offset: usize,
    signature: &'static [u8],
    remedy: &'static str,
}

const AS_IMAGE: &str = "save it as PNG or JPEG";
const RENDER: &str = "render its pages to PNG first, for example at 200 dots per inch";

const OTHERS: &[Other] = &[
    Other { kind: "a PostScript document", offset: 0, signature: b"%!PS", remedy: RENDER },
    Other {
        kind: "a ZIP archive or an office document",
        offset: 0,
        signature: b"PK\x03\x04",
        remedy: "unpack it, or print it to images, and send those",
    },
    Other {
        kind: "an older office document",
        offset: 0,
        signature: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        remedy: "print it to images and send those",
    },
    Other { kind: "a GIF image", offset: 0, signature: b"GIF8", remedy: AS_IMAGE },
    Other { kind: "a BMP image", offset: 0, signature: b"BM", remedy: AS_IMAGE },
    Other { kind: "a JPEG 2000 image", offset: 4, signature: b"jP  \r\n\x87\n", remedy: AS_IMAGE },
    Other {
        kind: "a JPEG 2000 image",
        offset: 0,
        signature: b"\xff\x4f\xff\x51",
        remedy: AS_IMAGE,
    },
    Other { kind: "a JPEG XL image", offset: 0, signature: b"\xff\x0a", remedy: AS_IMAGE },
    Other { kind: "a JPEG XL image", offset: 4, signature: b"JXL \r\n\x87\n", remedy: AS_IMAGE },
    Other { kind: "an AVIF image", offset: 4, signature: b"ftypavif", remedy: AS_IMAGE },
    Other {
        kind: "a HEIC image or a video",
        offset: 4,
        signature: b"ftyp",
        remedy: "save it as JPEG; phones have a setting for the most compatible format",
    },
    Other { kind: "a Photoshop image", offset: 0, signature: b"8BPS", remedy: AS_IMAGE },
    Other { kind: "a DjVu document", offset: 0, signature: b"AT&TFORM", remedy: RENDER },
    Other {
        kind: "an SVG or another XML document",
        offset: 0,
        signature: b"<?xml",
        remedy: "render it to PNG first",
    },
    Other { kind: "an SVG image", offset: 0, signature: b"<svg", remedy: "render it to PNG first" },
    Other {
        kind: "compressed with gzip",
        offset: 0,
        signature: b"\x1f\x8b",
        remedy: "unpack it first",
    },
];

/// Bytes of an unknown file that its refusal quotes.
const QUOTED_BYTES: usize = 8;

/// PDF readers accept this much before the header.
const PDF_HEADER_WITHIN_BYTES: usize = 1024;

/// The format of a file that can be read, or why it cannot.
pub fn sniff(bytes: &[u8]) -> Result<Format, DecodeError> {
    const TIFFS: [&[u8]; 4] = [b"II\x2a\0", b"MM\0\x2a", b"II\x2b\0", b"MM\0\x2b"];
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Ok(Format::Png);
    }
    if bytes.starts_with(b"\xff\xd8\xff") {
        return Ok(Format::Jpeg);
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Ok(Format::WebP);
    }
    if TIFFS.iter().any(|signature| bytes.starts_with(signature)) {
        return Ok(Format::Tiff);
    }
    let start = &bytes[..bytes.len().min(PDF_HEADER_WITHIN_BYTES)];
    if start.windows(5).any(|window| window == b"%PDF-") {
        return Ok(Format::Pdf);
    }
    Err(refusal(bytes))
}

fn refusal(bytes: &[u8]) -> DecodeError {
    let is_at = |other: &&Other| {
        bytes.get(other.offset..).is_some_and(|rest| rest.starts_with(other.signature))
    };
    if let Some(&Other { kind, remedy, .. }) = OTHERS.iter().find(is_at) {
        return DecodeError::OtherFormat { kind, remedy };
    }
    DecodeError::UnknownFormat { start: bytes[..bytes.len().min(QUOTED_BYTES)].to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_signatures() {
        for (bytes, expect) in [
            (&b"\x89PNG\r\n\x1a\n...."[..], Format::Png),
            (b"\xff\xd8\xff\xe0", Format::Jpeg),
            (b"RIFF\0\0\0\0WEBPVP8 ", Format::WebP),
            (b"II\x2a\0\x08\0\0\0", Format::Tiff),
            (b"MM\0\x2b\0\x08\0\0", Format::Tiff),
            (b"%PDF-1.7", Format::Pdf),
            (b"\n\n\n%PDF-1.4", Format::Pdf),
        ] {
            assert_eq!(sniff(bytes).ok(), Some(expect), "{bytes:02x?}");
        }
    }

    #[test]
    fn refusals_name_a_remedy() {
        for (bytes, expect) in [
            (
                &b"%!PS-Adobe"[..],
                "the file is a PostScript document, which is not read here; \
                 render its pages to PNG first, for example at 200 dots per inch",
            ),
            (b"GIF89a", "the file is a GIF image, which is not read here; save it as PNG or JPEG"),
            (b"", "the file is empty; send the bytes of a PNG, JPEG, WebP, TIFF or PDF file"),
            (
                b"RIFF",
                "the file starts with none of the known signatures but with [52, 49, 46, 46]; \
                 send a PNG, JPEG, WebP, TIFF or PDF file",
            ),
        ] {
            assert_eq!(sniff(bytes).unwrap_err().to_string(), expect);
        }
    }
}
