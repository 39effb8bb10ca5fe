//! Dropping a run ends it.

use std::{thread::sleep, time::Duration};

use futures::{FutureExt, executor::block_on};

use crate::support::{Notes, all_gone_within, within};

/// Notes its process if it is going to sleep, for as many seconds as it is told.
fn nap(notes: &Notes, seconds: u64) -> u64 {
    if seconds > 0 {
        notes.add(std::process::id());
        sleep(Duration::from_secs(seconds));
    }
    seconds
}

fn assert_all_end_soon(notes: &Notes) {
    let asleep = notes.processes();
    assert!(all_gone_within(Duration::from_secs(5), &asleep), "{asleep:?} live on");
}

fn assert_maps_work() {
    assert_eq!(cloud::map(|x: u32| x + 1, 0..100).wait().unwrap(), (1..=100).collect::<Vec<_>>());
}

#[test]
fn a_dropped_iterator_ends_slots_that_are_inside_a_chunk() {
    let (notes, _folder) = Notes::new();
    let mut values = cloud::map_with(notes.clone(), nap, [0, 100, 100]).slots(2).iter();
    assert_eq!(values.next().unwrap().unwrap().unwrap(), (0, 0));
    assert!(within(Duration::from_secs(20), || !notes.processes().is_empty()));
    drop(values);
    assert_all_end_soon(&notes);
    assert_maps_work();
}

#[test]
fn a_dropped_stream_ends_slots_that_are_inside_a_chunk() {
    let (notes, _folder) = Notes::new();
    let mut values = cloud::map_with(notes.clone(), nap, [100; 10]).slots(2).stream();
    assert!(within(Duration::from_secs(20), || {
        assert!(values.next().now_or_never().is_none(), "nobody woke up yet");
        notes.processes().len() == 2
    }));
    drop(values);
    assert_all_end_soon(&notes);
    assert_maps_work();
}

#[tokio::test]
async fn a_future_that_loses_a_race_ends_them_too() {
    let (notes, _folder) = Notes::new();
    let map = cloud::map_with(notes.clone(), nap, [100; 10]).slots(2);
    let begun = async {
        while notes.processes().len() < 2 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::select! {
        _ = map.into_future() => panic!("it slept for 100 s"),
        () = begun => {}
    }
    assert_all_end_soon(&notes);
    assert_maps_work();
}

#[test]
fn fail_fast_ends_those_that_are_asleep() {
    let (notes, _folder) = Notes::new();
    let f = |notes: &Notes, x: u64| {
        if x == 1 {
            // Not before the other one is asleep.
            assert!(within(Duration::from_secs(20), || !notes.processes().is_empty()));
            panic!("enough");
        }
        nap(notes, 100)
    };
    let error = cloud::map_with(notes.clone(), f, [0, 1]).slots(2).fail_fast().wait().unwrap_err();
    assert!(error.to_string().contains("enough"), "{error}");
    assert_all_end_soon(&notes);
    assert_maps_work();
}

#[test]
fn next_can_be_dropped_half_way_and_nothing_is_lost() {
    let f = |x: u32| {
        sleep(Duration::from_millis(3));
        x
    };
    let mut values = cloud::map(f, 0..50).slots(2).stream();
    let mut seen = Vec::new();
    loop {
        // A first look that is given up at once, then one that waits.
        let value = match values.next().now_or_never() {
            Some(value) => value,
            None => block_on(values.next()),
        };
        match value {
            Some(value) => seen.push(value.unwrap().unwrap().1),
            None => break,
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..50).collect::<Vec<_>>());
}

#[test]
fn a_run_that_nobody_polls_harms_no_other() {
    let mut idle = cloud::map(|x: u32| x, 0..1000).slots(2).iter();
    assert!(idle.next().is_some());
    assert_maps_work();
    assert_eq!(idle.count(), 999);
}
