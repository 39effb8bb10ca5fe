//! What a map can run over, and what chunks and results may be.

use std::{
    collections::BTreeMap,
    fmt::Debug,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use cloud::{FailureKind, Wire};
use futures::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::json;
use smol::block_on;

use crate::place::{Place, double, doubles};

#[test]
fn no_chunks_and_one() {
    let place = Place::new();
    let none = Vec::<u32>::new();
    let map = || cloud::map(double, none.clone()).on(place.mock());
    assert_eq!(map().wait().unwrap(), none);
    assert_eq!(map().outcomes().wait().unwrap().len(), 0);
    assert_eq!(map().iter().count(), 0);
    let from_stream = cloud::map(double, stream::iter(none.clone())).on(place.mock());
    assert_eq!(block_on(from_stream.into_future()).unwrap(), none);
    let run = block_on(map().start()).unwrap();
    assert_eq!(block_on(run.results()).unwrap(), none);
    assert_eq!(cloud::map(double, [7]).on(place.mock()).slots(8).wait().unwrap(), [14]);
}

#[test]
fn inputs_without_a_known_end() {
    let place = Place::new();
    let even = cloud::map(double, (0..1000).filter(|x| x % 2 == 0)).on(place.mock()).wait().unwrap();
    assert!(even.into_iter().eq((0..500).map(|x| x * 4)));
    let now_and_then = stream::iter(0..50).then(async |x| {
        if x % 10 == 0 {
            smol::Timer::after(Duration::from_millis(2)).await;
        }
        x
    });
    let values = block_on(cloud::map(double, now_and_then).on(place.mock()).into_future()).unwrap();
    assert_eq!(values, doubles(50));
}

/// Says how many it has, and is wrong.
struct Liar<I>(I, usize);

impl<I: Iterator> Iterator for Liar<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.0.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.1, Some(self.1))
    }
}

struct LyingStream<I>(Liar<I>);

impl<I: Iterator + Unpin> Stream for LyingStream<I> {
    type Item = I::Item;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<I::Item>> {
        Poll::Ready(self.0.next())
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

#[test]
fn a_wrong_size_hint_costs_nothing() {
    let place = Place::new();
    for says in [0, 1, 199, 201, 100_000, usize::MAX] {
        let map = cloud::map(double, Liar(0..200, says)).on(place.mock()).slots(1);
        assert_eq!(map.wait().unwrap(), doubles(200), "it said {says}");
    }
    let streamed = cloud::map(double, LyingStream(Liar(0..200, 3))).on(place.mock()).slots(1);
    assert_eq!(block_on(streamed.into_future()).unwrap(), doubles(200));
}

fn pattern(seed: u8) -> Vec<u8> {
    (0..20_000_000u32).map(|i| (i as u8).wrapping_mul(31).wrapping_add(seed)).collect()
}

#[test]
fn chunks_and_results_of_20_megabytes() {
    let place = Place::new();
    let reversed = |mut bytes: Vec<u8>| {
        bytes.reverse();
        bytes
    };
    let mut inputs = vec![vec![1u8, 2], pattern(1), vec![], pattern(2), vec![3; 100]];
    let back = cloud::map(reversed, inputs.clone()).on(place.mock()).slots(2).wait().unwrap();
    inputs.iter_mut().for_each(|bytes| bytes.reverse());
    assert!(back == inputs, "the bytes differ");
}

#[test]
fn results_whose_objects_end_on_the_edges_of_pieces() {
    let place = Place::new();
    let zeros = |length: usize| vec![0u8; length];
    // Outcome objects are read in pieces of 4 MiB; what is around the bytes takes less than 200.
    let lengths: Vec<usize> = ((4 << 20) - 200..4 << 20).step_by(3).collect();
    let values = cloud::map(zeros, lengths.clone()).on(place.mock()).slots(1).iter();
    assert!(values.map(|value| value.unwrap().unwrap()).all(|(index, value)| value.len() == lengths[index]));
}

/// Odd numbers cannot be written.
#[derive(Deserialize)]
struct Even(u32);

impl Serialize for Even {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 % 2 == 1 {
            return Err(serde::ser::Error::custom(format!("{} is odd", self.0)));
        }
        serializer.serialize_u32(self.0)
    }
}

#[test]
fn an_input_that_cannot_be_encoded_fails_its_chunk_alone() {
    let place = Place::new();
    let f = |even: Even| even.0;
    let inputs = (0..100).map(|x| Even(if x == 50 || x == 99 { x | 1 } else { x * 2 }));
    let outcomes = cloud::map(f, inputs).on(place.mock()).outcomes().wait().unwrap();
    assert_eq!(outcomes.len(), 100);
    for (x, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(value) => assert_eq!(value as usize, x * 2),
            Err(failure) => {
                assert!(x == 50 || x == 99, "{failure}");
                assert_eq!((failure.chunk, failure.attempt, failure.slot), (x, 0, None));
                assert_eq!(failure.kind, FailureKind::UnencodableInput);
                assert!(failure.message.contains("is odd"), "{failure}");
            }
        }
    }
}

#[test]
fn a_result_that_cannot_be_encoded_fails_its_chunk_alone() {
    let place = Place::new();
    let outcomes = cloud::map(Even, 0..10).on(place.mock()).outcomes().wait().unwrap();
    for (x, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(value) => assert!(value.0 as usize == x && x % 2 == 0),
            Err(failure) => {
                assert_eq!((failure.chunk, failure.attempt), (x, 1));
                assert_eq!(failure.kind, FailureKind::UnencodableResult);
            }
        }
    }
}

#[test]
fn inputs_and_results_over_the_limit() {
    let place = Place::new();
    let f = |length: usize| vec![7u8; length];
    let map = cloud::map(f, [10, 5000, 20, 900]).on(place.mock()).max_result(1000).retries(3);
    let outcomes = map.outcomes().wait().unwrap();
    let lengths: Vec<_> = outcomes.iter().map(|outcome| outcome.as_ref().ok().map(Vec::len)).collect();
    assert_eq!(lengths, [Some(10), None, Some(20), Some(900)]);
    let failure = outcomes[1].as_ref().unwrap_err();
    assert_eq!((failure.chunk, failure.attempt), (1, 1));
    assert_eq!(failure.kind, FailureKind::ResultTooLarge { limit: 1000 });

    let f = |text: String| text.len();
    let texts = [10, 5000, 20].map(|length| "x".repeat(length));
    let outcomes = cloud::map(f, texts).on(place.mock()).max_result(1000).outcomes().wait().unwrap();
    assert_eq!((outcomes[0].as_ref().ok(), outcomes[2].as_ref().ok()), (Some(&10), Some(&20)));
    let failure = outcomes[1].as_ref().unwrap_err();
    assert_eq!(failure.kind, FailureKind::InputTooLarge { limit: 1000 });
    assert_eq!((failure.chunk, failure.attempt, failure.slot), (1, 0, None));
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Text(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flattened {
    id: u64,
    #[serde(flatten)]
    rest: BTreeMap<String, f64>,
}

fn assert_unchanged<T: Wire + Clone + PartialEq + Debug>(place: &Place, values: &[T]) {
    let back = cloud::map(|value: T| value, values.to_vec()).on(place.mock()).slots(1).wait().unwrap();
    assert_eq!(back, values);
    let pick = |shared: &Vec<T>, at: usize| shared[at].clone();
    let picked = cloud::map_with(values.to_vec(), pick, 0..values.len()).on(place.mock()).slots(1);
    assert_eq!(picked.wait().unwrap(), values);
}

#[test]
fn types_that_need_the_other_codec() {
    let place = Place::new();
    assert_unchanged(&place, &[json!({"a": [1, null, -2.5, "text"]}), json!(null), json!(u64::MAX)]);
    assert_unchanged(&place, &[Untagged::Text("x".into()), Untagged::Number(-5)]);
    let rest = BTreeMap::from([("x".to_string(), 1.5)]);
    assert_unchanged(&place, &[Flattened { id: 1, rest: BTreeMap::new() }, Flattened { id: 2, rest }]);
    // The codec changes in the middle.
    assert_unchanged(&place, &[None, Some(json!({"a": 1})), None, Some(json!("text"))]);
    assert_unchanged(&place, &[u128::MAX, 0]);
}
