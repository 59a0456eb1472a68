//! Brings whatever a decoder gives to 8-bit RGB, as Pillow's `convert("RGB")` does.
//!
//! * Alpha is dropped, not composited: the colour under transparent pixels shows, as in Pillow.
//! * Grey is repeated; palettes are already colours when they come here.
//! * Of 16 bits the upper 8 remain (no rounding), as in Pillow for colour images. Pillow cuts
//!   16-bit *grey* off at 255 instead, which turns nearly every such page white; grey is treated
//!   like colour here, on purpose.

use image::ColorType;

/// Converts in place where the result is not larger. `None` for sample types no page comes in.
pub(super) fn to_rgb8(samples: Vec<u8>, color: ColorType) -> Option<Vec<u8>> {
    match color {
        ColorType::Rgb8 => Some(samples),
        ColorType::Rgba8 => Some(compact(samples, |&[r, g, b, _]| [r, g, b])),
        ColorType::L8 => Some(expand(&samples, |&[grey]| grey)),
        ColorType::La8 => Some(expand(&samples, |&[grey, _]| grey)),
        ColorType::L16 => Some(expand(&samples, |&[a, b]| upper(a, b))),
        ColorType::La16 => Some(expand(&samples, |&[a, b, _, _]| upper(a, b))),
        ColorType::Rgb16 => Some(compact(samples, |&[a, b, c, d, e, f]: &[u8; 6]| {
            [upper(a, b), upper(c, d), upper(e, f)]
        })),
        ColorType::Rgba16 => Some(compact(samples, |&[a, b, c, d, e, f, _, _]| {
            [upper(a, b), upper(c, d), upper(e, f)]
        })),
        _ => None,
    }
}

/// The upper byte of a sample in this machine's byte order, which is what decoders give.
fn upper(first: u8, second: u8) -> u8 {
    u16::from_ne_bytes([first, second]).to_be_bytes()[0]
}

/// Writes each pixel over the front of the same buffer: a second one would be the peak of memory.
fn compact<const BYTES: usize>(
    mut samples: Vec<u8>,
    pixel: impl Fn(&[u8; BYTES]) -> [u8; 3],
) -> Vec<u8> {
    let pixels = samples.len() / BYTES;
    for index in 0..pixels {
        let Some(from) = samples[index * BYTES..].first_chunk() else { break };
        let rgb = pixel(from);
        samples[index * 3..][..3].copy_from_slice(&rgb);
    }
    samples.truncate(pixels * 3);
    samples.shrink_to_fit();
    samples
}

fn expand<const BYTES: usize>(samples: &[u8], grey: impl Fn(&[u8; BYTES]) -> u8) -> Vec<u8> {
    let (pixels, _) = samples.as_chunks();
    let mut rgb = vec![0; pixels.len() * 3];
    for (out, pixel) in rgb.as_chunks_mut().0.iter_mut().zip(pixels) {
        *out = [grey(pixel); 3];
    }
    rgb
}
