//! One run in which somebody is killed, from its start to the proof that nothing came of it.

use std::{
    collections::BTreeMap,
    thread::sleep,
    time::{Duration, Instant},
};

use cloud::{Backend, Run, RunState, Status};
use rustix::process::Signal;
use smol::block_on;

use crate::{
    client::{Client, Part, Plan, Said},
    place::{Kind, Place, Scratch, is_stopped, runs, signal, within},
    points::{Point, Then, Victim},
};

/// No moment and no end takes this long unless something hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// A host ends a second after the last call; everybody else at once.
const GONE_WITHIN: Duration = Duration::from_secs(5);

/// A moment that is shorter than a look at the folder is missed now and then; so often, and it is never hit.
const TRIES: usize = 60;

/// A run whose moment has come: its victims are stopped, and not dead yet.
struct Scene {
    scratch: Scratch,
    plan: Plan,
    client: Client,
    victims: Vec<i32>,
}

/// Plays it, and says how often the moment was missed, and how long the rest took.
pub(crate) fn play(point: &Point) -> String {
    let mut missed = 0;
    let mut scene = loop {
        match Scene::at(point) {
            Some(scene) => break scene,
            None => missed += 1,
        }
        assert!(missed < TRIES, "{}: the moment never came", point.name);
    };
    let begun = Instant::now();
    scene.kill(point);
    format!("{:58} missed {missed:2} times, over in {:.1?}", point.name, begun.elapsed())
}

/// A run with a manifest and nothing else: its client is dead.
pub(crate) fn prepared(plan: fn(&mut Plan)) -> (Scratch, Plan) {
    let point = Point { plan, ..crate::points::AFTER_THE_MANIFEST };
    let mut scene = std::iter::repeat_with(|| Scene::at(&point)).take(TRIES).flatten().next().unwrap();
    scene.clear();
    (scene.scratch, scene.plan)
}

impl Scene {
    /// `None` if the moment was missed.
    fn at(point: &Point) -> Option<Scene> {
        let scratch = Scratch::new();
        let place = scratch.place();
        let mut plan = Plan::new(place.clone(), 16, 2);
        (point.plan)(&mut plan);
        let client = Client::start(&plan, &point.part, 0);
        let begun = Instant::now();
        while !(point.moment)(&place) {
            assert!(begun.elapsed() < PATIENCE, "{}: never comes\n{}", point.name, place.story());
            if begun.elapsed() > Duration::from_millis(2) {
                // A moment may be as short as this.
                sleep(Duration::from_micros(20));
            }
        }
        let victims: Vec<i32> =
            point.victims.iter().filter_map(|victim| victim.pid(&place, &client)).collect();
        victims.iter().for_each(|pid| signal(*pid, Signal::STOP));
        let stopped = within(PATIENCE, || victims.iter().all(|pid| is_stopped(*pid)));
        assert!(stopped, "{}: {victims:?} do not stop", point.name);
        let hit = victims.len() == point.victims.len() && !(point.passed)(&place);
        let mut scene = Scene { scratch, plan, client, victims };
        if !hit {
            scene.clear();
        }
        hit.then_some(scene)
    }

    /// Ends everybody.
    fn clear(&mut self) {
        signal(self.client.pid(), Signal::KILL);
        self.client.wait();
    }

    fn kill(&mut self, point: &Point) {
        let place = self.scratch.place();
        (point.meanwhile)(&place);
        // What has an outcome by now is never done again.
        let outcomes = place.outcomes();
        let calls = calls(&place, self.plan.chunks);
        for pid in &self.victims {
            signal(*pid, point.signal);
            signal(*pid, Signal::CONT);
        }
        if point.signal == Signal::KILL {
            let victims = &self.victims;
            let dead = within(PATIENCE, || victims.iter().all(|pid| !runs(*pid)));
            assert!(dead, "{}: {victims:?} live", point.name);
        }
        (point.after)(&place);
        // What waits would be done before anybody is told to end.
        if point.then != Then::Cancelled {
            place.release();
        }
        let mut heir;
        let client = if point.victims.contains(&Victim::Client) {
            self.client.wait();
            let run = place.run().unwrap();
            let part = match point.then {
                Then::Submitted => Part::Submit { run },
                Then::Values | Then::NoRun | Then::Cancelled => Part::Attach { run },
            };
            heir = Client::start(&self.plan, &part, 1);
            &mut heir
        } else {
            &mut self.client
        };
        let said = client.said_within(PATIENCE);
        let context = || format!("{}\n{}", point.name, place.story());
        match point.then {
            Then::NoRun => assert_eq!(said, Some(Said::NoRun), "{}", context()),
            Then::Cancelled => {
                let Some(Said::Failed(failed)) = said else { panic!("{said:?} {}", context()) };
                assert!(failed.iter().all(|(_, kind, _)| kind == "Cancelled"), "{failed:?} {}", context());
                assert_eq!(status(&place).state, RunState::Cancelled, "{}", context());
            }
            Then::Values | Then::Submitted => {
                assert_eq!(said, Some(Said::Values(self.plan.values())), "{}", context());
                let mut chunks: Vec<u64> = place.outcomes().into_values().flatten().collect();
                chunks.sort_unstable();
                let all: Vec<u64> = (0..self.plan.chunks).collect();
                assert_eq!(chunks, all, "each block has one outcome: {}", context());
                let status = status(&place);
                assert_eq!(status.state, RunState::Complete, "{}", context());
                assert_eq!(status.blocks_done as usize, place.count("out"), "{}", context());
            }
        }
        for chunk in outcomes.values().flatten() {
            let again = place.calls(*chunk);
            assert_eq!(again, calls[chunk], "chunk {chunk} had its outcome: {}", context());
        }
        assert!(place.is_left_within(GONE_WITHIN), "somebody is left: {}", context());
    }
}

impl Victim {
    fn pid(self, place: &Place, client: &Client) -> Option<i32> {
        match self {
            Victim::Client => Some(client.pid()),
            Victim::Host => place.all(Kind::Host).pop(),
            Victim::Worker => place.all(Kind::Worker).pop(),
            Victim::WorkerOf(chunk) => Some(place.runner_of(chunk)?.1),
            Victim::SlotOf(chunk) => Some(place.runner_of(chunk)?.0),
        }
    }
}

fn calls(place: &Place, chunks: u64) -> BTreeMap<u64, usize> {
    (0..chunks).map(|chunk| (chunk, place.calls(chunk))).collect()
}

pub(crate) fn status(place: &Place) -> Status {
    let backend: Backend = Backend::mock().at(place.mock()).into();
    let id = place.run().unwrap().parse().unwrap();
    block_on(async {
        let run = Run::<u64>::attach_on(backend, id).await.unwrap();
        let status = run.status().await.unwrap();
        run.detach();
        status
    })
}
