//! Where settings come from, in processes of their own.

use std::fs;

use cloud::Backend;

use crate::support::{Recorder, Rerun};

/// Runs a map and prints what it was run with, or the error.
fn tell() {
    let recorder = Recorder::default();
    match cloud::map(|x: u32| x + 1, 0..4).reporter(recorder.clone()).wait() {
        Ok(values) => {
            assert_eq!(values, [1, 2, 3, 4]);
            let started = &recorder.only("started")[0];
            println!("told: {} on {} slots", started["backend"].as_str().unwrap(), started["slots"]);
        }
        Err(error) => println!("told: {error}"),
    }
}

#[test]
fn the_environment_chooses_the_slots() {
    let Some(rerun) = Rerun::of(the_environment_chooses_the_slots) else { return tell() };
    assert_eq!(rerun.env("CLOUD_SLOTS", "3").output().told(), "local on 3 slots");
}

#[test]
fn the_environment_chooses_the_backend() {
    let Some(rerun) = Rerun::of(the_environment_chooses_the_backend) else { return tell() };
    assert_eq!(rerun.env("CLOUD_BACKEND", "inline").output().told(), "inline on 1 slots");
}

#[test]
fn an_empty_variable_is_an_unset_one() {
    let Some(rerun) = Rerun::of(an_empty_variable_is_an_unset_one) else { return tell() };
    let rerun = rerun.env("CLOUD_SLOTS", "").env("CLOUD_BACKEND", "").env("CLOUD_PROGRESS", "");
    let cores = std::thread::available_parallelism().unwrap();
    assert_eq!(rerun.output().told(), format!("local on {cores} slots"));
}

#[test]
fn a_wrong_value_names_itself_where_it_came_from_and_what_is_allowed() {
    let wrong = [
        ("CLOUD_SLOTS", "many", "a whole number from 1 to 1024"),
        ("CLOUD_SLOTS", "0", "a whole number from 1 to 1024"),
        ("CLOUD_SLOTS", "-1", "a whole number from 1 to 1024"),
        ("CLOUD_BACKEND", "moon", "`inline`, `local` or `mock`"),
        ("CLOUD_PROGRESS", "loud", "`auto`, `bar`, `json` or `off`"),
    ];
    for (variable, value, allowed) in wrong {
        let Some(rerun) = Rerun::of(a_wrong_value_names_itself_where_it_came_from_and_what_is_allowed) else {
            return tell();
        };
        let expected = format!("`{variable}` (environment) is `{value}`, expected {allowed}");
        assert_eq!(rerun.env(variable, value).output().told(), expected);
    }
}

#[test]
fn the_code_beats_the_environment() {
    let Some(rerun) = Rerun::of(the_code_beats_the_environment) else {
        let recorder = Recorder::default();
        let map = cloud::map(|_: u32| std::process::id(), 0..4).on(Backend::Local).slots(2);
        let processes = map.reporter(recorder.clone()).wait().unwrap();
        assert!(!processes.contains(&std::process::id()));
        assert_eq!(recorder.only("started")[0]["slots"], 2);
        return;
    };
    rerun.env("CLOUD_BACKEND", "inline").env("CLOUD_SLOTS", "7").output();
}

#[test]
fn a_file_in_the_directory_or_above_is_used_and_loses_to_the_environment() {
    let again = || Rerun::of(a_file_in_the_directory_or_above_is_used_and_loses_to_the_environment);
    let Some(here) = again() else { return tell() };
    let folder = tempfile::tempdir().unwrap();
    let below = folder.path().join("a/b");
    fs::create_dir_all(&below).unwrap();
    fs::write(folder.path().join("cloud.toml"), "# how many\nslots = 3\n").unwrap();
    assert_eq!(here.directory(folder.path()).output().told(), "local on 3 slots");
    assert_eq!(again().unwrap().directory(&below).output().told(), "local on 3 slots");
    assert_eq!(
        again().unwrap().directory(&below).env("CLOUD_SLOTS", "2").output().told(),
        "local on 2 slots"
    );
    // The nearest one is the one.
    fs::write(below.join("cloud.toml"), "backend = \"inline\"\n").unwrap();
    assert_eq!(again().unwrap().directory(&below).output().told(), "inline on 1 slots");
}

#[test]
fn what_is_wrong_with_a_file_is_named() {
    let wrong = [
        ("\nslots = \"many\"\n", "`slots` (FILE, line 2) is `many`, expected a whole number from 1 to 1024"),
        ("backend = \"moon\"\n", "`backend` (FILE, line 1) is `moon`, expected `inline`, `local` or `mock`"),
        (
            "slotz = 2\n",
            "`FILE` cannot be used: `slotz` is no setting, expected one of `backend`, `slots`, `progress`, `mock`",
        ),
        ("slots = = 2\n", "`FILE` cannot be used: TOML parse error at line 1, column 9"),
    ];
    for (text, expected) in wrong {
        let Some(rerun) = Rerun::of(what_is_wrong_with_a_file_is_named) else { return tell() };
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().canonicalize().unwrap().join("cloud.toml");
        fs::write(&file, text).unwrap();
        let told = rerun.directory(folder.path()).output().told();
        assert_eq!(told, expected.replace("FILE", file.to_str().unwrap()));
    }
}
