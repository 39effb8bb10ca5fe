//! Runs a plain function on every chunk of your data, in parallel, and gives the values back in order.
//!
//! ```
//! fn count_primes(range: std::ops::Range<u64>) -> usize {
//!     range.filter(|n| *n > 1 && (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0)).count()
//! }
//!
//! # fn main() -> cloud::Result<()> {
//! let chunks = (0..10).map(|i| i * 100..(i + 1) * 100);
//! let counts: Vec<usize> = cloud::map(count_primes, chunks).wait()?;
//! assert_eq!(counts.iter().sum::<usize>(), 168);
//! # Ok(())
//! # }
//! ```
//!
//! In a program, `#[cloud::main]` stands above `main`, and `.await` takes the place of `.wait()`:
//!
//! ```no_run
//! # fn count_primes(range: std::ops::Range<u64>) -> usize { range.count() }
//! #[cloud::main]
//! async fn main() -> cloud::Result<()> {
//!     let counts = cloud::map(count_primes, (0..10).map(|i| i * 100..(i + 1) * 100)).await?;
//!     println!("{counts:?}");
//!     Ok(())
//! }
//! ```
//!
//! # What can be run
//! Functions, generic instances (`work::<f64>`), `async fn`, closures that capture nothing, `async` closures: all without
//! an attribute. Items, shared data and results are owned types that serde knows.
//!
//! | | for |
//! |---|---|
//! | [`call`] | one value |
//! | [`map`] | every item of an iterator or stream |
//! | [`map_with`] | the same with data that all chunks share |
//! | [`try_map`], [`try_map_with`] | functions that return a `Result` |
//!
//! [`Map`] has the options, and says in which forms values can be taken: all at once, as they finish, in order, with failures.
//!
//! # How it runs
//! A *slot* is a resident process: this same program, started again, where [`init`] serves chunks and never returns.
//! So a chunk that panics, exits, crashes or loops for ever costs its own outcome ([`Failure`]) and nothing else, and the
//! function needs no thread safety. Slots stay warm between maps as long as the environment, the working directory and
//! the limits on memory, stack and open files stay the same. They end with the program, however it ends.
//!
//! | [`Backend`] | chunks run | for |
//! |---|---|---|
//! | `Local` (default) | in slots on this machine, one a core | everyday use |
//! | `Inline` | on the calling thread | debuggers, unit tests |
//! | [`Mock`] | on the whole cloud path, simulated on this machine | tests, CI, rehearsals |
//!
//! On `Mock` a run survives its program: [`Map::start`] gives a [`Run`], which another process can [attach](Run::attach) to.
//! [`Run::cancel`] ends it; so do Ctrl-C and dropping in the program that began it, unless it has detached. A program that
//! handles SIGINT by itself is left to.
//!
//! # Inside a slot
//! Standard input is empty, standard output goes to the program's standard error. There is a tokio runtime. A `map` inside a
//! chunk runs inline. Code before `main`'s first line, globals and caches are per process: a slot does not see what the
//! client's `main` has set up; `#[cloud::main(slot = setup)]` runs `setup` in each slot.
//!
//! # Tests, doctests, benches
//! They have no `main` to put the attribute on. The feature `test` does its work before `main`:
//!
//! ```toml
//! [dev-dependencies]
//! cloud = { version = "0.1", features = ["test"] }
//! ```
//!
//! In a slot of such a program Rust's own start-up has not run: a stack overflow is a bare SIGSEGV without a message, and
//! writing to a broken pipe ends the process.
//!
//! # Settings
//! The code wins over the environment, that over `cloud.toml` (in the working directory or above it, looked for at a program's
//! first map), that over defaults.
//!
//! | variable | key | values | default |
//! |---|---|---|---|
//! | `CLOUD_BACKEND` | `backend` | `local`, `inline`, `mock` | `local` |
//! | `CLOUD_SLOTS` | `slots` | 1 to 1024 | usable cores |
//! | `CLOUD_MOCK` | `mock` | as `seed=7,start_delay=50ms,spot_kill_rate=0.2,throttle=10,capacity=8` | a perfect Batch |
//! | `CLOUD_MOCK_FOLDER` | | a folder | `~/.local/state/cloud/mock` |
//! | `CLOUD_PROGRESS` | `progress` | `auto`, `bar`, `json`, `off` | `auto`: a bar if stderr is a terminal |
//!
//! # Errors
//! [`Error`] is why a run as a whole could not go on, [`Failure`] is why one chunk has no value. Both have kinds to act on
//! and a text to read; a `main` that returns an [`Error`] ends with exit code 1.
//!
//! # Platforms
//! Linux 5.4 or newer, on x86-64 and aarch64.

mod clock;
mod collect;
pub mod compute;
mod engine;
mod error;
mod event;
mod failure;
mod function;
mod inputs;
mod log;
mod map;
mod mock;
pub mod names;
mod progress;
mod reorder;
mod results;
mod role;
mod run;
mod runner;
mod running;
mod settings;
#[cfg(test)]
mod sim;
mod stage;
pub mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod typed;
mod wire;
mod worker;

pub use cloud_macros::{main, remote};
pub use collect::{Collect, Gather};
pub use error::{Error, Result};
pub use event::{Event, Reporter, SlotUse, Summary};
pub use failure::{Failure, FailureKind, FailureReport, Outcome};
pub use function::{Reply, TryReply, Wire};
pub use inputs::{FromStream, Inputs, Iter, Nothing, Source};
pub use map::{Every, Map, One, Outcomes, call, map, map_with, try_map, try_map_with};
pub use mock::Mock;
pub use results::{Blocking, Details, Value, Values};
pub use role::{init, init_with};
pub use run::{Run, RunState, Status, cancel, cancel_on, runs, runs_on, status, status_on};
pub use settings::Backend;
pub use wire::RunId;

/// What the attributes expand to; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use std::time::Duration;

    pub use crate::function::{Remote, RemoteOptions, block_on_main, enlist, function_bits};
}
