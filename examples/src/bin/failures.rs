//! Partial results: some chunks fail in every way there is, and the others' values are all there.

use std::{
    fmt,
    io::{self, Write},
    num::ParseIntError,
    process::ExitCode,
    time::Duration,
};

use cloud_examples::{Ending, exit_code};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
enum Task {
    Square(String),
    Index(usize),
    Exit(i32),
    Abort,
    Recurse,
    Spin,
}

/// An error with a cause: both are reported.
#[derive(Debug)]
struct NoNumber(String, ParseIntError);

impl fmt::Display for NoNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is no number", self.0)
    }
}

impl std::error::Error for NoNumber {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.1)
    }
}

#[expect(clippy::exit, reason = "what happens then is what this example shows")]
fn perform(task: Task) -> Result<u64, NoNumber> {
    match task {
        Task::Square(text) => {
            text.parse::<u64>().map(|number| number * number).map_err(|error| NoNumber(text, error))
        }
        Task::Index(index) => Ok([1, 2, 3][index]),
        Task::Exit(code) => std::process::exit(code),
        Task::Abort => std::process::abort(),
        Task::Recurse => Ok(depth(1)),
        Task::Spin => loop {
            std::hint::spin_loop();
        },
    }
}

/// Recurses until the stack is full; no loop can be made of it, since each call uses the deeper one's result.
fn depth(level: u64) -> u64 {
    let frame = std::hint::black_box([level; 64]);
    if level == u64::MAX { level } else { depth(level + 1) + frame[63] }
}

#[cloud::main]
async fn main() -> ExitCode {
    exit_code("failures", run().await)
}

async fn run() -> Ending {
    let square = |text: &str| Task::Square(text.to_string());
    let tasks = [
        square("12"),
        square("twelve"),
        Task::Index(1),
        Task::Index(7),
        Task::Exit(3),
        Task::Abort,
        Task::Recurse,
        Task::Spin,
        square("9"),
    ];
    let outcomes =
        cloud::try_map(perform, tasks).timeout(Duration::from_secs(1)).retries(1).outcomes().await?;
    let mut out = io::stdout().lock();
    for (chunk, outcome) in outcomes.iter().enumerate() {
        match outcome {
            Ok(value) => writeln!(out, "chunk {chunk} gave {value}")?,
            Err(failure) => writeln!(out, "{failure}")?,
        }
    }
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    writeln!(out, "{} values, {failed} failures", outcomes.len() - failed)?;
    Ok(())
}
