//! Nothing is left running, open or unreaped, however a client or a slot ends.

use std::{
    collections::HashSet,
    fs,
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread::sleep,
    time::Duration,
};

use cloud::FailureKind;
use rustix::process::{WaitOptions, wait};

use crate::support::{Notes, Rerun, all_gone_within, alone, children, is_gone, within};

#[test]
fn slots_and_what_they_started_end_when_their_client_is_killed() {
    const FOLDER: &str = "CLOUD_TEST_NOTES";
    let Some(rerun) = Rerun::of(slots_and_what_they_started_end_when_their_client_is_killed) else {
        let notes: Notes = serde_json::from_str(&std::env::var(FOLDER).unwrap()).unwrap();
        let f = |notes: &Notes, (): ()| {
            let mut child = Command::new("sleep").arg("100").spawn().unwrap();
            notes.add(child.id());
            notes.add(std::process::id());
            child.wait().unwrap();
        };
        cloud::map_with(notes, f, [(); 2]).slots(2).wait().unwrap();
        return;
    };
    let (notes, _folder) = Notes::new();
    let client = rerun.env(FOLDER, serde_json::to_string(&notes).unwrap()).start();
    assert!(within(Duration::from_secs(30), || notes.processes().len() == 4), "it never began");
    let processes = notes.processes();
    assert!(processes.iter().all(|process| !is_gone(*process)));
    client.kill();
    assert!(all_gone_within(Duration::from_secs(2), &processes), "{processes:?} live on");
}

#[test]
fn idle_slots_end_when_their_client_ends() {
    let Some(rerun) = Rerun::of(idle_slots_end_when_their_client_ends) else {
        println!("process {}", cloud::call(|()| std::process::id(), ()).wait().unwrap());
        return;
    };
    let said = rerun.output();
    let process = said.stdout.lines().find_map(|line| line.split_once("process ")?.1.parse().ok()).unwrap();
    assert!(within(Duration::from_secs(2), || is_gone(process)));
}

#[test]
fn a_program_whose_file_is_gone_starts_slots_all_the_same() {
    let Some(rerun) = Rerun::of(a_program_whose_file_is_gone_starts_slots_all_the_same) else {
        // As when it is built anew while it runs.
        fs::remove_file(std::env::current_exe().unwrap()).unwrap();
        assert_eq!(cloud::map(|x: u32| x + 1, 0..10).wait().unwrap(), (1..=10).collect::<Vec<_>>());
        return;
    };
    let program = std::env::current_exe().unwrap();
    let folder = tempfile::tempdir_in(program.parent().unwrap()).unwrap();
    let link = folder.path().join("program");
    fs::hard_link(program, &link).unwrap();
    rerun.program(&link).output();
    assert!(!link.exists());
}

#[test]
fn slots_outlive_the_thread_that_started_them() {
    alone(slots_outlive_the_thread_that_started_them, || {
        let map = || cloud::call(|()| std::process::id(), ()).slots(1).wait().unwrap();
        let first = std::thread::spawn(map).join().unwrap();
        sleep(Duration::from_millis(200));
        assert_eq!(map(), first);
    });
}

#[test]
fn threads_that_come_and_go_do_not_disturb_a_run() {
    let nap = |x: u32| {
        sleep(Duration::from_millis(10));
        x
    };
    let run = std::thread::spawn(move || cloud::map(nap, 0..40).slots(2).wait().unwrap());
    while !run.is_finished() {
        // Each starts slots of its own, or takes and gives back warm ones.
        std::thread::spawn(|| cloud::call(|x: u32| x, 1).wait().unwrap()).join().unwrap();
    }
    assert_eq!(run.join().unwrap(), (0..40).collect::<Vec<_>>());
}

/// Runs that end in every way there is.
fn all_kinds_of_runs() {
    assert_eq!(cloud::map(|x: u32| x, 0..1000).slots(3).wait().unwrap().len(), 1000);
    let f = |x: u32| if x.is_multiple_of(5) { std::process::exit(1) } else { x };
    assert_eq!(cloud::map(f, 0..10).slots(3).outcomes().wait().unwrap().len(), 10);
    let nap = |_: u32| sleep(Duration::from_secs(100));
    assert!(cloud::map(nap, [0]).slots(3).timeout(Duration::from_millis(20)).wait().is_err());
    let mut dropped = cloud::map(|x: u64| sleep(Duration::from_secs(x)), [0, 100, 100]).slots(3).iter();
    dropped.next().unwrap().unwrap().unwrap();
    drop(dropped);
    cloud::map(|x: u32| x, 0..6).slots(3).chunks_per_slot(2).wait().unwrap();
}

#[test]
fn runs_leave_no_processes_and_no_zombies_behind() {
    alone(runs_leave_no_processes_and_no_zombies_behind, || {
        assert_eq!(children().len(), 0);
        for _ in 0..5 {
            all_kinds_of_runs();
        }
        // At most the three that stay warm.
        let clean = || children().len() <= 3 && children().into_iter().all(|child| !is_gone(child));
        assert!(within(Duration::from_secs(5), clean), "{:?}", children());
    });
}

#[test]
fn runs_leave_no_descriptors_and_no_threads_behind() {
    alone(runs_leave_no_descriptors_and_no_threads_behind, || {
        let count = |what: &str| fs::read_dir(format!("/proc/self/{what}")).unwrap().count();
        // Whatever runs need once: the reactor, warm slots.
        all_kinds_of_runs();
        cloud::map(|_: u32| sleep(Duration::from_millis(50)), 0..9).slots(3).wait().unwrap();
        sleep(Duration::from_millis(300));
        let (files, threads) = (count("fd"), count("task"));
        for _ in 0..5 {
            all_kinds_of_runs();
        }
        cloud::map(|_: u32| sleep(Duration::from_millis(50)), 0..9).slots(3).wait().unwrap();
        assert!(
            within(Duration::from_secs(5), || count("fd") <= files && count("task") <= threads),
            "{} files after {files}, {} threads after {threads}",
            count("fd"),
            count("task")
        );
    });
}

#[test]
fn a_client_that_reaps_all_children_itself_still_gets_its_outcomes() {
    alone(a_client_that_reaps_all_children_itself_still_gets_its_outcomes, || {
        static OVER: AtomicBool = AtomicBool::new(false);
        let reaper = std::thread::spawn(|| {
            while !OVER.load(Ordering::Relaxed) {
                let _ = wait(WaitOptions::NOHANG);
                std::thread::yield_now();
            }
        });
        let f = |x: u32| if x == 50 { std::process::exit(1) } else { x * 2 };
        for _ in 0..10 {
            let outcomes = cloud::map(f, 0..100).slots(2).outcomes().wait().unwrap();
            assert_eq!(outcomes.len(), 100);
            for (x, outcome) in (0..).zip(outcomes) {
                match outcome {
                    Ok(value) => assert_eq!(value, x * 2),
                    // How it ended may be lost to the other who asked.
                    Err(failure) => assert!(
                        x == 50
                            && [FailureKind::Exit { code: 1 }, FailureKind::Signal { number: 0 }]
                                .contains(&failure.kind),
                        "{failure:?}"
                    ),
                }
            }
        }
        OVER.store(true, Ordering::Relaxed);
        reaper.join().unwrap();
    });
}

#[test]
fn a_map_inside_a_chunk_runs_on_the_chunks_own_slot_and_says_so_once() {
    let Some(rerun) = Rerun::of(a_map_inside_a_chunk_runs_on_the_chunks_own_slot_and_says_so_once) else {
        let f = |x: u32| {
            let inner = cloud::map(|y: u32| (y * 2, std::process::id()), 0..x).wait().unwrap();
            assert!(inner.iter().all(|(_, process)| *process == std::process::id()));
            inner.into_iter().map(|(y, _)| y).sum::<u32>()
        };
        let sums = cloud::map(f, 0..50).slots(1).wait().unwrap();
        assert_eq!(sums, (0..50).map(|x: u32| x * x.saturating_sub(1)).collect::<Vec<_>>());
        // Async functions too.
        let f = async |x: u32| cloud::call(|y: u32| y + 1, x).await.unwrap();
        assert_eq!(cloud::map(f, 0..5).slots(1).wait().unwrap(), [1, 2, 3, 4, 5]);
        return;
    };
    let stderr = rerun.output().stderr;
    assert_eq!(stderr, "cloud: warning: a `map` inside a chunk runs inline, on the chunk's own slot\n");
}

#[test]
fn a_failure_inside_a_map_inside_a_chunk_is_that_maps_own() {
    let f = |x: u32| {
        let inner = cloud::map(|y: u32| if y == 2 { panic!("inner {y}") } else { y }, 0..x)
            .outcomes()
            .wait()
            .unwrap();
        assert!(x != 5, "outer {x}");
        inner.iter().filter(|outcome| outcome.is_err()).count()
    };
    let outcomes = cloud::map(f, 0..8).outcomes().wait().unwrap();
    for (x, outcome) in outcomes.into_iter().enumerate() {
        match outcome {
            Ok(failed) => assert_eq!(failed, usize::from(x > 2)),
            Err(failure) => assert_eq!((x, failure.message.as_str()), (5, "outer 5")),
        }
    }
}

#[test]
fn slots_of_one_run_are_as_many_as_asked_for() {
    let nap = |_: u32| {
        sleep(Duration::from_millis(20));
        std::process::id()
    };
    for slots in [1, 2, 5] {
        let processes = HashSet::<u32>::from_iter(cloud::map(nap, 0..40).slots(slots).wait().unwrap());
        assert_eq!(processes.len(), slots);
    }
}

#[test]
fn no_more_slots_are_started_than_there_are_chunks() {
    alone(no_more_slots_are_started_than_there_are_chunks, || {
        cloud::map(|_: u32| sleep(Duration::from_millis(100)), 0..2).slots(16).wait().unwrap();
        assert!(children().len() <= 2, "{:?}", children());
    });
}
