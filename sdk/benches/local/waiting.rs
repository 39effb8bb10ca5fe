//! No chunk waits behind another while a slot is idle: naps in place of work, so that cores do not matter.

use std::{thread::sleep, time::Duration};

use crate::support::{median, timed};

pub(crate) fn run() {
    let nap = |millis: u64| sleep(Duration::from_millis(millis));
    let one_slow = || {
        let naps = std::iter::once(200).chain(std::iter::repeat_n(1, 50));
        timed(|| drop(cloud::map(nap, naps).slots(2).wait().unwrap())).as_secs_f64() * 1e3
    };
    one_slow();
    println!(
        "  200 ms, then 50 of 1 ms, two slots: {:.1} ms   (200 is ideal)",
        median((0..5).map(|_| one_slow())).unwrap_or(0.0)
    );
    let hidden = || {
        let work = |micros: u64| {
            if micros > 1000 {
                sleep(Duration::from_micros(micros));
            }
        };
        let naps = (0..20_000).map(|n| if n == 10_000 { 200_000 } else { 0 });
        timed(|| drop(cloud::map(work, naps).slots(2).wait().unwrap())).as_secs_f64() * 1e3
    };
    println!(
        "  200 ms hidden among 20,000 of nothing: {:.1} ms   (200 is ideal)",
        median((0..5).map(|_| hidden())).unwrap_or(0.0)
    );
    for chunks in [8, 16, 32, 128] {
        let naps: Vec<f64> = costs(chunks);
        let ideal = one_at_a_time(&naps, 8);
        let nap = |seconds: f64| sleep(Duration::from_secs_f64(seconds));
        drop(cloud::map(nap, [0.01; 8]).slots(8).wait().unwrap()); // warm
        let wall = timed(|| drop(cloud::map(nap, naps.clone()).slots(8).wait().unwrap()));
        let (total, wall) = (naps.iter().sum::<f64>(), wall.as_secs_f64());
        println!(
            "  eight slots, {chunks:>3} uneven naps: utilisation {:.1}%   (one at a time, without overhead: {:.1}%)",
            100.0 * total / (8.0 * wall),
            100.0 * total / (8.0 * ideal)
        );
    }
}

/// The tutorial's chunks as naps: rows of the set, costs by their iterations, two seconds of work in all.
fn costs(chunks: usize) -> Vec<f64> {
    let rows = 500;
    let cost = |row: usize| {
        let y = 1.3 - row as f64 * 2.6 / rows as f64;
        (0..500)
            .map(|column| {
                let (x, mut zx, mut zy) = (-2.13 + f64::from(column) * 2.9 / 500.0, 0.0, 0.0);
                (0..1000)
                    .take_while(|_| {
                        (zx, zy) = (zx * zx - zy * zy + x, 2.0 * zx * zy + y);
                        zx * zx + zy * zy <= 4.0
                    })
                    .count() as f64
            })
            .sum::<f64>()
    };
    let costs: Vec<f64> = (0..rows).map(cost).collect();
    let total: f64 = costs.iter().sum();
    costs.chunks(rows.div_ceil(chunks)).map(|rows| 2.0 * rows.iter().sum::<f64>() / total).collect()
}

/// The makespan when each chunk, in order, goes to the first slot that is free.
fn one_at_a_time(naps: &[f64], slots: usize) -> f64 {
    let mut free = vec![0.0f64; slots];
    for nap in naps {
        let first = free.iter_mut().min_by(|a, b| a.total_cmp(b)).expect("there are slots");
        *first += nap;
    }
    free.into_iter().fold(0.0, f64::max)
}
