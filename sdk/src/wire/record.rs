//! What a worker did, when, and with what: for reports and bills.

use serde::{Deserialize, Serialize};

use super::{
    envelope::{Kind, Stored},
    notes::{Incarnation, Origin},
};

/// `workers/<incarnation>`, written when the worker ends in good order. Times are microseconds since its start, by its own
/// monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkerRecord {
    pub(crate) incarnation: Incarnation,
    pub(crate) origin: Origin,
    /// Milliseconds since 1970, by the worker's clock.
    pub(crate) started: u64,
    /// When its first chunk began.
    pub(crate) first_chunk: Option<u64>,
    pub(crate) ended: u64,
    pub(crate) slots: u32,
    /// What its slots did, in the order of their ends.
    pub(crate) timeline: Vec<Span>,
    /// Blocks whose outcomes it wrote first.
    pub(crate) blocks: u32,
    /// Of those, blocks that were not at home here.
    pub(crate) stolen: u32,
    /// Blocks that another had finished first: paid for twice.
    pub(crate) duplicates: u32,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// Processor time of all slots, microseconds.
    pub(crate) processor: u64,
    /// Why it ended.
    pub(crate) reason: String,
}

/// A time in which one slot was in user code. A chunk of a millisecond or more has a span of its own; quicker ones that
/// follow each other share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    /// Index of the first chunk.
    pub(crate) chunk: u64,
    /// How many, consecutive or not.
    pub(crate) chunks: u32,
    pub(crate) slot: u32,
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// Wall time in user code.
    pub(crate) busy: u64,
    /// Processor time, as far as it is known.
    pub(crate) processor: u64,
    /// The slot's largest resident memory so far, KiB; 0 if unknown.
    pub(crate) peak_memory: u64,
    pub(crate) failed: u32,
}

impl Stored for WorkerRecord {
    const KIND: Kind = Kind::WorkerRecord;

    // Reports subtract these.
    fn check(&self) -> Result<(), String> {
        if self.stolen > self.blocks {
            return Err(format!("{} of its {} blocks are stolen", self.stolen, self.blocks));
        }
        for Span { chunk, chunks, start, end, failed, .. } in &self.timeline {
            if start > end {
                return Err(format!("the span of chunk {chunk} begins at {start} and ends at {end}"));
            }
            if failed > chunks {
                return Err(format!(
                    "the span of chunk {chunk} has {chunks} chunks, and {failed} that failed"
                ));
            }
        }
        Ok(())
    }
}
