//! The local backend as users meet it. The feature `test` lets this test program start slots.

#![allow(
    clippy::exit,
    clippy::needless_pass_by_value,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "functions under test exit, print, and take their chunk by value, as users' functions do"
)]

mod attribute;
mod blame;
mod calls;
mod cancel;
mod codecs;
mod events;
mod executors;
mod extremes;
mod failures;
mod forms;
mod hygiene;
mod inline;
mod inputs;
mod order;
mod progress;
mod prompt;
mod retries;
mod settings;
mod shared;
mod support;
mod try_calls;
mod user_code;
mod warm;
