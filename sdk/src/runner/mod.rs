//! What a worker does: takes blocks nobody has, runs their chunks in slots, writes outcomes, until none is left.
//!
//! ```text
//! process.rs     a real one: variables, signals, exit code     assignment.rs  what it is told
//! work.rs        from arrival to end                           worker.rs      who it is, its way to the store
//! shift.rs       everything beside each other                  pace.rs        when to claim
//! hunter.rs      gets blocks                                   decide.rs      which one; view.rs: what is known
//! hand.rs        blocks in hand: chunks out, outcomes in       crew.rs        the slots
//! timeline.rs    what was done when                            program.rs     the run's executable
//! ```
//!
//! All but process.rs and program.rs also runs in a simulation: nothing here may start tasks or threads, or ask the system
//! for time.

mod assignment;
mod crew;
mod decide;
mod hand;
mod hunter;
mod pace;
mod process;
mod program;
mod shift;
mod timeline;
mod view;
mod work;
mod worker;

#[cfg(test)]
pub(crate) use assignment::Assignment;
#[cfg(test)]
pub(crate) use crew::Crew;
pub(crate) use process::{serve_worker, work_inside};
pub(crate) use program::{OWN_PROGRAM, own_program};
pub(crate) use work::exit;
#[cfg(test)]
pub(crate) use work::work;
#[cfg(test)]
pub(crate) use worker::Worker;
pub(crate) use worker::{list_all, random_id};
#[cfg(test)]
pub(crate) use {
    decide::{Action, Hunt},
    view::View,
};
