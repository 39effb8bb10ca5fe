//! What the host's threads share, and the one that makes things happen.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::process::Pid;

use super::{
    folder::{Folder, Lock},
    records::Records,
    worker::{Launch, Worker, ask_to_stop, kill},
};
use crate::compute::{
    JobId, JobSpec, Result,
    simulated::{Action, Batch, Container, ContainerId, Ended, Rules},
};

/// A host that nobody has called for so long, and that has no living job, ends.
const IDLE: Duration = Duration::from_secs(1);

/// What happens elsewhere, such as the removal of the folder, is looked for this often.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Hub {
    folder: Folder,
    start: Instant,
    /// When that was, since 1970.
    start_wall: Duration,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) batch: Batch,
    records: Records,
    /// The programs of jobs that live.
    launches: BTreeMap<JobId, Arc<Launch>>,
    /// Running processes, none of them reaped: their numbers are nobody else's.
    workers: BTreeMap<ContainerId, Pid>,
    calls: usize,
    last_call: Instant,
    /// Nobody is answered any more.
    closing: bool,
}

/// A call that the host has promised to answer.
#[derive(Debug)]
pub(super) struct Call<'a>(&'a Hub);

impl Hub {
    pub(super) fn open(folder: Folder) -> io::Result<Hub> {
        let start = Instant::now();
        let start_wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (records, known) = Records::load(folder.records())?;
        let mut state = State {
            batch: Batch::restore(fastrand::u64(..), start_wall, known),
            records,
            launches: BTreeMap::new(),
            workers: BTreeMap::new(),
            calls: 0,
            last_call: start,
            closing: false,
        };
        state.note_changes()?;
        Ok(Hub { folder, start, start_wall, state: Mutex::new(state), changed: Condvar::new() })
    }

    /// Batch's clock: it does not go back while the host lives.
    pub(super) fn now(&self) -> Duration {
        self.start_wall + self.start.elapsed()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to answer a call; `None` if it is too late.
    pub(super) fn enter(&self) -> Option<Call<'_>> {
        let mut state = self.lock();
        if state.closing {
            return None;
        }
        state.calls += 1;
        Some(Call(self))
    }

    /// Something may be due now.
    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Lets everything happen, until there is nothing left to do.
    pub(super) fn drive(self: &Arc<Hub>, lock: &Lock) {
        loop {
            let actions = {
                let mut state = self.lock();
                let actions = state.batch.advance(self.now());
                complain(state.note_changes());
                actions
            };
            // Not under the lock: clients need not wait while two hundred workers start.
            for action in actions {
                self.perform(action);
            }
            let mut state = self.lock();
            let idle = state.calls == 0 && !state.batch.is_busy() && state.last_call.elapsed() >= IDLE;
            if idle || !lock.holds() {
                state.closing = true;
                // Of a folder that is gone nobody will ever ask: its workers go too.
                state.workers.values().for_each(|pid| kill(*pid));
                return;
            }
            let next = state.batch.next_event().map_or(LOOK_EVERY, |next| next.saturating_sub(self.now()));
            if !next.is_zero() {
                drop(self.changed.wait_timeout(state, next.min(LOOK_EVERY)));
            }
        }
    }

    fn perform(self: &Arc<Hub>, action: Action) {
        match action {
            Action::Start(container) => self.start(&container),
            Action::Signal(id) => drop(self.lock().workers.get(&id).map(|pid| ask_to_stop(*pid))),
            Action::Kill(id) => drop(self.lock().workers.get(&id).map(|pid| kill(*pid))),
        }
    }

    fn start(self: &Arc<Hub>, container: &Container) {
        let id = container.id;
        let launch = self.lock().launches.get(&container.job).cloned();
        let started = match launch {
            Some(launch) => launch.start(container, &self.folder.logs()),
            None => Err(io::Error::other("its program is not known")),
        };
        let attended = started.and_then(|worker| {
            let mut state = self.lock();
            state.workers.insert(id, worker.pid());
            state.batch.started(self.now(), id);
            let hub = Arc::clone(self);
            let attend = thread::Builder::new().name(format!("worker-{id}")).stack_size(128 << 10);
            attend.spawn(move || hub.attend(id, worker))
        });
        if let Err(error) = attended {
            let reason = Ended::NotStarted(format!("CannotStartContainerError: {error}"));
            let mut state = self.lock();
            state.workers.remove(&id);
            state.batch.ended(self.now(), id, reason);
        }
    }

    /// The life of one worker.
    fn attend(&self, id: ContainerId, mut worker: Worker) {
        worker.attend();
        let mut state = self.lock();
        // Under the lock, so that nobody signals a number that is free again.
        let ended = worker.reap();
        state.workers.remove(&id);
        state.batch.ended(self.now(), id, ended);
        complain(state.note_changes());
        drop(state);
        self.wake();
    }
}

impl State {
    pub(super) fn submit(
        &mut self,
        now: Duration,
        spec: &JobSpec,
        rules: Rules,
        launch: Launch,
    ) -> Result<JobId> {
        let id = self.batch.submit(now, spec, rules)?;
        self.launches.insert(id.clone(), Arc::new(launch));
        Ok(id)
    }

    /// Writes down what has changed.
    pub(super) fn note_changes(&mut self) -> io::Result<()> {
        let mut noted = Ok(());
        for (number, record) in self.batch.take_changed() {
            if let Some(record) = record.filter(|record| record.is_terminal()) {
                self.launches.remove(record.id());
            }
            noted = noted.and(self.records.note(number, record));
        }
        noted.and(self.records.catch_up(&self.batch))
    }
}

impl Drop for Call<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.calls -= 1;
        state.last_call = Instant::now();
    }
}

/// To the host's log.
pub(super) fn complain<T>(result: io::Result<T>) {
    if let Err(error) = result {
        let _ = writeln!(io::stderr(), "cloud: simulated batch: {error}");
    }
}
