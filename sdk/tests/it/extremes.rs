//! Large bodies, floods, wild hints: what no ordinary chunk does.

use std::{io::Write, thread::sleep, time::Duration};

use cloud::FailureKind;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::alone;

const LARGE: usize = 20_000_000;

fn pattern(seed: u8) -> Vec<u8> {
    (0..LARGE).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

#[test]
fn large_bodies_arrive_whole_in_one_map_after_the_other() {
    alone(large_bodies_arrive_whole_in_one_map_after_the_other, || {
        for round in 0..3 {
            let inputs = vec![pattern(round), pattern(round + 100)];
            let reversed = |mut bytes: Vec<u8>| {
                bytes.reverse();
                bytes
            };
            let mut back = cloud::map(reversed, inputs.clone()).slots(1).wait().unwrap();
            back.iter_mut().for_each(|bytes| bytes.reverse());
            assert!(back == inputs, "round {round}: the bytes differ");
        }
    });
}

#[test]
fn large_bodies_go_through_the_pipe_when_files_are_limited() {
    alone(large_bodies_go_through_the_pipe_when_files_are_limited, || {
        let small = Rlimit { current: Some(1 << 20), ..getrlimit(Resource::Fsize) };
        setrlimit(Resource::Fsize, small).unwrap();
        let back = cloud::map(|bytes: Vec<u8>| bytes, [pattern(1), pattern(2)]).slots(2).wait().unwrap();
        assert!(back == [pattern(1), pattern(2)]);
    });
}

#[test]
fn a_chunk_that_floods_stderr_is_ended_by_its_timeout() {
    alone(a_chunk_that_floods_stderr_is_ended_by_its_timeout, || {
        let flood = |n: u32| {
            if n == 1 {
                loop {
                    let _ = std::io::stderr().write_all(&[b'x'; 60_000]);
                }
            }
            n
        };
        let outcomes = cloud::map(flood, 0..3).slots(2).timeout(Duration::from_millis(300)).outcomes().wait();
        let outcomes = outcomes.unwrap();
        assert!(matches!(outcomes[1].as_ref().unwrap_err().kind, FailureKind::Timeout { .. }));
        assert_eq!((outcomes[0].as_ref().ok(), outcomes[2].as_ref().ok()), (Some(&0), Some(&2)));
    });
}

#[derive(serde::Deserialize)]
struct Unwritable;

impl serde::Serialize for Unwritable {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("not this one"))
    }
}

#[test]
fn fail_fast_ends_an_endless_input_of_unwritable_chunks() {
    let endless = std::iter::repeat_with(|| Unwritable);
    let error = cloud::map(|_: Unwritable| (), endless).fail_fast().wait().unwrap_err();
    let cloud::Error::Failed(failures) = error else { panic!("{error}") };
    assert_eq!(failures[0].kind, FailureKind::UnencodableInput);
}

#[test]
fn a_wild_length_reserves_no_memory() {
    let error = cloud::map(|n: u64| assert!(n < 5), 0..u64::MAX / 32).fail_fast().wait().unwrap_err();
    assert!(matches!(error, cloud::Error::Failed(_)), "{error}");
}

#[test]
fn failures_held_for_a_straggler_count_by_their_text() {
    let pulled = std::cell::Cell::new(0u32);
    let inputs = (0..100_000).inspect(|_| pulled.set(pulled.get() + 1));
    let slow_then_wordy = |n: u32| -> Result<u32, String> {
        match n {
            0 => {
                sleep(Duration::from_millis(1500));
                Ok(0)
            }
            _ => Err("x".repeat(100_000)),
        }
    };
    let mut outcomes = cloud::try_map(slow_then_wordy, inputs).slots(2).stream().ordered();
    assert!(matches!(pollster::block_on(outcomes.next()), Some(Ok(Ok((0, 0))))));
    // 64 MiB of such failures, and what is in hand.
    assert!(pulled.get() < 3_000, "{} chunks were pulled", pulled.get());
}

#[test]
fn a_stream_that_is_over_gives_its_slots_back() {
    alone(a_stream_that_is_over_gives_its_slots_back, || {
        let process = |_: u32| std::process::id();
        let mut first = cloud::map(process, [0]).slots(1).iter();
        let before = first.next().unwrap().unwrap().unwrap().1;
        assert!(first.next().is_none());
        assert_eq!(cloud::call(process, 0).wait().unwrap(), before);
        drop(first);
    });
}

#[test]
fn a_run_goes_on_with_the_slots_it_can_get() {
    alone(a_run_goes_on_with_the_slots_it_can_get, || {
        let few = Rlimit { current: Some(64), ..getrlimit(Resource::Nofile) };
        setrlimit(Resource::Nofile, few).unwrap();
        let nap = |n: u32| {
            sleep(Duration::from_millis(5));
            n
        };
        assert_eq!(cloud::map(nap, 0..100).slots(50).wait().unwrap(), (0..100).collect::<Vec<_>>());
    });
}

#[test]
fn a_payload_that_panics_when_dropped_fails_its_chunk_alone() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("again");
        }
    }
    let outcomes = cloud::map(
        |n: u32| {
            if n == 1 {
                std::panic::panic_any(Bomb);
            }
            n
        },
        0..3,
    );
    let outcomes = outcomes.slots(1).outcomes().wait().unwrap();
    assert!(matches!(outcomes[1].as_ref().unwrap_err().kind, FailureKind::Panic { .. }));
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 2);
}
