//! What a worker does: takes blocks nobody has, runs their chunks in slots, writes outcomes, until none is left.
//!
//! ```text
//! process.rs     a real one: variables, signals, exit code     assignment.rs  what it is told
//! work.rs        from arrival to end                           worker.rs      who it is, its way to the store
//! shift.rs       everything beside each other                  pace.rs        when to claim
//! hunter.rs      gets blocks                                   decide.rs      which one; view.rs: what is known
//! hand.rs        blocks in hand: chunks out, outcomes in       crew.rs        the slots
//! timeline.rs    what was done when
//! ```
//!
//! All but process.rs also runs in a simulation: nothing here may start tasks or threads, or ask the system for time.

mod assignment;
mod crew;
mod decide;
mod hand;
mod hunter;
mod pace;
mod shift;
mod timeline;
mod view;
mod work;
mod worker;

pub(crate) use assignment::Assignment;
pub(crate) use crew::Crew;
#[cfg(test)]
pub(crate) use decide::{Action, Hunt};
#[cfg(test)]
pub(crate) use view::View;
pub(crate) use work::{exit, work};
pub(crate) use worker::{Trouble, Worker, list_all, random_id};
