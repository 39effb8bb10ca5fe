//! Slots: resident processes that call the function, and their parent's side.
//!
//! ```text
//! parent                                     slot process
//! slots.rs   who runs what, retries, blame   serve.rs    hello, then chunk after chunk
//! slot.rs    one slot: queue, pipes          attempt.rs  one call, panics caught
//! process.rs spawn, stderr, death, reaping   output.rs   results on their way out
//! pool.rs    warm slots between maps
//! frame.rs (what the pipes carry) and descriptors.rs (shared words, handing over) belong to both
//! ```

mod attempt;
mod batch;
mod descriptors;
mod frame;
mod inline;
mod job;
mod minder;
mod output;
mod pace;
mod parcel;
mod pool;
mod process;
mod requests;
mod screen;
mod serve;
mod slot;
mod slots;

pub(crate) use frame::{RunFrame, run_frame};
pub(crate) use inline::Inline;
pub(crate) use job::{Body, Feed, Job, Raw};
pub(crate) use pool::Surroundings;
pub(crate) use process::ExtraEnv;
pub(crate) use screen::{show_bar, write as write_to_screen};
#[cfg(feature = "test")]
pub(crate) use serve::init_before_main;
pub use serve::{init, init_with};
pub(crate) use serve::{is_initialised, is_slot};
pub(crate) use slots::Slots;
