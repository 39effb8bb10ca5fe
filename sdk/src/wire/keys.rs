//! Where a run's objects are: one place that makes keys and reads them.
//!
//! Numbers have leading zeros, so that keys sort in the order of their numbers. A key is read only if it is, letter by letter,
//! the one that its numbers make: no two keys mean the same.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::{manifest::Hash, notes::Incarnation};

/// Blocks of one run at most: their numbers have six digits.
pub(crate) const MOST_BLOCKS: u32 = 1_000_000;

/// Parts of one run at most: six digits too.
pub(crate) const MOST_PARTS: u32 = 1_000_000;

/// Rounds of one run at most: three digits.
pub(crate) const MOST_ROUNDS: u32 = 1_000;

/// All runs of a store.
pub(crate) const RUNS: &str = "runs/";

/// Names a run: a lower-case ULID, so that names sort by the time of their making.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Ulid);

impl RunId {
    /// A name made from a time (milliseconds since 1970) and chance.
    pub(crate) fn new(wall: u64, random: u128) -> RunId {
        RunId(Ulid::from_parts(wall, random))
    }

    /// When the run was planned, in milliseconds since 1970, by the client's clock.
    #[must_use]
    pub fn created(&self) -> u64 {
        self.0.timestamp_ms()
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_string().to_lowercase())
    }
}

impl FromStr for RunId {
    type Err = crate::Error;

    fn from_str(text: &str) -> Result<RunId, crate::Error> {
        // The crate also takes letters that look like digits, and numbers that are too large: both would be other runs.
        let run = Ulid::from_string(text).ok().map(RunId);
        run.filter(|run| run.to_string().eq_ignore_ascii_case(text))
            .ok_or_else(|| crate::Error::NoRunId { text: text.to_string() })
    }
}

/// The key of a program's bytes.
pub(crate) fn program(hash: &Hash) -> String {
    format!("programs/{hash}")
}

/// The keys of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Keys {
    /// `runs/<id>/`
    root: String,
}

impl Keys {
    pub(crate) fn of(run: RunId) -> Keys {
        Keys { root: format!("{RUNS}{run}/") }
    }

    pub(crate) fn part(&self, number: u32) -> String {
        format!("{}in/{number:06}", self.root)
    }

    pub(crate) fn shared(&self) -> String {
        format!("{}in/shared", self.root)
    }

    pub(crate) fn manifest(&self) -> String {
        format!("{}manifest", self.root)
    }

    pub(crate) fn rounds(&self) -> String {
        format!("{}rounds/", self.root)
    }

    pub(crate) fn intent(&self, round: u32, attempt: u32) -> String {
        format!("{}rounds/{round:03}/intent.{attempt:03}", self.root)
    }

    pub(crate) fn submitted(&self, round: u32) -> String {
        format!("{}rounds/{round:03}/submitted", self.root)
    }

    /// The round of a key under [`rounds`](Keys::rounds), and what it is.
    pub(crate) fn parse_round(&self, key: &str) -> Option<(u32, RoundKey)> {
        let (round, name) = key.strip_prefix(&self.rounds())?.split_once('/')?;
        let what = match name.strip_prefix("intent.") {
            Some(attempt) => RoundKey::Intent(attempt.parse().ok()?),
            None if name == "submitted" => RoundKey::Submitted,
            None => return None,
        };
        let round = round.parse().ok()?;
        let again = match what {
            RoundKey::Intent(attempt) => self.intent(round, attempt),
            RoundKey::Submitted => self.submitted(round),
        };
        (again == key).then_some((round, what))
    }

    pub(crate) fn number(&self, number: u32) -> String {
        format!("{}numbers/{number:05}", self.root)
    }

    pub(crate) fn claims(&self) -> String {
        format!("{}claims/", self.root)
    }

    pub(crate) fn claim(&self, block: u32, generation: u32) -> String {
        format!("{}claims/{block:06}.{generation:03}", self.root)
    }

    /// Where a list of claims begins that shall have those of `block`.
    pub(crate) fn before_claims_of(&self, block: u32) -> String {
        format!("{}claims/{block:06}", self.root)
    }

    /// Block and generation of a claim.
    pub(crate) fn parse_claim(&self, key: &str) -> Option<(u32, u32)> {
        let (block, generation) = key.strip_prefix(&self.claims())?.split_once('.')?;
        let (block, generation) = (block.parse().ok()?, generation.parse().ok()?);
        (self.claim(block, generation) == key).then_some((block, generation))
    }

    pub(crate) fn all_left(&self) -> String {
        format!("{}left/", self.root)
    }

    pub(crate) fn left(&self, incarnation: Incarnation) -> String {
        format!("{}left/{incarnation}", self.root)
    }

    pub(crate) fn parse_left(&self, key: &str) -> Option<Incarnation> {
        let incarnation = key.strip_prefix(&self.all_left())?.parse().ok()?;
        (self.left(incarnation) == key).then_some(incarnation)
    }

    pub(crate) fn all_trying(&self, block: u32) -> String {
        format!("{}trying/{block:06}.", self.root)
    }

    pub(crate) fn trying(&self, block: u32, generation: u32, chunk: u32) -> String {
        format!("{}trying/{block:06}.{generation:03}.{chunk:010}", self.root)
    }

    /// Generation and chunk (counted within the block) of a note of trying.
    pub(crate) fn parse_trying(&self, block: u32, key: &str) -> Option<(u32, u32)> {
        let (generation, chunk) = key.strip_prefix(&self.all_trying(block))?.split_once('.')?;
        let (generation, chunk) = (generation.parse().ok()?, chunk.parse().ok()?);
        (self.trying(block, generation, chunk) == key).then_some((generation, chunk))
    }

    pub(crate) fn outs(&self) -> String {
        format!("{}out/", self.root)
    }

    pub(crate) fn out(&self, block: u32) -> String {
        format!("{}out/{block:06}", self.root)
    }

    pub(crate) fn parse_out(&self, key: &str) -> Option<u32> {
        let block = key.strip_prefix(&self.outs())?.parse().ok()?;
        (self.out(block) == key).then_some(block)
    }

    pub(crate) fn worker(&self, incarnation: Incarnation) -> String {
        format!("{}workers/{incarnation}", self.root)
    }

    pub(crate) fn cancelled(&self) -> String {
        format!("{}cancelled", self.root)
    }

    pub(crate) fn closed(&self) -> String {
        format!("{}closed", self.root)
    }
}

/// What a key of a round is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RoundKey {
    Intent(u32),
    Submitted,
}
