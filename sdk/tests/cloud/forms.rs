//! What can be run, and every form in which values are taken.

use std::{cell::Cell, time::Duration};

use cloud::{Error, FailureKind, Outcome};
use futures::{StreamExt, TryStreamExt, stream};
use smol::block_on;

use crate::{
    place::{Place, double, doubles, nap, processes},
    support::Notes,
};

fn halved(x: u32) -> u32 {
    assert!(x.is_multiple_of(2), "{x} is odd");
    x / 2
}

#[test]
fn values_in_the_order_of_the_inputs() {
    let place = Place::new();
    assert_eq!(cloud::map(double, 0..1000).on(place.mock()).wait().unwrap(), doubles(1000));
    // The same place serves many maps.
    assert_eq!(cloud::map(|x: u64| x + 1, [7, 5]).on(place.mock()).wait().unwrap(), [8, 6]);
    assert_eq!(cloud::call(double, 4).on(place.mock()).wait().unwrap(), 8);
    let outer = cloud::map(|x: u32| cloud::map(double, [x]).wait().unwrap()[0], 0..3);
    assert_eq!(outer.on(place.mock()).wait().unwrap(), doubles(3));
}

#[test]
fn shared_data_and_asynchronous_functions() {
    let place = Place::new();
    let primes = vec![2u64, 3, 5, 7];
    let divisors =
        |primes: &Vec<u64>, n: u64| primes.iter().filter(|prime| n.is_multiple_of(**prime)).count();
    assert_eq!(cloud::map_with(primes, divisors, [30, 49, 11]).on(place.mock()).wait().unwrap(), [3, 1, 0]);

    async fn later(x: u32) -> u32 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        x + 1
    }
    assert_eq!(cloud::map(later, 0..20).on(place.mock()).wait().unwrap(), (1..=20).collect::<Vec<_>>());
    let closure = cloud::map(async |x: u32| later(x).await * 2, 0..3);
    assert_eq!(closure.on(place.mock()).wait().unwrap(), [2, 4, 6]);
}

#[test]
fn errors_with_their_chains() {
    let place = Place::new();
    let parse = |text: String| -> anyhow::Result<f64> {
        use anyhow::Context;
        text.parse().with_context(|| format!("`{text}` is no number"))
    };
    let texts = ["1.5", "x", "2.5"].map(String::from);
    let outcomes = cloud::try_map(parse, texts).on(place.mock()).outcomes().wait().unwrap();
    assert_eq!((outcomes[0].as_ref().unwrap(), outcomes[2].as_ref().unwrap()), (&1.5, &2.5));
    let failure = outcomes[1].as_ref().unwrap_err();
    assert_eq!((failure.chunk, failure.attempt, failure.message.as_str()), (1, 1, "`x` is no number"));
    assert_eq!(failure.kind, FailureKind::Error { chain: vec!["invalid float literal".into()] });

    let scaled = |by: &f64, x: f64| if x < 0.0 { Err("negative".to_string()) } else { Ok(x * by) };
    let error = cloud::try_map_with(2.0, scaled, [1.0, -1.0]).on(place.mock()).wait().unwrap_err();
    assert_eq!(error.to_string(), "1 chunk failed\n  chunk 1 returned an error: negative");
}

#[test]
fn a_stream_gives_each_chunk_once() {
    let place = Place::new();
    let mut seen = [0; 300];
    let mut values = cloud::map(halved, 0..300).on(place.mock()).stream();
    block_on(async {
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
    assert_eq!(seen, [1; 300]);
}

#[test]
fn first_values_come_before_all_are_done() {
    let place = Place::new();
    let (notes, _folder) = Notes::new();
    let f = |notes: &Notes, x: u64| {
        // The last chunk waits until somebody has the first value.
        while x == 39 && notes.count("taken") == 0 {
            nap(2);
        }
        x
    };
    for ordered in [false, true] {
        let mut values = cloud::map_with(notes.clone(), f, 0..40).on(place.mock()).slots(2).stream();
        if ordered {
            values = values.ordered();
        }
        let (first, _) = block_on(values.next()).unwrap().unwrap().unwrap();
        notes.add("taken");
        let rest = block_on(values.map_ok(|value| value.unwrap().0).try_collect::<Vec<_>>()).unwrap();
        assert_eq!(rest.len(), 39);
        assert!(!ordered || (first == 0 && rest.into_iter().eq(1..40)));
        std::fs::remove_file(_folder.path().join("taken")).unwrap();
    }
}

#[test]
fn the_blocking_iterator_gives_the_same() {
    let place = Place::new();
    let values = cloud::map(double, 0..500).on(place.mock()).iter();
    let mut values: Vec<_> = values.map(|value| value.unwrap().unwrap()).collect();
    values.sort_unstable();
    assert!(values.into_iter().eq((0..500).map(|x| (x as usize, x * 2))));
}

#[test]
fn details_say_where_and_how_long() {
    let place = Place::new();
    let f = |millis: u64| {
        nap(millis);
        assert!(millis != 31, "unlucky");
        (millis, processes())
    };
    let map = cloud::map(f, [30, 60, 31, 60, 30, 30]).on(place.mock()).slots(2).retries(1);
    let outcomes: Vec<Outcome<_>> = block_on(map.details().ordered().try_collect()).unwrap();
    assert_eq!(outcomes.len(), 6);
    let mut seats = [None, None];
    for (index, outcome) in outcomes.iter().enumerate() {
        assert_eq!(outcome.index, index);
        let slot = outcome.slot.unwrap();
        match &outcome.result {
            Ok((millis, process)) => {
                assert_eq!(outcome.attempt, 1);
                assert!(outcome.elapsed >= Duration::from_millis(*millis), "{outcome:?}");
                assert!(outcome.elapsed < Duration::from_secs(10), "{outcome:?}");
                assert_eq!(seats[slot].get_or_insert(*process), process, "slot {slot} is one process");
            }
            Err(failure) => {
                assert_eq!((index, outcome.attempt), (2, 2));
                assert_eq!((failure.chunk, failure.attempt, failure.slot), (2, 2, Some(slot)));
            }
        }
    }
}

#[test]
fn outcomes_have_values_beside_failures() {
    let place = Place::new();
    let outcomes = cloud::map(halved, 0..100).on(place.mock()).outcomes().wait().unwrap();
    assert_eq!(outcomes.len(), 100);
    for (x, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(value) => assert_eq!(value as usize * 2, x),
            Err(failure) => {
                assert_eq!((failure.chunk, &failure.message), (x, &format!("{x} is odd")));
            }
        }
    }
}

#[test]
fn fail_fast_stops_at_the_first_failure() {
    let place = Place::new();
    let (notes, _folder) = Notes::new();
    let f = |notes: &Notes, x: u32| {
        notes.add("begun");
        nap(10);
        assert!(x != 3, "stop here");
        x
    };
    let map = cloud::map_with(notes.clone(), f, 0..3000).on(place.mock()).slots(2).fail_fast();
    // With so many chunks the first blocks are large: the one that fails is told of when its block is.
    let Err(Error::Failed(failures)) = map.wait() else { panic!("it passed") };
    assert_eq!(failures.len(), 1);
    assert_eq!((failures[0].chunk, failures[0].message.as_str()), (3, "stop here"));
    assert!(notes.count("begun") < 1500, "{} of 3000 were begun", notes.count("begun"));
}

#[test]
fn nothing_happens_until_it_is_polled() {
    let place = Place::new();
    let pulled = Cell::new(0);
    let map = || cloud::map(double, (0..10).inspect(|_| pulled.set(pulled.get() + 1))).on(place.mock());
    drop((map(), map().into_future(), map().stream(), map().details().ordered(), map().iter()));
    assert_eq!(pulled.get(), 0);
    assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    assert_eq!(map().wait().unwrap(), doubles(10));
}

/// Everything that waits, on whatever polls it.
async fn all_forms() {
    let place = Place::new();
    let map = || cloud::map(double, 0..40).on(place.mock()).slots(1);
    assert_eq!(map().stream().collect::<Vec<_>>().await.len(), 40);
    let from_stream = cloud::map(double, stream::iter(0..40)).on(place.mock()).slots(1);
    let (other, values) = futures::join!(map().into_future(), from_stream.into_future());
    assert_eq!((other.unwrap(), values.unwrap()), (doubles(40), doubles(40)));
    assert_eq!(map().start().await.unwrap().results().await.unwrap(), doubles(40));
    // Blocking is not nice here, but must work.
    assert_eq!(map().wait().unwrap(), doubles(40));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokio_with_threads() {
    all_forms().await;
    let place = Place::new();
    let spawned = tokio::spawn(cloud::map(double, 0..40).on(place.mock()).into_future());
    assert_eq!(spawned.await.unwrap().unwrap(), doubles(40));
}

#[tokio::test(flavor = "current_thread")]
async fn tokio_on_one_thread() {
    all_forms().await;
}

#[test]
fn smol_and_pollster() {
    smol::block_on(all_forms());
    let place = Place::new();
    let map = cloud::map(double, 0..40).on(place.mock()).slots(1);
    assert_eq!(pollster::block_on(map.into_future()).unwrap(), doubles(40));
}

#[test]
fn several_threads_at_once_in_one_place() {
    let place = Place::new();
    std::thread::scope(|scope| {
        for factor in 1..=4u32 {
            let mock = place.mock();
            scope.spawn(move || {
                let inputs = (0..200).map(|x| (x, factor));
                let map = cloud::map(|(x, factor): (u32, u32)| x * factor, inputs).on(mock).slots(1);
                assert_eq!(map.wait().unwrap(), (0..200).map(|x| x * factor).collect::<Vec<_>>());
            });
        }
    });
}
