//! `.retries(n)`: who is tried again, how often, and who is not.

use std::{process::exit, time::Duration};

use cloud::FailureKind;

use crate::support::Notes;

#[test]
fn a_chunk_that_fails_once_then_succeeds_has_attempt_2() {
    let (notes, _folder) = Notes::new();
    let f = |notes: &Notes, x: u32| {
        notes.add(x);
        assert!(x != 7 || notes.count(x) > 1, "not at first");
        x * 2
    };
    for outcome in blocking(cloud::map_with(notes, f, 0..20).retries(1).details()) {
        assert_eq!(outcome.result.unwrap(), outcome.index as u32 * 2);
        assert_eq!(outcome.attempt, if outcome.index == 7 { 2 } else { 1 });
        assert!(outcome.slot.is_some());
    }
}

/// The outcomes of a run, all there.
fn blocking<S: cloud::Source<Item: cloud::Wire>, T: cloud::Wire>(
    details: cloud::Details<S, T>,
) -> Vec<cloud::Outcome<T>> {
    use futures::TryStreamExt;
    futures::executor::block_on(details.try_collect()).unwrap()
}

/// Ways for a chunk to fail.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
enum Way {
    Panic,
    Err,
    Exit,
    Abort,
    Hang,
}

const WAYS: [Way; 5] = [Way::Panic, Way::Err, Way::Exit, Way::Abort, Way::Hang];

/// Fails on chunk 25, and takes note of every visit there.
fn fails((notes, way): &(Notes, Way), x: u32) -> Result<u32, String> {
    if x != 25 {
        return Ok(x * 2);
    }
    notes.add("visits");
    match way {
        Way::Panic => panic!("again"),
        Way::Err => Err("again".to_string()),
        Way::Exit => exit(5),
        Way::Abort => std::process::abort(),
        Way::Hang => loop {
            std::thread::sleep(Duration::from_secs(1));
        },
    }
}

/// Runs 50 chunks of which one fails in this way, with so many retries; its attempts must be one more.
fn assert_attempts(way: Way, retries: Option<u32>) {
    let (notes, _folder) = Notes::new();
    let mut map = cloud::try_map_with((notes.clone(), way), fails, 0..50).timeout(Duration::from_millis(300));
    if let Some(retries) = retries {
        map = map.retries(retries);
    }
    let attempts = retries.unwrap_or(0) + 1;
    let outcomes = blocking(map.details());
    assert_eq!(outcomes.len(), 50);
    for outcome in outcomes {
        match outcome.result {
            Ok(value) => assert_eq!((value, outcome.attempt), (outcome.index as u32 * 2, 1)),
            Err(failure) => {
                assert_eq!(
                    (outcome.index, outcome.attempt, failure.attempt),
                    (25, attempts, attempts),
                    "{failure}"
                );
                assert_eq!(
                    failure.to_string().ends_with(&format!("(attempt {attempts})")),
                    attempts > 1,
                    "{failure}"
                );
            }
        }
    }
    assert_eq!(notes.count("visits"), attempts as usize, "{way:?}");
}

#[test]
fn every_way_to_fail_is_tried_again_as_often_as_asked_and_no_more() {
    for way in WAYS {
        assert_attempts(way, Some(2));
    }
}

#[test]
fn without_retries_nothing_is_begun_twice() {
    for way in WAYS {
        assert_attempts(way, None);
    }
}

#[test]
fn chunks_queued_behind_a_culprit_lose_no_attempt() {
    let (notes, _folder) = Notes::new();
    let f = |notes: &Notes, x: u32| {
        if x == 500 {
            notes.add("culprit");
            exit(1);
        }
        x * 2
    };
    for slots in [1, 2] {
        let map = cloud::map_with(notes.clone(), f, 0..1000).slots(slots).retries(3);
        let outcomes = blocking(map.details());
        assert_eq!(outcomes.len(), 1000);
        for outcome in outcomes {
            if outcome.index == 500 {
                assert_eq!(outcome.result.unwrap_err().kind, FailureKind::Exit { code: 1 });
                assert_eq!(outcome.attempt, 4);
            } else {
                assert_eq!(outcome.result.unwrap(), outcome.index as u32 * 2);
                assert_eq!(outcome.attempt, 1, "chunk {} was only near the culprit", outcome.index);
            }
        }
    }
    assert_eq!(notes.count("culprit"), 2 * 4);
}

#[test]
fn a_run_of_retries_ends_with_the_value_when_luck_turns() {
    let (notes, _folder) = Notes::new();
    // Every chunk kills its slot at its first two attempts.
    let f = |notes: &Notes, x: u32| {
        notes.add(x);
        if notes.count(x) < 3 {
            exit(1);
        }
        x
    };
    let map = cloud::map_with(notes.clone(), f, 0..10).retries(2);
    for outcome in blocking(map.details()) {
        assert_eq!(outcome.result.as_ref().unwrap(), &(outcome.index as u32));
        // A chunk whose result died with its slot is run again, and that is no further attempt.
        assert!(outcome.attempt == 3 && notes.count(outcome.index) >= 3, "{outcome:?}");
    }
}
