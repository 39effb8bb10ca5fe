//! Each way to fail has its own outcome, and fails its chunk alone.

use std::{
    fmt::Debug,
    process::{abort, exit},
    time::Duration,
};

use cloud::{Error, Failure, FailureKind, Wire};
use rustix::process::{Signal, getpid, kill_process};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The chunk that fails in each run of this file.
const BAD: u32 = 25;

/// The failure of chunk 25 of 51; all others must be there and right.
fn only_failure<T: Wire + PartialEq + Debug>(
    outcomes: cloud::Result<Vec<Result<T, Failure>>>,
    expected: impl Fn(u32) -> T,
) -> Failure {
    let mut bad = None;
    let outcomes = outcomes.unwrap();
    assert_eq!(outcomes.len(), 51);
    for (x, outcome) in (0..).zip(outcomes) {
        match outcome {
            Ok(value) => assert_eq!(value, expected(x)),
            Err(failure) => {
                assert!(bad.is_none(), "a second failure: {failure:?}");
                assert_eq!(failure.chunk, BAD as usize, "{failure:?}");
                bad = Some(failure);
            }
        }
    }
    bad.expect("no chunk failed")
}

/// What becomes of chunk 25 when `f` fails on it; `f` doubles all others.
fn failure_of<F: Fn(u32) -> u32 + Copy + 'static>(f: F) -> Failure {
    let failure = only_failure(cloud::map(f, 0..51).outcomes().wait(), |x| x * 2);
    assert_eq!(failure.attempt, 1, "{failure:?}");
    assert!(failure.slot.is_some(), "{failure:?}");
    failure
}

fn location_and_backtrace(failure: &Failure) -> (&str, &str) {
    match &failure.kind {
        FailureKind::Panic { location: Some(location), backtrace: Some(backtrace) } => (location, backtrace),
        other => panic!("not a panic with a place: {other:?}"),
    }
}

#[inline(never)]
fn panics_with_text(x: u32) -> u32 {
    if x == BAD {
        panic!("out of luck");
    }
    x * 2
}

#[test]
fn a_panic_says_what_and_where() {
    let failure = failure_of(panics_with_text);
    assert_eq!(failure.message, "out of luck");
    let (location, backtrace) = location_and_backtrace(&failure);
    let mut place = location.rsplit(':');
    let (_column, line, file) = (place.next().unwrap(), place.next().unwrap(), place.next().unwrap());
    assert!(file.ends_with("failures.rs"), "{location}");
    let source = include_str!("failures.rs").lines().nth(line.parse::<usize>().unwrap() - 1).unwrap();
    assert!(source.contains("out of luck"), "{location} is `{source}`");
    assert!(backtrace.contains("panics_with_text"), "{backtrace}");
    assert_eq!(failure.to_string(), format!("chunk 25 panicked: out of luck (at {location})"));
}

#[test]
fn its_backtrace_holds_the_users_frames_and_not_ours() {
    let failure = failure_of(panics_with_text);
    let (_, backtrace) = location_and_backtrace(&failure);
    for ours in ["rust_begin_unwind", "worker::serve", "worker::attempt::frames"] {
        assert!(!backtrace.contains(ours), "{ours} is in\n{backtrace}");
    }
}

#[test]
fn a_panic_with_a_made_up_message() {
    let failure = failure_of(|x| if x == BAD { panic!("no {x}") } else { x * 2 });
    assert_eq!(failure.message, "no 25");
}

#[test]
fn a_panic_with_something_that_is_no_text() {
    let failure = failure_of(|x| if x == BAD { std::panic::panic_any(vec![x]) } else { x * 2 });
    assert_eq!(failure.message, "the panic's payload is not text");
    assert!(location_and_backtrace(&failure).0.contains("failures.rs"));
}

#[test]
fn an_index_out_of_bounds_is_a_panic_too() {
    let failure = failure_of(|x| [2 * x; 25 + 26].split_at(51 - usize::from(x == BAD)).0[50]);
    assert!(failure.message.contains("out of bounds"), "{failure}");
}

#[test]
fn an_err() {
    let f = |x: u32| if x == BAD { Err("not this one".to_string()) } else { Ok(x * 2) };
    let failure = only_failure(cloud::try_map(f, 0..51).outcomes().wait(), |x| x * 2);
    assert_eq!(failure.kind, FailureKind::Error { chain: Vec::new() });
    assert_eq!((failure.message.as_str(), failure.attempt), ("not this one", 1));
}

fn exits(x: u32, code: i32) -> u32 {
    if x == BAD {
        eprintln!("first words");
        println!("last words of {x}");
        exit(code);
    }
    x * 2
}

#[test]
fn an_exit_with_its_code_and_last_lines() {
    let failure = failure_of(|x| exits(x, 3));
    assert_eq!(failure.kind, FailureKind::Exit { code: 3 });
    assert_eq!(failure.stderr, ["first words", "last words of 25"]);
    assert!(failure.message.contains('3'), "{failure}");
}

#[test]
fn an_exit_that_claims_success() {
    let failure = failure_of(|x| exits(x, 0));
    assert_eq!(failure.kind, FailureKind::Exit { code: 0 });
    assert_eq!(failure.stderr, ["first words", "last words of 25"]);
}

#[test]
fn an_abort() {
    let f = |x| {
        if x == BAD {
            eprint!("no newline");
            abort();
        }
        x * 2
    };
    let failure = failure_of(f);
    assert_eq!(failure.kind, FailureKind::Abort);
    assert_eq!(failure.stderr, ["no newline"]);
}

#[test]
fn a_panic_while_panicking_aborts_and_its_message_is_in_the_last_lines() {
    struct PanicsOnDrop;
    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("second");
        }
    }
    let f = |x| {
        if x == BAD {
            let _bomb = PanicsOnDrop;
            panic!("first");
        }
        x * 2
    };
    let failure = failure_of(f);
    assert_eq!(failure.kind, FailureKind::Abort);
    assert!(failure.stderr.iter().any(|line| line.contains("panic")), "{:?}", failure.stderr);
}

fn signalled(x: u32, signal: Signal) -> u32 {
    if x == BAD {
        kill_process(getpid(), signal).unwrap();
        std::thread::sleep(Duration::from_secs(20));
    }
    x * 2
}

#[test]
fn signals_by_their_number() {
    let failure = failure_of(|x| signalled(x, Signal::SEGV));
    assert_eq!(failure.kind, FailureKind::Signal { number: 11 });
    assert!(failure.message.contains("SIGSEGV"), "{failure}");
    let failure = failure_of(|x| signalled(x, Signal::KILL));
    assert_eq!(failure.kind, FailureKind::Signal { number: 9 });
    assert!(failure.message.contains("SIGKILL"), "{failure}");
    let failure = failure_of(|x| signalled(x, Signal::TERM));
    assert_eq!(failure.kind, FailureKind::Signal { number: 15 });
}

#[test]
fn a_stack_overflow() {
    #[expect(unconditional_recursion, reason = "that is the point")]
    fn deeper(depth: u64) -> u64 {
        let frame = std::hint::black_box([depth; 64]);
        deeper(depth + 1) + frame[63]
    }
    let failure = failure_of(|x| if x == BAD { deeper(0) as u32 } else { x * 2 });
    // Slots of a test program run before Rust's own handler is installed: a bare SIGSEGV.
    let kinds = [FailureKind::StackOverflow, FailureKind::Signal { number: 11 }];
    assert!(kinds.contains(&failure.kind), "{failure:?}");
}

#[test]
fn an_endless_loop_past_its_timeout() {
    let f = |x: u32| {
        if x == BAD {
            loop {
                std::hint::spin_loop();
            }
        }
        x * 2
    };
    let limit = Duration::from_millis(300);
    let failure = only_failure(cloud::map(f, 0..51).timeout(limit).outcomes().wait(), |x| x * 2);
    assert_eq!(failure.kind, FailureKind::Timeout { limit });
    assert_eq!(failure.attempt, 1);
    assert!(failure.message.contains("300ms"), "{failure}");
}

#[test]
fn a_timeout_is_for_one_chunk_and_not_for_the_run() {
    let limit = Duration::from_millis(400);
    let naps =
        cloud::map(|_: u32| std::thread::sleep(Duration::from_millis(100)), 0..8).slots(1).timeout(limit);
    assert_eq!(naps.wait().unwrap().len(), 8);
}

#[test]
fn slow_consumers_do_not_make_chunks_time_out() {
    // While nobody takes results the pipe fills and the slot waits: that is not the chunk's time.
    let chunks =
        cloud::map(|x: u32| (x, "x".repeat(4096)), 0..3000).slots(1).timeout(Duration::from_millis(150));
    for (taken, value) in chunks.iter().enumerate() {
        assert_eq!(value.unwrap().unwrap().1.0 as usize, taken);
        if taken % 1000 == 500 {
            std::thread::sleep(Duration::from_millis(400));
        }
    }
}

/// Can be written; a 25 can be written and not be read.
#[derive(Debug, PartialEq, Serialize)]
struct Unreadable(u32);

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Unreadable, D::Error> {
        match u32::deserialize(deserializer)? {
            BAD => Err(serde::de::Error::custom("refuses to be read")),
            x => Ok(Unreadable(x)),
        }
    }
}

#[test]
fn an_input_that_the_slot_cannot_read() {
    let outcomes = cloud::map(|x: Unreadable| x.0 * 2, (0..51).map(Unreadable)).retries(3).outcomes().wait();
    let failure = only_failure(outcomes, |x| x * 2);
    assert_eq!(failure.kind, FailureKind::UndecodableInput);
    assert_eq!(failure.attempt, 1, "it would not improve");
    assert!(failure.message.contains("it::failures::Unreadable"), "{failure}");
}

#[test]
fn a_result_that_the_client_cannot_read() {
    let outcomes = cloud::map(Unreadable, 0..51).retries(3).outcomes().wait();
    let failure = only_failure(outcomes, Unreadable);
    assert_eq!(failure.kind, FailureKind::UndecodableResult);
    assert_eq!(failure.attempt, 1);
    assert!(failure.message.contains("it::failures::Unreadable"), "{failure}");
}

/// A 25 cannot be written.
#[derive(Debug, PartialEq, Deserialize)]
struct Unwritable(u32);

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            BAD => Err(serde::ser::Error::custom("refuses to be written")),
            x => serializer.serialize_newtype_struct("Unwritable", &x),
        }
    }
}

#[test]
fn an_input_that_cannot_be_written() {
    let outcomes = cloud::map(|x: Unwritable| x.0 * 2, (0..51).map(Unwritable)).retries(3).outcomes().wait();
    let failure = only_failure(outcomes, |x| x * 2);
    assert_eq!(failure.kind, FailureKind::UnencodableInput);
    assert_eq!((failure.attempt, failure.slot), (0, None), "it never reached a slot");
    assert!(failure.message.contains("refuses to be written"), "{failure}");
}

#[test]
fn a_result_that_cannot_be_written() {
    let failure = only_failure(cloud::map(Unwritable, 0..51).retries(3).outcomes().wait(), Unwritable);
    assert_eq!(failure.kind, FailureKind::UnencodableResult);
    assert_eq!(failure.attempt, 1);
    assert!(failure.message.contains("refuses to be written"), "{failure}");
}

/// 10 bytes; 2,000 for chunk 25.
fn text(x: u32) -> String {
    "x".repeat(if x == BAD { 2000 } else { 10 })
}

#[test]
fn an_input_over_the_limit() {
    let outcomes =
        cloud::map(|text: String| text.len(), (0..51).map(text)).max_result(1000).outcomes().wait();
    let failure = only_failure(outcomes, |_| 10);
    assert_eq!(failure.kind, FailureKind::InputTooLarge { limit: 1000 });
    assert_eq!((failure.attempt, failure.slot), (0, None), "it was not sent");
    assert!(failure.message.contains("1000 bytes"), "{failure}");
}

#[test]
fn a_result_over_the_limit() {
    let failure = only_failure(cloud::map(text, 0..51).max_result(1000).retries(3).outcomes().wait(), text);
    assert_eq!(failure.kind, FailureKind::ResultTooLarge { limit: 1000 });
    assert_eq!(failure.attempt, 1);
}

#[test]
fn a_value_just_within_the_limit_passes() {
    // A byte each, behind a length of two bytes.
    let limited = |bytes| cloud::map(|text: String| text, ["x".repeat(bytes)]).max_result(1000).wait();
    assert_eq!(limited(998).unwrap()[0].len(), 998);
    assert!(matches!(limited(999), Err(Error::Failed(_))));
}

#[test]
fn all_of_them_in_one_run() {
    let f = |x: u32| match x {
        10 => panic!("ten"),
        20 => exit(20),
        30 => abort(),
        40 => signalled(BAD, Signal::KILL),
        _ => x * 2,
    };
    let outcomes = cloud::map(f, 0..2000).outcomes().wait().unwrap();
    let mut kinds = Vec::new();
    for (x, outcome) in (0..).zip(outcomes) {
        match outcome {
            Ok(value) => assert_eq!(value, x * 2),
            Err(failure) => {
                assert_eq!(failure.chunk, x as usize);
                kinds.push((x, failure.kind.clone()));
            }
        }
    }
    assert!(matches!(kinds[0], (10, FailureKind::Panic { .. })), "{kinds:?}");
    let rest = [
        (20, FailureKind::Exit { code: 20 }),
        (30, FailureKind::Abort),
        (40, FailureKind::Signal { number: 9 }),
    ];
    assert_eq!(kinds[1..], rest);
}

#[test]
fn every_chunk_may_fail() {
    let outcomes = cloud::map(|x: u32| -> u32 { panic!("{x}") }, 0..500).outcomes().wait().unwrap();
    let messages: Vec<_> = outcomes.into_iter().map(|outcome| outcome.unwrap_err().message.clone()).collect();
    assert_eq!(messages, (0..500).map(|x| x.to_string()).collect::<Vec<_>>());
    let outcomes = cloud::map(|x: u32| -> u32 { exit(x as i32) }, 0..20).outcomes().wait().unwrap();
    let kinds: Vec<_> = outcomes.into_iter().map(|outcome| outcome.unwrap_err().kind.clone()).collect();
    assert_eq!(kinds, (0..20).map(|code| FailureKind::Exit { code }).collect::<Vec<_>>());
}

#[test]
fn the_error_of_a_run_names_its_failures() {
    let error = cloud::map(|x: u32| exits(x, 3), 0..51).wait().unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("1 chunk failed\n  chunk 25 exited: "), "{text}");
    assert!(text.ends_with("\n    | first words\n    | last words of 25"), "{text}");
}
