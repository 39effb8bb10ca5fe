//! Stores: every promise on every implementation, then what only one of them can break.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod conformance;
mod crash;
mod damage;
mod faults;
mod lists;
mod memory;
mod processes;
mod support;
