//! A simulated Batch inside this process, for a store that is in its memory: workers are threads, and end with it.

use std::{
    collections::BTreeMap,
    fmt,
    future::{Future, poll_fn, ready},
    panic::AssertUnwindSafe,
    pin::Pin,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures_util::{
    FutureExt,
    future::{AbortHandle, Abortable},
};

use super::{Action, Batch, Container, ContainerId, Ended, Rules};
use crate::{
    compute::{Child, Compute, Job, JobId, JobSpec, JobState, Pace, Result, TERMINATED_AT_ONCE},
    store::Pending,
};

/// Exit code of a program that panics.
const PANICKED: i32 = 101;

/// Exit code of a program that is killed.
const KILLED: i32 = 137;

/// A whole worker: what it is told, when it is to stop, and its exit code. A worker that is killed is dropped.
type RunWorker = dyn Fn(Container, Stop) -> Working + Send + Sync;

/// A worker at work, on its own thread.
pub(super) type Working = Pin<Box<dyn Future<Output = i32>>>;

/// A simulated Batch that lives as long as this value and those made from it.
pub(crate) struct Inside {
    rules: Rules,
    open: Arc<Open>,
}

/// Closes the Batch when nobody has it any more.
struct Open(Arc<Shared>);

/// SIGTERM, for a worker that is no process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    told: bool,
    waiting: Vec<Waker>,
}

struct Shared {
    run: Box<RunWorker>,
    start: Instant,
    /// When that was, since 1970.
    start_wall: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    batch: Batch,
    workers: BTreeMap<ContainerId, Worker>,
    closed: bool,
}

struct Worker {
    stop: Stop,
    kill: AbortHandle,
}

impl Inside {
    /// Each worker is one `run`, on a thread of its own.
    pub(crate) fn new(
        rules: Rules,
        run: impl Fn(Container, Stop) -> Working + Send + Sync + 'static,
    ) -> std::io::Result<Inside> {
        let state = State { batch: Batch::new(fastrand::u64(..)), workers: BTreeMap::new(), closed: false };
        let shared = Arc::new(Shared {
            run: Box::new(run),
            start: Instant::now(),
            start_wall: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let driven = Arc::clone(&shared);
        thread::Builder::new().name("cloud-batch".into()).spawn(move || driven.drive())?;
        Ok(Inside { rules, open: Arc::new(Open(shared)) })
    }

    /// The same Batch, which treats what is submitted here by these rules.
    pub(crate) fn with_rules(&self, rules: Rules) -> Inside {
        Inside { rules, open: Arc::clone(&self.open) }
    }

    fn call<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Batch, Duration) -> Result<T>,
    ) -> Pending<'static, Result<T>> {
        let result = call(&mut self.open.0.lock().batch, self.open.0.now());
        self.open.0.changed.notify_one();
        Box::pin(ready(result))
    }
}

impl Compute for Inside {
    /// It answers at once, and knows at once what it was told.
    fn pace(&self) -> Pace {
        Pace {
            shortest: Duration::from_millis(2),
            longest: Duration::from_millis(100),
            shows_within: Duration::from_secs(1),
        }
    }

    fn submit<'a>(&'a self, spec: &'a JobSpec) -> Pending<'a, Result<JobId>> {
        self.call(|batch, now| batch.submit(now, spec, self.rules.clone()))
    }

    fn find<'a>(&'a self, name: &'a str) -> Pending<'a, Result<Vec<Job>>> {
        self.call(|batch, now| batch.find(now, name))
    }

    fn describe<'a>(&'a self, jobs: &'a [JobId]) -> Pending<'a, Result<Vec<Job>>> {
        self.call(|batch, now| batch.describe(now, jobs))
    }

    fn children<'a>(&'a self, job: &'a JobId, state: JobState) -> Pending<'a, Result<Vec<Child>>> {
        self.call(|batch, now| batch.children(now, job, state))
    }

    fn terminate<'a>(&'a self, jobs: &'a [JobId], reason: &'a str) -> Pending<'a, Result<()>> {
        self.call(|batch, now| {
            jobs.chunks(TERMINATED_AT_ONCE).try_for_each(|jobs| batch.terminate(now, jobs, reason))
        })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_one();
    }
}

impl fmt::Debug for Inside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inside").field("rules", &self.rules).finish_non_exhaustive()
    }
}

impl Shared {
    fn now(&self) -> Duration {
        self.start_wall + self.start.elapsed()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn drive(self: &Arc<Shared>) {
        let mut state = self.lock();
        while !state.closed {
            for action in state.batch.advance(self.now()) {
                self.perform(&mut state, action);
            }
            let wait = state.batch.next_event().map(|next| next.saturating_sub(self.now()));
            state = match wait {
                Some(wait) => {
                    let waited = self.changed.wait_timeout(state, wait);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
        state.workers.values().for_each(|worker| worker.kill.abort());
    }

    fn perform(self: &Arc<Shared>, state: &mut State, action: Action) {
        match action {
            Action::Start(container) => self.start(state, container),
            Action::Signal(id) => {
                if let Some(worker) = state.workers.get(&id) {
                    worker.stop.tell();
                }
            }
            Action::Kill(id) => {
                if let Some(worker) = state.workers.get(&id) {
                    worker.kill.abort();
                }
            }
        }
    }

    fn start(self: &Arc<Shared>, state: &mut State, container: Container) {
        let id = container.id;
        let (kill, killed) = AbortHandle::new_pair();
        let stop = Stop::default();
        state.workers.insert(id, Worker { stop: stop.clone(), kill });
        let shared = Arc::clone(self);
        let run = move || {
            let worker = async { (shared.run)(container, stop).await };
            let worker = AssertUnwindSafe(Abortable::new(worker, killed)).catch_unwind();
            let code = pollster::block_on(worker).map_or(PANICKED, |ended| ended.unwrap_or(KILLED));
            shared.ended(&mut shared.lock(), id, Ended::Exited(code));
        };
        match thread::Builder::new().name(format!("worker-{id}")).spawn(run) {
            Ok(_) => state.batch.started(self.now(), id),
            Err(error) => {
                self.ended(state, id, Ended::NotStarted(format!("CannotStartContainerError: {error}")));
            }
        }
    }

    fn ended(&self, state: &mut State, id: ContainerId, ended: Ended) {
        state.workers.remove(&id);
        state.batch.ended(self.now(), id, ended);
        self.changed.notify_one();
    }
}

impl Stop {
    /// Ready when the worker is to stop.
    pub(crate) fn told(&self) -> impl Future<Output = ()> + use<> {
        let stop = self.clone();
        poll_fn(move |context| {
            let mut state = stop.lock();
            if state.told {
                return Poll::Ready(());
            }
            if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
                state.waiting.push(context.waker().clone());
            }
            Poll::Pending
        })
    }

    pub(crate) fn tell(&self) {
        let waiting = {
            let mut state = self.lock();
            state.told = true;
            std::mem::take(&mut state.waiting)
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    fn lock(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
