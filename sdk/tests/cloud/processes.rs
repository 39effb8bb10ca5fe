//! Runs outlive the program that started them, and are taken up by another.

use std::{fs, os::unix::fs::OpenOptionsExt, path::Path};

use cloud::{Error, Run, RunId, RunState};
use smol::block_on;

use crate::{
    place::{Place, assert_gone, nap, processes},
    support::{Notes, Rerun, within},
};

const PLACE: &str = "CLOUD_TEST_PLACE";
const NOTES: &str = "CLOUD_TEST_NOTES";
const TASK: &str = "CLOUD_TEST_TASK";

fn variable<T: serde::de::DeserializeOwned>(name: &str) -> T {
    serde_json::from_str(&std::env::var(name).unwrap()).unwrap()
}

fn work(notes: &Notes, x: u32) -> u32 {
    let (slot, worker) = processes();
    notes.add(slot);
    notes.add(worker);
    nap(10);
    x + 1
}

fn expected() -> Vec<u32> {
    (1..=60).collect()
}

/// What the other process does, by the task that it is given.
fn play() {
    let mock = cloud::Backend::mock().at(variable::<String>(PLACE));
    let (task, id) = variable::<(String, Option<RunId>)>(TASK);
    block_on(async {
        match (task.as_str(), id) {
            ("start", None) => {
                let map = cloud::map_with(variable::<Notes>(NOTES), work, 0..60).on(mock).slots(2);
                let run = map.start().await.unwrap();
                println!("told: {}", run.id());
                run.detach();
            }
            ("hang", None) => {
                let map = cloud::map_with(variable::<Notes>(NOTES), work, 0..60).on(mock).slots(2);
                let run = map.start().await.unwrap();
                println!("told: {}", run.id());
                nap(60_000);
                run.detach();
            }
            ("take", Some(id)) => {
                let run = Run::<u32>::attach_on(mock, id).await.unwrap();
                println!("told: {:?}", run.results().await.unwrap() == expected());
            }
            ("other", Some(id)) => match Run::<u32>::attach_on(mock, id).await {
                Err(error @ Error::OtherProgram { .. }) => println!("told: {error}"),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    });
}

fn given(rerun: Rerun, place: &Place, notes: &Notes, task: &str, id: Option<RunId>) -> Rerun {
    rerun
        .env(PLACE, serde_json::to_string(place.path()).unwrap())
        .env(NOTES, serde_json::to_string(notes).unwrap())
        .env(TASK, serde_json::to_string(&(task, id)).unwrap())
}

fn told(rerun: Rerun) -> String {
    let said = rerun.output();
    said.stdout.lines().find_map(|line| line.split_once("told: ")).unwrap().1.to_string()
}

#[test]
fn a_program_that_starts_a_run_and_ends_need_not_come_back() {
    let Some(rerun) = Rerun::of(a_program_that_starts_a_run_and_ends_need_not_come_back) else {
        return play();
    };
    let place = Place::new();
    let (notes, _folder) = Notes::new();
    let id: RunId = told(given(rerun, &place, &notes, "start", None)).parse().unwrap();
    block_on(async {
        assert_eq!(cloud::runs_on(place.mock()).await.unwrap(), [id]);
        let status = place.reaches::<u32>(id, |state| *state == RunState::Complete).await;
        assert_eq!(status.chunks, 60);
        assert_eq!(place.attach::<u32>(id).await.unwrap().results().await.unwrap(), expected());
    });
    assert_gone(&notes.processes());
}

#[test]
fn another_process_takes_the_results_while_this_one_waits_too() {
    let again = || Rerun::of(another_process_takes_the_results_while_this_one_waits_too);
    let Some(rerun) = again() else { return play() };
    let place = Place::new();
    let (notes, _folder) = Notes::new();
    block_on(async {
        let map = cloud::map_with(notes.clone(), work, 0..60).on(place.mock()).slots(2);
        let run = map.start().await.unwrap();
        let rerun = given(rerun, &place, &notes, "take", Some(run.id()));
        let other = std::thread::spawn(move || told(rerun));
        let id = run.id();
        assert_eq!(run.results().await.unwrap(), expected());
        assert_eq!(other.join().unwrap(), "true");
        // And once more when all is over.
        assert_eq!(told(given(again().unwrap(), &place, &notes, "take", Some(id))), "true");
    });
}

#[test]
fn a_run_whose_client_was_killed_is_finished_by_another() {
    let Some(rerun) = Rerun::of(a_run_whose_client_was_killed_is_finished_by_another) else { return play() };
    let place = Place::new();
    let (notes, _folder) = Notes::new();
    let client = given(rerun, &place, &notes, "hang", None).start();
    assert!(within(crate::place::PATIENCE, || notes.processes().len() == 4));
    client.kill();
    block_on(async {
        let id = cloud::runs_on(place.mock()).await.unwrap()[0];
        assert_eq!(place.attach::<u32>(id).await.unwrap().results().await.unwrap(), expected());
    });
    assert_gone(&notes.processes());
}

/// This program with a byte more: it does the same, and is another.
fn changed_copy(folder: &Path) -> std::path::PathBuf {
    let mut bytes = fs::read("/proc/self/exe").unwrap();
    bytes.push(0);
    let path = folder.join("changed");
    let mut file = fs::File::options().write(true).create_new(true).mode(0o700).open(&path).unwrap();
    std::io::Write::write_all(&mut file, &bytes).unwrap();
    path
}

#[test]
fn another_program_is_told_so_and_runs_its_own() {
    let again = || Rerun::of(another_program_is_told_so_and_runs_its_own);
    let Some(rerun) = again() else { return play() };
    let place = Place::new();
    let (notes, _folder) = Notes::new();
    let copy = changed_copy(place.path());
    block_on(async {
        let map = cloud::map_with(notes.clone(), work, 0..60).on(place.mock()).slots(1);
        let run = map.start().await.unwrap();
        let id = run.id();
        let other = given(rerun.program(&copy), &place, &notes, "other", Some(id));
        let expected_text =
            format!("run `{id}` was started by another program, or another build of this one");
        assert_eq!(told(other), expected_text);
        // Both programs' runs are in one place, under one Batch.
        let theirs: RunId =
            told(given(again().unwrap().program(&copy), &place, &notes, "start", None)).parse().unwrap();
        assert_eq!(run.results().await.unwrap(), expected());
        assert!(
            matches!(place.attach::<u32>(theirs).await, Err(Error::OtherProgram { run }) if run == theirs)
        );
        assert_eq!(cloud::runs_on(place.mock()).await.unwrap(), [id, theirs]);
        let outs = place.path().join(format!("runs/{theirs}/out"));
        let blocks = || fs::read_dir(&outs).map_or(0, Iterator::count);
        let all = place.path().join(format!("runs/{id}/out"));
        let all = fs::read_dir(all).unwrap().count();
        assert!(within(crate::place::PATIENCE, || blocks() >= all), "{} of {all}", blocks());
    });
}
