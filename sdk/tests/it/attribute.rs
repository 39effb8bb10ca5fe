//! `#[cloud::remote(..)]`: a name and defaults for one function.

use std::time::Duration;

use cloud::FailureKind;

use crate::support::{Notes, Recorder};

#[cloud::remote(name = "it/named", timeout = "200ms", retries = 2)]
fn sleeps(millis: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(millis));
    millis
}

#[test]
fn the_name_is_the_runs_label() {
    let recorder = Recorder::default();
    cloud::map(sleeps, [1]).reporter(recorder.clone()).wait().unwrap();
    cloud::map(sleeps, [1]).label("mine").reporter(recorder.clone()).wait().unwrap();
    let labels: Vec<_> = recorder.only("started").iter().map(|event| event["label"].clone()).collect();
    assert_eq!(labels, ["it/named", "mine"]);
}

#[test]
fn its_timeout_and_retries_hold_unless_the_map_says_otherwise() {
    let outcomes = cloud::map(sleeps, [1, 20_000]).outcomes().wait().unwrap();
    assert_eq!(outcomes[0].as_ref().ok(), Some(&1));
    let failure = outcomes[1].as_ref().unwrap_err();
    assert_eq!(failure.kind, FailureKind::Timeout { limit: Duration::from_millis(200) });
    assert_eq!(failure.attempt, 3);

    let outcomes = cloud::map(sleeps, [20_000]).retries(0).outcomes().wait().unwrap();
    assert_eq!(outcomes[0].as_ref().unwrap_err().attempt, 1);
    assert_eq!(cloud::map(sleeps, [300]).timeout(Duration::from_secs(10)).wait().unwrap(), [300]);
}

#[cloud::remote(retries = 1)]
fn fails_at_first(notes: Notes) -> Result<usize, String> {
    notes.add("visits");
    if notes.count("visits") == 1 { Err("not yet".into()) } else { Ok(notes.count("visits")) }
}

#[test]
fn its_options_hold_in_whichever_way_the_function_is_called() {
    let (notes, _folder) = Notes::new();
    assert_eq!(cloud::try_map(fails_at_first, [notes]).wait().unwrap(), [2]);
    // Under `map` an `Err` is a value, and nothing is tried again.
    let (notes, _folder) = Notes::new();
    assert_eq!(cloud::map(fails_at_first, [notes]).wait().unwrap(), [Err("not yet".to_string())]);
}

#[cloud::remote]
async fn bare(x: u32) -> u32 {
    x + 1
}

#[cloud::remote(name = "it/with-shared")]
fn scaled(by: &u32, x: u32) -> u32 {
    by * x
}

#[test]
fn it_goes_on_async_functions_and_on_those_with_shared_data() {
    assert_eq!(cloud::map(bare, 0..3).wait().unwrap(), [1, 2, 3]);
    let recorder = Recorder::default();
    assert_eq!(cloud::map_with(3, scaled, 0..3).reporter(recorder.clone()).wait().unwrap(), [0, 3, 6]);
    assert_eq!(recorder.only("started")[0]["label"], "it/with-shared");
}

#[test]
fn the_function_stays_an_ordinary_function() {
    assert_eq!(sleeps(1), 1);
    assert_eq!(scaled(&2, 3), 6);
}
