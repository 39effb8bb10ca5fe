//! What a worker's slots did, for its record.

use std::time::Duration;

use crate::wire::Span;

/// A chunk this long (microseconds) has a line of its own.
const LONG: u64 = 1_000;

/// After so many lines, twice as long: a record stays small however long its worker lives.
const LINES: usize = 20_000;

/// A line of quick chunks is ended after so long, so that it still shows when a slot was busy.
const SHARED: u64 = 1_000_000;

/// One finished chunk.
pub(crate) struct Finished {
    pub(crate) chunk: u64,
    pub(crate) slot: u32,
    /// Since the worker's start.
    pub(crate) end: Duration,
    pub(crate) elapsed: Duration,
    pub(crate) processor: Duration,
    /// KiB.
    pub(crate) peak_memory: u64,
    pub(crate) failed: bool,
}

/// The lines so far, and one open line of quick chunks a slot.
#[derive(Debug)]
pub(crate) struct Timeline {
    spans: Vec<Span>,
    /// Chunks this long have a line of their own, others share one up to so long.
    long: u64,
    shared: u64,
    /// Lines after which both are doubled.
    full: usize,
    open: Vec<Option<Span>>,
}

impl Default for Timeline {
    fn default() -> Timeline {
        Timeline { spans: Vec::new(), long: LONG, shared: SHARED, full: LINES, open: Vec::new() }
    }
}

impl Timeline {
    pub(crate) fn note(&mut self, finished: &Finished) {
        let micros = |time: Duration| time.as_micros() as u64;
        let end = micros(finished.end);
        let busy = micros(finished.elapsed);
        let span = Span {
            chunk: finished.chunk,
            chunks: 1,
            slot: finished.slot,
            start: end.saturating_sub(busy),
            end,
            busy,
            processor: micros(finished.processor),
            peak_memory: finished.peak_memory,
            failed: u32::from(finished.failed),
        };
        let slot = finished.slot as usize;
        if self.open.len() <= slot {
            self.open.resize(slot + 1, None);
        }
        match &mut self.open[slot] {
            Some(open) if busy < self.long && end.saturating_sub(open.start) < self.shared => {
                open.extend(&span);
            }
            open => {
                self.spans.extend(open.take());
                if busy < self.long {
                    *open = Some(span);
                } else {
                    self.spans.push(span);
                }
            }
        }
        if self.spans.len() >= self.full {
            self.long *= 2;
            self.shared *= 2;
            self.full += LINES;
        }
    }

    /// When the first chunk began.
    pub(crate) fn first(&self) -> Option<u64> {
        self.spans.iter().chain(self.open.iter().flatten()).map(|span| span.start).min()
    }

    /// All lines, in the order of their ends.
    pub(crate) fn finish(self) -> Vec<Span> {
        let mut spans = self.spans;
        spans.extend(self.open.into_iter().flatten());
        spans.sort_by_key(|span| (span.end, span.slot));
        spans
    }
}

impl Span {
    fn extend(&mut self, other: &Span) {
        self.chunks += 1;
        self.end = other.end;
        self.busy += other.busy;
        self.processor += other.processor;
        self.peak_memory = self.peak_memory.max(other.peak_memory);
        self.failed += other.failed;
    }
}
