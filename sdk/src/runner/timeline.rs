//! What a worker's slots did, for its record.

use std::time::Duration;

use crate::wire::Span;

/// A chunk this long has a line of its own.
const LONG: u64 = 1_000;

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
#[derive(Debug, Default)]
pub(crate) struct Timeline {
    spans: Vec<Span>,
    open: Vec<Option<Span>>,
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
            Some(open) if busy < LONG && end.saturating_sub(open.start) < SHARED => open.extend(&span),
            open => {
                self.spans.extend(open.take());
                if busy < LONG {
                    *open = Some(span);
                } else {
                    self.spans.push(span);
                }
            }
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
