//! Slots stay warm between maps, as long as a new one would find the same surroundings.

use std::{collections::HashSet, path::Path, thread::sleep, time::Duration};

use cloud::FailureKind;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::{all_gone_within, alone};

/// Naps long enough that every slot takes part, and tells its process.
fn nap(_: u32) -> u32 {
    sleep(Duration::from_millis(30));
    std::process::id()
}

fn processes() -> HashSet<u32> {
    HashSet::from_iter(cloud::map(nap, 0..12).slots(2).wait().unwrap())
}

fn assert_replaced(before: &HashSet<u32>) {
    let after = processes();
    assert!(after.is_disjoint(before), "{after:?} after {before:?}");
    // Those from other surroundings do not linger.
    let before: Vec<u32> = before.iter().copied().collect();
    assert!(all_gone_within(Duration::from_secs(5), &before), "{before:?} live on");
}

#[test]
fn the_same_processes_serve_one_map_after_the_other() {
    alone(the_same_processes_serve_one_map_after_the_other, || {
        let first = processes();
        assert_eq!(first.len(), 2);
        assert_eq!(processes(), first);
        // Another function, and another thread of the client.
        let other = |_: u64| {
            sleep(Duration::from_millis(30));
            std::process::id()
        };
        let later =
            std::thread::spawn(move || cloud::map(other, 0..12).slots(2).wait().unwrap()).join().unwrap();
        assert_eq!(HashSet::from_iter(later), first);
    });
}

#[test]
fn a_process_that_served_failures_serves_on() {
    alone(a_process_that_served_failures_serves_on, || {
        let first = processes();
        let f = |x: u32| if x.is_multiple_of(2) { panic!("even") } else { nap(x) };
        let outcomes = cloud::map(f, 0..24).slots(2).outcomes().wait().unwrap();
        assert!(outcomes.into_iter().flatten().all(|process| first.contains(&process)));
        assert_eq!(processes(), first);
    });
}

#[test]
fn one_that_died_is_replaced_and_the_others_are_kept() {
    alone(one_that_died_is_replaced_and_the_others_are_kept, || {
        let first = processes();
        let f = |x: u32| if x == 0 { std::process::exit(1) } else { nap(x) };
        let outcomes = cloud::map(f, 0..12).slots(2).outcomes().wait().unwrap();
        assert_eq!(outcomes[0].as_ref().unwrap_err().kind, FailureKind::Exit { code: 1 });
        assert_eq!(processes().intersection(&first).count(), 1);
    });
}

#[test]
fn a_process_that_was_killed_while_idle_is_not_used() {
    alone(a_process_that_was_killed_while_idle_is_not_used, || {
        let first = processes();
        for process in &first {
            let process = rustix::process::Pid::from_raw(*process as i32).unwrap();
            rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
        }
        assert!(processes().is_disjoint(&first));
    });
}

#[test]
fn a_change_of_directory_replaces_them() {
    alone(a_change_of_directory_replaces_them, || {
        let before = processes();
        std::env::set_current_dir("/").unwrap();
        assert_replaced(&before);
        let directory = cloud::call(|()| std::env::current_dir().unwrap(), ()).wait().unwrap();
        assert_eq!(directory, Path::new("/"));
    });
}

#[test]
fn another_environment_replaces_them() {
    alone(another_environment_replaces_them, || {
        let see = |_: u32| (std::env::var("CLOUD_TEST_SEEN").ok(), nap(0));
        let before = processes();
        let replies = cloud::map(see, 0..12).slots(2).env("CLOUD_TEST_SEEN", "1").wait().unwrap();
        let with = HashSet::from_iter(replies.iter().map(|(_, process)| *process));
        assert!(with.is_disjoint(&before));
        assert!(replies.iter().all(|(seen, _)| seen.as_deref() == Some("1")));
        // The same addition finds the same processes.
        let again = cloud::map(see, 0..12).slots(2).env("CLOUD_TEST_SEEN", "1").wait().unwrap();
        assert_eq!(HashSet::from_iter(again.iter().map(|(_, process)| *process)), with);
        assert_replaced(&with);
        assert_eq!(cloud::call(see, 0).wait().unwrap().0, None);
    });
}

#[test]
fn another_limit_replaces_them() {
    alone(another_limit_replaces_them, || {
        let before = processes();
        let files = Rlimit { current: Some(200), ..getrlimit(Resource::Nofile) };
        setrlimit(Resource::Nofile, files).unwrap();
        assert_replaced(&before);
        let seen = cloud::call(|()| getrlimit(Resource::Nofile).current, ()).wait().unwrap();
        assert_eq!(seen, Some(200));
    });
}

#[test]
fn each_chunk_may_have_a_fresh_process() {
    let processes = cloud::map(|_: u32| std::process::id(), 0..8).slots(2).chunks_per_slot(1).wait().unwrap();
    assert_eq!(HashSet::<u32>::from_iter(processes.iter().copied()).len(), 8, "{processes:?}");
}

#[test]
fn a_process_may_serve_a_number_of_chunks_and_no_more() {
    let processes =
        cloud::map(|_: u32| std::process::id(), 0..10).slots(1).chunks_per_slot(3).wait().unwrap();
    let served: Vec<_> = processes.chunk_by(|a, b| a == b).map(<[u32]>::len).collect();
    assert_eq!(served, [3, 3, 3, 1], "{processes:?}");

    let processes =
        cloud::map(|_: u32| std::process::id(), 0..200).slots(2).chunks_per_slot(50).wait().unwrap();
    for process in HashSet::<u32>::from_iter(processes.iter().copied()) {
        assert!(processes.iter().filter(|other| **other == process).count() <= 50);
    }
}

#[test]
fn worn_processes_are_ended() {
    let processes = cloud::map(|_: u32| std::process::id(), 0..6).slots(2).chunks_per_slot(1).wait().unwrap();
    assert!(all_gone_within(Duration::from_secs(5), &processes), "{processes:?} live on");
}

#[test]
fn a_crash_does_not_upset_the_count_of_chunks() {
    let f = |x: u32| if x == 4 { std::process::exit(1) } else { std::process::id() };
    let outcomes = cloud::map(f, 0..12).slots(1).chunks_per_slot(3).outcomes().wait().unwrap();
    let processes: Vec<u32> = outcomes.into_iter().flatten().collect();
    assert_eq!(processes.len(), 11);
    for process in &processes {
        assert!(processes.iter().filter(|other| *other == process).count() <= 3, "{processes:?}");
    }
}
