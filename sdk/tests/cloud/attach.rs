//! Attaching to runs in the same process.

use std::time::Duration;

use cloud::{Error, Run, RunState};
use smol::block_on;

use crate::{
    place::{Place, double, doubles, nap},
    support::{Notes, Recorder},
};

fn slow_double(x: u32) -> u32 {
    nap(2);
    double(x)
}

#[test]
fn a_detached_run_completes_by_itself() {
    let place = Place::new();
    block_on(async {
        let run = cloud::map(slow_double, 0..100).on(place.mock()).slots(2).start().await.unwrap();
        let id = run.id();
        assert_eq!(run.detach(), id);
        let status = place.reaches::<u32>(id, |state| *state == RunState::Complete).await;
        assert_eq!(status.blocks_done, status.blocks);
        for _ in 0..2 {
            assert_eq!(place.attach::<u32>(id).await.unwrap().results().await.unwrap(), doubles(100));
        }
        let outcomes = place.attach::<u32>(id).await.unwrap().outcomes().await.unwrap();
        assert!(outcomes.into_iter().map(Result::unwrap).eq(doubles(100)));
    });
}

#[test]
fn two_attach_at_once_and_both_get_everything() {
    let place = Place::new();
    let (notes, _folder) = Notes::new();
    let f = |notes: &Notes, x: u32| {
        notes.add(x);
        slow_double(x)
    };
    block_on(async {
        let map = cloud::map_with(notes.clone(), f, 0..150).on(place.mock()).slots(2);
        let first = map.start().await.unwrap();
        let second = place.attach::<u32>(first.id()).await.unwrap();
        let third = place.attach::<u32>(first.id()).await.unwrap();
        let streamed = async {
            let mut values = third.stream().ordered();
            let mut all = Vec::new();
            while let Some(value) = values.next().await {
                all.push(value.unwrap().unwrap().1);
            }
            all
        };
        let (first, second, third) = futures::join!(first.results(), second.results(), streamed);
        assert_eq!((first.unwrap(), second.unwrap(), third), (doubles(150), doubles(150), doubles(150)));
    });
    assert!((0..150).all(|x| notes.count(x) == 1), "a chunk was run twice");
}

#[test]
fn a_run_is_told_of_after_attaching_too() {
    let Some(rerun) = crate::support::Rerun::of(a_run_is_told_of_after_attaching_too) else {
        let place = Place::new();
        block_on(async {
            let id = cloud::map(slow_double, 0..50).on(place.mock()).start().await.unwrap().detach();
            assert_eq!(place.attach::<u32>(id).await.unwrap().results().await.unwrap(), doubles(50));
        });
        return;
    };
    let said = rerun.env("CLOUD_PROGRESS", "json").output();
    let kinds: Vec<String> = said
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .map(|event| event["event"].as_str().unwrap().to_string())
        .filter(|kind| kind != "progress")
        .collect();
    assert_eq!(kinds, ["started", "submitted", "started", "submitted", "finished"]);
}

#[test]
fn what_cannot_be_attached_to_is_named() {
    let place = Place::new();
    block_on(async {
        let id = cloud::map(double, 0..5).on(place.mock()).start().await.unwrap().detach();
        let error = place.attach::<u64>(id).await.unwrap_err();
        assert!(
            matches!(&error, Error::OtherOutput { run, stored, asked: "u64" } if *run == id && stored == "u32")
        );
        assert_eq!(error.to_string(), format!("run `{id}` gives values of type `u32`, not `u64`"));
        // It has done no harm.
        assert_eq!(place.attach::<u32>(id).await.unwrap().results().await.unwrap(), doubles(5));

        let error = Place::new().attach::<u32>(id).await.unwrap_err();
        assert!(matches!(error, Error::NoRun { run } if run == id), "{error}");
    });
    for text in ["", "x", "01ARZ3NDEKTSV4RRFFQ69G5FAVA", "../../etc/passwd", "01arz3ndektsv4rrffq69g5fau!"] {
        let error = text.parse::<cloud::RunId>().unwrap_err();
        assert!(error.to_string().contains("is no run"), "{error}");
    }
}

#[test]
fn an_attached_run_that_is_dropped_goes_on() {
    let place = Place::new();
    block_on(async {
        let id = cloud::map(nap, vec![100; 10]).on(place.mock()).slots(2).start().await.unwrap().detach();
        drop(place.attach::<u64>(id).await.unwrap());
        place.reaches::<u64>(id, |state| *state == RunState::Complete).await;

        let id = cloud::map(double, 0..5).on(place.mock()).start().await.unwrap().detach();
        place.reaches::<u32>(id, |state| *state == RunState::Complete).await;
        drop(place.attach::<u32>(id).await.unwrap());
        assert_eq!(place.status::<u32>(id).await.state, RunState::Complete);
        assert_eq!(place.attach::<u32>(id).await.unwrap().results().await.unwrap(), doubles(5));
    });
}

#[test]
fn in_memory_runs_are_found_by_clones() {
    let mock = cloud::Backend::mock().in_memory();
    block_on(async {
        let run = cloud::map(slow_double, 0..50).on(mock.clone()).slots(2).start().await.unwrap();
        let id = run.detach();
        assert_eq!(cloud::runs_on(mock.clone()).await.unwrap(), [id]);
        let run = Run::<u32>::attach_on(mock.clone(), id).await.unwrap();
        assert_eq!(run.results().await.unwrap(), doubles(50));
        let other = cloud::Backend::mock().in_memory();
        assert!(matches!(Run::<u32>::attach_on(other, id).await, Err(Error::NoRun { .. })));
        let run = cloud::map(nap, [60_000; 4]).on(mock.clone()).slots(2).start().await.unwrap();
        smol::Timer::after(Duration::from_millis(50)).await;
        assert_eq!(run.cancel().await.unwrap().state, RunState::Cancelled);
    });
    let recorder = Recorder::default();
    let map = cloud::map(double, 0..50).on(mock).slots(2).reporter(recorder.clone());
    assert_eq!(map.wait().unwrap(), doubles(50));
    assert_eq!(recorder.only("finished").len(), 1);
}
