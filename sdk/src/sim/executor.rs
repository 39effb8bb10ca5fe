//! Runs the processes of one seed on one thread, in the time of the simulation.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use tokio::sync::oneshot;

use super::{
    client,
    crew::Script,
    plan::{self, ClientPlan, Plan},
    sabotage,
    world::{Event, Pid, Request, SimClock, World},
};
use crate::{
    clock::Clock,
    compute::simulated::{Action, Container, ContainerId, Ended},
    runner::{Assignment, work},
};

/// No run of a plan here takes longer, once somebody sees to it.
const HORIZON: Duration = Duration::from_secs(4 * 60 * 60);

/// How often somebody looks whether anybody sees to the run.
const WATCH_EVERY: Duration = Duration::from_secs(45);

/// All that is under way is over by then, once a run is closed.
const QUIET_WITHIN: Duration = Duration::from_secs(10 * 60);

/// A search may be answered so long before the run is closed.
const HIDDEN: Duration = Duration::from_secs(20);

/// One life of a run.
pub(super) struct Sim {
    pub(super) world: Arc<World>,
    tasks: BTreeMap<Pid, Task>,
    woken: Arc<Mutex<Vec<Pid>>>,
    /// They have a poll before them.
    scheduled: BTreeSet<Pid>,
    containers: BTreeMap<ContainerId, Pid>,
    workers: BTreeMap<Pid, ContainerId>,
    stops: BTreeMap<Pid, oneshot::Sender<()>>,
    /// A last client was sent to look.
    reads_again: bool,
}

struct Task {
    /// Ends with the exit code of a worker.
    future: Pin<Box<dyn Future<Output = Option<u8>>>>,
    waker: Waker,
}

struct Wakes {
    pid: Pid,
    woken: Arc<Mutex<Vec<Pid>>>,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.woken.lock().unwrap_or_else(PoisonError::into_inner).push(self.pid);
    }
}

impl Sim {
    pub(super) fn new(plan: Plan, shown: bool) -> Sim {
        Sim {
            world: World::new(Arc::new(plan), shown),
            tasks: BTreeMap::new(),
            woken: Arc::default(),
            scheduled: BTreeSet::new(),
            containers: BTreeMap::new(),
            workers: BTreeMap::new(),
            stops: BTreeMap::new(),
            reads_again: false,
        }
    }

    /// From the plan to the end of everything.
    pub(super) fn run(&mut self) {
        let plan = Arc::clone(&self.world.lock().plan);
        let mut clients: Vec<(usize, &ClientPlan)> = plan.clients.iter().enumerate().collect();
        clients.sort_by_key(|(_, client)| client.at);
        let mut clients = clients.into_iter().peekable();
        let mut watch_at = plan.calm_after + WATCH_EVERY;
        loop {
            let next = self.world.lock().events.first_key_value().map(|((at, ..), _)| *at);
            let next = next.unwrap_or(Duration::MAX).min(watch_at);
            if let Some((number, client)) = clients.next_if(|(_, client)| client.at <= next) {
                self.pass(client.at);
                self.spawn_client(client.clone(), number == 0);
            } else if watch_at <= next {
                self.pass(watch_at);
                watch_at += WATCH_EVERY;
                if self.is_over() {
                    break;
                }
                self.watch();
            } else {
                self.happen();
            }
            self.settle();
            let mut inner = self.world.lock();
            if inner.now > HORIZON {
                inner.audit.broken(format_args!("the run has no end within {HORIZON:?}"));
                break;
            }
            if inner.audit.is_broken() {
                break;
            }
        }
        let mut inner = self.world.lock();
        inner.check_end();
    }

    fn pass(&mut self, to: Duration) {
        let mut inner = self.world.lock();
        inner.now = inner.now.max(to);
    }

    /// True once nothing that belongs to the run can happen any more.
    fn is_over(&mut self) -> bool {
        let mut inner = self.world.lock();
        let quiet = self.tasks.is_empty() && inner.in_flight == 0;
        let Some(closed) = inner.closed_at() else {
            // Planned by nobody, as far as anybody can see.
            return quiet && !inner.has_manifest();
        };
        let late = inner.now > closed + QUIET_WITHIN;
        // A job that no search had shown when the run was closed: its workers go home as soon as they come.
        let hidden = inner.shown_at.values().any(|at| *at + HIDDEN > closed);
        let busy = inner.batch.is_busy() && !(late && hidden);
        if late && (busy || !quiet) {
            let now = inner.now;
            inner.audit.broken(format_args!(
                "at {now:?}, the run was closed at {closed:?}; Batch has live jobs: {busy}, processes are quiet: {quiet}"
            ));
        }
        drop(inner);
        // What came too late is there by now, and must not be returned.
        if quiet && !busy && !std::mem::replace(&mut self.reads_again, true) {
            self.spawn_client(ClientPlan { wanted: Some(true), ..ClientPlan::default() }, false);
            return false;
        }
        quiet && !busy
    }

    /// Somebody sees to the run, once nothing goes wrong any more.
    fn watch(&mut self) {
        let attended = self.tasks.keys().any(|pid| !self.workers.contains_key(pid));
        let inner = self.world.lock();
        let wanted = inner.has_manifest() && inner.closed_at().is_none();
        drop(inner);
        if !attended && wanted {
            self.spawn_client(ClientPlan { wanted: Some(true), ..ClientPlan::default() }, false);
        }
    }

    /// The next event.
    fn happen(&mut self) {
        let mut inner = self.world.lock();
        let Some(((at, ..), event)) = inner.events.pop_first() else { return };
        inner.now = at;
        match event {
            Event::Do(action) => action(&mut inner),
            Event::Poll(pid) => {
                drop(inner);
                self.poll(pid);
            }
        }
    }

    fn poll(&mut self, pid: Pid) {
        self.scheduled.remove(&pid);
        let Some(task) = self.tasks.get_mut(&pid) else { return };
        let ended = task.future.as_mut().poll(&mut Context::from_waker(&task.waker));
        let mut inner = self.world.lock();
        if !inner.processes[pid].alive {
            return;
        }
        if inner.processes[pid].doomed {
            inner.kill(pid);
            return;
        }
        let Poll::Ready(code) = ended else { return };
        inner.processes[pid].alive = false;
        let name = inner.processes[pid].name.clone();
        inner.log(format_args!("{name} ends {code:?}"));
        if let Some(code) = code {
            inner.note_exit(pid, code);
        }
        drop(inner);
        self.remove(pid, code.map_or(Ended::HostLost, |code| Ended::Exited(code.into())));
    }

    /// All that follows from what has just happened.
    fn settle(&mut self) {
        loop {
            let mut inner = self.world.lock();
            inner.pump();
            let requests = std::mem::take(&mut inner.requests);
            for pid in std::mem::take(&mut *self.woken.lock().unwrap_or_else(PoisonError::into_inner)) {
                if self.tasks.contains_key(&pid) && self.scheduled.insert(pid) {
                    let now = inner.now;
                    inner.at(now, Event::Poll(pid));
                }
            }
            drop(inner);
            if requests.is_empty() {
                return;
            }
            for request in requests {
                match request {
                    Request::Kill(pid) => {
                        let ended = self.death();
                        self.remove(pid, ended);
                    }
                    Request::Batch(Action::Start(container)) => self.start(&container),
                    Request::Batch(Action::Signal(id)) => {
                        let mut inner = self.world.lock();
                        let (unreached, calm) = (inner.plan.zombie, inner.is_calm());
                        if calm || inner.rng.f64() >= unreached {
                            inner.log(format_args!("{id} is told to stop"));
                            drop(inner);
                            let stop = self.containers.get(&id).and_then(|pid| self.stops.remove(pid));
                            let _ = stop.map(|stop| stop.send(()));
                        }
                    }
                    Request::Batch(Action::Kill(id)) => self.kill_container(id),
                }
            }
        }
    }

    /// How a worker is seen to die.
    fn death(&mut self) -> Ended {
        let rng = &mut self.world.lock().rng;
        match rng.u32(..4) {
            0 => Ended::Exited(137),
            1 => Ended::OutOfMemory,
            _ => Ended::HostLost,
        }
    }

    fn kill_container(&mut self, id: ContainerId) {
        let Some(pid) = self.containers.remove(&id) else { return };
        let mut inner = self.world.lock();
        let zombie = inner.plan.zombie;
        let lives_on = !inner.is_calm() && inner.rng.f64() < zombie;
        if lives_on {
            inner.log(format_args!("{id} is killed, and lives on"));
            inner.after(Duration::from_secs(60), move |inner| inner.kill(pid));
        } else {
            inner.kill(pid);
        }
        drop(inner);
        self.tell_batch(id, pid, Ended::Exited(137));
    }

    /// Batch takes the worker for ended.
    fn tell_batch(&mut self, id: ContainerId, pid: Pid, ended: Ended) {
        let mut inner = self.world.lock();
        inner.audit.note_ended(pid);
        let now = inner.batch_now();
        inner.batch.ended(now, id, ended);
        inner.pump();
    }

    fn remove(&mut self, pid: Pid, ended: Ended) {
        let task = self.tasks.remove(&pid);
        let effects = self.world.lock().processes[pid].effects;
        drop(task);
        let mut inner = self.world.lock();
        if inner.processes[pid].effects != effects {
            inner.audit.broken(format_args!("a destructor has had an effect"));
        }
        drop(inner);
        self.stops.remove(&pid);
        if let Some(id) = self.workers.get(&pid).copied()
            && self.containers.remove(&id).is_some()
        {
            self.tell_batch(id, pid, ended);
        }
    }

    fn start(&mut self, container: &Container) {
        let mut inner = self.world.lock();
        let plan = Arc::clone(&inner.plan);
        let now = inner.batch_now();
        let calm = inner.is_calm();
        if !calm && inner.rng.f64() < plan.stillborn {
            inner.log(format_args!("{} cannot be started", container.id));
            inner.batch.ended(now, container.id, Ended::NotStarted("no route to host".into()));
            return;
        }
        let crashes = !calm && inner.rng.f64() < plan.worker_crash;
        let crash = crashes.then(|| plan::worker_crash(&mut inner.rng));
        let pid = inner.add_process(format!("worker {}", container.id), crash);
        inner.audit.note_worker(pid);
        inner.batch.started(now, container.id);
        drop(inner);
        let variable = |name: &str| {
            container.environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
        };
        let mut assignment =
            Assignment::from_variables(variable).expect("the client tells workers all they need");
        if plan.numberless {
            let without = |name: &str| match name {
                "AWS_BATCH_JOB_ARRAY_INDEX" => None,
                "AWS_BATCH_JOB_ID" => variable(name).map(|id| id.split(':').take(1).collect()),
                name => variable(name),
            };
            assignment = Assignment::from_variables(without).expect("a number is not needed");
        }
        let (stop, stopped) = oneshot::channel();
        let clock: Arc<dyn Clock> = Arc::new(SimClock { world: Arc::clone(&self.world), pid });
        let store = sabotage::worker_store(&self.world, pid);
        let world = Arc::clone(&self.world);
        let fit_clock = Arc::clone(&clock);
        let future = async move {
            let fit = async |worker: &crate::runner::Worker| {
                Ok(Script::new(world, fit_clock, pid, worker.manifest.options.slots))
            };
            Some(work(store, clock, assignment, fit, async { drop(stopped.await) }).await.code)
        };
        self.stops.insert(pid, stop);
        self.containers.insert(container.id, pid);
        self.workers.insert(pid, container.id);
        self.spawn(pid, Box::pin(future));
    }

    fn spawn_client(&mut self, plan: ClientPlan, plans: bool) {
        let pid = {
            let mut inner = self.world.lock();
            let number = inner.processes.len();
            inner.add_process(format!("client {number}"), plan.crash)
        };
        let world = Arc::clone(&self.world);
        let future = async move {
            client::client(world, pid, plan, plans).await;
            None
        };
        self.spawn(pid, Box::pin(future));
    }

    fn spawn(&mut self, pid: Pid, future: Pin<Box<dyn Future<Output = Option<u8>>>>) {
        let waker = Waker::from(Arc::new(Wakes { pid, woken: Arc::clone(&self.woken) }));
        waker.wake_by_ref();
        self.tasks.insert(pid, Task { future, waker });
    }
}
