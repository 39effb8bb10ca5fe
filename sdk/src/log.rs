//! A run's events, and the counts they carry.

use std::time::{Duration, Instant};

use crate::{
    engine::Cloud,
    event::{Event, Reporter, SlotUse, Summary},
    failure::Failure,
    names::REPORT_EVERY,
};

/// How many quick outcomes pass before the clock is looked at; a look costs as much as a quick outcome.
const OUTCOMES_PER_LOOK: usize = 256;

/// Up to this a chunk is quick.
const QUICK: Duration = Duration::from_micros(50);

/// What is told of a run.
pub(crate) struct Log {
    reporter: Box<dyn Reporter>,
    started: Instant,
    reported: Instant,
    pub(crate) chunks: Option<usize>,
    summary: Summary,
    /// What was told of a cloud run.
    submitted: bool,
    round: u32,
}

impl Log {
    pub(crate) fn new(reporter: Box<dyn Reporter>, chunks: Option<usize>, label: String) -> Log {
        let now = Instant::now();
        Log {
            reporter,
            started: now,
            reported: now,
            chunks,
            summary: Summary { label, ..Summary::default() },
            submitted: false,
            round: 0,
        }
    }

    pub(crate) fn warn(&mut self, message: &str) {
        self.reporter.report(&Event::Warning { message });
    }

    /// Tells what is new of a cloud run.
    pub(crate) fn follow(&mut self, cloud: &Cloud) {
        let progress = cloud.progress();
        if progress.submitted && !self.submitted {
            self.submitted = true;
            self.reporter.report(&Event::Submitted { run: cloud.run() });
        }
        if progress.round > self.round {
            self.round = progress.round;
            let message =
                format!("workers were lost with chunks undone; round {} of workers does them", self.round);
            self.reporter.report(&Event::Warning { message: &message });
        }
    }

    pub(crate) fn begin(&mut self, backend: &'static str, slots: usize) {
        let chunks = self.chunks;
        self.reporter.report(&Event::Started { label: &self.summary.label, backend, chunks, slots });
    }

    #[inline]
    pub(crate) fn note(&mut self, elapsed: Duration, failure: Option<&Failure>) {
        self.summary.chunks += 1;
        if let Some(failure) = failure {
            self.summary.failed += 1;
            self.reporter.report(&Event::ChunkFailed { failure });
        }
        if self.summary.chunks.is_multiple_of(OUTCOMES_PER_LOOK) || elapsed > QUICK {
            self.look();
        }
    }

    pub(crate) fn look(&mut self) {
        if self.reported.elapsed() >= REPORT_EVERY {
            self.reported = Instant::now();
            let Summary { chunks: done, failed, .. } = self.summary;
            self.reporter.report(&Event::Progress { done, failed, chunks: self.chunks });
        }
    }

    pub(crate) fn finish(&mut self, slots: Vec<SlotUse>, (bytes_in, bytes_back): (u64, u64)) {
        self.summary.elapsed = self.started.elapsed();
        self.summary.slots = slots;
        self.summary.bytes_in = bytes_in;
        self.summary.bytes_back = bytes_back;
        self.reporter.report(&Event::Finished { summary: &self.summary });
    }
}
