//! The answers to the tutorial's questions, for people.

use std::{
    io::{self, Write},
    time::Duration,
};

use crate::{
    measured::{Measured, utilisation},
    schedule::{by_blocks, by_turns, one_at_a_time},
};

/// One run in full. `transfer` is what the same chunks took when nothing was computed.
///
/// # Errors
/// When `out` takes no more.
pub fn print_report(out: &mut impl Write, run: &Measured, transfer: Duration) -> io::Result<()> {
    let summary = &run.summary;
    let wall = summary.elapsed;
    let chunks = summary.chunks.max(1);
    writeln!(out, "{} points, sum {}", run.counts.len(), run.sum())?;
    let plural = if run.slots.len() == 1 { "slot" } else { "slots" };
    writeln!(out, "{} chunks on {} {plural}: {}", summary.chunks, run.slots.len(), seconds(wall))?;

    writeln!(out, "\nslot  chunks       busy  utilisation  idle at the end")?;
    for (number, used) in run.slots.iter().enumerate() {
        let (busy, share) = (seconds(used.busy), percent(utilisation(used.busy, wall, 1)));
        writeln!(
            out,
            "{number:>4}  {:>6}  {busy:>9}  {share:>11}  {:>15}",
            used.chunks,
            seconds(used.idle_at_end)
        )?;
    }
    let faster = run.alone().as_secs_f64() / wall.as_secs_f64();
    writeln!(out, "one slot alone would have taken {}, {faster:.2} times as long", seconds(run.alone()))?;

    writeln!(out, "\ndata       total     a chunk")?;
    for (way, bytes) in [("out", summary.bytes_in), ("back", summary.bytes_back)] {
        writeln!(out, "{way:<4}  {:>10}  {:>10}", megabytes(bytes), kilobytes(bytes / chunks as u64))?;
    }
    print_transfer(out, wall, transfer)?;

    writeln!(out, "\nthese chunks, shared out      time  utilisation")?;
    let (times, slots) = (&run.times, run.slots.len());
    let ways = [
        ("one at a time, as here", one_at_a_time(times, slots)),
        ("in turns, beforehand", by_turns(times, slots)),
        ("in blocks, beforehand", by_blocks(times, slots)),
    ];
    for (name, wall) in ways {
        let share = percent(utilisation(run.alone(), wall, slots));
        writeln!(out, "{name:<24}  {:>8}  {share:>11}", seconds(wall))?;
    }
    Ok(())
}

/// Whether "execution time far exceeds data transfer time".
fn print_transfer(out: &mut impl Write, wall: Duration, transfer: Duration) -> io::Result<()> {
    const FAR: f64 = 10.0;
    let times = wall.as_secs_f64() / transfer.as_secs_f64();
    let verdict = if times >= FAR { "far exceeds" } else { "does not far exceed" };
    writeln!(
        out,
        "the same chunks there and back, nothing computed: {}; \
         execution {verdict} transfer ({times:.0} times)",
        seconds(transfer)
    )
}

/// The tutorial's table, a row for each number of chunks.
#[derive(Debug, Default)]
pub struct Table {
    rows: usize,
}

impl Table {
    /// Adds a row.
    ///
    /// # Errors
    /// When `out` takes no more.
    pub fn print_row(&mut self, out: &mut impl Write, run: &Measured, transfer: Duration) -> io::Result<()> {
        if self.rows == 0 {
            writeln!(
                out,
                "chunks      wall  utilisation  foreseen  idle tail  one slot  transfer  \
                 out a chunk  back a chunk"
            )?;
        }
        self.rows += 1;
        let summary = &run.summary;
        let chunks = summary.chunks.max(1) as u64;
        let slots = run.slots.len();
        let foreseen = utilisation(run.alone(), one_at_a_time(&run.times, slots), slots);
        let tail = run.slots.iter().map(|used| used.idle_at_end).max().unwrap_or_default();
        writeln!(
            out,
            "{:>6}  {:>8}  {:>11}  {:>8}  {:>9}  {:>8}  {:>8}  {:>11}  {:>12}",
            summary.chunks,
            seconds(summary.elapsed),
            percent(run.utilisation()),
            percent(foreseen),
            seconds(tail),
            seconds(run.alone()),
            seconds(transfer),
            kilobytes(summary.bytes_in / chunks),
            kilobytes(summary.bytes_back / chunks),
        )
    }
}

fn seconds(time: Duration) -> String {
    format!("{:.4} s", time.as_secs_f64())
}

fn percent(part: f64) -> String {
    format!("{:.1}%", 100.0 * part)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.3} MB", bytes as f64 / 1e6)
}

fn kilobytes(bytes: u64) -> String {
    format!("{:.1} kB", bytes as f64 / 1e3)
}
