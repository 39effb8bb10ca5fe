//! What is said of `mock` outside the code, in processes of their own.

use std::fs;

use crate::{
    place::{double, doubles},
    support::{Recorder, Rerun},
};

/// Runs a map and prints what it was run with, or the error.
fn tell() {
    let recorder = Recorder::default();
    match cloud::map(double, 0..4).reporter(recorder.clone()).wait() {
        Ok(values) => {
            assert_eq!(values, doubles(4));
            let started = &recorder.only("started")[0];
            println!("told: {} on {} slots", started["backend"].as_str().unwrap(), started["slots"]);
        }
        Err(error) => println!("told: {error}"),
    }
}

#[test]
fn variables_choose_the_folder_and_the_rest() {
    let Some(rerun) = Rerun::of(variables_choose_the_folder_and_the_rest) else { return tell() };
    let place = crate::place::Place::new();
    let folder = place.path().join("deep/below");
    let rerun = rerun.env("CLOUD_BACKEND", "mock").env("CLOUD_MOCK_FOLDER", &folder);
    let rerun = rerun.env("CLOUD_MOCK", "seed=7, capacity=3,start_delay=20ms");
    assert_eq!(rerun.output().told(), "mock on 3 slots");
    assert_eq!(fs::read_dir(folder.join("runs")).unwrap().count(), 1);
}

#[test]
fn a_relative_folder_and_the_state_directory() {
    let again = || Rerun::of(a_relative_folder_and_the_state_directory);
    let Some(rerun) = again() else { return tell() };
    let place = crate::place::Place::new();
    let rerun = rerun.env("CLOUD_BACKEND", "mock").env("CLOUD_MOCK_FOLDER", "here").directory(place.path());
    assert!(rerun.output().told().starts_with("mock on"));
    assert!(place.path().join("here/runs").is_dir());
    let rerun = again().unwrap().env("CLOUD_BACKEND", "mock").env("CLOUD_MOCK_FOLDER", "");
    assert!(rerun.env("XDG_STATE_HOME", place.path()).output().told().starts_with("mock on"));
    assert!(place.path().join("cloud/mock/runs").is_dir());
}

#[test]
fn the_file_loses_to_the_environment() {
    let again = || Rerun::of(the_file_loses_to_the_environment);
    let Some(rerun) = again() else { return tell() };
    let place = crate::place::Place::new();
    fs::write(place.path().join("cloud.toml"), "backend = \"mock\"\nmock = \"capacity=2\"\n").unwrap();
    let folder = place.path().join("mock");
    let rerun = rerun.directory(place.path()).env("CLOUD_MOCK_FOLDER", &folder);
    assert_eq!(rerun.output().told(), "mock on 2 slots");
    let rerun = again().unwrap().directory(place.path()).env("CLOUD_MOCK_FOLDER", &folder);
    assert_eq!(rerun.env("CLOUD_MOCK", "capacity=4").output().told(), "mock on 4 slots");
}

#[test]
fn a_wrong_value_names_itself_and_what_is_allowed() {
    let again = || Rerun::of(a_wrong_value_names_itself_and_what_is_allowed);
    let allowed = "a list such as `seed=7,start_delay=50ms,spot_kill_rate=0.2,throttle=10,capacity=8`";
    let wrong =
        ["seed=x", "spot_kill_rate=1.5", "spot_kill_rate=NaN", "throttle=0", "capacity=-1", "speed=3"];
    for value in wrong.into_iter().chain(["seed", "start_delay=soon"]) {
        let Some(rerun) = again() else { return tell() };
        let rerun = rerun.env("CLOUD_BACKEND", "mock").env("CLOUD_MOCK", value);
        let expected = format!("`CLOUD_MOCK` (environment) is `{value}`, expected {allowed}");
        assert_eq!(rerun.output().told(), expected);
    }
    let place = crate::place::Place::new();
    let file = place.path().canonicalize().unwrap().join("cloud.toml");
    fs::write(&file, "backend = \"mock\"\nmock = \"capacity=none\"\n").unwrap();
    let said = again().unwrap().directory(place.path()).output().told();
    let expected = format!("`mock` ({}, line 2) is `capacity=none`, expected {allowed}", file.display());
    assert_eq!(said, expected);
}

#[test]
fn a_folder_that_cannot_be_used_is_named() {
    let Some(rerun) = Rerun::of(a_folder_that_cannot_be_used_is_named) else { return tell() };
    let rerun = rerun.env("CLOUD_BACKEND", "mock").env("CLOUD_MOCK_FOLDER", "/dev/null/below");
    let said = rerun.output().told();
    assert!(said.starts_with("`/dev/null/below` cannot be used: "), "{said}");
}
