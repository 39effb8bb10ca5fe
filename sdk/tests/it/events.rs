//! What a run tells its reporter.

use std::{process::exit, thread::sleep, time::Duration};

use cloud::{Event, Summary};
use serde_json::Value;

use crate::support::Recorder;

/// Runs `map` and gives its events; their frame is checked here.
fn events<S: cloud::Source<Item: cloud::Wire>, T: cloud::Wire>(map: cloud::Map<S, T>) -> Vec<Value> {
    let recorder = Recorder::default();
    futures::executor::block_on(map.reporter(recorder.clone()).outcomes().into_future()).unwrap();
    let events = recorder.events();
    let kinds: Vec<_> = events.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!((kinds[0], *kinds.last().unwrap()), ("started", "finished"), "{kinds:?}");
    assert!(
        kinds[1..kinds.len() - 1].iter().all(|kind| ["progress", "chunk_failed"].contains(kind)),
        "{kinds:?}"
    );
    events
}

fn ten_to_one_fails(x: u32) -> u32 {
    sleep(Duration::from_millis(5));
    assert!(!x.is_multiple_of(10), "{x} ends in 0");
    x
}

#[test]
fn a_run_tells_its_start_its_progress_its_failures_and_its_end() {
    let events = events(cloud::map(ten_to_one_fails, 0..100).slots(2).label("tens"));
    let started = &events[0];
    assert_eq!((&started["label"], &started["backend"]), (&"tens".into(), &"local".into()));
    assert_eq!((&started["chunks"], &started["slots"]), (&100.into(), &2.into()));

    let progress: Vec<_> = events.iter().filter(|event| event["event"] == "progress").collect();
    assert!(!progress.is_empty(), "a run of a quarter of a second tells its progress");
    assert!(progress.len() <= 20, "{} times is too often", progress.len());
    assert!(progress.iter().all(|event| event["chunks"] == 100));
    let done: Vec<_> = progress.iter().map(|event| event["done"].as_u64().unwrap()).collect();
    assert!(done.is_sorted() && *done.last().unwrap() <= 100, "{done:?}");

    let mut failed: Vec<_> = events
        .iter()
        .filter(|event| event["event"] == "chunk_failed")
        .map(|event| &event["failure"])
        .collect();
    failed.sort_by_key(|failure| failure["chunk"].as_u64());
    assert_eq!(failed.len(), 10);
    for (ten, failure) in failed.into_iter().enumerate() {
        assert_eq!(failure["chunk"], ten * 10);
        assert_eq!(failure["message"], format!("{} ends in 0", ten * 10));
    }

    let summary = &events.last().unwrap()["summary"];
    assert_eq!(
        (&summary["label"], &summary["chunks"], &summary["failed"]),
        (&"tens".into(), &100.into(), &10.into())
    );
}

#[test]
fn progress_is_told_in_every_form() {
    let told = |run: &dyn Fn(Recorder)| {
        let recorder = Recorder::default();
        run(recorder.clone());
        recorder.only("progress").len()
    };
    let map =
        |recorder| cloud::map(|_: u32| sleep(Duration::from_millis(4)), 0..100).slots(1).reporter(recorder);
    let awaited = told(&|recorder| drop(futures::executor::block_on(map(recorder).into_future()).unwrap()));
    let blocking = told(&|recorder| drop(map(recorder).wait().unwrap()));
    let iterated = told(&|recorder| map(recorder).iter().for_each(|value| value.unwrap().unwrap().1));
    let inline = told(&|recorder| drop(map(recorder).on(cloud::Backend::Inline).slots(1).wait().unwrap()));
    assert!(
        [awaited, blocking, iterated, inline].iter().all(|times| (1..=20).contains(times)),
        "awaited {awaited}, blocking {blocking}, iterated {iterated}, inline {inline} times in 400 ms"
    );
}

#[test]
fn progress_is_told_while_a_long_chunk_runs() {
    let nap = |_: u32| sleep(Duration::from_millis(600));
    for blocking in [true, false] {
        let recorder = Recorder::default();
        let map = cloud::map(nap, [0]).reporter(recorder.clone());
        if blocking {
            map.wait().unwrap();
        } else {
            futures::executor::block_on(map.into_future()).unwrap();
        }
        let early = recorder.only("progress").iter().filter(|event| event["done"] == 0).count();
        assert!((2..=10).contains(&early), "{early} times in 600 ms, blocking: {blocking}");
    }
}

/// The summary of a run as Rust sees it.
fn summary<S: cloud::Source<Item: cloud::Wire>, T: cloud::Wire>(map: cloud::Map<S, T>) -> Summary {
    let (send, receive) = std::sync::mpsc::channel();
    let reporter = move |event: &Event<'_>| {
        if let Event::Finished { summary } = event {
            send.send((*summary).clone()).unwrap();
        }
    };
    futures::executor::block_on(map.reporter(reporter).outcomes().into_future()).unwrap();
    let summary = receive.recv().unwrap();
    assert!(receive.recv().is_err(), "it finished twice");
    summary
}

#[test]
fn the_summary_says_what_each_slot_did() {
    let nap = |_: u32| sleep(Duration::from_millis(20));
    let summary = summary(cloud::map(nap, 0..20).slots(2));
    assert_eq!((summary.chunks, summary.failed, summary.slots.len()), (20, 0, 2));
    assert_eq!(summary.slots.iter().map(|slot| slot.chunks).sum::<usize>(), 20);
    assert!(summary.slots.iter().all(|slot| slot.chunks > 0 && slot.restarts == 0), "{summary:?}");
    let busy: Duration = summary.slots.iter().map(|slot| slot.busy).sum();
    assert!(busy >= Duration::from_millis(400), "{summary:?}");
    assert!(summary.slots.iter().all(|slot| slot.busy <= summary.elapsed), "{summary:?}");
    let processor: Duration = summary.slots.iter().map(|slot| slot.processor).sum();
    assert!(processor < busy, "naps take no processor time: {summary:?}");
    assert!(summary.elapsed >= Duration::from_millis(200), "{summary:?}");
}

#[test]
fn processor_time_is_counted_over_all_threads_of_a_slot() {
    let f = |_: u32| {
        let burn = || {
            let begun = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
            let spent = |now: rustix::time::Timespec| {
                (now.tv_sec - begun.tv_sec) * 1000 + (now.tv_nsec - begun.tv_nsec) / 1_000_000
            };
            while spent(rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime)) < 100 {}
        };
        std::thread::scope(|scope| {
            scope.spawn(burn);
            scope.spawn(burn);
        });
    };
    let summary = summary(cloud::map(f, 0..2).slots(1));
    assert!(summary.slots[0].processor >= Duration::from_millis(400), "{summary:?}");
}

#[test]
fn the_summary_counts_encoded_bytes() {
    // A text of nine bytes takes ten.
    let summary_of_texts =
        summary(cloud::map(|text: String| text + "!", vec!["123456789".to_string(); 100]).slots(2));
    assert_eq!((summary_of_texts.bytes_in, summary_of_texts.bytes_back), (1000, 1100));
}

#[test]
fn restarts_and_failed_attempts_are_counted() {
    let f = |x: u32| match x {
        3 => exit(1),
        5 => panic!("five"),
        _ => x,
    };
    let summary = summary(cloud::map(f, 0..10).slots(1).retries(2));
    assert_eq!((summary.chunks, summary.failed), (10, 2));
    assert_eq!(summary.slots[0].restarts, 3);
    // Eight values, and three panics; the exits left no result.
    assert!(summary.slots[0].chunks >= 11, "{summary:?}");
}

#[test]
fn a_run_that_fails_fast_finishes_too() {
    let recorder = Recorder::default();
    let f = |x: u32| if x == 3 { panic!("three") } else { x };
    assert!(cloud::map(f, 0..1000).fail_fast().reporter(recorder.clone()).wait().is_err());
    let finished = recorder.only("finished");
    assert_eq!(finished.len(), 1);
    assert_eq!(finished[0]["summary"]["failed"], 1);
}
