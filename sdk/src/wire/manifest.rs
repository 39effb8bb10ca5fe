//! The manifest: all that a worker must know of a run. Once it is stored, the run exists.

use std::{fmt, ops::Range, time::Duration};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    Codec,
    block::FRAME_HEADER,
    envelope::{Kind, Stored},
    keys::{MOST_BLOCKS, MOST_PARTS, MOST_ROUNDS, RunId},
};
use crate::names::MAX_BYTES_LIMIT;

/// Most homes of a run: Batch starts no more workers in one array.
const MOST_HOMES: usize = 10_000;

/// How often Batch starts a worker at most.
const MOST_ATTEMPTS: u8 = 10;

/// SHA-256 of some bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Hash(pub(crate) [u8; 32]);

impl Hash {
    pub(crate) fn of(bytes: &[u8]) -> Hash {
        Hash(Sha256::digest(bytes).into())
    }

    /// Of everything that is read, and how much that was. Holds little of it at a time: a program may be large.
    pub(crate) fn of_all(mut from: impl std::io::Read) -> std::io::Result<(Hash, u64)> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 256 << 10];
        let mut total = 0;
        loop {
            match from.read(&mut buffer) {
                Ok(0) => return Ok((Hash(hasher.finalize().into()), total)),
                Ok(length) => {
                    hasher.update(&buffer[..length]);
                    total += length as u64;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// From 64 hexadecimal digits, as `Display` writes them.
    pub(crate) fn parse(text: &str) -> Option<Hash> {
        let mut bytes = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        // `from_str_radix` takes signs and capitals too.
        Some(Hash(bytes)).filter(|hash| hash.to_string() == text)
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
    /// Where its inputs are in the part. A manifest whose blocks end beyond a `u64` is not read.
    pub(crate) fn range(&self) -> Range<u64> {
        self.start..self.start + self.bytes
    }

    fn check(&self, expected: u64) -> Result<(), String> {
        let Block { first, chunks, part, start, bytes, .. } = *self;
        if first != expected {
            return Err(format!("begins at chunk {first}, where {expected} is next"));
        }
        if chunks == 0 {
            return Err("is empty".into());
        }
        if part >= MOST_PARTS {
            return Err(format!("is in part {part}, and there are at most {MOST_PARTS}"));
        }
        if bytes < u64::from(chunks) * FRAME_HEADER as u64 {
            return Err(format!("has {bytes} bytes, too few for {chunks} chunks"));
        }
        if start.checked_add(bytes).is_none() {
            return Err(format!("has {bytes} bytes from {start} on, beyond the largest number"));
        }
        Ok(())
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
    /// How many rounds in a row may bring nothing new before what is missing is given up.
    pub(crate) repairs: u32,
    /// For how long a round may have no running worker before it is given up.
    pub(crate) start_within: Duration,
}

impl Options {
    fn check(&self) -> Result<(), String> {
        let odd_variable = |(name, value): &(Vec<u8>, Vec<u8>)| {
            name.is_empty() || name.contains(&b'=') || name.contains(&0) || value.contains(&0)
        };
        // By its place: its text may be a secret.
        if let Some(place) = self.environment.iter().position(odd_variable) {
            return Err(format!("variable {place} of `environment` is none that a process takes"));
        }
        let within = |name: &str, value: u64, least: u64, most: u64| {
            if (least..=most).contains(&value) {
                return Ok(());
            }
            Err(format!("`{name}` is {value}, and not from {least} to {most}"))
        };
        within("slots", self.slots.into(), 1, u32::MAX.into())?;
        within("max_bytes", self.max_bytes, 1, MAX_BYTES_LIMIT)?;
        within("chunks_per_slot", self.chunks_per_slot.unwrap_or(1), 1, u64::MAX)?;
        within("attempts", self.attempts.into(), 1, MOST_ATTEMPTS.into())?;
        within("milli_vcpus", self.milli_vcpus.into(), 1, u32::MAX.into())?;
        within("memory", self.memory.into(), 1, u32::MAX.into())?;
        within("repairs", self.repairs.into(), 0, u64::from(MOST_ROUNDS) - 2)
    }
}

impl Stored for Manifest {
    const KIND: Kind = Kind::Manifest;

    fn check(&self) -> Result<(), String> {
        let homes = self.homes.len();
        if homes > MOST_HOMES || (homes == 0 && self.chunks > 0) {
            return Err(format!("it has {homes} homes for {} chunks", self.chunks));
        }
        let mut blocks: Vec<(usize, &Block)> = self.blocks().enumerate().collect();
        if blocks.len() > MOST_BLOCKS as usize {
            return Err(format!("it has more than {MOST_BLOCKS} blocks"));
        }
        // Homes take blocks in turns.
        blocks.sort_by_key(|(_, block)| block.first);
        let mut chunks = 0_u64;
        for (number, block) in blocks {
            block.check(chunks).map_err(|reason| format!("block {number} {reason}"))?;
            // A million blocks of 2^32 chunks do not reach the end of a `u64`.
            chunks += u64::from(block.chunks);
        }
        if chunks != self.chunks {
            return Err(format!("its blocks have {chunks} chunks, and it has {}", self.chunks));
        }
        self.options.check()
    }
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
