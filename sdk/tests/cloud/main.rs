//! The cloud path as users meet it, on the backend `mock`: folder, simulated Batch, real workers and slots.

#![allow(
    clippy::exit,
    clippy::needless_pass_by_value,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "functions under test exit, print, and take their chunk by value, as users' functions do"
)]

mod attach;
mod broken;
mod ends;
mod events;
mod failures;
mod forms;
mod inputs;
mod mock;
mod options;
mod place;
mod processes;
mod runs;
mod scale;
mod settings;
#[path = "../it/support.rs"]
#[allow(dead_code, reason = "shared with the tests of the local backend, which need more of it")]
mod support;
