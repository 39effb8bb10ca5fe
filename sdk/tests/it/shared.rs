//! `map_with`: data that all chunks share.

use std::{
    collections::{BTreeMap, HashMap},
    sync::atomic::{AtomicUsize, Ordering},
};

use cloud::{Error, FailureKind};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Counts how often it is decoded in this process.
#[derive(Serialize)]
struct Counting(Vec<u64>);

static DECODED: AtomicUsize = AtomicUsize::new(0);

impl<'de> Deserialize<'de> for Counting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Counting, D::Error> {
        DECODED.fetch_add(1, Ordering::Relaxed);
        Vec::deserialize(deserializer).map(Counting)
    }
}

#[test]
fn shared_data_is_decoded_once_a_slot() {
    let shared = Counting((0..1000).collect());
    let f = |shared: &Counting, x: u64| {
        (shared.0.iter().sum::<u64>() + x, std::process::id(), DECODED.load(Ordering::Relaxed))
    };
    let replies = cloud::map_with(shared, f, 0..500u64).slots(2).wait().unwrap();
    let mut decoded = BTreeMap::new();
    for (x, (sum, process, count)) in replies.into_iter().enumerate() {
        assert_eq!(sum, 499_500 + x as u64);
        decoded.insert(process, count);
    }
    assert!(!decoded.contains_key(&std::process::id()));
    assert!(decoded.len() <= 2 && decoded.values().all(|count| *count == 1), "{decoded:?}");
}

#[test]
fn shared_data_stays_decoded_while_its_chunks_run_maps_and_panic() {
    let f = |outer: &Again, x: u64| {
        let inner = cloud::map_with(x, |by, y: u64| y * by, 0..3).wait().unwrap();
        assert!(x % 10 != 7, "{x}");
        (outer.0 + inner.iter().sum::<u64>(), std::process::id(), AGAIN.load(Ordering::Relaxed))
    };
    for (x, outcome) in (0..).zip(cloud::map_with(Again(5), f, 0..50).slots(2).outcomes().wait().unwrap()) {
        match outcome {
            Ok((sum, process, decoded)) => {
                assert_eq!((sum, decoded), (5 + 3 * x, 1), "in {process}, not {}", std::process::id());
            }
            Err(failure) => assert_eq!(x % 10, 7, "{failure}"),
        }
    }
}

/// As [`Counting`], for a second test.
#[derive(Serialize)]
struct Again(u64);

static AGAIN: AtomicUsize = AtomicUsize::new(0);

impl<'de> Deserialize<'de> for Again {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Again, D::Error> {
        AGAIN.fetch_add(1, Ordering::Relaxed);
        u64::deserialize(deserializer).map(Again)
    }
}

#[test]
fn each_map_has_its_own_shared_data() {
    let f = |shared: &String, x: u32| format!("{shared}{x}");
    assert_eq!(cloud::map_with("a".to_string(), f, 0..2).wait().unwrap(), ["a0", "a1"]);
    assert_eq!(cloud::map_with("b".to_string(), f, 0..2).wait().unwrap(), ["b0", "b1"]);
}

#[test]
fn large_shared_data_reaches_every_slot_whole() {
    let shared = "0123456789abcdef".repeat(1 << 20);
    let f = |shared: &String, slot: u32| {
        let sum = shared.bytes().map(u64::from).sum::<u64>();
        std::thread::sleep(std::time::Duration::from_millis(5));
        (slot, shared.len(), sum, std::process::id())
    };
    let sum = shared.bytes().map(u64::from).sum::<u64>();
    let replies = cloud::map_with(shared, f, 0..20).slots(3).wait().unwrap();
    for (slot, reply) in replies.into_iter().enumerate() {
        assert_eq!((reply.0 as usize, reply.1, reply.2), (slot, 16 << 20, sum));
    }
}

#[test]
fn shared_data_of_many_kinds() {
    let table = HashMap::from([("one".to_string(), 1.5), ("two".to_string(), 2.5)]);
    let prices = cloud::map_with(
        table,
        |table, name: String| table.get(&name).copied(),
        ["two", "six"].map(String::from),
    );
    assert_eq!(prices.wait().unwrap(), [Some(2.5), None]);
    assert_eq!(cloud::map_with((), |(), x: u8| x, [1]).wait().unwrap(), [1]);
}

#[test]
fn a_slot_that_is_replaced_gets_the_shared_data_again() {
    let f = |shared: &Vec<u32>, x: usize| {
        if x == 20 {
            std::process::exit(1);
        }
        shared[x]
    };
    let outcomes =
        cloud::map_with((0..50).map(|x| x * 7).collect(), f, 0..50).slots(1).outcomes().wait().unwrap();
    for (x, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(value) => assert_eq!(value as usize, x * 7),
            Err(failure) => assert_eq!((failure.chunk, &failure.kind), (20, &FailureKind::Exit { code: 1 })),
        }
    }
}

#[test]
fn an_async_closure_can_copy_what_it_needs_of_the_shared_data() {
    let f = |shared: &u32, x: u32| {
        let shared = *shared;
        async move { shared + x }
    };
    assert_eq!(cloud::map_with(10, f, 0..3).wait().unwrap(), [10, 11, 12]);
}

#[test]
fn try_map_with_shares_too() {
    let f = |allowed: &Vec<u32>, x: u32| {
        if allowed.contains(&x) { Ok(x) } else { Err(format!("{x} is not allowed")) }
    };
    let outcomes = cloud::try_map_with(vec![1, 3], f, 1..=3).outcomes().wait().unwrap();
    assert_eq!((outcomes[0].as_ref().ok(), outcomes[2].as_ref().ok()), (Some(&1), Some(&3)));
    assert_eq!(outcomes[1].as_ref().unwrap_err().message, "2 is not allowed");
}

#[derive(Deserialize)]
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("held by a lock"))
    }
}

#[test]
fn shared_data_that_cannot_be_written_ends_the_run() {
    let Err(Error::Shared { type_name, reason }) = cloud::map_with(Unwritable, |_, x: u32| x, 0..3).wait()
    else {
        panic!("it ran");
    };
    assert_eq!(type_name, "it::shared::Unwritable");
    assert_eq!(reason, "held by a lock");
}

#[derive(Serialize)]
struct Unreadable(u32);

impl<'de> Deserialize<'de> for Unreadable {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Unreadable, D::Error> {
        let number = u32::deserialize(deserializer)?;
        Err(serde::de::Error::custom(format!("no reading of {number}")))
    }
}

#[test]
fn shared_data_that_cannot_be_read_back_ends_the_run() {
    let Err(Error::Shared { type_name, reason }) = cloud::map_with(Unreadable(5), |_, x: u32| x, 0..3).wait()
    else {
        panic!("it is not `Error::Shared`");
    };
    assert_eq!(type_name, "it::shared::Unreadable");
    assert!(reason.contains("no reading of 5"), "{reason}");
}
