//! Runs that outlive their program: started, left, looked at, and taken up again from another process.
//!
//! `CLOUD_BACKEND=mock runs start`, then `runs list`, `runs status ID`, `runs results ID`, `runs cancel ID`.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};
use cloud::{Run, RunId, Status};
use cloud_examples::{Ending, exit_code};

/// Counts primes in ranges, in a run that goes on without this program.
#[derive(Parser)]
struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Submits a run, prints its id, and ends
    Start {
        /// How many chunks, each a range of 10,000 numbers
        #[arg(default_value_t = 100)]
        chunks: u64,
        /// How long each chunk sleeps as well, in milliseconds
        #[arg(default_value_t = 50)]
        pause: u64,
    },
    /// Prints the ids of all runs, oldest first
    List,
    /// Prints where a run is
    Status { run: RunId },
    /// Waits for a run to end, and prints how many primes it found
    Results { run: RunId },
    /// Ends a run
    Cancel { run: RunId },
}

/// The primes among 10,000 numbers.
fn count_primes((chunk, pause): (u64, u64)) -> usize {
    std::thread::sleep(Duration::from_millis(pause));
    let is_prime = |n: &u64| *n > 1 && (2..).take_while(|d| d * d <= *n).all(|d| !n.is_multiple_of(d));
    (chunk * 10_000..(chunk + 1) * 10_000).filter(is_prime).count()
}

#[cloud::main]
async fn main() -> ExitCode {
    exit_code("runs", run(Args::parse().what).await)
}

async fn run(what: What) -> Ending {
    let mut out = io::stdout();
    match what {
        What::Start { chunks, pause } => {
            let inputs = (0..chunks).map(move |chunk| (chunk, pause));
            let run = cloud::map(count_primes, inputs).label("primes").start().await?;
            writeln!(out, "{}", run.detach())?;
        }
        What::List => {
            for run in cloud::runs().await? {
                writeln!(out, "{run}")?;
            }
        }
        What::Status { run } => {
            print_status(&mut out, &cloud::status(run).await?)?;
        }
        What::Results { run } => {
            let primes: usize = Run::<usize>::attach(run).await?.results().await?.iter().sum();
            writeln!(out, "{primes} primes")?;
        }
        What::Cancel { run } => {
            print_status(&mut out, &cloud::cancel(run).await?)?;
        }
    }
    Ok(())
}

fn print_status(out: &mut impl Write, status: &Status) -> io::Result<()> {
    let Status { label, state, chunks, blocks, blocks_done, .. } = status;
    writeln!(out, "{label}: {state}, {blocks_done} of {blocks} blocks, {chunks} chunks")
}
