//! Time and chance, as the parts see them that must also run in a simulation.

use std::{
    fmt,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use crate::store::Pending;

/// Time and chance.
pub(crate) trait Clock: Send + Sync + fmt::Debug {
    /// Time since some moment. Never goes back; compared within one process only.
    fn now(&self) -> Duration;

    /// Milliseconds since 1970, for people to read. No decision depends on it.
    fn wall(&self) -> u64;

    /// Ready after so long.
    fn sleep(&self, time: Duration) -> Pending<'static, ()>;

    /// Sixty-four random bits.
    fn random(&self) -> u64;

    /// A random share, from 0 to less than 1.
    fn share(&self) -> f64 {
        // As many bits as a float of that size has.
        (self.random() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// This machine's.
#[derive(Debug)]
pub(crate) struct SystemClock {
    start: Instant,
}

impl SystemClock {
    pub(crate) fn new() -> SystemClock {
        SystemClock { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn wall(&self) -> u64 {
        // A clock before 1970 is shown as 1970.
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64
    }

    fn sleep(&self, time: Duration) -> Pending<'static, ()> {
        Box::pin(async move {
            async_io::Timer::after(time).await;
        })
    }

    fn random(&self) -> u64 {
        fastrand::u64(..)
    }
}
