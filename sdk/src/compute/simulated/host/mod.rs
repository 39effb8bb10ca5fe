//! A simulated Batch in a process of its own, whose workers are processes too: runs outlive their client.
//!
//! ```text
//! client                                 host process, one for each folder
//! client.rs   the calls, each on a       serve.rs    start, listening, answers
//!             connection of its own      hub.rs      what is shared: Batch, workers, calls
//!                                        worker.rs   one worker's process and its output
//!                                        records.rs  jobs on disk
//! ```
//!
//! folder.rs (what lies where) and talk.rs (what is said) belong to both sides.
//!
//! The host is this same program, started by the first client that finds none. Whoever holds the lock file is the host; it
//! ends when no job lives and nobody has called for a second. If it is killed its workers end too, and the next host finds
//! their jobs failed, as after the loss of all machines.
//!
//! A client tells which program its workers are to run by a path that the host opens at once: usually its own
//! `/proc/<pid>/exe`, which names the very file it runs even if that was built anew since. The host may be an older build.

mod client;
mod folder;
mod hub;
mod records;
mod serve;
mod talk;
#[cfg(test)]
mod tests;
mod worker;

pub(crate) use client::Hosted;
pub(crate) use serve::serve_batch;
pub(crate) use talk::Program;
