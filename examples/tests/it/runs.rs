use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::program::{Ended, Program};

/// Primes below 200,000.
const PRIMES: &str = "17984 primes";

fn runs(folder: &TempDir, arguments: &str) -> Ended {
    Program::new(env!("CARGO_BIN_EXE_runs"), arguments)
        .env("CLOUD_BACKEND", "mock")
        .env("CLOUD_MOCK_FOLDER", folder.path())
        .run()
}

fn start(folder: &TempDir, arguments: &str) -> String {
    runs(folder, &format!("start {arguments}")).stdout.trim().to_string()
}

#[test]
fn a_run_is_finished_by_another_process() {
    let folder = tempfile::tempdir().unwrap();
    let run = start(&folder, "20 5");
    assert_eq!(runs(&folder, "list").lines(), [run.as_str()]);
    assert_eq!(runs(&folder, &format!("results {run}")).lines(), [PRIMES]);
    let status = runs(&folder, &format!("status {run}"));
    assert!(status.stdout.starts_with("primes: complete, "), "{}", status.stdout);
}

#[test]
fn a_run_goes_on_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let run = start(&folder, "20 5");
    let begun = Instant::now();
    // Nobody attends it, so nobody closes it; but all is done.
    loop {
        let status = runs(&folder, &format!("status {run}")).stdout;
        let (done, blocks) = status.split_once(" of ").unwrap();
        if done.split(' ').next_back() == blocks.split(' ').next() {
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{status}");
    }
    assert_eq!(runs(&folder, &format!("results {run}")).lines(), [PRIMES]);
}

#[test]
fn a_cancelled_run_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let run = start(&folder, "100 200");
    let cancelled = runs(&folder, &format!("cancel {run}"));
    assert!(cancelled.stdout.starts_with("primes: cancelled, "), "{}", cancelled.stdout);
    let results = runs(&folder, &format!("results {run}"));
    assert_eq!((results.code, results.stdout.as_str()), (Some(1), ""));
    assert!(results.stderr.contains("was cancelled"), "{}", results.stderr);
}

#[test]
fn a_run_needs_a_backend_that_keeps_it() {
    let ended = Program::new(env!("CARGO_BIN_EXE_runs"), "start").env("CLOUD_BACKEND", "local").run();
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("`.start(..)` has no meaning on the `local` backend"), "{}", ended.stderr);
}
