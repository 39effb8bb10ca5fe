//! The chunk that ended its slot's process is blamed, however many lay ahead of the slot.

use std::{collections::BTreeSet, time::Duration};

use cloud::FailureKind;

use crate::support::{Notes, my_turn};

const CHUNKS: usize = 5000;

/// Triples its chunk, or aborts if it is one of the culprits.
fn triple(culprits: &BTreeSet<usize>, x: usize) -> usize {
    if culprits.contains(&x) {
        std::process::abort();
    }
    x * 3
}

fn assert_blames_exactly(culprits: &[usize], slots: usize) {
    let outcomes = cloud::map_with(BTreeSet::from_iter(culprits.iter().copied()), triple, 0..CHUNKS)
        .slots(slots)
        .outcomes()
        .wait()
        .unwrap();
    assert_eq!(outcomes.len(), CHUNKS);
    let mut blamed = Vec::new();
    for (x, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(value) => assert_eq!(value, x * 3),
            Err(failure) => {
                assert_eq!((&failure.kind, failure.chunk), (&FailureKind::Abort, x));
                blamed.push(x);
            }
        }
    }
    assert_eq!(blamed, culprits, "on {slots} slots");
}

/// Twenty of them, from the very first chunk to the very last.
fn positions() -> impl Iterator<Item = usize> {
    (0..20).map(|step| step * (CHUNKS - 1) / 19)
}

#[test]
fn one_that_aborts_among_thousands_is_blamed_wherever_it_is() {
    let _turn = my_turn();
    for slots in 1..=3 {
        for culprit in positions() {
            assert_blames_exactly(&[culprit], slots);
        }
    }
}

#[test]
fn many_that_abort_in_one_run_are_blamed_each() {
    let _turn = my_turn();
    let culprits: Vec<_> = positions().collect();
    for slots in 1..=3 {
        assert_blames_exactly(&culprits, slots);
    }
}

#[test]
fn neighbours_that_abort_are_blamed_each() {
    for slots in 1..=3 {
        assert_blames_exactly(&[0, 1, 2, 2500, 2501, 2502, CHUNKS - 2, CHUNKS - 1], slots);
    }
}

#[test]
fn one_that_hangs_among_thousands_is_the_one_that_times_out() {
    let _turn = my_turn();
    let limit = Duration::from_millis(300);
    for slots in 1..=2 {
        for culprit in [0, 2500, CHUNKS - 1] {
            let f = |culprit: &usize, x: usize| {
                if x == *culprit {
                    std::thread::sleep(Duration::from_secs(100));
                }
                x * 3
            };
            let map = cloud::map_with(culprit, f, 0..CHUNKS).slots(slots).timeout(limit);
            for (x, outcome) in map.outcomes().wait().unwrap().into_iter().enumerate() {
                match outcome {
                    Ok(value) => assert_eq!(value, x * 3),
                    Err(failure) => {
                        let expected = (&FailureKind::Timeout { limit }, culprit);
                        assert_eq!((&failure.kind, failure.chunk), expected, "on {slots} slots");
                    }
                }
            }
        }
    }
}

#[test]
fn a_thread_that_ends_the_process_later_fails_the_chunk_of_that_moment_alone() {
    // Nobody can tell which chunk started the thread; every chunk must have its one outcome all the same.
    let (notes, _folder) = Notes::new();
    let f = |notes: &Notes, x: usize| {
        if x == 1000 && notes.count("begun") == 0 {
            notes.add("begun");
            std::thread::spawn(|| std::process::exit(9));
        }
        std::hint::black_box((0..2000).sum::<usize>());
        x * 3
    };
    let outcomes = cloud::map_with(notes, f, 0..CHUNKS).slots(2).outcomes().wait().unwrap();
    assert_eq!(outcomes.len(), CHUNKS);
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    // None when the process ended between two chunks.
    assert!(failed <= 1, "{failed} failed");
    for (x, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(value) => assert_eq!(value, x * 3),
            Err(failure) => assert_eq!((&failure.kind, failure.chunk), (&FailureKind::Exit { code: 9 }, x)),
        }
    }
}
