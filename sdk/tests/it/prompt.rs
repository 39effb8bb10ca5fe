//! No result is held back, and no chunk waits while a slot is idle. All bounds are far from what a busy
//! machine does, and far from what a run that waits would do.

use std::{
    thread::sleep,
    time::{Duration, Instant, SystemTime},
};

use rustix::time::{ClockId, clock_gettime};

use crate::support::{alone, my_turn};

#[test]
fn finished_results_are_not_held_back_by_a_slow_chunk() {
    let _turn = my_turn();
    let f = |x: u32| {
        let begun = SystemTime::now();
        if x == 1000 {
            sleep(Duration::from_millis(1500));
        }
        begun
    };
    let arrivals: Vec<_> = cloud::map(f, 0..=1000)
        .slots(1)
        .iter()
        .map(|value| (value.unwrap().unwrap(), SystemTime::now()))
        .collect();
    let ((index, slow_begun), _) = arrivals[1000];
    assert_eq!(index, 1000);
    let last = arrivals[..1000].iter().map(|(_, arrived)| *arrived).max().unwrap();
    let late = last.duration_since(slow_begun).unwrap_or_default();
    assert!(late < Duration::from_millis(500), "the last came {late:?} after the slow chunk had begun");
}

/// The place in the order of arrival of chunk `slow`, which takes 400 ms; all others take `quick` each.
fn place_of(slow: u32, chunks: u32, quick: Duration) -> usize {
    let f = |&(slow, quick): &(u32, Duration), x: u32| {
        let nap = if x == slow { Duration::from_millis(400) } else { quick };
        if !nap.is_zero() {
            sleep(nap);
        }
    };
    // Both slots are there, so that starting them takes no part in it.
    cloud::map(|_: u32| sleep(Duration::from_millis(50)), 0..4).slots(2).wait().unwrap();
    let order: Vec<_> = cloud::map_with((slow, quick), f, 0..chunks)
        .slots(2)
        .iter()
        .map(|value| value.unwrap().unwrap().0)
        .collect();
    assert_eq!(order.len(), chunks as usize);
    order.iter().position(|index| *index == slow as usize).unwrap()
}

#[test]
fn no_chunk_waits_behind_a_slow_one_while_another_slot_is_idle() {
    let _turn = my_turn();
    assert_eq!(place_of(0, 21, Duration::from_millis(1)), 20, "the slow one should be the last to arrive");
}

#[test]
fn nor_when_thousands_were_so_quick_that_many_lie_ahead() {
    let _turn = my_turn();
    assert_eq!(place_of(4000, 8000, Duration::ZERO), 7999, "the slow one should be the last to arrive");
    assert_eq!(place_of(7990, 8000, Duration::ZERO), 7999, "even with nothing left to feed");
}

#[test]
fn a_slow_first_chunk_holds_nobody_up() {
    let _turn = my_turn();
    for chunks in [6, 10, 20, 30, 500, 8000] {
        let place = place_of(0, chunks, Duration::ZERO);
        assert_eq!(place as u32, chunks - 1, "the slow one should be the last to arrive");
    }
}

#[test]
fn waiting_takes_no_processor_time() {
    alone(waiting_takes_no_processor_time, || {
        let used = || {
            let now = clock_gettime(ClockId::ProcessCPUTime);
            Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
        };
        // Quick chunks in front, so that some would be fed ahead.
        let f = |x: u32| sleep(Duration::from_millis(if [0, 30].contains(&x) { 500 } else { 0 }));
        cloud::map(f, 1..20).slots(2).wait().unwrap();
        let (before, begun) = (used(), Instant::now());
        cloud::map(f, 0..40).slots(2).wait().unwrap();
        futures::executor::block_on(cloud::map(f, 0..40).slots(2).into_future()).unwrap();
        let (used, wall) = (used() - before, begun.elapsed());
        assert!(wall >= Duration::from_millis(1000) && used < wall / 5, "{used:?} in {wall:?}");
    });
}

#[test]
fn a_slow_chunk_among_thousands_costs_its_own_time_and_no_more() {
    let _turn = my_turn();
    // Behind each of six slow chunks lie quick ones; two slots do three of them each.
    let f = |x: u32| {
        if x % 1000 == 500 {
            sleep(Duration::from_millis(200));
        }
        x
    };
    cloud::map(f, 0..10).slots(2).wait().unwrap();
    let begun = Instant::now();
    assert_eq!(cloud::map(f, 0..6000).slots(2).wait().unwrap().len(), 6000);
    let wall = begun.elapsed();
    assert!(wall < Duration::from_millis(1000), "{wall:?}, and one after the other would be 1200 ms");
}

#[test]
fn napping_slots_reach_the_bound_of_one_at_a_time() {
    let _turn = my_turn();
    const SLOTS: usize = 8;
    let nap = |millis: u64| sleep(Duration::from_millis(millis));
    let naps: Vec<u64> = (0..48).map(|x| 10 + x * 37 % 60).collect();
    // Whoever is free first takes the next.
    let mut free = [0; SLOTS];
    for nap in &naps {
        *free.iter_mut().min().unwrap() += nap;
    }
    let bound = Duration::from_millis(free.into_iter().max().unwrap());
    let serial = Duration::from_millis(naps.iter().sum());
    // Slots are started as they are needed: here they are there.
    cloud::map(nap, [100; SLOTS]).slots(SLOTS).wait().unwrap();
    let begun = Instant::now();
    cloud::map(nap, naps).slots(SLOTS).wait().unwrap();
    let wall = begun.elapsed();
    assert!(wall >= bound && wall < bound * 2, "{wall:?} with a bound of {bound:?}; serially {serial:?}");
}

#[test]
fn results_come_one_by_one_from_slow_chunks() {
    let _turn = my_turn();
    let begun = Instant::now();
    let nap = |_: u32| sleep(Duration::from_millis(150));
    let arrivals: Vec<_> = cloud::map(nap, 0..6).slots(1).iter().map(|_| begun.elapsed()).collect();
    for pair in arrivals.windows(2) {
        assert!(pair[1] - pair[0] > Duration::from_millis(75), "{arrivals:?}");
    }
}
