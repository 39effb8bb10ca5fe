//! The tutorial's problem: a grid of complex points, how it is cut, and what is done with each chunk.

use std::{io, iter::successors, ops::Range};

use num_complex::Complex;
use serde::{Deserialize, Serialize};

/// The tutorial's width; the doubled steps make a grid of 500 x 500 points of it.
pub const WIDTH: u32 = 1000;

/// The tutorial's bound on iterations.
pub const MAXITER: u32 = 1000;

/// What the outputs add up to at that width and bound.
pub const SUM: u64 = 51_214_485;

const X: Range<f64> = -2.13..0.77;
const Y: Range<f64> = -1.3..1.3;

/// The points of the picture, row after row from the top.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// The points.
    pub points: Vec<Complex<f64>>,
    /// How many there are in a row.
    pub columns: usize,
}

/// One chunk: points, and the bound on iterations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Chunk {
    /// The points.
    pub points: Vec<Complex<f64>>,
    /// The bound.
    pub maxiter: u32,
}

impl Grid {
    /// The grid that the tutorial makes of this width.
    #[must_use]
    pub fn new(width: u32) -> Grid {
        let width = f64::from(width);
        // By repeated addition: its rounding decides the last points of a row, and thus the sum.
        let coordinates = |first: f64, step: f64| successors(Some(first), move |at| Some(at + step));
        let x_step = (X.end - X.start) / width * 2.0;
        let y_step = (Y.start - Y.end) / width * 2.0;
        let xs: Vec<f64> = coordinates(X.start, x_step).take_while(|x| *x < X.end).collect();
        let ys = coordinates(Y.end, y_step).take_while(|y| *y > Y.start);
        let points = ys.flat_map(|y| xs.iter().map(move |x| Complex::new(*x, y))).collect();
        Grid { points, columns: xs.len() }
    }

    /// Cut as the tutorial does: the size is rounded down, so that 32 asked for are 33, the last one shorter.
    pub fn chunks(&self, asked: usize, maxiter: u32) -> impl ExactSizeIterator<Item = Chunk> {
        let size = (self.points.len() / asked.max(1)).max(1);
        self.points.chunks(size).map(move |points| Chunk { points: points.to_vec(), maxiter })
    }
}

/// For each point, the iteration at which it leaves the circle of radius 2, else `maxiter`.
#[must_use]
pub fn calculate_z(chunk: Chunk) -> Vec<u32> {
    let Chunk { points, maxiter } = chunk;
    points.into_iter().map(|point| iterations(point, maxiter)).collect()
}

fn iterations(c: Complex<f64>, maxiter: u32) -> u32 {
    let mut z = Complex::<f64>::ZERO;
    for iteration in 0..maxiter {
        z = z * z + c;
        if z.norm_sqr() > 4.0 {
            return iteration;
        }
    }
    maxiter
}

/// # Errors
/// When the tutorial's own grid gives another sum than the tutorial's. Other grids have no known sum.
pub fn check_sum(width: u32, maxiter: u32, sum: u64) -> io::Result<()> {
    if (width, maxiter) == (WIDTH, MAXITER) && sum != SUM {
        return Err(io::Error::other(format!("the sum is {sum}, expected {SUM}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grid_is_the_tutorials() {
        let grid = Grid::new(WIDTH);
        assert_eq!((grid.points.len(), grid.columns), (250_000, 500));
        assert_eq!(grid.points[0], Complex::new(-2.13, 1.3));
        assert_eq!(grid.points[1].im, 1.3, "row by row");
        assert!(grid.points[1].re > -2.13 && grid.points[500].im < 1.3);
    }

    #[test]
    fn chunks_are_cut_as_the_tutorial_cuts() {
        let grid = Grid::new(WIDTH);
        let cut = |asked| grid.chunks(asked, 7).map(|chunk| chunk.points.len()).collect::<Vec<_>>();
        assert_eq!(cut(1), [250_000]);
        assert_eq!(cut(16), [15_625; 16]);
        let uneven = cut(32);
        assert_eq!((uneven.len(), uneven[0], uneven[32]), (33, 7_812, 16));
        assert_eq!(Grid::new(4).chunks(1_000, 7).count(), Grid::new(4).points.len());
        let again: Vec<_> = grid.chunks(7, 7).flat_map(|chunk| chunk.points).collect();
        assert_eq!(again, grid.points);
    }

    #[test]
    fn points_leave_the_circle_at_the_right_iteration() {
        // 2 lands on the circle and then leaves it; 2.1 and 1.5 leave at once and on the second iteration.
        let points = [0.0, 2.0, 2.1, 1.5, -2.0].map(|re| Complex::new(re, 0.0)).to_vec();
        assert_eq!(calculate_z(Chunk { points: points.clone(), maxiter: 50 }), [50, 1, 0, 1, 50]);
        assert_eq!(calculate_z(Chunk { points, maxiter: 0 }), [0; 5]);
    }

    #[test]
    fn only_the_tutorials_own_sum_is_known() {
        assert!(check_sum(WIDTH, MAXITER, SUM).is_ok());
        assert!(check_sum(WIDTH, MAXITER + 1, 5).is_ok());
        assert_eq!(check_sum(WIDTH, MAXITER, 5).unwrap_err().to_string(), "the sum is 5, expected 51214485");
    }
}
