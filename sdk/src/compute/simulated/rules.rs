//! How the simulated Batch behaves.

use std::{ops::RangeInclusive, time::Duration};

use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// How Batch behaves towards one job. By default as well as it can: at once, for ever, and to everybody.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Rules {
    /// Of all chance. What befalls a worker's attempt depends on this, on the round that its job's name ends with (else on how
    /// many jobs were submitted before), and on the worker's and the attempt's number; not on when it is asked.
    pub(crate) seed: u64,
    /// From a worker's placement to its start.
    pub(crate) start_delay: RangeInclusive<Duration>,
    /// How likely an attempt is reclaimed: it is told to stop, then killed.
    pub(crate) spot_kill_rate: f64,
    /// How likely an attempt's host is lost: it is gone without a hint.
    pub(crate) host_loss_rate: f64,
    /// Either happens at some moment up to so long after the start.
    pub(crate) killed_within: Duration,
    /// From SIGTERM to SIGKILL.
    pub(crate) stop_grace: Duration,
    /// Job summaries are made this often, so they lag behind by as much.
    pub(crate) summary_lag: Duration,
    /// How likely a worker never gets a place, though there is one.
    pub(crate) never_start: f64,
    /// The shortest attempt timeout that is taken. AWS takes no other than a minute.
    pub(crate) shortest_timeout: Duration,
    /// Whether a worker must be of a size that Fargate has.
    pub(crate) fargate: bool,
    /// Calls a second, of all clients together. The last submit decides.
    pub(crate) throttle: Option<u32>,
    /// Thousandths of virtual processors that all jobs may have at a time. The last submit decides.
    pub(crate) capacity: Option<u64>,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            seed: 0,
            start_delay: Duration::ZERO..=Duration::ZERO,
            spot_kill_rate: 0.0,
            host_loss_rate: 0.0,
            killed_within: Duration::from_secs(60),
            stop_grace: Duration::from_secs(30),
            summary_lag: Duration::ZERO,
            never_start: 0.0,
            shortest_timeout: Duration::from_secs(60),
            fargate: false,
            throttle: None,
            capacity: None,
        }
    }
}

/// What chance has in store for one attempt.
#[derive(Debug)]
pub(super) struct Fate {
    pub(super) start_delay: Duration,
    /// So long after the start.
    pub(super) reclaimed: Option<Duration>,
    /// So long after the start.
    pub(super) host_lost: Option<Duration>,
}

impl Rules {
    pub(super) fn fate(&self, job: u64, index: u32, attempt: u32) -> Fate {
        let mut chance = chance(self.seed, [job, index.into(), attempt.into()]);
        let mut some_moment =
            |rate: f64| (chance.f64() < rate).then(|| self.killed_within.mul_f64(chance.f64()));
        let (reclaimed, host_lost) = (some_moment(self.spot_kill_rate), some_moment(self.host_loss_rate));
        let (shortest, longest) = (*self.start_delay.start(), *self.start_delay.end());
        let start_delay = shortest + longest.saturating_sub(shortest).mul_f64(chance.f64());
        Fate { start_delay, reclaimed, host_lost }
    }

    /// Whether a worker gets a place at all.
    pub(super) fn ever_starts(&self, job: u64, index: u32) -> bool {
        chance(self.seed, [job, index.into(), 0]).f64() >= self.never_start
    }
}

/// A source of chance of its own for each such thing.
pub(super) fn chance(seed: u64, of: [u64; 3]) -> Rng {
    of.into_iter().fold(Rng::with_seed(seed), |mut rng, part| Rng::with_seed(rng.u64(..) ^ part))
}
