//! Every rule of the simulated Batch, with a host that does what the test says.

mod calls;
mod life;
mod limits;
mod properties;
mod stops;

use std::time::Duration;

use super::{Action, Batch, Container, ContainerId, Ended, Rules};
use crate::compute::{Child, ComputeErrorKind, Job, JobId, JobSpec, JobState};

const SECOND: Duration = Duration::from_secs(1);

fn spec(workers: u32) -> JobSpec {
    JobSpec {
        name: "run-r1".to_string(),
        workers,
        environment: vec![("CLOUD_RUN".to_string(), "here".to_string())],
        milli_vcpus: 1000,
        memory: 2048,
        attempts: 3,
        attempt_timeout: 60 * SECOND,
    }
}

/// A Batch, a clock, and what hosts were told last.
struct World {
    batch: Batch,
    now: Duration,
    rules: Rules,
}

impl World {
    fn new(rules: Rules) -> World {
        World { batch: Batch::new(1), now: 1000 * SECOND, rules }
    }

    fn submit(&mut self, spec: &JobSpec) -> JobId {
        self.batch.submit(self.now, spec, self.rules.clone()).unwrap()
    }

    fn pass(&mut self, time: Duration) -> Vec<Action> {
        self.now += time;
        self.batch.advance(self.now)
    }

    /// The containers to be started now; nothing else is to be done.
    fn to_start(&mut self) -> Vec<Container> {
        self.pass(Duration::ZERO).into_iter().map(started).collect()
    }

    /// The containers that start now, and are up at once.
    fn start(&mut self) -> Vec<ContainerId> {
        let ids: Vec<_> = self.to_start().iter().map(|container| container.id).collect();
        ids.iter().for_each(|id| self.batch.started(self.now, *id));
        ids
    }

    fn end(&mut self, id: ContainerId, ended: Ended) {
        self.batch.ended(self.now, id, ended);
    }

    fn job(&mut self, id: &JobId) -> Job {
        self.batch.describe(self.now, std::slice::from_ref(id)).unwrap().remove(0)
    }

    fn state(&mut self, id: &JobId) -> JobState {
        self.job(id).state
    }

    /// The only worker in this state.
    fn child(&mut self, job: &JobId, state: JobState) -> Child {
        let mut children = self.batch.children(self.now, job, state).unwrap();
        assert_eq!(children.len(), 1, "{children:?}");
        children.remove(0)
    }

    fn terminate(&mut self, id: &JobId) {
        self.batch.terminate(self.now, std::slice::from_ref(id), "not needed any more").unwrap();
    }
}

fn started(action: Action) -> Container {
    match action {
        Action::Start(container) => container,
        other => panic!("{other:?}"),
    }
}

fn kind<T: std::fmt::Debug>(result: crate::compute::Result<T>) -> ComputeErrorKind {
    result.unwrap_err().kind
}
