//! Every byte that a run stores: what is written where, in which version.
//!
//! Small objects (the manifest, claims, notes) are an envelope around a postcard body, see [`envelope`]. Inputs and
//! outcomes are frames behind each other, see [`block`] and [`outcome`]. A reader refuses what is newer than itself, and
//! what is damaged, by name; no bytes make it panic or take memory beyond what they fill.

pub(crate) mod block;
mod codec;
mod envelope;
pub(crate) mod keys;
mod location;
mod manifest;
mod notes;
pub(crate) mod outcome;
mod record;
#[cfg(test)]
mod tests;

pub(crate) use codec::Codec;
pub(crate) use envelope::{Stored, Unreadable};
pub use keys::RunId;
pub(crate) use keys::{Keys, RoundKey};
pub(crate) use location::{Location, StoreLocation};
pub(crate) use manifest::{Block, Function, Hash, Home, Manifest, Options, Program, SharedData};
pub(crate) use notes::{
    Cancelled, Claim, Closed, Incarnation, Intent, Leaver, Left, Number, Origin, Submitted, Trying, Uncounted,
};
pub(crate) use record::{Span, WorkerRecord};
