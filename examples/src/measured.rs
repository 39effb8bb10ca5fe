//! What is measured of a run: through its events, and through its outcomes as they arrive.

use std::{
    error::Error,
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;

/// Listens to a run and keeps its summary.
#[derive(Debug, Clone, Default)]
pub struct Watch(Arc<Mutex<Seen>>);

#[derive(Debug, Clone, Default)]
struct Seen {
    slots: usize,
    summary: cloud::Summary,
}

impl Watch {
    /// What to give to `.reporter(..)`.
    pub fn reporter(&self) -> impl cloud::Reporter + 'static {
        let seen = Arc::clone(&self.0);
        move |event: &cloud::Event<'_>| {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            match event {
                cloud::Event::Started { slots, .. } => seen.slots = *slots,
                cloud::Event::Finished { summary } => seen.summary = (*summary).clone(),
                // A run goes on when a warning cannot be shown.
                cloud::Event::Warning { message } => drop(writeln!(io::stderr(), "warning: {message}")),
                _ => {}
            }
        }
    }

    /// The most slots the run was to use.
    #[must_use]
    pub fn slots(&self) -> usize {
        self.seen().slots
    }

    /// What the run did, once it is over.
    #[must_use]
    pub fn summary(&self) -> cloud::Summary {
        self.seen().summary
    }

    fn seen(&self) -> Seen {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A run over the grid: its counts, and where the time went.
#[derive(Debug)]
pub struct Measured {
    /// All counts, in the order of the points.
    pub counts: Vec<u32>,
    /// What each chunk took, in the order of the input.
    pub times: Vec<Duration>,
    /// What each slot did, those that got nothing included.
    pub slots: Vec<Used>,
    /// What the run says of itself.
    pub summary: cloud::Summary,
}

/// What one slot did, as seen by who takes the outcomes: on every backend, and with the time of the last one.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// Chunks done.
    pub chunks: usize,
    /// Time inside them.
    pub busy: Duration,
    /// Time after the last of them, until the run's end.
    pub idle_at_end: Duration,
}

impl Measured {
    /// Takes a run's outcomes as they arrive, to its end.
    ///
    /// # Errors
    /// The first failure of a chunk, or of the run.
    pub async fn take<S>(
        mut outcomes: cloud::Details<S, Vec<u32>>,
        watch: &Watch,
    ) -> Result<Measured, Box<dyn Error>>
    where
        S: cloud::Source<Item: cloud::Wire>,
    {
        let begun = Instant::now();
        let mut taken = Vec::new();
        while let Some(outcome) = outcomes.next().await {
            taken.push((outcome?, Instant::now()));
        }
        let end = Instant::now();
        let mut slots =
            vec![Used { chunks: 0, busy: Duration::ZERO, idle_at_end: end - begun }; watch.slots()];
        for (outcome, at) in &taken {
            if let Some(used) = outcome.slot.and_then(|slot| slots.get_mut(slot)) {
                used.chunks += 1;
                used.busy += outcome.elapsed;
                used.idle_at_end = end - *at;
            }
        }
        taken.sort_by_key(|(outcome, _)| outcome.index);
        let times = taken.iter().map(|(outcome, _)| outcome.elapsed).collect();
        let counts =
            taken.into_iter().map(|(outcome, _)| outcome.result).collect::<Result<Vec<_>, _>>()?.concat();
        Ok(Measured { counts, times, slots, summary: watch.summary() })
    }

    /// The tutorial's check.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.counts.iter().copied().map(u64::from).sum()
    }

    /// What one slot alone would have taken.
    #[must_use]
    pub fn alone(&self) -> Duration {
        self.times.iter().sum()
    }

    /// The part of the slots' time that went into chunks, from 0 to 1.
    #[must_use]
    pub fn utilisation(&self) -> f64 {
        utilisation(self.alone(), self.summary.elapsed, self.slots.len())
    }

    /// The figures of one run for programs.
    #[must_use]
    pub fn row(&self) -> Row {
        Row {
            chunks: self.summary.chunks,
            slots: self.slots.len(),
            sum: self.sum(),
            wall_s: self.summary.elapsed.as_secs_f64(),
            cpu_s: self.summary.slots.iter().map(|slot| slot.processor.as_secs_f64()).sum(),
            bytes_in: self.summary.bytes_in,
            bytes_out: self.summary.bytes_back,
            utilisation: self.utilisation(),
        }
    }
}

/// The part of `slots` times `wall` that `busy` is.
pub(crate) fn utilisation(busy: Duration, wall: Duration, slots: usize) -> f64 {
    busy.as_secs_f64() / (wall.as_secs_f64() * slots as f64).max(f64::MIN_POSITIVE)
}

/// One line of `--json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Chunks as cut, not as asked for.
    pub chunks: usize,
    /// Slots to use.
    pub slots: usize,
    /// What the counts add up to.
    pub sum: u64,
    /// The run's wall time.
    pub wall_s: f64,
    /// Processor time of all slots.
    pub cpu_s: f64,
    /// Bytes of inputs sent into slots.
    pub bytes_in: u64,
    /// Bytes of results that came out of them.
    pub bytes_out: u64,
    /// The part of the slots' time that went into chunks, from 0 to 1.
    pub utilisation: f64,
}
