//! The forms in which results are taken.

use std::{cell::Cell, time::Duration};

use cloud::{Error, FailureKind, Outcome};
use futures::{StreamExt, TryStreamExt, executor::block_on};

use crate::support::Notes;

fn doubled(x: u32) -> u32 {
    x * 2
}

/// Odd chunks fail.
fn halved(x: u32) -> u32 {
    assert!(x.is_multiple_of(2), "{x} is odd");
    x / 2
}

#[test]
fn wait_and_await_give_all_values_in_input_order() {
    let expected: Vec<u32> = (0..500).map(doubled).collect();
    assert_eq!(cloud::map(doubled, 0..500).wait().unwrap(), expected);
    assert_eq!(block_on(async { cloud::map(doubled, 0..500).await }).unwrap(), expected);
}

#[test]
fn wait_and_await_list_every_failure_after_all_chunks_have_run() {
    let (notes, _folder) = Notes::new();
    let f = |notes: &Notes, x: u32| {
        notes.add("begun");
        halved(x)
    };
    let Err(Error::Failed(failures)) = cloud::map_with(notes.clone(), f, 0..100).wait() else {
        panic!("it passed")
    };
    assert_eq!(
        failures.iter().map(|failure| failure.chunk).collect::<Vec<_>>(),
        Vec::from_iter((1..100).step_by(2))
    );
    assert_eq!(notes.count("begun"), 100);
    let error = block_on(async { cloud::map(halved, 0..100).await }).unwrap_err();
    let text = error.to_string();
    assert!(text.starts_with("50 chunks failed\n  chunk 1 panicked: 1 is odd"), "{text}");
    assert!(text.ends_with("\n  and 45 more"), "{text}");
    assert!(format!("{error:?}").ends_with("hint: `.outcomes()` gives the values of the other chunks too"));
}

#[test]
fn outcomes_give_values_and_failures_side_by_side() {
    for outcomes in [
        cloud::map(halved, 0..100).outcomes().wait(),
        block_on(cloud::map(halved, 0..100).outcomes().into_future()),
    ] {
        let outcomes = outcomes.unwrap();
        assert_eq!(outcomes.len(), 100);
        for (x, outcome) in outcomes.into_iter().enumerate() {
            match outcome {
                Ok(value) => assert_eq!(value as usize * 2, x),
                Err(failure) => assert_eq!((failure.chunk, &failure.message), (x, &format!("{x} is odd"))),
            }
        }
    }
}

#[test]
fn a_stream_gives_each_chunk_once() {
    let mut seen = [0; 100];
    block_on(async {
        let mut values = cloud::map(halved, 0..100).stream();
        while let Some(value) = values.next().await {
            let chunk = match value.unwrap() {
                Ok((index, value)) => {
                    assert_eq!(index, value as usize * 2);
                    index
                }
                Err(failure) => failure.chunk,
            };
            seen[chunk] += 1;
        }
        assert!(values.next().await.is_none(), "it goes on after its end");
    });
    assert_eq!(seen, [1; 100]);
}

#[test]
fn a_stream_gives_early_results_early() {
    let f = |x: u64| {
        if x == 0 {
            std::thread::sleep(Duration::from_millis(500));
        }
        x
    };
    let order: Vec<_> = cloud::map(f, 0..20).slots(2).iter().map(|value| value.unwrap().unwrap().0).collect();
    assert_eq!(order.last(), Some(&0), "{order:?}");
    assert_eq!(order.len(), 20);
}

#[test]
fn the_blocking_iterator_gives_the_same() {
    let mut values: Vec<_> =
        cloud::map(doubled, 0..1000).iter().map(|value| value.unwrap().unwrap()).collect();
    values.sort_unstable();
    assert_eq!(values, (0..1000).map(|x| (x as usize, x * 2)).collect::<Vec<_>>());
}

#[test]
fn details_say_where_and_how_long() {
    let f = |millis: u64| {
        std::thread::sleep(Duration::from_millis(millis));
        (millis, std::process::id())
    };
    let outcomes: Vec<Outcome<_>> =
        block_on(cloud::map(f, [30, 60, 30, 60]).slots(2).details().ordered().try_collect()).unwrap();
    let mut processes = [None, None];
    for (index, outcome) in outcomes.iter().enumerate() {
        let (millis, process) = outcome.result.as_ref().unwrap();
        assert_eq!((outcome.index, outcome.attempt), (index, 1));
        assert!(outcome.elapsed >= Duration::from_millis(*millis), "{outcome:?}");
        assert!(outcome.elapsed < Duration::from_secs(10), "{outcome:?}");
        let seat = &mut processes[outcome.slot.unwrap()];
        assert_eq!(seat.get_or_insert(*process), process, "slot {:?} is one process", outcome.slot);
    }
    assert!(processes[0] != processes[1]);
}

#[test]
fn details_carry_failures_too() {
    let outcomes: Vec<Outcome<_>> =
        block_on(cloud::map(halved, 0..2).retries(1).details().ordered().try_collect()).unwrap();
    assert_eq!(outcomes[0].result.as_ref().unwrap(), &0);
    let failure = outcomes[1].result.as_ref().unwrap_err();
    assert_eq!((outcomes[1].attempt, failure.attempt, failure.slot), (2, 2, outcomes[1].slot));
    assert!(matches!(failure.kind, FailureKind::Panic { .. }));
}

#[test]
fn nothing_happens_until_it_is_polled() {
    let pulled = Cell::new(0);
    let (notes, _folder) = Notes::new();
    let inputs = || (0..10u32).inspect(|_| pulled.set(pulled.get() + 1));
    let map = || {
        let begin = |notes: &Notes, x: u32| {
            notes.add("begun");
            x
        };
        cloud::map_with(notes.clone(), begin, inputs())
    };
    let (plain, future, stream, details, iter) =
        (map(), map().into_future(), map().stream(), map().details().ordered(), map().iter());
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!((pulled.get(), notes.count("begun")), (0, 0));
    drop((future, stream, details, iter));
    assert_eq!((pulled.get(), notes.count("begun")), (0, 0));
    assert_eq!(plain.wait().unwrap().len(), 10);
    assert_eq!((pulled.get(), notes.count("begun")), (10, 10));
}

#[test]
fn fail_fast_stops_at_the_first_failure() {
    let (notes, _folder) = Notes::new();
    let f = |notes: &Notes, x: u32| {
        notes.add("begun");
        std::thread::sleep(Duration::from_millis(2));
        assert!(x != 20, "stop here");
        x
    };
    let Err(Error::Failed(failures)) = cloud::map_with(notes.clone(), f, 0..5000).fail_fast().wait() else {
        panic!("it passed");
    };
    assert_eq!(failures.len(), 1);
    assert_eq!((failures[0].chunk, failures[0].message.as_str()), (20, "stop here"));
    assert!(notes.count("begun") < 1000, "{} of 5000 were begun", notes.count("begun"));
}

#[test]
fn fail_fast_spends_retries_first() {
    let (notes, _folder) = Notes::new();
    let f = |notes: &Notes, x: u32| {
        if x == 3 {
            notes.add("failed");
            panic!("always");
        }
        x
    };
    let failed = cloud::map_with(notes.clone(), f, 0..100).retries(2).fail_fast().wait();
    assert!(matches!(failed, Err(Error::Failed(failures)) if failures[0].attempt == 3));
    assert_eq!(notes.count("failed"), 3);
}

#[test]
fn fail_fast_ends_a_stream_with_the_failure_and_outcomes_with_those_known() {
    let values: Vec<_> =
        cloud::map(halved, (0..1000).map(|x| if x == 30 { 1 } else { 2 * x })).fail_fast().iter().collect();
    let (last, before) = values.split_last().unwrap();
    assert!(before.iter().all(|value| value.as_ref().unwrap().is_ok()));
    assert_eq!(last.as_ref().unwrap().as_ref().unwrap_err().chunk, 30);

    let outcomes =
        cloud::map(halved, (0..1000).map(|x| if x == 30 { 1 } else { 2 * x })).fail_fast().outcomes().wait();
    let outcomes = outcomes.unwrap();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_err()).count(), 1);
    assert!(outcomes.len() < 1000 || outcomes[30].is_err());
}

#[test]
fn an_error_of_the_run_is_the_last_item_of_a_stream() {
    let items: Vec<_> = cloud::map(doubled, 0..10).slots(0).iter().collect();
    assert_eq!(items.len(), 1);
    assert!(matches!(&items[0], Err(Error::Setting { origin, .. }) if origin == "`.slots(..)`"));
    let items: Vec<_> = block_on(cloud::map(doubled, 0..10).slots(0).details().collect());
    assert_eq!(items.len(), 1);
}

#[test]
fn options_that_make_no_sense_are_named() {
    let said = |error: Error| error.to_string();
    assert_eq!(
        said(cloud::map(doubled, 0..1).slots(0).wait().unwrap_err()),
        "`.slots(..)` is `0`, expected a whole number from 1 to 1024"
    );
    assert_eq!(
        said(cloud::map(doubled, 0..1).slots(1025).wait().unwrap_err()),
        "`.slots(..)` is `1025`, expected a whole number from 1 to 1024"
    );
    assert_eq!(
        said(cloud::map(doubled, 0..1).chunk_time(Duration::ZERO).wait().unwrap_err()),
        "`.chunk_time(..)` is `0s`, expected a positive duration"
    );
    assert_eq!(
        said(cloud::map(doubled, 0..1).timeout(Duration::ZERO).wait().unwrap_err()),
        "`.timeout(..)` is `0s`, expected a positive duration"
    );
    assert_eq!(
        said(cloud::map(doubled, 0..1).chunks_per_slot(0).wait().unwrap_err()),
        "`.chunks_per_slot(..)` is `0`, expected a positive number"
    );
    for bytes in [0, cloud::names::MAX_BYTES_LIMIT + 1] {
        let text = said(cloud::map(doubled, 0..1).max_result(bytes).wait().unwrap_err());
        assert_eq!(text, format!("`.max_result(..)` is `{bytes}`, expected from 1 to 4293918719 bytes"));
    }
}
