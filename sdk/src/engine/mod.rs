//! A run on the cloud path, from the client's side.

mod deliver;
mod drive;
mod launch;
mod pack;
mod poll;
mod site;
mod state;

pub(crate) use deliver::{Delivery, PIECES};
pub(crate) use drive::{Command, Planned, Progress};
pub(crate) use launch::{Packed, Request, Wires, find, plan, resume, submit};
pub(crate) use pack::{Layout, Packer, Part};
pub(crate) use site::Site;
