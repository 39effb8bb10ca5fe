//! What a run tells while it goes on. The run only emits [`Event`]s; a [`Reporter`] prints them, or does not.

use std::time::Duration;

use serde::Serialize;

use crate::{failure::Failure, wire::RunId};

/// Something that happened in a run.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event<'a> {
    /// The run begins.
    Started {
        /// From `.label(..)`, else the function's name.
        label: &'a str,
        /// The backend's name.
        backend: &'static str,
        /// How many chunks there are, when the input knows.
        chunks: Option<usize>,
        /// The most slots it will use.
        slots: usize,
    },
    /// Its inputs are stored and Batch has its workers: it could go on without this program. Not on `inline` and `local`.
    Submitted {
        /// Its id, to attach to.
        run: RunId,
    },
    /// How far it is; at most about ten times a second.
    Progress {
        /// Chunks with an outcome.
        done: usize,
        /// Those among them that failed.
        failed: usize,
        /// How many there will be, when the input knows.
        chunks: Option<usize>,
    },
    /// A chunk failed for good.
    ChunkFailed {
        /// Why.
        failure: &'a Failure,
    },
    /// Something is not as asked for, and the run goes on.
    Warning {
        /// One sentence.
        message: &'a str,
    },
    /// Every chunk has its outcome.
    Finished {
        /// What the run did.
        summary: &'a Summary,
    },
}

/// What a finished run did, and with what.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Summary {
    /// From `.label(..)`, else the function's name.
    pub label: String,
    /// Chunks with an outcome.
    pub chunks: usize,
    /// Those among them that failed.
    pub failed: usize,
    /// Wall time from the first poll to the last outcome.
    pub elapsed: Duration,
    /// Bytes of encoded inputs; a chunk that is sent twice counts twice.
    pub bytes_in: u64,
    /// Bytes of encoded results.
    pub bytes_back: u64,
    /// One entry a slot, in the order of their numbers. Empty on `inline`.
    pub slots: Vec<SlotUse>,
}

/// What one slot did for a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SlotUse {
    /// Chunks finished here, failed attempts included.
    pub chunks: usize,
    /// Wall time inside chunks.
    pub busy: Duration,
    /// Processor time of the slot's processes during the run, all threads.
    pub processor: Duration,
    /// The largest resident memory of any of the slot's processes, in KiB; 0 if it was not asked for.
    pub peak_memory: u64,
    /// Processes started for this slot because the one before died or was worn out.
    pub restarts: u32,
}

/// Receives a run's events, on the thread that polls the run. Any `FnMut(&Event)` is one.
pub trait Reporter: Send {
    /// One event. It should return quickly: the run waits.
    fn report(&mut self, event: &Event<'_>);
}

impl<F: FnMut(&Event<'_>) + Send> Reporter for F {
    fn report(&mut self, event: &Event<'_>) {
        self(event);
    }
}
