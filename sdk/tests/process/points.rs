//! Where who is killed.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    client::{Part, Plan},
    place::{Kind, Place, within},
    scene::play,
};

/// A row of the table.
pub(crate) struct Point {
    pub(crate) name: &'static str,
    /// What is run: 16 chunks on 2 workers, but for what is changed here. With eight chunks a worker all blocks are single
    /// chunks; of 128, the first ones have 4.
    pub(crate) plan: fn(&mut Plan),
    pub(crate) part: Part,
    /// The moment has come.
    pub(crate) moment: fn(&Place) -> bool,
    /// It is over already.
    pub(crate) passed: fn(&Place) -> bool,
    pub(crate) victims: &'static [Victim],
    pub(crate) signal: Signal,
    /// Between their stop and their end.
    pub(crate) meanwhile: fn(&Place),
    /// Before chunks that wait are released.
    pub(crate) after: fn(&Place),
    pub(crate) then: Then,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Victim {
    Client,
    Host,
    /// Any.
    Worker,
    /// That runs this chunk.
    WorkerOf(u64),
    SlotOf(u64),
}

/// What comes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// All values. Of a client that was killed, another one takes them.
    Values,
    /// The same, when that one has submitted the run.
    Submitted,
    /// There is no run.
    NoRun,
    /// It was cancelled.
    Cancelled,
}

const POINT: Point = Point {
    name: "",
    plan: |_| {},
    part: Part::Run,
    moment: |_| true,
    passed: |_| false,
    victims: &[],
    signal: Signal::KILL,
    meanwhile: |_| {},
    after: |_| {},
    then: Then::Values,
};

const CLIENT: &[Victim] = &[Victim::Client];

pub(crate) const AFTER_THE_MANIFEST: Point = Point {
    name: "the client, after the manifest, before the intent",
    moment: |place| place.has("manifest"),
    passed: |place| place.has("rounds/000/intent.000"),
    victims: CLIENT,
    then: Then::Submitted,
    ..POINT
};

const CLIENTS: [Point; 11] = [
    Point {
        name: "the client, after the first part",
        plan: |plan| {
            plan.chunks = 8;
            plan.padding = 6 << 20;
            plan.input_stops_at = Some(6);
        },
        moment: |place| place.has("in/000000"),
        passed: |place| place.has("manifest"),
        victims: CLIENT,
        then: Then::NoRun,
        ..POINT
    },
    Point {
        name: "the client, after the last part, before the manifest",
        // A long manifest takes its time.
        plan: |plan| {
            plan.chunks = 20_000;
            plan.workers = 1000;
        },
        moment: |place| place.has("in/000000"),
        passed: |place| place.has("manifest"),
        victims: CLIENT,
        then: Then::NoRun,
        ..POINT
    },
    AFTER_THE_MANIFEST,
    Point {
        name: "the client, after the intent, before SubmitJob",
        moment: |place| place.has("rounds/000/intent.000"),
        passed: |place| !place.jobs().is_empty(),
        victims: CLIENT,
        ..POINT
    },
    Point {
        name: "the client, after SubmitJob, before its note",
        plan: |plan| plan.hold = vec![3],
        moment: |place| !place.jobs().is_empty(),
        passed: |place| place.has("rounds/000/submitted"),
        victims: CLIENT,
        ..POINT
    },
    Point {
        name: "the client, after that note",
        plan: |plan| plan.hold = (0..16).collect(),
        moment: |place| place.has("rounds/000/submitted"),
        victims: CLIENT,
        ..POINT
    },
    Point {
        name: "the client, while it polls",
        plan: |plan| plan.hold = vec![9],
        moment: |place| place.count("out") >= 5 && place.runner_of(9).is_some(),
        victims: CLIENT,
        ..POINT
    },
    Point {
        name: "the client, in the middle of four hundred chunks",
        plan: |plan| plan.chunks = 400,
        moment: |place| place.count("out") >= 20,
        passed: |place| place.count("out") > 40,
        victims: CLIENT,
        ..POINT
    },
    Point {
        name: "the client, after the last outcome, before it closes",
        plan: |plan| plan.millis = 20,
        moment: |place| place.count("out") == 16,
        passed: |place| place.has("closed"),
        victims: CLIENT,
        ..POINT
    },
    Point {
        name: "the client, while it cancels",
        plan: |plan| plan.hold = (0..16).collect(),
        part: Part::Cancel,
        moment: |place| {
            let begun = place.runner_of(0).is_some() && place.runner_of(1).is_some();
            if begun && !place.0.join("cancel").exists() {
                std::fs::write(place.0.join("cancel"), "").unwrap();
            }
            place.has("cancelled")
        },
        passed: |place| place.has("closed"),
        victims: CLIENT,
        then: Then::Cancelled,
        ..POINT
    },
    Point {
        name: "the client, while it repairs",
        plan: |plan| {
            plan.workers = 1;
            plan.kill_once = vec![4];
        },
        moment: |place| place.has("rounds/001/intent.000"),
        passed: |place| place.has("closed"),
        victims: CLIENT,
        ..POINT
    },
];

const WORKERS: [Point; 10] = [
    Point {
        name: "a worker, before its first claim",
        moment: |place| !place.all(Kind::Worker).is_empty(),
        passed: |place| place.count("claims") > 0,
        victims: &[Victim::Worker],
        ..POINT
    },
    Point {
        name: "a worker, after its first claim",
        plan: |plan| plan.workers = 1,
        moment: |place| place.count("claims") > 0,
        passed: Place::begun_any,
        victims: &[Victim::Worker],
        ..POINT
    },
    Point {
        name: "a worker, while it reads ahead",
        plan: |plan| {
            plan.workers = 1;
            plan.padding = 4 << 20;
        },
        moment: |place| place.begun_any(),
        passed: |place| place.count("out") > 0,
        victims: &[Victim::Worker],
        ..POINT
    },
    Point {
        name: "a worker, in the middle of a block",
        plan: |plan| {
            plan.chunks = 128;
            plan.hold = vec![2];
        },
        moment: |place| place.runner_of(2).is_some(),
        victims: &[Victim::WorkerOf(2)],
        ..POINT
    },
    Point {
        name: "a worker, after a block's last chunk, before its outcome",
        plan: |plan| plan.hold = vec![5],
        moment: |place| place.runner_of(5).is_some(),
        victims: &[Victim::WorkerOf(5)],
        meanwhile: |place| {
            place.release();
            assert!(within(Duration::from_secs(5), || place.is_done(5)));
        },
        ..POINT
    },
    Point {
        name: "a worker, after its last outcome, before its record",
        plan: |plan| {
            plan.workers = 1;
            plan.chunks = 8;
        },
        moment: |place| place.count("out") == 8,
        passed: |place| place.count("workers") > 0,
        victims: &[Victim::Worker],
        ..POINT
    },
    Point {
        name: "a worker, by SIGTERM in the middle of a block",
        plan: |plan| {
            plan.chunks = 128;
            plan.hold = vec![2];
        },
        moment: |place| place.runner_of(2).is_some(),
        victims: &[Victim::WorkerOf(2)],
        signal: Signal::TERM,
        after: |place| {
            let left = within(Duration::from_secs(2), || place.count("left") > 0);
            assert!(left, "whoever is told to stop says so at once");
        },
        ..POINT
    },
    Point {
        name: "a worker, after it was told to stop and has said that it leaves",
        plan: |plan| {
            plan.chunks = 128;
            plan.hold = vec![2];
        },
        moment: |place| {
            if let Some((_, worker)) = place.runner_of(2).filter(|_| !place.0.join("told").exists()) {
                std::fs::write(place.0.join("told"), "").unwrap();
                crate::place::signal(worker, Signal::TERM);
            }
            place.count("left") > 0
        },
        victims: &[Victim::WorkerOf(2)],
        ..POINT
    },
    Point {
        name: "a worker, in a block whose former owner has died",
        plan: |plan| {
            plan.workers = 1;
            plan.kill_once = vec![0];
        },
        moment: |place| place.count("trying") > 0,
        passed: |place| place.is_done(0),
        victims: &[Victim::Worker],
        ..POINT
    },
    Point {
        name: "both workers at once",
        plan: |plan| plan.hold = (0..16).collect(),
        // Each begins at home.
        moment: |place| place.runner_of(0).is_some() && place.runner_of(1).is_some(),
        victims: &[Victim::WorkerOf(0), Victim::WorkerOf(1)],
        ..POINT
    },
];

const OTHERS: [Point; 6] = [
    Point {
        name: "a slot, in the middle of a chunk",
        plan: |plan| {
            plan.retries = 1;
            plan.hold = vec![5];
        },
        moment: |place| place.runner_of(5).is_some(),
        victims: &[Victim::SlotOf(5)],
        ..POINT
    },
    Point {
        name: "a slot, between two chunks",
        plan: |plan| plan.hold = vec![5],
        // Its worker is stopped meanwhile, so it gets nothing more to do.
        moment: |place| {
            if let Some((_, worker)) = place.runner_of(5).filter(|_| !place.is_released()) {
                crate::place::signal(worker, Signal::STOP);
                place.release();
            }
            place.is_done(5)
        },
        victims: &[Victim::SlotOf(5)],
        after: |place| {
            let worker = place.notes(5)[0].2;
            crate::place::signal(worker, Signal::CONT);
        },
        ..POINT
    },
    Point {
        name: "the host, after SubmitJob, before any worker",
        moment: |place| !place.jobs().is_empty(),
        passed: |place| !place.all(Kind::Worker).is_empty(),
        victims: &[Victim::Host],
        ..POINT
    },
    Point {
        name: "the host, in the middle",
        plan: |plan| plan.hold = vec![9],
        moment: |place| place.runner_of(9).is_some(),
        victims: &[Victim::Host],
        ..POINT
    },
    Point {
        name: "the client and a worker at once",
        plan: |plan| plan.hold = vec![9],
        moment: |place| place.runner_of(9).is_some(),
        victims: &[Victim::Client, Victim::WorkerOf(9)],
        ..POINT
    },
    Point {
        name: "client, host, worker and slot at once",
        plan: |plan| plan.hold = vec![9],
        moment: |place| place.runner_of(9).is_some(),
        victims: &[Victim::Client, Victim::Host, Victim::WorkerOf(9), Victim::SlotOf(9)],
        ..POINT
    },
];

/// A few at a time: most of each is waiting.
fn play_all(points: &[Point]) {
    const AT_ONCE: usize = 3;
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(point) = points.get(next.fetch_add(1, Ordering::Relaxed)) {
                    match thread::scope(|scope| scope.spawn(|| play(point)).join()) {
                        Ok(story) => println!("{story}"),
                        Err(_) => failed.lock().unwrap().push(point.name),
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().unwrap();
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn a_client_may_be_killed_anywhere() {
    play_all(&CLIENTS);
}

#[test]
fn a_worker_may_be_killed_anywhere() {
    play_all(&WORKERS);
}

#[test]
fn slots_and_hosts_may_be_killed() {
    play_all(&OTHERS);
}
