//! What all simulated processes share: time, chance, what is under way, and the stores of fact (objects, Batch).

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    hash::{DefaultHasher, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use fastrand::Rng;
use tokio::sync::oneshot;

use super::{
    audit::Audit,
    effect::{Counts, Op},
    plan::Plan,
};
use crate::{
    clock::Clock,
    compute::simulated::{Action, Batch},
    store::{Pending, WriteId},
};

/// Numbers of processes: clients and workers.
pub(super) type Pid = usize;

/// Batch's and everybody's time begins here, so that nobody takes a time since the start for one since 1970.
pub(super) const EPOCH: Duration = Duration::from_secs(1_800_000_000);

/// An object and who made it.
#[derive(Debug, Clone)]
pub(super) struct Object {
    pub(super) body: Bytes,
    pub(super) id: WriteId,
    pub(super) at: Duration,
}

/// Something that happens at its time.
pub(super) enum Event {
    Poll(Pid),
    Do(Box<dyn FnOnce(&mut Inner) + Send>),
}

/// What only the executor can do.
#[derive(Debug)]
pub(super) enum Request {
    Kill(Pid),
    Batch(Action),
}

/// What is known of a process from outside.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) started: Duration,
    pub(super) alive: bool,
    pub(super) effects: u32,
    /// It dies at this effect of its own.
    pub(super) crash: Option<super::effect::Crash>,
    /// It dies after its next poll.
    pub(super) doomed: bool,
    rng: Rng,
    /// Its clocks are its own.
    monotonic: Duration,
    wall: i64,
}

/// All that can be reached from inside and outside of processes.
#[derive(Debug)]
pub(super) struct World(Mutex<Inner>);

pub(super) struct Inner {
    pub(super) now: Duration,
    pub(super) plan: Arc<Plan>,
    pub(super) rng: Rng,
    pub(super) events: BTreeMap<(Duration, u32, u64), Event>,
    sequence: u64,
    /// Effects that are sent and may still be applied.
    pub(super) in_flight: u32,
    pub(super) objects: BTreeMap<String, Object>,
    pub(super) batch: Batch,
    /// When Batch is looked at next.
    batch_at: Option<Duration>,
    /// From when on a job is shown by its name.
    pub(super) shown_at: BTreeMap<String, Duration>,
    pub(super) processes: Vec<Process>,
    pub(super) requests: Vec<Request>,
    pub(super) counts: Counts,
    pub(super) audit: Audit,
    log: Log,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inner at {:?}", self.now)
    }
}

/// Every event, as a hash; also as text when someone reads along.
struct Log {
    hash: DefaultHasher,
    shown: bool,
}

impl Write for Log {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.hash.write(text.as_bytes());
        if self.shown {
            print!("{text}");
        }
        Ok(())
    }
}

impl World {
    pub(super) fn new(plan: Arc<Plan>, shown: bool) -> Arc<World> {
        let seed = plan.seed;
        Arc::new(World(Mutex::new(Inner {
            now: Duration::ZERO,
            rng: Rng::with_seed(seed ^ 0x5eed),
            events: BTreeMap::new(),
            sequence: 0,
            in_flight: 0,
            objects: BTreeMap::new(),
            batch: Batch::new(seed),
            batch_at: None,
            shown_at: BTreeMap::new(),
            processes: Vec::new(),
            requests: Vec::new(),
            counts: Counts::default(),
            audit: Audit::default(),
            log: Log { hash: DefaultHasher::new(), shown },
            plan,
        })))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    pub(super) fn log(&mut self, what: fmt::Arguments<'_>) {
        let now = self.now.as_micros();
        let _ = writeln!(self.log, "{:>6}.{:06} {what}", now / 1_000_000, now % 1_000_000);
    }

    pub(super) fn log_hash(&self) -> u64 {
        self.log.hash.finish()
    }

    /// Lets something happen. What is due at the same moment happens in an order of chance.
    pub(super) fn at(&mut self, time: Duration, event: Event) {
        self.sequence += 1;
        let key = (time.max(self.now), self.rng.u32(..), self.sequence);
        self.events.insert(key, event);
    }

    pub(super) fn after(&mut self, time: Duration, action: impl FnOnce(&mut Inner) + Send + 'static) {
        self.at(self.now + time, Event::Do(Box::new(action)));
    }

    pub(super) fn add_process(&mut self, name: String, crash: Option<super::effect::Crash>) -> Pid {
        let mut rng = Rng::with_seed(self.plan.seed ^ (self.processes.len() as u64 + 1) << 32);
        let monotonic = Duration::from_millis(rng.u64(..1 << 40));
        // Some clocks are minutes wrong, in either direction.
        let wall = rng.i64(-300_000..300_000);
        self.log(format_args!("{name} starts"));
        let process = Process {
            name,
            started: self.now,
            alive: true,
            effects: 0,
            crash,
            doomed: false,
            rng,
            monotonic,
            wall,
        };
        self.processes.push(process);
        self.processes.len() - 1
    }

    /// The process has no effects from here on. What is under way may still be applied.
    pub(super) fn kill(&mut self, pid: Pid) {
        if std::mem::replace(&mut self.processes[pid].alive, false) {
            let name = self.processes[pid].name.clone();
            self.log(format_args!("{name} dies"));
            self.requests.push(Request::Kill(pid));
        }
    }

    /// Whether faults have stopped.
    pub(super) fn is_calm(&self) -> bool {
        self.now >= self.plan.calm_after
    }

    /// Lets Batch do what is due, and comes back when the next thing is.
    pub(super) fn pump(&mut self) {
        let now = self.batch_now();
        while self.batch.next_event().is_some_and(|at| at <= now) {
            let actions = self.batch.advance(now);
            if actions.is_empty() && self.batch.next_event().is_some_and(|at| at <= now) {
                self.audit.broken(format_args!("Batch has something to do at {now:?}, and does not do it"));
                return;
            }
            self.requests.extend(actions.into_iter().map(Request::Batch));
        }
        let next = self.batch.next_event().map(|at| at.saturating_sub(EPOCH));
        if let Some(next) = next
            && self.batch_at.is_none_or(|at| at <= self.now || next < at)
        {
            self.batch_at = Some(next);
            self.at(next, Event::Do(Box::new(|_| {})));
        }
    }

    pub(super) fn batch_now(&self) -> Duration {
        EPOCH + self.now
    }

    pub(super) fn count(&mut self, fault: super::effect::Fault, op: Op) {
        self.counts.add(fault, op);
    }
}

/// One process's clock: its own zero, its own error.
#[derive(Debug)]
pub(super) struct SimClock {
    pub(super) world: Arc<World>,
    pub(super) pid: Pid,
}

impl Clock for SimClock {
    fn now(&self) -> Duration {
        let inner = self.world.lock();
        inner.now + inner.processes[self.pid].monotonic
    }

    fn wall(&self) -> u64 {
        let inner = self.world.lock();
        let now = (EPOCH + inner.now).as_millis() as u64;
        now.saturating_add_signed(inner.processes[self.pid].wall)
    }

    fn sleep(&self, time: Duration) -> Pending<'static, ()> {
        let world = Arc::clone(&self.world);
        Box::pin(async move {
            let (ring, rung) = oneshot::channel();
            world.lock().after(time, move |_| {
                let _ = ring.send(());
            });
            let _ = rung.await;
        })
    }

    fn random(&self) -> u64 {
        self.world.lock().processes[self.pid].rng.u64(..)
    }
}
