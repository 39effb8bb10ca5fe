//! A simulation of AWS Batch that keeps every rule a client can tell.
//!
//! ```text
//! batch.rs       jobs and workers: what happens when, and nothing else
//! containers.rs  those that live, and what is due
//! calls.rs       what a client can ask
//! request.rs     which jobs are taken
//! record.rs      one job: its workers and how they are counted
//! rules.rs       how it all behaves: delays, reclaims, quotas
//! throttle.rs    how many calls are answered
//! container.rs   what a host is told, and tells
//! inside.rs      a host in this process, whose workers are threads
//! host/          a host process, whose workers are processes
//! ```
//!
//! [`Batch`] itself knows no clock, thread or process: time and what became of containers are told to it, and what is to be
//! done with containers it tells. So one seed and the same calls give one history.

mod batch;
mod calls;
mod container;
mod containers;
mod host;
mod inside;
mod record;
mod request;
mod rules;
#[cfg(test)]
mod tests;
mod throttle;

pub(crate) use batch::Batch;
pub(crate) use container::{Action, Container, ContainerId, Ended};
pub(crate) use host::{Hosted, Program, serve_batch};
pub(crate) use inside::Inside;
pub(crate) use record::Record;
pub(crate) use rules::Rules;
