//! Cancelled and dropped runs leave nothing running, and what was done can be had.

use std::{path::Path, time::Duration};

use cloud::{FailureKind, RunState};
use futures::{FutureExt, StreamExt, stream};
use smol::{Timer, block_on};

use crate::{
    place::{PATIENCE, Place, assert_gone, double, doubles, nap, processes},
    support::{Notes, within},
};

/// Notes its slot and its worker, and sleeps for as many seconds as it is told.
fn asleep(notes: &Notes, seconds: u64) -> u64 {
    if seconds > 0 {
        let (slot, worker) = processes();
        notes.add(slot);
        notes.add(worker);
        nap(seconds * 1000);
    }
    seconds
}

async fn until(holds: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "it never came to that");
        Timer::after(Duration::from_millis(3)).await;
    }
}

/// Quick chunks, then more than enough that are asleep. A worker in its first long chunk has claimed little ahead.
fn some_asleep() -> impl ExactSizeIterator<Item = u64> {
    (0..20).map(|x| if x < 5 { 0 } else { 100 })
}

/// Two slots and their workers.
fn all_asleep(notes: &Notes) -> bool {
    notes.processes().len() == 4
}

#[test]
fn a_cancelled_run_ends_its_processes_and_keeps_what_is_done() {
    let place = Place::new();
    let (notes, _folder) = Notes::new();
    block_on(async {
        let map = cloud::map_with(notes.clone(), asleep, some_asleep()).on(place.mock()).slots(2);
        let run = map.start().await.unwrap();
        let id = run.id();
        until(|| all_asleep(&notes)).await;
        let begun = std::time::Instant::now();
        let status = run.cancel().await.unwrap();
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
        assert_eq!(status.state, RunState::Cancelled);
        assert!(status.blocks_done > 0 && status.blocks_done < status.blocks, "{status:?}");
        assert_gone(&notes.processes());

        assert_eq!(place.status::<u64>(id).await, status);
        for _ in 0..2 {
            let outcomes = place.attach::<u64>(id).await.unwrap().outcomes().await.unwrap();
            assert_eq!(outcomes.len(), 20);
            let mut done = 0;
            for (x, outcome) in outcomes.into_iter().enumerate() {
                match outcome {
                    Ok(value) => {
                        assert!(x < 5 && value == 0);
                        done += 1;
                    }
                    Err(failure) => {
                        assert_eq!((failure.chunk, failure.attempt, failure.slot), (x, 0, None));
                        assert_eq!(failure.kind, FailureKind::Cancelled);
                    }
                }
            }
            assert!((1..=5).contains(&done), "{done} were done");
        }
        // It stays cancelled.
        assert_eq!(place.attach::<u64>(id).await.unwrap().cancel().await.unwrap().state, RunState::Cancelled);
    });
}

#[test]
fn another_client_cancels_and_who_waits_is_told() {
    let place = Place::new();
    let (notes, _folder) = Notes::new();
    block_on(async {
        let map = cloud::map_with(notes.clone(), asleep, some_asleep()).on(place.mock()).slots(2);
        let run = map.start().await.unwrap();
        let id = run.id();
        let cancel = async {
            until(|| all_asleep(&notes)).await;
            place.attach::<u64>(id).await.unwrap().cancel().await.unwrap()
        };
        let (outcomes, status) = futures::join!(run.outcomes(), cancel);
        assert_eq!(status.state, RunState::Cancelled);
        let outcomes = outcomes.unwrap();
        assert_eq!(outcomes.len(), 20);
        assert!(outcomes.iter().any(|outcome| {
            outcome.as_ref().is_err_and(|failure| failure.kind == FailureKind::Cancelled)
        }));
        assert_gone(&notes.processes());
        // Nobody has repaired what was ended on purpose.
        let rounds = place.path().join(format!("runs/{id}/rounds"));
        assert_eq!(std::fs::read_dir(rounds).unwrap().count(), 1);
    });
}

#[test]
fn a_run_that_is_complete_cannot_be_cancelled_any_more() {
    let place = Place::new();
    block_on(async {
        let id = cloud::map(double, 0..9).on(place.mock()).start().await.unwrap().detach();
        place.reaches::<u32>(id, |state| *state == RunState::Complete).await;
        let status = place.attach::<u32>(id).await.unwrap().cancel().await.unwrap();
        assert_eq!(status.state, RunState::Complete);
        assert_eq!(place.attach::<u32>(id).await.unwrap().results().await.unwrap(), doubles(9));
    });
}

#[test]
fn a_dropped_handle_ends_its_run() {
    let place = Place::new();
    let (notes, _folder) = Notes::new();
    block_on(async {
        let map = cloud::map_with(notes.clone(), asleep, [100; 8]).on(place.mock()).slots(2);
        let run = map.start().await.unwrap();
        let id = run.id();
        until(|| all_asleep(&notes)).await;
        drop(run);
        assert_gone(&notes.processes());
        place.reaches::<u64>(id, |state| *state == RunState::Cancelled).await;
    });
}

#[test]
fn a_dropped_future_stream_or_iterator_ends_its_run() {
    let place = Place::new();
    let (notes, _folder) = Notes::new();
    let map = || cloud::map_with(notes.clone(), asleep, some_asleep()).on(place.mock()).slots(2);
    block_on(async {
        futures::select! {
            _ = map().into_future().fuse() => panic!("it slept for 100 s"),
            () = until(|| all_asleep(&notes)).fuse() => {}
        }
    });
    assert_gone(&notes.processes());

    let mut values = map().stream();
    assert!(within(PATIENCE, || {
        let _ = values.next().now_or_never();
        notes.processes().len() == 8
    }));
    drop(values);
    assert_gone(&notes.processes());

    let mut values = map().iter();
    assert_eq!(values.next().unwrap().unwrap().unwrap().1, 0);
    assert!(within(PATIENCE, || notes.processes().len() == 12));
    drop(values);
    assert_gone(&notes.processes());

    let ids = block_on(cloud::runs_on(place.mock())).unwrap();
    assert_eq!(ids.len(), 3);
    for id in ids {
        block_on(place.reaches::<u64>(id, |state| *state == RunState::Cancelled));
    }
}

#[test]
fn failing_fast_ends_those_that_are_asleep() {
    let place = Place::new();
    let (notes, _folder) = Notes::new();
    let f = |notes: &Notes, seconds: u64| {
        if seconds == 1 {
            // Not before the other one is asleep.
            assert!(within(PATIENCE, || notes.processes().len() == 2));
            panic!("enough");
        }
        asleep(notes, seconds)
    };
    let map = cloud::map_with(notes.clone(), f, [100, 1]).on(place.mock()).slots(2).fail_fast();
    assert!(map.wait().unwrap_err().to_string().contains("enough"));
    assert_gone(&notes.processes());
}

fn jobs(place: &Path) -> usize {
    std::fs::read_dir(place.join("batch/batch/jobs")).map_or(0, Iterator::count)
}

#[test]
fn dropped_before_its_inputs_are_complete_it_leaves_no_run() {
    let place = Place::new();
    let (notes, _folder) = Notes::new();
    let begin = |notes: &Notes, text: String| {
        notes.add("begun");
        text.len()
    };
    // More than fits into a part, so that something is stored.
    let large = stream::iter((0..40).map(|_| "x".repeat(1 << 20)));
    let endless = large.chain(stream::pending());
    block_on(async {
        let map = cloud::map_with(notes.clone(), begin, endless).on(place.mock());
        futures::select! {
            _ = map.into_future().fuse() => panic!("it has no end"),
            () = until(|| place.path().join("runs").is_dir()).fuse() => {}
        }
        Timer::after(Duration::from_millis(200)).await;
        assert_eq!(cloud::runs_on(place.mock()).await.unwrap(), []);

        let never = cloud::map_with(notes.clone(), begin, stream::pending()).on(place.mock());
        futures::select! {
            _ = never.start().fuse() => panic!("it has no end"),
            _ = FutureExt::fuse(Timer::after(Duration::from_millis(200))) => {}
        }
        assert_eq!(cloud::runs_on(place.mock()).await.unwrap(), []);
    });
    assert_eq!((notes.count("begun"), jobs(place.path())), (0, 0));
}
