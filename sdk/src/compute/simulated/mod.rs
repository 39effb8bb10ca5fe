//! A simulation of AWS Batch that keeps every rule a client can tell.
//!
//! ```text
//! batch.rs     jobs, workers, containers: what happens when, and nothing else
//! calls.rs     what a client can ask of it
//! container.rs what a host is told, and tells
//! containers.rs  all that live, and what is due
//! request.rs   which jobs Batch takes
//! record.rs    one job: its workers and how they are counted
//! rules.rs     how it behaves: delays, reclaims, quotas
//! throttle.rs  how many calls it takes
//! ```
//!
//! [`Batch`] itself knows no clock, thread or process: time and what became of containers are told to it, and what is to be
//! done with containers it tells. So one seed and the same calls give one history.

mod batch;
mod calls;
mod container;
mod containers;
mod record;
mod request;
mod rules;
#[cfg(test)]
mod tests;
mod throttle;

pub(crate) use batch::Batch;
pub(crate) use container::{Action, Container, ContainerId, Ended};
pub(crate) use record::Record;
pub(crate) use rules::Rules;
