//! How work is timed for comparison with other systems.

use std::{
    error::Error,
    io::{self, Write},
    time::Instant,
};

use serde::Serialize;

use crate::{ending::Ending, measured::Watch};

/// The line that comes before all repetitions.
#[derive(Debug, Serialize)]
pub struct Start {
    /// Seconds until every slot had answered.
    pub start_s: f64,
    /// Of what is timed.
    pub version: &'static str,
}

/// The line of one repetition.
#[derive(Debug, Serialize)]
struct Repetition {
    /// Seconds.
    wall: f64,
    /// What the workload's values add up to.
    check: u64,
}

/// Returns when every slot has answered once.
///
/// # Errors
/// When a slot cannot be used.
pub fn warm_up(workers: usize) -> cloud::Result<()> {
    let watch = Watch::default();
    while watch.summary().slots.iter().filter(|slot| slot.chunks > 0).count() < workers {
        let trivial = cloud::map(|number: usize| number, 0..workers).on(cloud::Backend::Local);
        trivial.slots(workers).reporter(watch.reporter()).wait()?;
    }
    Ok(())
}

/// Times `work` alone: what it takes is cloned before, and what it gives is checked after.
///
/// # Errors
/// Those of `work`, and when stdout is closed.
pub fn repeat<I: Clone, T>(
    reps: usize,
    input: &I,
    work: impl Fn(I) -> Result<T, Box<dyn Error>>,
    check: impl Fn(&T) -> u64,
) -> Ending {
    for _ in 0..reps {
        let input = input.clone();
        let begun = Instant::now();
        let values = work(input)?;
        let wall = begun.elapsed().as_secs_f64();
        print_line(&Repetition { wall, check: check(&values) })?;
    }
    Ok(())
}

/// Prints an object as one line that is seen at once.
///
/// # Errors
/// When stdout is closed.
pub fn print_line(line: &impl Serialize) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{}", serde_json::to_string(line)?)?;
    out.flush()
}
