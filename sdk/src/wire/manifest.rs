//! The manifest: all that a worker must know of a run. Once it is stored, the run exists.

use std::{fmt, ops::Range, time::Duration};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Codec,
    envelope::{Kind, Stored},
    keys::RunId,
};

/// SHA-256 of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Hash(pub(crate) [u8; 32]);

impl Hash {
    pub(crate) fn of(bytes: &[u8]) -> Hash {
        Hash(Sha256::digest(bytes).into())
    }

    /// From 64 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Option<Hash> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Hash(bytes))
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A run as it was planned. Never changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    pub(crate) run: RunId,
    pub(crate) label: String,
    pub(crate) function: Function,
    pub(crate) program: Program,
    pub(crate) shared: Option<SharedData>,
    pub(crate) chunks: u64,
    /// Blocks are numbered through all homes, in this order.
    pub(crate) homes: Vec<Home>,
    pub(crate) options: Options,
}

/// Which function of the program, and what it gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Function {
    /// Its id in the program's function table.
    pub(crate) id: u64,
    pub(crate) path: String,
    /// Rust's name for the type of its values.
    pub(crate) output: String,
}

/// The program that runs the function, as stored under its hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Program {
    pub(crate) hash: Hash,
    pub(crate) bytes: u64,
}

/// The data that all chunks share, an object of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SharedData {
    pub(crate) codec: Codec,
    pub(crate) hash: Hash,
}

/// The blocks that one worker begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Home {
    pub(crate) blocks: Vec<Block>,
}

/// Consecutive chunks that one claim covers, and where their inputs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Block {
    /// Index of its first chunk.
    pub(crate) first: u64,
    pub(crate) chunks: u32,
    /// Number of the part object.
    pub(crate) part: u32,
    /// Where it begins in the part.
    pub(crate) start: u64,
    pub(crate) bytes: u64,
    /// Of exactly these bytes: a ranged read verifies nothing by itself.
    pub(crate) hash: Hash,
}

impl Block {
    pub(crate) fn range(&self) -> Range<u64> {
        self.start..self.start + self.bytes
    }
}

/// How chunks are run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Options {
    /// Slots in each worker.
    pub(crate) slots: u32,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: u32,
    pub(crate) max_bytes: u64,
    pub(crate) chunks_per_slot: Option<u64>,
    /// Variables for the slots, names and values as the system has them.
    pub(crate) environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// A worker's own deadline, by its monotonic clock, from its start.
    pub(crate) worker_deadline: Duration,
    /// How often Batch may start a worker.
    pub(crate) attempts: u8,
    pub(crate) milli_vcpus: u32,
    /// MiB.
    pub(crate) memory: u32,
    /// How many rounds beyond the first may repair what was lost.
    pub(crate) repairs: u32,
    /// For how long a round may have no running worker before it is given up.
    pub(crate) start_within: Duration,
}

impl Stored for Manifest {
    const KIND: Kind = Kind::Manifest;
}

impl Manifest {
    pub(crate) fn block_count(&self) -> u32 {
        self.homes.iter().map(|home| home.blocks.len() as u32).sum()
    }

    /// All blocks, in the order of their numbers.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.homes.iter().flat_map(|home| &home.blocks)
    }

    /// The numbers of each home's blocks.
    pub(crate) fn home_ranges(&self) -> Vec<Range<u32>> {
        let mut start = 0;
        let mut ranges = Vec::with_capacity(self.homes.len());
        for home in &self.homes {
            let end = start + home.blocks.len() as u32;
            ranges.push(start..end);
            start = end;
        }
        ranges
    }
}
