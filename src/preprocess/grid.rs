//! Chooses how many tiles an image becomes: the grid whose aspect ratio is nearest to the image's.
//!
//! Ties are decided the way the model was trained: a later, larger grid replaces the first one
//! found if the image has more than half the pixels of that grid. Comparisons are exact in `f64`,
//! as in the original, so the answer is the original's for every size.

/// Tiles across and down, without the thumbnail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Grid {
    pub columns: u32,
    pub rows: u32,
}

impl Grid {
    /// Tiles of the grid itself.
    pub fn tiles(self) -> u32 {
        self.columns * self.rows
    }
}

/// The grid for an image of `width_px` x `height_px`, among those of `min_tiles..=max_tiles` tiles.
///
/// An empty range gives 1x1, as the original does.
pub fn choose_grid(
    width_px: u32,
    height_px: u32,
    min_tiles: u32,
    max_tiles: u32,
    tile_size_px: u32,
) -> Grid {
    let aspect = f64::from(width_px) / f64::from(height_px);
    let area = f64::from(width_px) * f64::from(height_px);
    let half_tile_area = 0.5 * f64::from(tile_size_px) * f64::from(tile_size_px);

    let mut best = Grid { columns: 1, rows: 1 };
    let mut best_difference = f64::INFINITY;
    for grid in candidates(min_tiles, max_tiles) {
        let difference = (aspect - f64::from(grid.columns) / f64::from(grid.rows)).abs();
        if difference < best_difference {
            best_difference = difference;
            best = grid;
        } else if is_tie(difference, best_difference)
            && area > half_tile_area * f64::from(grid.tiles())
        {
            best = grid;
        }
    }
    best
}

#[expect(
    clippy::float_cmp,
    reason = "a tie means the same ratio exactly; the original compares so too"
)]
fn is_tie(difference: f64, best: f64) -> bool {
    difference == best
}

/// Candidate grids by rising area; grids of equal area with fewer columns first.
///
/// The original walks a Python set, whose order within an area depends on hashing. For `min_tiles`
/// = 1 no order changes the answer; for larger minimums this is the order of the transformers code.
fn candidates(min_tiles: u32, max_tiles: u32) -> Vec<Grid> {
    let mut grids: Vec<Grid> = (1..=max_tiles)
        .flat_map(|columns| (1..=max_tiles / columns).map(move |rows| Grid { columns, rows }))
        .filter(|grid| grid.tiles() >= min_tiles)
        .collect();
    grids.sort_by_key(|grid| grid.tiles()); // stable: equal areas keep their order
    grids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(width: u32, height: u32, max_tiles: u32, expect: (u32, u32)) {
        let grid = choose_grid(width, height, 1, max_tiles, 448);
        assert_eq!(
            (grid.columns, grid.rows),
            expect,
            "{width}x{height}, at most {max_tiles} tiles"
        );
    }

    #[test]
    fn published_sizes() {
        for (width, height, at_most_6, at_most_12) in [
            (448, 448, (1, 1), (1, 1)),
            (600, 600, (1, 1), (1, 1)),
            (896, 448, (2, 1), (2, 1)),
            (640, 480, (3, 2), (4, 3)),
            (1000, 747, (3, 2), (4, 3)),
            (4032, 3024, (3, 2), (4, 3)),
            (1920, 1080, (2, 1), (4, 2)),
            (1080, 1920, (1, 2), (2, 4)),
            (2480, 3508, (2, 3), (2, 3)),
            (1654, 2339, (2, 3), (2, 3)),
            (1240, 1754, (2, 3), (2, 3)),
            (800, 2400, (1, 3), (2, 6)),
            (1024, 1024, (2, 2), (3, 3)),
            (300, 1200, (1, 4), (1, 4)),
        ] {
            check(width, height, 6, at_most_6);
            check(width, height, 12, at_most_12);
        }
    }

    #[test]
    fn an_empty_range_gives_one_tile() {
        assert_eq!(choose_grid(900, 100, 1, 0, 448), Grid { columns: 1, rows: 1 });
        assert_eq!(choose_grid(900, 100, 7, 6, 448), Grid { columns: 1, rows: 1 });
    }
}
