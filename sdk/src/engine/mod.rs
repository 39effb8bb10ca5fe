//! A run on the cloud path, from the client's side.

mod pack;

pub(crate) use pack::{Layout, Packer, Part};
