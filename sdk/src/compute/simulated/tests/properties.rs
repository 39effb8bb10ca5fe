//! Whatever is asked and whatever hosts do, in any order.

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Submit {
        workers: u32,
        milli_vcpus: u32,
        attempts: u8,
    },
    Terminate {
        job: usize,
        index: Option<u32>,
    },
    Pass {
        seconds: u64,
    },
    /// To the next event.
    Wait,
    Up {
        container: usize,
    },
    End {
        container: usize,
        ended: Ended,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let ended = prop_oneof![
        3 => Just(Ended::Exited(0)),
        3 => Just(Ended::Exited(75)),
        1 => Just(Ended::Exited(1)),
        1 => Just(Ended::OutOfMemory),
        1 => Just(Ended::NotStarted("DockerTimeoutError: no".to_string())),
        1 => Just(Ended::HostLost),
    ];
    prop_oneof![
        2 => (1..6_u32, 1..5_u32, 1..5_u8)
            .prop_map(|(workers, quarters, attempts)| Step::Submit { workers, milli_vcpus: quarters * 250, attempts }),
        1 => (0..8_usize, proptest::option::of(0..6_u32)).prop_map(|(job, index)| Step::Terminate { job, index }),
        2 => (0..100_u64).prop_map(|seconds| Step::Pass { seconds }),
        4 => Just(Step::Wait),
        4 => (0..16_usize).prop_map(|container| Step::Up { container }),
        4 => (0..16_usize, ended).prop_map(|(container, ended)| Step::End { container, ended }),
    ]
}

/// What must hold, as seen from outside.
#[derive(Default)]
struct Checked {
    jobs: Vec<(JobId, JobSpec)>,
    alive: Vec<ContainerId>,
    started: HashSet<ContainerId>,
    signalled: HashMap<ContainerId, Duration>,
    killed: HashSet<ContainerId>,
    terminal: HashMap<(JobId, u32), Child>,
    history: Vec<String>,
}

const CAPACITY: u64 = 2000;

impl Checked {
    fn act(&mut self, world: &World, actions: Vec<Action>) {
        for action in actions {
            self.history.push(format!("{:?} {action:?}", world.now));
            match action {
                Action::Start(Container { id, .. }) => {
                    assert!(self.started.insert(id), "{id} starts twice");
                    assert!(self.alive.iter().all(|other| (other.job, other.index) != (id.job, id.index)));
                    let (_, spec) = &self.jobs[id.job as usize];
                    assert!(id.attempt <= spec.attempts.into());
                    self.alive.push(id);
                }
                Action::Signal(id) => {
                    assert!(self.alive.contains(&id), "{id} is signalled, and is not there");
                    assert_eq!(self.signalled.insert(id, world.now), None, "{id} is signalled twice");
                }
                Action::Kill(id) => {
                    assert!(self.alive.contains(&id), "{id} is killed, and is not there");
                    assert!(self.killed.insert(id), "{id} is killed twice");
                    match self.signalled.get(&id) {
                        Some(signal) => assert!(world.now - *signal >= world.rules.stop_grace),
                        // Only a lost host gives no hint.
                        None => assert!(world.rules.host_loss_rate > 0.0),
                    }
                }
            }
        }
        let used: u64 = self.alive.iter().map(|id| u64::from(self.jobs[id.job as usize].1.milli_vcpus)).sum();
        assert!(used <= CAPACITY, "{used}");
        for (id, signal) in &self.signalled {
            let grace_over = world.now - *signal >= world.rules.stop_grace;
            assert!(
                !grace_over || self.killed.contains(id) || !self.alive.contains(id),
                "{id} is not killed"
            );
        }
    }

    fn look(&mut self, world: &mut World) {
        const ALL: [JobState; 7] = [
            JobState::Submitted,
            JobState::Pending,
            JobState::Runnable,
            JobState::Starting,
            JobState::Running,
            JobState::Succeeded,
            JobState::Failed,
        ];
        for (id, spec) in &self.jobs {
            let job = world.job(id);
            assert_eq!(job.workers.iter().map(|(_, count)| count).sum::<u32>(), spec.workers);
            let mut living = 0;
            for state in ALL {
                let children = world.batch.children(world.now, id, state).unwrap();
                let counted = job.workers.iter().find(|(of, _)| *of == state).map_or(0, |(_, count)| *count);
                assert_eq!(children.len() as u32, counted);
                for child in children {
                    assert!(child.attempts <= spec.attempts.into());
                    let known = self.terminal.get(&(id.clone(), child.index));
                    assert!(known.is_none_or(|known| *known == child), "{known:?} became {child:?}");
                    if state.is_terminal() {
                        self.terminal.insert((id.clone(), child.index), child);
                    } else {
                        living += 1;
                    }
                }
            }
            assert_eq!(job.state.is_terminal(), living == 0);
        }
        let idle = self.terminal.len() as u32 == self.jobs.iter().map(|(_, spec)| spec.workers).sum::<u32>();
        assert_eq!(world.batch.is_busy(), !idle);
    }
}

fn play(seed: u64, chance: f64, steps: &[Step]) -> Vec<String> {
    let mut world = World::new(Rules {
        seed,
        start_delay: Duration::ZERO..=(seed % 3) as u32 * SECOND,
        spot_kill_rate: chance,
        host_loss_rate: chance / 2.0,
        capacity: Some(CAPACITY),
        ..Rules::default()
    });
    let mut checked = Checked::default();
    for step in steps {
        match step.clone() {
            Step::Submit { workers, milli_vcpus, attempts } => {
                let spec = JobSpec { milli_vcpus, attempts, ..spec(workers) };
                checked.jobs.push((world.submit(&spec), spec));
            }
            Step::Terminate { job, index } => {
                if let Some((id, _)) = checked.jobs.get(job) {
                    world.terminate(&index.map_or(id.clone(), |index| JobId(format!("{}:{index}", id.0))));
                }
            }
            Step::Pass { seconds } => world.now += seconds as u32 * SECOND,
            Step::Wait => world.now = world.batch.next_event().unwrap_or(world.now),
            Step::Up { container } => {
                if let Some(id) = checked.alive.get(container) {
                    world.batch.started(world.now, *id);
                }
            }
            Step::End { container, ended } => {
                if container < checked.alive.len() {
                    let id = checked.alive.remove(container);
                    world.end(id, ended.clone());
                    // Said again, it changes nothing.
                    world.end(id, Ended::Exited(0));
                }
            }
        }
        let actions = world.pass(Duration::ZERO);
        checked.act(&world, actions);
        assert!(world.batch.next_event().is_none_or(|next| next > world.now), "what is due has not happened");
        checked.look(&mut world);
    }
    checked.history
}

proptest! {
    #[test]
    fn invariants_hold_and_history_repeats(
        seed: u64,
        chance in prop_oneof![Just(0.0), Just(0.5), Just(1.0)],
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        prop_assert_eq!(play(seed, chance, &steps), play(seed, chance, &steps));
    }
}
