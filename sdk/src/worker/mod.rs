//! Slots: resident processes that call the function, and their parent's side.
//!
//! ```text
//! parent                                        slot process
//! job.rs      what goes in, what comes out      serve.rs     hello, then chunk after chunk
//! slots.rs    who runs what, retries, blame     requests.rs  frames on their way in
//! pace.rs     how much is fed ahead             attempt.rs   one call, panics caught
//! slot.rs     one slot: queue, pipes            output.rs    results on their way out
//! batch.rs    chunks kept until answered
//! process.rs  spawn, and what an end means
//! minder.rs   stderr, killing, reaping
//! screen.rs   the client's stderr
//! pool.rs     warm slots between maps
//! ```
//!
//! frame.rs (what the pipes carry), parcel.rs (what is too large for them) and descriptors.rs (shared words, handing over)
//! belong to both sides; inline.rs is the backend without slots.

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
pub(crate) use serve::{be_client, is_initialised, is_slot, serve_slot};
pub(crate) use slots::Slots;
