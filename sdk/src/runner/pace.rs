//! When to claim the next block. Too late, and slots wait for the store; too early, and a block waits behind a long chunk
//! while others have nothing to do.

use std::time::Duration;

/// What a claim with its read is thought to take before one was seen.
const FIRST_GUESS: Duration = Duration::from_millis(50);

/// A chunk so many times longer than a claim is not worth claiming behind: the wait is a small part of it.
const LONG_CHUNK: u32 = 4;

/// Weight of what came before, against the newest.
const MEMORY: f64 = 0.8;

/// How long chunks and claims take, lately.
#[derive(Debug)]
pub(crate) struct Pace {
    chunk: Option<Duration>,
    /// When the last chunk was finished.
    finished: Duration,
    hunt: Duration,
    hunt_began: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace { chunk: None, finished: Duration::ZERO, hunt: FIRST_GUESS, hunt_began: Duration::ZERO }
    }
}

impl Pace {
    pub(crate) fn learn(&mut self, chunk: Duration, now: Duration) {
        self.finished = now;
        self.chunk = Some(self.chunk.map_or(chunk, |before| blend(before, chunk)));
    }

    pub(crate) fn begin_hunt(&mut self, now: Duration) {
        self.hunt_began = now;
    }

    pub(crate) fn end_hunt(&mut self, now: Duration) {
        self.hunt = blend(self.hunt, now.saturating_sub(self.hunt_began));
    }

    /// Whether to get another block, with so many chunks claimed that no slot has, and so many that slots have.
    pub(crate) fn wants_block(
        &self,
        waiting: usize,
        outstanding: usize,
        slots: usize,
        now: Duration,
    ) -> bool {
        if waiting == 0 && outstanding < slots {
            return true;
        }
        // A chunk that is running may turn out to be the first long one after many quick ones.
        let Some(chunk) = self.chunk.map(|chunk| chunk.max(now.saturating_sub(self.finished))) else {
            return false;
        };
        let work = chunk.mul_f64(waiting as f64 / slots as f64);
        chunk < self.hunt * LONG_CHUNK && work < self.hunt * 2
    }
}

fn blend(before: Duration, newest: Duration) -> Duration {
    before.mul_f64(MEMORY) + newest.mul_f64(1.0 - MEMORY)
}
