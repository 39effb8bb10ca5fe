//! Inputs that other systems are given as files, so that all are timed on the same ones.

use std::{ffi::OsStr, fs, io, time::Duration};

use num_complex::Complex;

use crate::grid::Grid;

/// Points as raw little-endian pairs of `f64`, in one long row.
///
/// # Errors
/// When the file cannot be read or is no whole number of points.
pub fn read_grid(path: &OsStr) -> io::Result<Grid> {
    let bytes = fs::read(path).map_err(|error| in_file(path, &error.to_string()))?;
    let (numbers, rest) = bytes.as_chunks::<8>();
    let (pairs, odd) = numbers.as_chunks::<2>();
    if pairs.is_empty() || !odd.is_empty() || !rest.is_empty() {
        return Err(in_file(path, &format!("{} bytes are no whole number of points", bytes.len())));
    }
    let points: Vec<_> =
        pairs.iter().map(|[re, im]| Complex::new(f64::from_le_bytes(*re), f64::from_le_bytes(*im))).collect();
    Ok(Grid { columns: points.len(), points })
}

/// The first `count` naps of a file that has one a line, in seconds.
///
/// # Errors
/// When the file cannot be read, has a line that is no time, or too few of them.
pub fn read_naps(path: &OsStr, count: usize) -> io::Result<Vec<Duration>> {
    let text = fs::read_to_string(path).map_err(|error| in_file(path, &error.to_string()))?;
    let nap =
        |line: &str| line.trim().parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let naps = text
        .lines()
        .take(count)
        .map(|line| nap(line).ok_or_else(|| in_file(path, &format!("`{line}` is no time in seconds"))));
    let naps: Vec<_> = naps.collect::<io::Result<_>>()?;
    if naps.len() < count {
        return Err(in_file(path, &format!("it has {} naps, expected {count}", naps.len())));
    }
    Ok(naps)
}

fn in_file(path: &OsStr, reason: &str) -> io::Error {
    io::Error::other(format!("`{}` cannot be used: {reason}", path.display()))
}
