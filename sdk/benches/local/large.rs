//! 16 chunks of 250,000 complex numbers (4 MB) there and back, on two warm slots.

use num_complex::Complex;

use crate::support::{Echo, pairs, timed};

const CHUNKS: usize = 16;
const POINTS: usize = 250_000;

pub(crate) fn run() {
    let chunks: Vec<Vec<Complex<f64>>> =
        (0..CHUNKS).map(|n| (0..POINTS).map(|i| Complex::new(i as f64, n as f64)).collect()).collect();
    let ours = || {
        let inputs = chunks.clone();
        timed(|| {
            let back: usize = cloud::map(|chunk: Vec<Complex<f64>>| chunk, inputs)
                .slots(2)
                .iter()
                .map(|value| value.unwrap().unwrap().1.len())
                .sum();
            assert_eq!(back, CHUNKS * POINTS);
        })
    };
    let mut echoes = [Echo::start(), Echo::start()];
    let floor = || {
        let mut frame = vec![0u8; 8 + POINTS * 16];
        let length = (frame.len() as u64).to_le_bytes();
        timed(|| {
            std::thread::scope(|scope| {
                for echo in &mut echoes {
                    let mut frame = std::mem::take(&mut frame);
                    frame.resize(8 + POINTS * 16, 0);
                    frame[..8].copy_from_slice(&length);
                    scope.spawn(move || {
                        for _ in 0..CHUNKS / 2 {
                            echo.send(&frame);
                            echo.receive(&mut frame);
                        }
                    });
                }
            });
        })
    };
    pairs("16 x 4 MB there and back", "at most 70 ms", 15, ours, "bare pipes, uncoded", floor);
}
