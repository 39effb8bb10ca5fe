//! How many chunks lie ahead of a slot: about a millisecond of work, whatever a chunk costs.

use std::time::Duration;

use crate::names::FEED_AHEAD;

/// More than this gains nothing, and every chunk in flight is held in memory.
const MOST_IN_FLIGHT: usize = 1 << 15;

/// What is known of a run's chunks so far.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    seen: usize,
    mean_nanos: u64,
}

impl Pace {
    /// Learns from one finished chunk. An average that forgets: weight 1/8 to the newest.
    #[inline]
    pub(crate) fn learn(&mut self, elapsed: Duration) {
        let nanos = elapsed.as_nanos() as u64;
        self.mean_nanos = if self.seen == 0 { nanos } else { self.mean_nanos - self.mean_nanos / 8 + nanos / 8 };
        self.seen += 1;
    }

    /// Chunks that a slot may have in hand, the one it works on included. Starts at 1, since nothing is known of the first
    /// chunk, and grows no faster than knowledge does.
    #[inline]
    pub(crate) fn in_hand(&self) -> usize {
        let by_time = FEED_AHEAD.as_nanos() as u64 / self.mean_nanos.max(1);
        (by_time as usize).clamp(1, MOST_IN_FLIGHT).min(1 + self.seen)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_chunks_are_fed_one_at_a_time() {
        let mut pace = Pace::default();
        for _ in 0..100 {
            pace.learn(Duration::from_millis(2));
        }
        assert_eq!(pace.in_hand(), 1);
    }

    #[test]
    fn fast_chunks_are_fed_a_millisecond_ahead_but_not_at_once() {
        let mut pace = Pace::default();
        assert_eq!(pace.in_hand(), 1);
        pace.learn(Duration::from_micros(1));
        assert_eq!(pace.in_hand(), 2);
        for _ in 0..10_000 {
            pace.learn(Duration::from_micros(1));
        }
        assert_eq!(pace.in_hand(), 1000);
    }

    #[test]
    fn one_slow_chunk_stops_feeding_ahead_until_fast_ones_follow() {
        let mut pace = Pace::default();
        for _ in 0..10_000 {
            pace.learn(Duration::from_micros(1));
        }
        pace.learn(Duration::from_millis(200));
        assert_eq!(pace.in_hand(), 1);
        for _ in 0..100 {
            pace.learn(Duration::from_micros(1));
        }
        assert!(pace.in_hand() > 500);
    }
}
