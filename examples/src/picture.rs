//! The picture.

use std::{
    fs::File,
    io::{self, BufWriter},
    path::Path,
};

/// From far outside the set to its very edge.
const STOPS: [[f64; 3]; 6] = [
    [4.0, 6.0, 40.0],
    [22.0, 60.0, 150.0],
    [110.0, 190.0, 235.0],
    [250.0, 250.0, 225.0],
    [250.0, 170.0, 40.0],
    [120.0, 20.0, 30.0],
];

/// The colour of a point that left after so many iterations; the set itself is black.
#[must_use]
pub fn colour(count: u32, maxiter: u32) -> [u8; 3] {
    if count >= maxiter {
        return [0; 3];
    }
    // Most points leave within a few iterations: with a logarithm, each doubling has its share of colours.
    let along = f64::from(count).ln_1p() / f64::from(maxiter).ln_1p() * (STOPS.len() - 1) as f64;
    let stop = (along as usize).min(STOPS.len() - 2);
    let part = along - stop as f64;
    std::array::from_fn(|channel| {
        let (from, to) = (STOPS[stop][channel], STOPS[stop + 1][channel]);
        (from + (to - from) * part).round() as u8
    })
}

/// Writes the counts, row by row, as a picture.
///
/// # Errors
/// When the file cannot be written.
pub fn write_png(path: &Path, counts: &[u32], columns: usize, maxiter: u32) -> io::Result<()> {
    let pixels: Vec<u8> = counts.iter().flat_map(|count| colour(*count, maxiter)).collect();
    encode(path, &pixels, columns, counts.len() / columns)
        .map_err(|error| io::Error::other(format!("`{}` cannot be written: {error}", path.display())))
}

fn encode(path: &Path, pixels: &[u8], columns: usize, rows: usize) -> Result<(), png::EncodingError> {
    let side = |pixels: usize| u32::try_from(pixels).map_err(io::Error::other);
    let mut encoder = png::Encoder::new(BufWriter::new(File::create(path)?), side(columns)?, side(rows)?);
    encoder.set_color(png::ColorType::Rgb);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_set_is_black_and_nothing_else_is() {
        assert_eq!(colour(1000, 1000), [0; 3]);
        assert_eq!(colour(0, 0), [0; 3]);
        assert!((0..1000).all(|count| colour(count, 1000) != [0; 3]));
        assert_eq!(colour(0, 1), STOPS[0].map(|channel| channel as u8));
    }
}
