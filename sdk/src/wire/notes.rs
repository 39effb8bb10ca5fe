//! The small objects by which clients and workers tell each other what they do.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::envelope::{Kind, Stored};

/// One worker process. A new attempt of the same Batch job is another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Incarnation(Ulid);

impl Incarnation {
    pub(crate) fn new(wall: u64, random: u128) -> Incarnation {
        Incarnation(Ulid::from_parts(wall, random))
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string().to_lowercase())
    }
}

impl FromStr for Incarnation {
    type Err = ulid::DecodeError;

    fn from_str(text: &str) -> Result<Incarnation, ulid::DecodeError> {
        Ulid::from_string(text).map(Incarnation)
    }
}

/// Where Batch runs a worker. Recorded, never taken for its identity: numbers may be given twice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    /// The job as submitted (an array's parent).
    pub(crate) job: String,
    /// Within the array, 0 for a job with one worker; [`Origin::NO_INDEX`] where Batch did not say.
    pub(crate) index: u32,
    /// Batch's count, from 1.
    pub(crate) attempt: u32,
}

impl Origin {
    /// The index of nobody: workers that were told none must not be taken for each other.
    pub(crate) const NO_INDEX: u32 = u32::MAX;
}

/// `claims/<block>.<generation>`: this worker runs the block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claim {
    pub(crate) incarnation: Incarnation,
    pub(crate) origin: Origin,
}

/// Who says that a worker will do nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Leaver {
    /// It says so itself, in good order.
    Itself,
    /// The next attempt of the same job and index: it died.
    Successor,
    /// A client that saw Batch call it ended: it died.
    Client,
}

/// `left/<incarnation>`: that worker will do nothing more; its claims are free.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Left {
    pub(crate) by: Leaver,
    /// What is known of its end, for people.
    pub(crate) reason: String,
}

/// `trying/<block>.<generation>.<chunk>`: this chunk is about to run, alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Trying {
    pub(crate) incarnation: Incarnation,
}

/// `numbers/<n>`: the number of a worker that Batch gave none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Number {
    pub(crate) incarnation: Incarnation,
}

/// `rounds/<n>/intent.<k>`: a job is about to be submitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Intent {
    pub(crate) workers: u32,
    /// Milliseconds since 1970, for people.
    pub(crate) at: u64,
}

/// `rounds/<n>/submitted`: this job, and no other, works for the round.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Submitted {
    pub(crate) job: String,
    pub(crate) workers: u32,
}

/// `cancelled`: the run is to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Cancelled {
    /// Milliseconds since 1970, for people.
    pub(crate) at: u64,
    /// What blocks without outcomes are said to have come to.
    pub(crate) kind: crate::failure::FailureKind,
    /// Why, for people: `cancelled`, `it went over its budget`.
    pub(crate) reason: String,
}

/// Why a block is not among those that count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Uncounted {
    pub(crate) block: u32,
    pub(crate) kind: crate::failure::FailureKind,
    pub(crate) reason: String,
}

/// `closed`: the run is over; outcomes that are not counted here came too late.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Closed {
    /// Milliseconds since 1970, for people.
    pub(crate) at: u64,
    /// All other blocks count.
    pub(crate) uncounted: Vec<Uncounted>,
    pub(crate) cancelled: bool,
}

impl Stored for Claim {
    const KIND: Kind = Kind::Claim;
}

impl Stored for Left {
    const KIND: Kind = Kind::Left;
}

impl Stored for Trying {
    const KIND: Kind = Kind::Trying;
}

impl Stored for Number {
    const KIND: Kind = Kind::Number;
}

impl Stored for Intent {
    const KIND: Kind = Kind::Intent;
}

impl Stored for Submitted {
    const KIND: Kind = Kind::Submitted;
}

impl Stored for Cancelled {
    const KIND: Kind = Kind::Cancelled;
}

impl Stored for Closed {
    const KIND: Kind = Kind::Closed;
}
