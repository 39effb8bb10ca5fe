//! How long to wait between two looks at a run.

use std::time::Duration;

/// Growth while there is nothing new.
const SLOWER: f64 = 1.5;

/// Waits grow while nothing happens, and shrink with news: a short run is followed closely, a long one costs few calls.
#[derive(Debug, Clone)]
pub(crate) struct Poll {
    shortest: Duration,
    longest: Duration,
    wait: Duration,
}

impl Poll {
    pub(crate) fn new(shortest: Duration, longest: Duration) -> Poll {
        Poll { shortest, longest, wait: shortest }
    }

    /// The next wait, after a look that brought something new, or nothing.
    pub(crate) fn next(&mut self, news: bool) -> Duration {
        let wait = self.wait;
        self.wait = if news {
            (self.wait / 2).max(self.shortest)
        } else {
            self.wait.mul_f64(SLOWER).min(self.longest)
        };
        wait
    }

    pub(crate) fn reset(&mut self) {
        self.wait = self.shortest;
    }
}
