//! Every value that serde can read back comes through unchanged: as a chunk, as a result, and as shared data.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Debug,
};

use cloud::Wire;
use num_complex::Complex;
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Whether these are changed on their way to a slot, on their way back, or as shared data.
fn assert_unchanged<T: Wire + Clone + PartialEq + Debug>(values: &[T]) {
    let seen = cloud::map(|value: T| value, values.to_vec()).wait().unwrap();
    assert_eq!(seen, values);
    let shared = values.to_vec();
    let picked = cloud::map_with(shared, |shared: &Vec<T>, at: usize| shared[at].clone(), 0..values.len());
    assert_eq!(picked.wait().unwrap(), values);
    for value in values {
        let seen = cloud::map_with(value.clone(), |shared: &T, ()| shared.clone(), [()]).wait().unwrap();
        assert_eq!(&seen[0], value);
    }
}

#[test]
fn free_form_json() {
    assert_unchanged(&[
        json!({"a": 1, "b": [true, null, -2.5, "text"], "c": {"d": {}}}),
        json!(null),
        json!(18_446_744_073_709_551_615u64),
        json!(-9_223_372_036_854_775_808i64),
        json!(""),
        json!([[], [[]]]),
    ]);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(i64),
    Text(String),
    Both { number: i64, text: String },
}

#[test]
fn an_untagged_enum() {
    let both = Untagged::Both { number: -1, text: "one".into() };
    assert_unchanged(&[Untagged::Text("x".into()), Untagged::Number(5), both]);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged {
    Circle { radius: f64 },
    Box { width: f64, height: f64 },
    Nothing,
}

#[test]
fn an_internally_tagged_enum() {
    assert_unchanged(&[
        Tagged::Circle { radius: 0.5 },
        Tagged::Nothing,
        Tagged::Box { width: 1.0, height: 2.0 },
    ]);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "value")]
enum Adjacent {
    Number(i64),
    Pair(u8, u8),
}

#[test]
fn an_adjacently_tagged_enum() {
    assert_unchanged(&[Adjacent::Number(-7), Adjacent::Pair(1, 2)]);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flattened {
    id: u64,
    #[serde(flatten)]
    rest: BTreeMap<String, f64>,
}

#[test]
fn a_flattened_field() {
    let rest = BTreeMap::from([("x".to_string(), 1.5), ("y".to_string(), -2.5)]);
    assert_unchanged(&[Flattened { id: 1, rest: BTreeMap::new() }, Flattened { id: 2, rest }]);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Skipping {
    before: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    note: Option<u32>,
    after: u32,
}

fn skipping(note: Option<u32>) -> Skipping {
    Skipping { before: 1, note, after: 2 }
}

#[test]
fn a_skipped_field() {
    assert_unchanged(&[skipping(None), skipping(Some(7)), skipping(None)]);
}

#[test]
fn a_field_that_the_first_chunk_has_and_later_ones_skip() {
    let chunks: Vec<_> = (0..200).map(|x| skipping((x < 3 || x % 5 == 0).then_some(x))).collect();
    assert_unchanged(&chunks);
    // Deep inside other values, too.
    let nested: Vec<_> =
        chunks.iter().map(|chunk| Some((0u8, vec![chunk.clone(), skipping(Some(1))]))).collect();
    assert_unchanged(&nested);
}

#[test]
fn a_kind_of_value_that_the_first_chunk_does_not_have() {
    assert_unchanged(&[None, Some(json!({"a": 1})), None, Some(json!("text"))]);
    assert_unchanged(&[vec![], vec![json!(1), json!("two")]]);
    let tagged = |tags: &[&str]| -> HashMap<String, Untagged> {
        tags.iter().map(|tag| ((*tag).to_string(), Untagged::Text((*tag).to_string()))).collect()
    };
    assert_unchanged(&[tagged(&[]), tagged(&["a", "b"])]);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Event {
    Tick,
    Message(Value),
}

#[test]
fn an_enum_with_one_free_form_variant_that_comes_late() {
    assert_unchanged(&[Event::Tick, Event::Tick, Event::Message(json!([1, {"b": 2}])), Event::Tick]);
}

#[test]
fn floats_keep_every_bit() {
    let odd = [
        f64::NAN.to_bits(),
        0x7ff0_0000_0000_0001, // a signalling NaN
        0xfff8_dead_beef_cafe, // a NaN with a payload
        (-0.0f64).to_bits(),
        1,
        f64::NEG_INFINITY.to_bits(),
    ];
    let values: Vec<f64> = odd.into_iter().map(f64::from_bits).collect();
    let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    let sent = cloud::map(|value: f64| value.to_bits(), values.clone()).wait().unwrap();
    assert_eq!(sent, odd);
    let back = cloud::map(f64::from_bits, odd).wait().unwrap();
    assert_eq!(bits(&back), odd);
    // Beside a value that is written in the other codec.
    let paired = cloud::map(
        |(value, json): (f64, Value)| (value, json),
        values.iter().map(|value| (*value, json!(1))),
    );
    let back: Vec<f64> = paired.wait().unwrap().into_iter().map(|(value, _)| value).collect();
    assert_eq!(bits(&back), odd);
}

#[test]
fn the_widest_numbers() {
    assert_unchanged(&[0u128, u128::MAX, 1 << 127]);
    assert_unchanged(&[i128::MIN, -1, i128::MAX]);
    assert_unchanged(&[(u64::MAX, i64::MIN, json!("in the other codec"), u128::MAX, i128::MIN)]);
}

#[test]
fn maps_and_tuples_and_options_of_options() {
    let table: HashMap<(u8, String), Vec<Option<i32>>> =
        (0..100).map(|x| ((x, x.to_string()), vec![None, Some(i32::from(x)), Some(-1)])).collect();
    assert_unchanged(&[table, HashMap::new()]);
    assert_unchanged(&[Some(None), None, Some(Some(1u8))]);
    assert_unchanged(&[Ok(1u8), Err("text".to_string())]);
}

#[test]
fn a_large_vector_of_complex_numbers() {
    let points = |seed: u32| -> Vec<Complex<f64>> {
        (0..250_000).map(|x| Complex::new(f64::from(x ^ seed), -f64::from(x) / 3.0)).collect()
    };
    let back = cloud::map(|points: Vec<Complex<f64>>| points, [points(0), points(1)]).wait().unwrap();
    // Not `assert_eq`: nobody wants to read half a million numbers.
    assert!(back == [points(0), points(1)]);
}

#[test]
fn chunks_around_the_sizes_of_buffers() {
    let around = |size: usize| (size - 40..size + 8).step_by(3);
    let sizes: Vec<usize> =
        (0..20).chain(around(1 << 16)).chain(around(1 << 17)).chain(around(1 << 18)).collect();
    let chunks = || sizes.iter().map(|size| "x".repeat(*size));
    // Both pipes are full at times, in both directions.
    let back = cloud::map(|text: String| text, chunks()).slots(2).wait().unwrap();
    assert!(back.iter().map(String::len).eq(sizes.iter().copied()));
    let lengths = cloud::map(|text: String| text.len(), chunks()).slots(1).wait().unwrap();
    assert_eq!(lengths, sizes);
}

#[test]
fn a_chunk_larger_than_every_buffer() {
    let text = |letter: &str| letter.repeat(20 << 20);
    let back = cloud::map(|text: String| text, [text("a"), "small".into(), text("b")]).wait().unwrap();
    assert!(back == [text("a"), "small".to_string(), text("b")]);
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Tree {
    Unit,
    Leaf(i32),
    Pair(Box<Tree>, Box<Tree>),
    Named { name: String, children: Vec<Tree>, flag: Option<bool> },
}

fn trees() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![Just(Tree::Unit), any::<i32>().prop_map(Tree::Leaf)];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(left, right)| Tree::Pair(left.into(), right.into())),
            (any::<String>(), prop::collection::vec(inner, 0..4), any::<Option<bool>>())
                .prop_map(|(name, children, flag)| Tree::Named { name, children, flag }),
        ]
    })
}

/// JSON whose numbers are integers: a float that is whole reads back as the same number of another kind.
fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..4)
                .prop_map(|map| map.into_iter().collect()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nested_enums_of_any_form(chunks in prop::collection::vec(trees(), 0..8)) {
        prop_assert_eq!(cloud::map(|tree: Tree| tree, chunks.clone()).wait().unwrap(), chunks);
    }

    #[test]
    fn documents_of_any_form(chunks in prop::collection::vec(documents(), 0..8)) {
        prop_assert_eq!(cloud::map(|document: Value| document, chunks.clone()).wait().unwrap(), chunks);
    }
}
