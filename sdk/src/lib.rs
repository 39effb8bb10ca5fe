//! Runs a plain function on every chunk of your data: on this machine's cores.

#![warn(missing_docs)]

mod error;
mod event;
mod failure;
mod function;
mod inputs;
mod map;
pub mod names;
mod progress;
mod results;
mod run;
mod settings;
mod worker;

pub use cloud_macros::{main, remote};
pub use error::{Error, Result};
pub use event::{Event, Reporter, SlotUse, Summary};
pub use failure::{Failure, FailureKind, FailureReport, Outcome};
pub use function::{Reply, TryReply, Wire};
pub use inputs::{FromStream, Inputs, Iter, Source};
pub use map::{Every, Map, One, Outcomes, call, map, map_with, try_map, try_map_with};
pub use results::{Blocking, Collect, Details, Gather, Value, Values};
pub use settings::Backend;
pub use worker::{init, init_with};

/// What the attributes expand to; not for use by hand.
#[doc(hidden)]
pub mod __private {
    pub use crate::function::{Remote, RemoteOptions, enlist, function_bits};
    pub use crate::results::Gathered;
    pub use std::time::Duration;

    /// Runs the future of an async `main`.
    pub fn block_on_main<F: Future>(future: F) -> F::Output {
        match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime.block_on(future),
            Err(error) => panic!("no tokio runtime can be started for `main`: {error}"),
        }
    }
}
