//! Everything that can be called, without an attribute.

use std::{any::type_name, ops::Add, time::Duration};

use cloud::{Error, FailureKind, Wire};

use crate::support::Recorder;

fn square(x: u64) -> u64 {
    x * x
}

#[test]
fn a_function_is_called_on_every_chunk_and_values_come_in_input_order() {
    assert_eq!(cloud::map(square, 0..1000).wait().unwrap(), (0..1000).map(square).collect::<Vec<_>>());
}

#[test]
fn it_runs_in_other_processes() {
    let processes = cloud::map(|_: u32| std::process::id(), 0..10).wait().unwrap();
    assert!(!processes.contains(&std::process::id()), "{processes:?}");
}

#[test]
fn call_gives_the_one_value() {
    assert_eq!(cloud::call(square, 12).wait().unwrap(), 144);
}

#[test]
fn call_gives_the_one_failure() {
    fn refuse(x: u64) -> u64 {
        panic!("not {x}")
    }
    let Err(Error::Failed(failures)) = cloud::call(refuse, 7).wait() else { panic!("it returned") };
    assert_eq!(failures.len(), 1);
    assert_eq!((failures[0].chunk, failures[0].message.as_str()), (0, "not 7"));
}

#[test]
fn two_closures_in_one_function_are_told_apart() {
    let plus = cloud::map(|x: u32| x + 10, 0..3);
    let times = cloud::map(|x: u32| x * 10, 0..3);
    assert_eq!(times.wait().unwrap(), [0, 10, 20]);
    assert_eq!(plus.wait().unwrap(), [10, 11, 12]);
}

#[test]
fn closures_on_one_line_are_told_apart() {
    let both =
        (cloud::call(|x: u32| x + 1, 5).wait().unwrap(), cloud::call(|x: u32| x - 1, 5).wait().unwrap());
    assert_eq!(both, (6, 4));
}

fn describe<T: Wire>(items: Vec<T>) -> (String, usize) {
    (type_name::<T>().into(), size_of::<T>() * items.len())
}

#[test]
fn generic_instances_are_told_apart() {
    assert_eq!(cloud::call(describe::<u8>, vec![1, 2]).wait().unwrap(), ("u8".into(), 2));
    assert_eq!(cloud::call(describe::<f64>, vec![1.0, 2.0]).wait().unwrap(), ("f64".into(), 16));
    assert_eq!(cloud::call(describe, vec![(1u16, 2u16)]).wait().unwrap(), ("(u16, u16)".into(), 4));
}

fn shifted<const BY: u32>(x: u32) -> u32 {
    x << BY
}

#[test]
fn instances_over_constants_are_told_apart() {
    assert_eq!(cloud::map(shifted::<1>, [1, 2]).wait().unwrap(), [2, 4]);
    assert_eq!(cloud::map(shifted::<4>, [1, 2]).wait().unwrap(), [16, 32]);
}

/// The closure in it is one for each `T`.
fn doubled<T: Wire + Add<Output = T> + Copy>(items: Vec<T>) -> Vec<T> {
    cloud::map(|item: T| item + item, items).wait().unwrap()
}

#[test]
fn a_map_inside_a_generic_function_is_one_for_each_instance() {
    assert_eq!(doubled(vec![1u8, 100]), [2, 200]);
    assert_eq!(doubled(vec![1i64, -5_000_000_000]), [2, -10_000_000_000]);
    assert_eq!(doubled(vec![0.25f64]), [0.5]);
}

fn first_of_twins(x: u32) -> u32 {
    x.rotate_left(3)
}

fn second_of_twins(x: u32) -> u32 {
    x.rotate_left(3)
}

#[test]
fn functions_with_equal_bodies_keep_their_own_names() {
    let recorder = Recorder::default();
    let first = cloud::map(first_of_twins, [1, 2]).reporter(recorder.clone()).wait().unwrap();
    let second = cloud::map(second_of_twins, [1, 2]).reporter(recorder.clone()).wait().unwrap();
    assert_eq!(first, second);
    let labels: Vec<_> = recorder.only("started").iter().map(|event| event["label"].clone()).collect();
    assert_eq!(labels, ["it::calls::first_of_twins", "it::calls::second_of_twins"]);
}

#[test]
fn equal_bodies_over_other_types_decode_their_own() {
    // All three are the same machine code, but signed integers are written otherwise than unsigned ones.
    assert_eq!(cloud::map(|x: u32| x, [3, u32::MAX]).wait().unwrap(), [3, u32::MAX]);
    assert_eq!(cloud::map(|x: i32| x, [3, -1]).wait().unwrap(), [3, -1]);
    assert_eq!(cloud::map(|x: char| x, ['3', 'é']).wait().unwrap(), ['3', 'é']);
}

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Metres(f64);

impl Metres {
    fn halved(self) -> Metres {
        Metres(self.0 / 2.0)
    }
}

trait Area {
    fn area(self) -> f64;
}

impl Area for (f64, f64) {
    fn area(self) -> f64 {
        self.0 * self.1
    }
}

#[test]
fn methods_constructors_and_functions_of_other_crates_are_functions_too() {
    assert_eq!(cloud::map(Metres::halved, [Metres(3.0)]).wait().unwrap(), [Metres(1.5)]);
    assert_eq!(cloud::map(<(f64, f64)>::area, [(2.0, 3.0)]).wait().unwrap(), [6.0]);
    assert_eq!(cloud::map(Metres, [1.0, 2.0]).wait().unwrap(), [Metres(1.0), Metres(2.0)]);
    assert_eq!(cloud::map(f64::sqrt, [4.0, 9.0]).wait().unwrap(), [2.0, 3.0]);
    assert_eq!(cloud::map(Some, [1u8]).wait().unwrap(), [Some(1)]);
}

#[test]
fn units_and_tuples_go_both_ways() {
    assert_eq!(cloud::map(|()| (), [(), ()]).wait().unwrap(), [(), ()]);
    let swapped = cloud::map(|(a, b): (u8, String)| (b, a), [(1, "one".to_string())]);
    assert_eq!(swapped.wait().unwrap(), [("one".to_string(), 1)]);
}

async fn slept(millis: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(millis)).await;
    tokio::spawn(async move { millis + 1 }).await.unwrap()
}

#[test]
fn async_functions_find_a_tokio_runtime() {
    assert_eq!(cloud::map(slept, [3, 1, 2]).wait().unwrap(), [4, 2, 3]);
}

#[test]
fn plain_functions_find_a_tokio_runtime_too() {
    let answers = cloud::map(|x: u32| tokio::runtime::Handle::current().block_on(async move { x + 1 }), 0..3);
    assert_eq!(answers.wait().unwrap(), [1, 2, 3]);
}

#[test]
fn closures_may_be_async_either_way() {
    assert_eq!(cloud::map(async |x: u64| slept(x).await, [1, 2]).wait().unwrap(), [2, 3]);
    assert_eq!(cloud::map(|x: u64| async move { slept(x).await * 2 }, [1, 2]).wait().unwrap(), [4, 6]);
    assert_eq!(cloud::call(async |x: u64| x + 1, 1).wait().unwrap(), 2);
}

#[test]
fn an_async_function_that_panics_fails_its_chunk_alone() {
    let odd = async |x: u32| {
        tokio::task::yield_now().await;
        assert!(x % 2 == 1, "{x} is even");
        x
    };
    let outcomes = cloud::map(odd, [1, 2, 3]).outcomes().wait().unwrap();
    assert_eq!((outcomes[0].as_ref().ok(), outcomes[2].as_ref().ok()), (Some(&1), Some(&3)));
    let failure = outcomes[1].as_ref().unwrap_err();
    assert_eq!(failure.message, "2 is even");
    assert!(matches!(failure.kind, FailureKind::Panic { .. }), "{failure:?}");
}

#[test]
fn init_in_a_test_returns_at_once_and_changes_nothing() {
    cloud::init();
    cloud::init_with(|| panic!("this is no slot"));
    assert_eq!(cloud::call(square, 3).wait().unwrap(), 9);
}

#[test]
fn a_result_that_serde_knows_is_a_plain_value_under_map() {
    let halves =
        cloud::map(|x: u32| if x.is_multiple_of(2) { Ok(x / 2) } else { Err(format!("{x} is odd")) }, [4, 5]);
    assert_eq!(halves.wait().unwrap(), [Ok(2), Err("5 is odd".to_string())]);
}
