//! A run on the cloud path, from the client's side.

mod deliver;
mod drive;
mod launch;
mod pack;
mod poll;
mod site;
mod state;

pub(crate) use pack::{Layout, Packer, Part};
