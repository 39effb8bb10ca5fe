//! The options of `mock`: bad days that can be rehearsed.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use cloud::{Backend, FailureKind, RunState};
use smol::block_on;

use crate::{
    place::{Place, double, doubles, nap, processes},
    support::{Notes, Recorder},
};

/// As a user writes it into their own tests.
#[test]
fn a_users_test_in_ci() {
    let place = Place::new();
    let folder = place.path();
    let backend =
        Backend::mock().at(folder).seed(7).start_delay(Duration::from_millis(20)).spot_kill_rate(0.1);
    let squares = cloud::map(|x: u64| x * x, 0..100).on(backend).wait().unwrap();
    assert_eq!(squares[99], 9801);
}

#[test]
fn workers_that_start_late() {
    let place = Place::new();
    let begun = Instant::now();
    let map = cloud::map(double, 0..20).on(place.mock().start_delay(Duration::from_millis(600))).slots(2);
    assert_eq!(map.wait().unwrap(), doubles(20));
    assert!(begun.elapsed() >= Duration::from_millis(300), "{:?}", begun.elapsed());
    // Beyond all patience of a user: cancelling does not wait for it.
    block_on(async {
        let later = place.mock().start_delay(Duration::from_secs(3600));
        let run = cloud::map(double, 0..20).on(later).start().await.unwrap();
        assert_eq!(run.status().await.unwrap().state, RunState::Running);
        assert_eq!(run.cancel().await.unwrap().state, RunState::Cancelled);
    });
}

#[test]
fn fewer_places_than_workers() {
    let place = Place::new();
    let f = |_: u32| {
        nap(5);
        processes()
    };
    let recorder = Recorder::default();
    let map = cloud::map(f, 0..40).on(place.mock().capacity(1)).slots(4).reporter(recorder.clone());
    let workers: BTreeSet<_> = map.wait().unwrap().into_iter().map(|(_, worker)| worker).collect();
    assert_eq!(workers.len(), 1, "while it works, no other fits in, and then nothing is left");
    // Without `.slots(..)`, as many workers as there is room for.
    let map = cloud::map(f, 0..40).on(place.mock().capacity(3)).reporter(recorder.clone());
    map.wait().unwrap();
    let started: Vec<_> = recorder.only("started").iter().map(|event| event["slots"].clone()).collect();
    assert_eq!(started, [4, 3]);
}

#[test]
fn one_call_a_second() {
    let place = Place::new();
    let mock = place.mock().throttle(1);
    assert_eq!(cloud::map(double, 0..50).on(mock.clone()).slots(2).wait().unwrap(), doubles(50));
    block_on(async {
        let run = cloud::map(nap, [60_000; 4]).on(mock).slots(2).start().await.unwrap();
        assert_eq!(run.cancel().await.unwrap().state, RunState::Cancelled);
    });
}

#[test]
fn workers_taken_back_now_and_then() {
    let place = Place::new();
    let f = |x: u32| {
        nap(25);
        double(x)
    };
    for seed in 0..3 {
        let map = cloud::map(f, 0..60).on(place.mock().seed(seed).spot_kill_rate(0.8)).slots(3);
        assert_eq!(map.wait().unwrap(), doubles(60), "seed {seed}");
    }
}

#[test]
fn workers_that_are_always_taken_back_end_the_run_with_a_reason() {
    let place = Place::new();
    // No worker lives so long: a second, and two more for those who are told before.
    // With this seed two die without a hint early on, which is the quick way; the long one is through all attempts and rounds.
    let map = cloud::map(nap, [3500]).on(place.mock().spot_kill_rate(1.0).seed(3)).slots(1);
    let outcomes = map.outcomes().wait().unwrap();
    assert_eq!(outcomes.len(), 1);
    for (x, outcome) in outcomes.into_iter().enumerate() {
        let failure = outcome.unwrap_err();
        assert_eq!((failure.chunk, &failure.kind), (x, &FailureKind::Lost), "{failure}");
        let reasons = ["Host EC2", "Spot", "told to stop", "without a word", "died while"];
        assert!(reasons.iter().any(|reason| failure.message.contains(reason)), "{failure}");
    }
}

#[test]
fn what_no_attempt_has_done_is_repaired_by_whoever_attaches() {
    let place = Place::new();
    let (notes, _folder) = Notes::new();
    let f = |notes: &Notes, x: u32| {
        notes.add("begun");
        if notes.count("calm") == 0 {
            nap(1100);
        }
        x
    };
    block_on(async {
        // No worker outlives a chunk, and there are more chunks than attempts.
        let mock = place.mock().spot_kill_rate(1.0).seed(1);
        let map = cloud::map_with(notes.clone(), f, 0..12).on(mock).slots(1);
        let id = map.start().await.unwrap().detach();
        // Five attempts of a second each, at most.
        nap(6000);
        let begun = notes.count("begun");
        notes.add("calm");
        let run = place.attach::<u32>(id).await.unwrap();
        let status = run.status().await.unwrap();
        assert_eq!(status.state, RunState::Unattended, "{status:?}");
        assert!(begun > 0 && status.blocks_done < status.blocks, "{status:?}");
        let outcomes = run.outcomes().await.unwrap();
        assert_eq!(outcomes.len(), 12);
        let lost = outcomes.iter().filter(|outcome| outcome.is_err()).count();
        assert!(lost < 4, "{lost} are lost");
        for (x, outcome) in (0..).zip(outcomes) {
            match outcome {
                Ok(value) => assert_eq!(value, x),
                Err(failure) => assert_eq!(failure.kind, FailureKind::Lost, "{failure}"),
            }
        }
        assert_eq!(place.status::<u32>(id).await.state, RunState::Complete);
    });
}
