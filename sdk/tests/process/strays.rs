//! Workers that nobody waits for.

use std::{
    fs,
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::Path,
    thread::sleep,
    time::Duration,
};

use cloud::RunState;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::{
    bare::{Bare, put},
    client::{Client, Part, Plan, Said},
    place::{Kind, Place, Scratch, signal, within},
    scene::{prepared, status},
};

const SOON: Duration = Duration::from_secs(10);

/// All that is stored of the run.
fn stored(place: &Place) -> Vec<String> {
    let folders = ["claims", "left", "out", "workers", "numbers", "trying", "rounds/000"];
    folders
        .iter()
        .flat_map(|folder| place.keys(folder).into_iter().map(move |key| format!("{folder}/{key}")))
        .collect()
}

/// A worker that comes now goes home, and has done and written nothing.
fn goes_home(place: &Place) {
    let before = stored(place);
    assert_eq!(Bare::start(place, "stray", 1).code_within(SOON), Some(0), "{}", place.story());
    assert_eq!(stored(place), before);
}

#[test]
fn a_worker_that_comes_after_the_end_goes_home() {
    let scratch = Scratch::new();
    let place = scratch.place();
    let plan = Plan::new(place.clone(), 16, 1);
    let said = Client::start(&plan, &Part::Run, 0).said_within(SOON);
    assert_eq!(said, Some(Said::Values(plan.values())), "{}", place.story());
    goes_home(&place);
    assert!((0..16).all(|chunk| place.calls(chunk) == 1));
}

#[test]
fn a_worker_of_a_run_that_is_cancelled_goes_home() {
    let (scratch, _) = prepared(|plan| plan.hold = vec![0]);
    let place = scratch.place();
    // Nobody has submitted it.
    goes_home(&place);
    assert_eq!(status(&place).state, RunState::Prepared);
    put(&place, "rounds/000/intent.000");
    let mut working = Bare::start(&place, "job", 1);
    assert!(within(SOON, || place.runner_of(0).is_some()), "{}", place.story());
    put(&place, "cancelled");
    goes_home(&place);
    // One that is at work already claims nothing more, once its last look is five seconds old.
    let claims = place.keys("claims");
    sleep(Duration::from_millis(5100));
    place.release();
    assert_eq!(working.code_within(SOON), Some(0), "{}", place.story());
    assert_eq!(place.keys("claims"), claims);
}

#[test]
fn a_worker_without_a_run_writes_nothing() {
    let (scratch, _) = prepared(|_| {});
    let place = scratch.place();
    fs::rename(place.object("manifest"), place.0.join("manifest")).unwrap();
    let mut worker = Bare::told(&place, "job", 1, &"0".repeat(64));
    assert_eq!(worker.code_within(SOON), Some(0), "{}", place.story());
    assert!(stored(&place).is_empty());
}

/// What is submitted twice is done once: the second job's workers see that the run counts on another.
#[test]
fn workers_of_a_second_job_go_home() {
    let scratch = Scratch::new();
    let place = scratch.place();
    let mut plan = Plan::new(place.clone(), 16, 2);
    plan.hold = vec![3];
    let mut client = Client::start(&plan, &Part::Run, 0);
    assert!(within(SOON, || place.has("rounds/000/submitted") && place.runner_of(3).is_some()));
    let (before, records) = (place.count("claims"), place.count("workers"));
    submit_again(&place);
    let ended = |job: &Path| -> Option<Vec<Value>> {
        let job: Value = serde_json::from_slice(&fs::read(job).ok()?).ok()?;
        let workers = job["workers"].as_array()?.clone();
        (!job["ended"].is_null()).then_some(workers)
    };
    let second = place.mock().join("batch/batch/jobs/1.json");
    assert!(within(SOON, || ended(&second).is_some()), "{}", place.story());
    for worker in ended(&second).unwrap() {
        assert_eq!((&worker["exit_code"], &worker["attempts"]), (&json!(0), &json!(1)), "{worker}");
    }
    assert!(place.count("claims") >= before && place.count("workers") <= records + 1);
    place.release();
    assert_eq!(client.said_within(SOON), Some(Said::Values(plan.values())), "{}", place.story());
    assert!((0..16).all(|chunk| place.calls(chunk) == 1), "{}", place.story());
    assert!(place.is_left_within(SOON), "{}", place.story());
}

/// A client may die after SubmitJob, before it says so; then the next one may submit once more, if it looks too early. Here
/// both jobs are at work before either is noted.
#[test]
fn two_jobs_at_work_do_no_harm() {
    let scratch = Scratch::new();
    let place = scratch.place();
    let mut plan = Plan::new(place.clone(), 64, 2);
    plan.hold = (0..64).collect();
    let mut first = Client::start(&plan, &Part::Run, 0);
    assert!(within(SOON, || place.has("rounds/000/submitted")));
    signal(first.pid(), Signal::KILL);
    first.wait();
    // As if the client had died one step earlier.
    fs::remove_file(place.object("rounds/000/submitted")).unwrap();
    submit_again(&place);
    assert!(within(SOON, || place.all(Kind::Slot).len() == 4), "{}", place.story());
    sleep(Duration::from_millis(50));
    place.release();
    let part = Part::Attach { run: place.run().unwrap() };
    let said = Client::start(&plan, &part, 1).said_within(Duration::from_secs(20));
    assert_eq!(said, Some(Said::Values(plan.values())), "{}", place.story());
    assert_eq!(status(&place).state, RunState::Complete);
    assert!(place.is_left_within(SOON), "{}", place.story());
}

/// Sends the first job's SubmitJob once more, as a client would.
fn submit_again(place: &Place) {
    let batch = place.mock().join("batch/batch");
    let job: Value = serde_json::from_slice(&fs::read(batch.join("jobs/0.json")).unwrap()).unwrap();
    let program = json!({
        "path": format!("/proc/{}/exe", std::process::id()),
        "arguments": [],
        "environment": [],
    });
    let request = json!({ "Submit": { "spec": job["spec"], "rules": job["rules"], "program": program } });
    let mut stream = UnixStream::connect(batch.join("socket")).unwrap();
    let mut greeting = [0; 14];
    stream.read_exact(&mut greeting).unwrap();
    stream.write_all(request.to_string().as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("Ok"), "{answer}");
}
