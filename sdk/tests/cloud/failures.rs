//! Each way to fail has its own outcome, says which chunk of the run it was, and fails that chunk alone.

use std::{
    process::{abort, exit},
    time::Duration,
};

use cloud::{Failure, FailureKind};
use rustix::process::{Signal, getpid, kill_process};

use crate::{
    place::{Place, double, nap},
    support::Notes,
};

/// The chunk that fails; far enough from the start to be in a later block.
const BAD: u32 = 25;
const CHUNKS: u32 = 31;

/// What becomes of one chunk when `f` fails on it, with and without two retries; `f` doubles all others.
fn failure_of<F: Fn(u32) -> u32 + Copy + 'static>(f: F) -> Failure {
    let failures = [0, 2].map(|retries| {
        let place = Place::new();
        let map = cloud::map(f, 0..CHUNKS).on(place.mock()).slots(2).retries(retries);
        let map = map.timeout(Duration::from_millis(400));
        let outcomes = map.outcomes().wait().unwrap();
        assert_eq!(outcomes.len(), CHUNKS as usize);
        let mut bad = None;
        for (x, outcome) in (0..).zip(outcomes) {
            match outcome {
                Ok(value) => assert_eq!(value, double(x)),
                Err(failure) => {
                    assert_eq!((x, failure.chunk), (BAD, BAD as usize), "{failure:?}");
                    bad = Some(failure);
                }
            }
        }
        let failure = bad.expect("no chunk failed");
        assert_eq!(failure.attempt, retries + 1, "{failure:?}");
        assert!(failure.slot.is_some_and(|slot| slot < 2), "{failure:?}");
        failure
    });
    let [once, thrice] = failures;
    assert_eq!(std::mem::discriminant(&once.kind), std::mem::discriminant(&thrice.kind));
    assert_eq!(once.message, thrice.message);
    once
}

#[test]
fn a_panic_says_what_and_where() {
    let failure = failure_of(|x| if x == BAD { panic!("out of luck") } else { double(x) });
    assert_eq!(failure.message, "out of luck");
    let FailureKind::Panic { location: Some(location), backtrace: Some(_) } = &failure.kind else {
        panic!("{failure:?}")
    };
    assert!(location.contains("failures.rs"), "{location}");
    assert_eq!(failure.to_string(), format!("chunk 25 panicked: out of luck (at {location})"));
}

#[test]
fn an_err_after_its_retries() {
    let place = Place::new();
    let f = |x: u32| if x == BAD { Err("not this one".to_string()) } else { Ok(double(x)) };
    let outcomes = cloud::try_map(f, 0..CHUNKS).on(place.mock()).retries(2).outcomes().wait().unwrap();
    let failed: Vec<_> = outcomes.into_iter().filter_map(Result::err).collect();
    assert_eq!(failed.len(), 1);
    assert_eq!((failed[0].chunk, failed[0].attempt), (BAD as usize, 3));
    assert_eq!(failed[0].kind, FailureKind::Error { chain: Vec::new() });
}

#[test]
fn an_exit_with_its_code_and_last_lines() {
    let exits = |x| {
        if x == BAD {
            eprintln!("first words");
            println!("last words of {x}");
            exit(3);
        }
        double(x)
    };
    let failure = failure_of(exits);
    assert_eq!(failure.kind, FailureKind::Exit { code: 3 });
    assert_eq!(failure.stderr, ["first words", "last words of 25"]);
}

#[test]
fn an_abort() {
    let failure = failure_of(|x| if x == BAD { abort() } else { double(x) });
    assert_eq!(failure.kind, FailureKind::Abort);
}

fn signalled(x: u32, signal: Signal) -> u32 {
    if x == BAD {
        kill_process(getpid(), signal).unwrap();
        nap(20_000);
    }
    double(x)
}

#[test]
fn signals_by_their_number() {
    let failure = failure_of(|x| signalled(x, Signal::SEGV));
    assert_eq!(failure.kind, FailureKind::Signal { number: 11 });
    let failure = failure_of(|x| signalled(x, Signal::KILL));
    assert_eq!(failure.kind, FailureKind::Signal { number: 9 });
}

#[test]
fn a_stack_that_runs_out() {
    #[expect(unconditional_recursion, reason = "that is the point")]
    fn deeper(x: u32) -> u32 {
        std::hint::black_box(deeper(std::hint::black_box(x + 1)) + 1)
    }
    let failure = failure_of(|x| if x == BAD { deeper(x) } else { double(x) });
    // A test program has no handler that tells it from a bad memory access.
    let told = [FailureKind::StackOverflow, FailureKind::Signal { number: 11 }];
    assert!(told.contains(&failure.kind), "{failure:?}");
}

#[test]
fn a_chunk_that_takes_too_long() {
    let failure = failure_of(|x| if x == BAD { nap(60_000) as u32 } else { double(x) });
    assert_eq!(failure.kind, FailureKind::Timeout { limit: Duration::from_millis(400) });
}

#[test]
fn a_chunk_that_is_well_in_the_end() {
    let place = Place::new();
    let (notes, _folder) = Notes::new();
    let f = |notes: &Notes, x: u32| {
        notes.add(x);
        match (x, notes.count(x)) {
            (3, 1) => panic!("once"),
            (5, 1..3) => exit(1),
            _ => double(x),
        }
    };
    let map = cloud::map_with(notes.clone(), f, 0..8).on(place.mock()).retries(2).details().ordered();
    let outcomes: Vec<_> = pollster::block_on(futures::TryStreamExt::try_collect(map)).unwrap();
    let seen = outcomes.into_iter().map(|outcome| (outcome.result.unwrap(), outcome.attempt));
    let expected = (0..8).map(|x| (double(x), [1, 1, 1, 2, 1, 3, 1, 1][x as usize]));
    assert!(seen.eq(expected));
    // A value that its slot had not handed over when it died is made again, and that is not counted.
    assert!(notes.count(3) >= 2 && notes.count(5) == 3);
}

#[test]
fn half_of_a_thousand_chunks_fail() {
    let place = Place::new();
    let f = |x: u32| match x % 100 {
        0 => exit(7),
        50 => panic!("{x} is fifty"),
        n if n % 2 == 0 => Err(format!("{x} is even")),
        _ => Ok(x),
    };
    let error = cloud::try_map(f, 0..1000).on(place.mock()).wait().unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("500 chunks failed\n  chunk 0 exited"), "{text}");
    assert!(text.ends_with("and 495 more"), "{text}");
    let cloud::Error::Failed(failures) = error else { panic!("{error}") };
    for (failure, x) in failures.into_iter().zip((0..).step_by(2)) {
        assert_eq!((failure.chunk, failure.attempt), (x, 1));
        match x % 100 {
            0 => assert_eq!(failure.kind, FailureKind::Exit { code: 7 }),
            50 => assert_eq!(failure.message, format!("{x} is fifty")),
            _ => assert_eq!(failure.message, format!("{x} is even")),
        }
    }
}
