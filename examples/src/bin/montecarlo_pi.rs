//! Estimates pi by throwing points at a square: `map_with` shares the settings, and each chunk is a seed.

use std::{
    f64::consts::PI,
    io::{self, Write},
    num::{NonZeroU32, NonZeroU64},
    process::ExitCode,
};

use clap::Parser;
use cloud_examples::{Ending, exit_code};
use serde::{Deserialize, Serialize};

/// Estimates pi from random points, the same ones every time.
#[derive(Parser)]
struct Args {
    /// How many chunks, each with random numbers of its own
    #[arg(default_value = "64")]
    chunks: NonZeroU32,
    /// How many points in each
    #[arg(default_value = "1000000")]
    points: NonZeroU64,
}

/// What all chunks share.
#[derive(Serialize, Deserialize)]
struct Settings {
    points: u64,
    radius: f64,
}

#[cloud::main]
async fn main() -> ExitCode {
    exit_code("montecarlo_pi", run(&Args::parse()).await)
}

async fn run(args: &Args) -> Ending {
    let settings = Settings { points: args.points.get(), radius: 1.0 };
    let seeds = 0..args.chunks.get();
    let hits = cloud::map_with(
        settings,
        |settings, seed: u32| {
            let mut random = Random::new(seed);
            let mut coordinate = || random.next() * settings.radius;
            let inside = |_: &u64| coordinate().powi(2) + coordinate().powi(2) <= settings.radius.powi(2);
            (0..settings.points).filter(inside).count() as u64
        },
        seeds,
    )
    .await?;
    let points = args.points.get() as f64 * f64::from(args.chunks.get());
    let estimate = 4.0 * hits.iter().sum::<u64>() as f64 / points;
    writeln!(io::stdout(), "pi is about {estimate:.6}, an error of {:.6}", (estimate - PI).abs())?;
    Ok(())
}

/// Random enough for darts: a counter that advances by the golden ratio, its bits well mixed.
struct Random(u64);

impl Random {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

    /// Seeds that are neighbours start at places that have nothing in common.
    fn new(seed: u32) -> Random {
        Random(mix(u64::from(seed) + 1))
    }

    /// From 0 to 1, 1 excluded.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(Self::GOLDEN);
        (mix(self.0) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Every bit of the input changes about half of the output's.
fn mix(bits: u64) -> u64 {
    let bits = (bits ^ (bits >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    let bits = (bits ^ (bits >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
    bits ^ (bits >> 32)
}
