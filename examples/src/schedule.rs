//! How long chunks of known cost take when they are shared out in one way or another, at no cost of its own.

use std::time::Duration;

/// Each slot gets its next chunk when it is done with the one before. What `cloud::map` does.
pub(crate) fn one_at_a_time(times: &[Duration], slots: usize) -> Duration {
    let mut busy = vec![Duration::ZERO; slots.max(1)];
    for time in times {
        if let Some(first_free) = busy.iter_mut().min() {
            *first_free += *time;
        }
    }
    longest(busy)
}

/// All chunks are dealt beforehand, like cards.
pub(crate) fn by_turns(times: &[Duration], slots: usize) -> Duration {
    let slots = slots.max(1);
    longest((0..slots).map(|slot| times.iter().skip(slot).step_by(slots).sum()))
}

/// All chunks are dealt beforehand, neighbours together.
pub(crate) fn by_blocks(times: &[Duration], slots: usize) -> Duration {
    let block = times.len().div_ceil(slots.max(1)).max(1);
    longest(times.chunks(block).map(|block| block.iter().sum()))
}

fn longest(busy: impl IntoIterator<Item = Duration>) -> Duration {
    busy.into_iter().max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(times: &[u64]) -> Vec<Duration> {
        times.iter().copied().map(Duration::from_secs).collect()
    }

    #[test]
    fn ways_to_share_out_differ_by_what_they_know() {
        let times = seconds(&[8, 1, 7, 1, 1, 1, 1]);
        assert_eq!(one_at_a_time(&times, 2), Duration::from_secs(10));
        assert_eq!(by_turns(&times, 2), Duration::from_secs(8 + 7 + 1 + 1));
        assert_eq!(by_blocks(&times, 2), Duration::from_secs(8 + 1 + 7 + 1));
        assert_eq!(by_blocks(&times, 3), Duration::from_secs(8 + 1 + 7));
    }

    #[test]
    fn one_slot_takes_the_sum_and_many_the_longest() {
        let times = seconds(&[3, 5, 4]);
        for way in [one_at_a_time, by_turns, by_blocks] {
            assert_eq!(way(&times, 1), Duration::from_secs(12));
            assert_eq!(way(&times, 9), Duration::from_secs(5));
            assert_eq!(way(&[], 2), Duration::ZERO);
        }
    }
}
