//! How many chunks lie ahead of a slot: about a millisecond of work, whatever a chunk costs.

use crate::names::FEED_AHEAD;

/// More than this gains nothing, and every chunk in flight is held in memory.
const MOST_IN_FLIGHT: usize = 1 << 15;

/// Where fewer than this fit into the time, chunks go one at a time: a round trip is a few percent of such a chunk, and none
/// waits behind another that turns out to be long.
const WORTH_QUEUEING: u64 = 4;

/// What is known of a run's chunks so far.
#[derive(Debug)]
pub(super) struct Pace {
    seen: usize,
    mean_nanos: u64,
    in_hand: usize,
}

impl Default for Pace {
    /// One chunk a slot, since nothing is known of the first.
    fn default() -> Pace {
        Pace { seen: 0, mean_nanos: 0, in_hand: 1 }
    }
}

impl Pace {
    /// Learns from one finished chunk. An average that forgets: weight 1/8 to the newest.
    #[inline]
    pub(super) fn learn(&mut self, nanos: u64) {
        let surprising = nanos > 4 * self.mean_nanos;
        self.mean_nanos =
            if self.seen == 0 { nanos } else { self.mean_nanos - self.mean_nanos / 8 + nanos / 8 };
        self.seen += 1;
        // The division is a good part of what a no-op chunk costs here, and seldom tells anything new.
        if surprising || self.seen < 64 || self.seen.is_multiple_of(32) {
            let by_time = FEED_AHEAD.as_nanos() as u64 / self.mean_nanos.max(1);
            let by_time = if by_time < WORTH_QUEUEING { 1 } else { by_time };
            // No faster than knowledge grows.
            self.in_hand = (by_time as usize).clamp(1, MOST_IN_FLIGHT).min(1 + self.seen);
        }
    }

    /// Chunks that a slot may have in hand, the one it works on included.
    #[inline]
    pub(super) fn in_hand(&self) -> usize {
        self.in_hand
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_chunks_are_fed_one_at_a_time() {
        let mut pace = Pace::default();
        for _ in 0..100 {
            pace.learn(2_000_000);
        }
        assert_eq!(pace.in_hand(), 1);
        for _ in 0..100 {
            pace.learn(300_000);
        }
        assert_eq!(pace.in_hand(), 1);
    }

    #[test]
    fn fast_chunks_are_fed_a_millisecond_ahead_but_not_at_once() {
        let mut pace = Pace::default();
        assert_eq!(pace.in_hand(), 1);
        pace.learn(1_000);
        assert_eq!(pace.in_hand(), 2);
        for _ in 0..10_000 {
            pace.learn(1_000);
        }
        assert_eq!(pace.in_hand(), 1000);
    }

    #[test]
    fn one_slow_chunk_stops_feeding_ahead_until_fast_ones_follow() {
        let mut pace = Pace::default();
        for _ in 0..10_000 {
            pace.learn(1_000);
        }
        pace.learn(200_000_000);
        assert_eq!(pace.in_hand(), 1);
        for _ in 0..100 {
            pace.learn(1_000);
        }
        assert!(pace.in_hand() > 500);
    }
}
