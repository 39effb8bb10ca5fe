//! A run on the cloud path, from the client's side.
//!
//! ```text
//! cloud.rs    a run as the rest of the program sees it    opening.rs  outcome objects into chunks
//! launch.rs   from inputs to a closed run                 pack.rs     chunks into blocks and parts
//! state.rs    what to do next: pure                       drive.rs    does it
//! deliver.rs  outcomes on their way to the client         site.rs     store, compute and clock
//! program.rs  this executable, stored by its hash         poll.rs     how long to wait
//! thread.rs   where all that happens
//! ```
//!
//! All but cloud.rs, program.rs and thread.rs also runs in a simulation: nothing else here may start tasks or threads, or ask the
//! system for time.

mod cloud;
mod deliver;
mod drive;
mod launch;
mod opening;
mod pack;
mod poll;
mod program;
mod site;
mod state;
mod thread;

pub(crate) use cloud::{Cloud, Start};
pub(crate) use drive::{Command, Progress};
pub(crate) use launch::{Found, Request, find};
pub(crate) use program::own_program;
pub(crate) use site::Site;
pub(crate) use thread::spawn;
