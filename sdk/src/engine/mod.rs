//! A run on the cloud path, from the client's side.
//!
//! ```text
//! cloud.rs    a run as the rest of the program sees it    thread.rs     where its store and compute are talked to
//! packing.rs  inputs on their way to the store            pack.rs       chunks into blocks and parts
//! launch.rs   from inputs to a closed run                 site.rs       store, compute and clock
//! state.rs    what to do next: pure                       orders.rs     what that can be, and what comes of it
//! drive.rs    does it                                     poll.rs       how long to wait
//! deliver.rs  outcomes on their way to the client         opening.rs    outcome objects into chunks
//! status.rs   a look from outside                         interrupt.rs  Ctrl-C
//! requests.rs what a run costs in requests and objects: tests
//! ```
//!
//! All but cloud.rs, packing.rs, interrupt.rs and thread.rs also runs in a simulation: nothing else here may start tasks or
//! threads, or ask the system for time.

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
