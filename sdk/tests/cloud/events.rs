//! What a run on the cloud path tells its reporter.

use std::{sync::mpsc, time::Duration};

use cloud::{Event, Summary};
use smol::block_on;

use crate::{
    place::{Place, nap},
    support::Recorder,
};

fn ten_to_one_fails(x: u32) -> u32 {
    nap(4);
    assert!(!x.is_multiple_of(10), "{x} ends in 0");
    x
}

#[test]
fn start_progress_failures_and_end() {
    let place = Place::new();
    let recorder = Recorder::default();
    let map = cloud::map(ten_to_one_fails, 0..100).on(place.mock()).slots(2).label("tens");
    map.reporter(recorder.clone()).outcomes().wait().unwrap();
    let events = recorder.events();
    let kinds: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!((kinds[0], *kinds.last().unwrap()), ("started", "finished"), "{kinds:?}");
    let started = &events[0];
    assert_eq!((&started["label"], &started["backend"]), (&"tens".into(), &"mock".into()));
    assert_eq!((&started["chunks"], &started["slots"]), (&100.into(), &2.into()));

    let progress = recorder.only("progress");
    assert!((1..=40).contains(&progress.len()), "{kinds:?}");
    let done: Vec<_> = progress.iter().map(|event| event["done"].as_u64().unwrap()).collect();
    assert!(done.is_sorted() && *done.last().unwrap() <= 100, "{done:?}");
    assert!(progress.iter().all(|event| event["chunks"] == 100));

    let mut failed: Vec<_> = recorder
        .only("chunk_failed")
        .iter()
        .map(|event| event["failure"]["chunk"].as_u64().unwrap())
        .collect();
    failed.sort_unstable();
    assert!(failed.into_iter().eq((0..100).step_by(10)));
    let summary = &events.last().unwrap()["summary"];
    assert_eq!((&summary["chunks"], &summary["failed"]), (&100.into(), &10.into()));
}

#[test]
fn the_summary_counts() {
    let place = Place::new();
    let (send, receive) = mpsc::channel::<Summary>();
    let reporter = move |event: &Event<'_>| {
        if let Event::Finished { summary } = event {
            send.send((*summary).clone()).unwrap();
        }
    };
    let f = |text: String| {
        nap(20);
        text + "!"
    };
    // A text of nine bytes takes ten.
    let map = cloud::map(f, vec!["123456789".to_string(); 20]).on(place.mock()).slots(2).reporter(reporter);
    map.wait().unwrap();
    let summary = receive.recv().unwrap();
    assert!(receive.recv().is_err(), "it finished twice");
    assert_eq!((summary.chunks, summary.failed, summary.slots.len()), (20, 0, 2), "{summary:?}");
    assert_eq!((summary.bytes_in, summary.bytes_back), (200, 220));
    assert_eq!(summary.slots.iter().map(|slot| slot.chunks).sum::<usize>(), 20);
    let busy: Duration = summary.slots.iter().map(|slot| slot.busy).sum();
    assert!(busy >= Duration::from_millis(400), "{summary:?}");
    assert!(summary.slots.iter().all(|slot| slot.chunks > 0 && slot.busy <= summary.elapsed), "{summary:?}");
}

#[test]
fn a_started_run_is_told_of_by_whoever_takes_its_outcomes() {
    let place = Place::new();
    let recorder = Recorder::default();
    block_on(async {
        let map = cloud::map(nap, vec![1; 30]).on(place.mock()).slots(2).reporter(recorder.clone());
        let run = map.start().await.unwrap();
        assert_eq!((recorder.only("started").len(), recorder.only("finished").len()), (1, 0));
        assert_eq!(run.results().await.unwrap(), vec![1; 30]);
    });
    let finished = recorder.only("finished");
    assert_eq!(finished.len(), 1);
    assert_eq!(finished[0]["summary"]["chunks"], 30);
}

#[test]
fn progress_is_told_while_a_long_chunk_runs() {
    let place = Place::new();
    for blocking in [true, false] {
        let recorder = Recorder::default();
        let map = cloud::map(nap, [800]).on(place.mock()).reporter(recorder.clone());
        if blocking {
            map.wait().unwrap();
        } else {
            block_on(map.into_future()).unwrap();
        }
        let early = recorder.only("progress").iter().filter(|event| event["done"] == 0).count();
        assert!((2..=20).contains(&early), "{early} times in 800 ms, blocking: {blocking}");
    }
}

#[test]
fn a_run_that_fails_fast_finishes_too() {
    let place = Place::new();
    let recorder = Recorder::default();
    let f = |x: u32| if x == 3 { panic!("three") } else { x };
    let map = cloud::map(f, 0..100).on(place.mock()).fail_fast().reporter(recorder.clone());
    assert!(map.wait().is_err());
    let finished = recorder.only("finished");
    assert_eq!(finished.len(), 1);
    assert_eq!(finished[0]["summary"]["failed"], 1);
}
