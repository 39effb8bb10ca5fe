//! A run on the cloud path, from the client's side.
//!
//! ```text
//! cloud.rs    a run as the rest of the program sees it    opening.rs  outcome objects into chunks
//! packing.rs  inputs on their way to the store
//! launch.rs   from inputs to a closed run                 pack.rs     chunks into blocks and parts
//! orders.rs   what can be done and come of it            state/      following a job; ending a run
//! state.rs    what to do next: pure                       drive.rs    does it
//! deliver.rs  outcomes on their way to the client         site.rs     store, compute and clock
//! interrupt.rs  Ctrl-C
//! thread.rs   where all that happens                      status.rs   a look from outside
//!                                                        poll.rs     how long to wait
//! requests.rs   what a run costs in requests and objects: tests
//! ```
//!
//! All but cloud.rs, interrupt.rs and thread.rs also runs in a simulation: nothing else here may start tasks or threads, or ask the
//! system for time.

mod cloud;
mod deliver;
mod drive;
mod interrupt;
mod launch;
mod opening;
mod orders;
mod pack;
mod packing;
mod poll;
#[cfg(test)]
mod requests;
mod site;
mod state;
mod status;
mod thread;

pub(crate) use cloud::{Cloud, Start};
pub(crate) use drive::Command;
pub(crate) use launch::{Request, find};
pub(crate) use site::Site;
pub(crate) use status::{runs, status};
pub(crate) use thread::on_engine_thread;
#[cfg(test)]
pub(crate) use {
    deliver::{Delivery, PIECES},
    drive::Planned,
    launch::{Packed, Wires, plan, resume, submit},
    pack::Packer,
};
