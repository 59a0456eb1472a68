//! Any bytes as a page file: pages within the limits or an error, and tiles of every page.

use tessera::preprocess::{Config, DecodeLimits, Orientation, SampleValues, decode, tile};

/// Pages that became tiles; none where the file was refused.
pub fn pages(bytes: &[u8]) -> usize {
    // Those of the server let a few bytes become 192 MB of pixels, which takes seconds and teaches nothing. Where a limit is
    // makes no difference to the code that holds it.
    let limits = DecodeLimits {
        pixels_max: 1 << 17,
        file_pixels_max: 1 << 18,
        side_px_max: 4096,
        ..DecodeLimits::default()
    };
    let Ok(pages) = decode(bytes, &limits, Orientation::default()) else { return 0 };
    let config = Config { tile_size_px: 28, ..Config::default() };
    for page in &pages {
        let pixels = u64::from(page.width_px()) * u64::from(page.height_px());
        assert_eq!(page.rgb().len() as u64, pixels * 3);
        let tiles = tile(page, &config);
        assert!(tiles.tiles >= 1 && tiles.tiles <= config.max_tiles + 1);
        assert_eq!(tiles.samples.len(), tiles.tiles as usize * 3 * 28 * 28);
        let values = tiles.values(&SampleValues::new(&config));
        assert!(
            values.len() == tiles.samples.len() && values.iter().all(|value| value.is_finite())
        );
    }
    pages.len()
}
