//! What people see of a run: nothing in a log, a bar on a terminal, JSON lines on request.

use std::{thread::sleep, time::Duration};

use serde_json::Value;

use crate::support::Rerun;

fn ten_to_one_fails(x: u32) -> u32 {
    sleep(Duration::from_millis(10));
    assert!(!x.is_multiple_of(10), "{x} ends in 0");
    x
}

/// A run of half a second, with failures.
fn run_with_a_failure() {
    let error = cloud::map(ten_to_one_fails, 1..=100).slots(2).label("tens").wait().unwrap_err();
    assert!(error.to_string().starts_with("10 chunks failed"));
}

#[test]
fn nothing_is_printed_where_stderr_is_no_terminal() {
    let Some(rerun) = Rerun::of(nothing_is_printed_where_stderr_is_no_terminal) else {
        return run_with_a_failure();
    };
    assert_eq!(rerun.output().stderr, "");
}

#[test]
fn json_lines_are_printed_on_request() {
    let Some(rerun) = Rerun::of(json_lines_are_printed_on_request) else { return run_with_a_failure() };
    let stderr = rerun.env("CLOUD_PROGRESS", "json").output().stderr;
    let events: Vec<Value> = stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = |kind: &str| events.iter().filter(|event| event["event"] == kind).count();
    assert_eq!((count("started"), count("chunk_failed"), count("finished")), (1, 10, 1));
    assert!(count("progress") >= 1);
    assert_eq!(events[0]["label"], "tens");
}

#[test]
fn off_prints_nothing() {
    let Some(rerun) = Rerun::of(off_prints_nothing) else { return run_with_a_failure() };
    assert_eq!(rerun.env("CLOUD_PROGRESS", "off").output().stderr, "");
}

#[test]
fn a_terminal_shows_a_bar() {
    let Some(rerun) = Rerun::of(a_terminal_shows_a_bar) else { return run_with_a_failure() };
    let shown = rerun.on_a_terminal().output().stdout;
    let last = shown.lines().rfind(|line| line.contains("tens")).unwrap();
    assert!(last.contains("100/100") && last.contains("/s") && last.contains("10 failed"), "{shown:?}");
    assert!(shown.matches("tens").count() > 2, "it moves: {shown:?}");
}

#[test]
fn a_terminal_shows_a_counter_where_the_length_is_unknown() {
    let Some(rerun) = Rerun::of(a_terminal_shows_a_counter_where_the_length_is_unknown) else {
        let unknown = (0..80).filter(|x| x % 2 == 0);
        let nap = |_: u32| sleep(Duration::from_millis(20));
        cloud::map(nap, unknown).slots(2).label("evens").wait().unwrap();
        return;
    };
    let shown = rerun.on_a_terminal().output().stdout;
    let last = shown.lines().rfind(|line| line.contains("evens")).unwrap();
    assert!(last.contains("40, ") && !last.contains("40/"), "{shown:?}");
}

#[test]
fn a_terminal_shows_no_bar_for_a_short_run() {
    let Some(rerun) = Rerun::of(a_terminal_shows_no_bar_for_a_short_run) else {
        cloud::map(|x: u32| x, 0..100).label("brief").wait().unwrap();
        return;
    };
    assert!(!rerun.on_a_terminal().output().stdout.contains("brief"));
}

#[test]
fn prints_of_chunks_and_the_bar_do_not_tear_each_other() {
    let Some(rerun) = Rerun::of(prints_of_chunks_and_the_bar_do_not_tear_each_other) else {
        let f = |x: u32| {
            sleep(Duration::from_millis(10));
            println!("<chunk {x} says so>");
        };
        cloud::map(f, 0..100).slots(2).label("talkative").wait().unwrap();
        return;
    };
    let shown = rerun.on_a_terminal().output().stdout;
    for x in 0..100 {
        assert!(shown.contains(&format!("<chunk {x} says so>")), "chunk {x}: {shown:?}");
    }
    assert!(shown.contains("100/100"), "{shown:?}");
}
