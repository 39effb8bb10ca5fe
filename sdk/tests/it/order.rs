//! `.ordered()`: input order from a stream, within bounded memory.

use std::{
    cell::Cell,
    fs,
    path::PathBuf,
    pin::Pin,
    task::{Context, Poll, Waker},
    thread::sleep,
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt, executor::block_on};

use crate::support::my_turn;

#[test]
fn a_stream_can_be_had_in_input_order() {
    // The first chunk is the slowest, then every tenth.
    let f = |x: u64| {
        if x.is_multiple_of(10) {
            sleep(Duration::from_millis(if x == 0 { 200 } else { 5 }));
        }
        x
    };
    let values: Vec<_> = block_on(cloud::map(f, 0..200).slots(3).stream().ordered().collect());
    let values: Vec<_> = values.into_iter().map(|value| value.unwrap().unwrap()).collect();
    assert_eq!(values, (0..200).map(|x| (x as usize, x)).collect::<Vec<_>>());
}

#[test]
fn failures_keep_their_places_in_order() {
    let f = |x: u32| match x % 50 {
        10 => panic!("ten"),
        20 => std::process::exit(1),
        _ => x,
    };
    let values: Vec<_> = block_on(cloud::map(f, 0..500).slots(2).stream().ordered().collect());
    let chunks: Vec<_> = values
        .into_iter()
        .map(|value| match value.unwrap() {
            Ok((index, value)) => {
                assert_eq!(index, value as usize);
                index
            }
            Err(failure) => {
                assert!([10, 20].contains(&(failure.chunk % 50)), "{failure}");
                failure.chunk
            }
        })
        .collect();
    assert_eq!(chunks, (0..500).collect::<Vec<_>>());
}

const MIB: usize = 1 << 20;
const CHUNKS: usize = 160;

/// Results of 1 MiB, all early but the first: it waits for `gate`, then ends its process on the first visit.
fn mebibyte((x, gate): (usize, PathBuf)) -> String {
    if x == 0 {
        while !gate.exists() {
            sleep(Duration::from_millis(5));
        }
        if fs::remove_file(gate.with_extension("once")).is_ok() {
            std::process::exit(1);
        }
    }
    x.to_string().repeat(MIB / x.to_string().len())
}

#[test]
fn early_results_are_held_up_to_their_limit_while_a_straggler_runs() {
    let _turn = my_turn();
    let folder = tempfile::tempdir().unwrap();
    let gate = folder.path().join("gate");
    // So that the straggler must be run again while everything else stands still.
    fs::write(gate.with_extension("once"), "").unwrap();
    let pulled = Cell::new(0);
    let inputs = (0..CHUNKS).inspect(|_| pulled.set(pulled.get() + 1)).map(|x| (x, gate.clone()));
    let mut values = cloud::map(mebibyte, inputs).slots(2).retries(1).stream().ordered();

    // Until nothing has been pulled for a while.
    let (mut last, mut since) = (0, Instant::now());
    while since.elapsed() < Duration::from_millis(if last < 60 { 20_000 } else { 500 }) {
        match Pin::new(&mut values).poll_next(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => {}
            Poll::Ready(value) => panic!("the straggler was not waited for: {}", value.is_some()),
        }
        if pulled.get() != last {
            (last, since) = (pulled.get(), Instant::now());
        }
        sleep(Duration::from_millis(1));
    }
    // Beside the 64 held there may be some in the hands of the slots.
    assert!((60..110).contains(&last), "{last} chunks were pulled");

    fs::write(&gate, "").unwrap();
    let mut next = 0;
    for value in block_on(values.collect::<Vec<_>>()) {
        let (index, text) = value.unwrap().unwrap();
        assert_eq!(index, next);
        assert!(text.starts_with(&next.to_string()) && text.len() > MIB - 4);
        next += 1;
    }
    assert_eq!((next, pulled.get()), (CHUNKS, CHUNKS));
}
