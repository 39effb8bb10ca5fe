//! Jobs, workers and containers: what happens when.
//!
//! ```text
//! worker     SUBMITTED -> RUNNABLE -> STARTING -> RUNNING -> SUCCEEDED | FAILED
//!                            ^---------- retry ------'
//! container                          Placed -> Asked -> Up -> (signalled -> killed) -> ended
//! ```

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    mem,
    time::Duration,
};

use super::{
    container::{Action, Container, ContainerId, Ended},
    containers::{Cause, Containers, Timer},
    record::Record,
    request::overrides_too_long,
    rules::chance,
    throttle::Throttle,
};
use crate::compute::{JobId, JobState, RETRIED_EXIT, RETRIED_REASONS};

/// Terminal jobs are forgotten after this time.
const REMEMBERED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

const ESSENTIAL_EXITED: &str = "Essential container in task exited";
const TASK_FAILED_TO_START: &str = "Task failed to start";
const TIMED_OUT: &str = "Job attempt duration exceeded timeout";
const RECLAIMED: &str = "Your Spot Task was interrupted.";
const OVERRIDES_TOO_LONG: &str = "Container Overrides length must be at most 8192";
const NO_CAPACITY: &str =
    "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY - no instance could be launched for the job";
const TOO_LARGE: &str = "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - the job asks for more vCPUs than the \
                         compute environment may have";

/// One account's Batch: a queue, a compute environment, and all jobs.
///
/// Times are since 1970 by Batch's own clock; one that goes back stands still.
#[derive(Debug, Clone, Default)]
pub(crate) struct Batch {
    pub(super) now: Duration,
    pub(super) seed: u64,
    pub(super) submits: u64,
    pub(super) records: BTreeMap<u64, Record>,
    pub(super) numbers: BTreeMap<JobId, u64>,
    pub(super) throttle: Throttle,
    pub(super) capacity: Option<u64>,
    pub(super) submitted: VecDeque<u64>,
    /// Workers in RUNNABLE, in the order they get places. Some may have been terminated since.
    queue: VecDeque<(u64, u32)>,
    containers: Containers,
    forgotten_at: BTreeSet<(Duration, u64)>,
    changed: BTreeSet<u64>,
}

impl Batch {
    /// One with no jobs; the seed makes its jobs' ids.
    pub(crate) fn new(seed: u64) -> Batch {
        Batch { seed, ..Batch::default() }
    }

    /// One that knows the jobs of an earlier one. All its hosts are gone, so those that had not ended have failed.
    pub(crate) fn restore(seed: u64, now: Duration, records: impl IntoIterator<Item = Record>) -> Batch {
        let mut batch = Batch { now, ..Batch::new(seed) };
        for record in records {
            let (number, ended) = (record.number, record.ended);
            batch.submits = batch.submits.max(number + 1);
            batch.insert(record);
            match ended {
                Some(ended) => drop(batch.forgotten_at.insert((ended + REMEMBERED, number))),
                None => batch.lose(number),
            }
        }
        batch.at(now);
        batch
    }

    /// When something will happen by itself, if anything will: time to [`advance`](Batch::advance).
    pub(crate) fn next_event(&self) -> Option<Duration> {
        let at_once = !self.submitted.is_empty() || self.containers.has_actions() || self.moves();
        if at_once { Some(self.now) } else { self.containers.next_time() }
    }

    /// Whether any job is not terminal.
    pub(crate) fn is_busy(&self) -> bool {
        self.records.len() > self.forgotten_at.len()
    }

    /// Lets everything happen that is due, and says what hosts are to do, in order.
    pub(crate) fn advance(&mut self, now: Duration) -> Vec<Action> {
        self.at(now);
        loop {
            self.accept();
            self.place();
            match self.containers.take_due(self.now) {
                Some((id, timer)) => self.ring(id, timer),
                None => return self.containers.take_actions(),
            }
        }
    }

    /// A container is up.
    pub(crate) fn started(&mut self, now: Duration, id: ContainerId) {
        self.at(now);
        if !self.containers.up(id) {
            return;
        }
        self.change(id.job, id.index, JobState::Running);
        // Of one that is being stopped already, nothing else matters.
        if self.containers.is_stopping(id) {
            return;
        }
        let record = &self.records[&id.job];
        let fate = record.rules.fate(record.chance(id.job), id.index, id.attempt);
        let time_out = Some(record.spec.attempt_timeout);
        let ends =
            [(time_out, Timer::TimeOut), (fate.reclaimed, Timer::Reclaim), (fate.host_lost, Timer::LoseHost)];
        for (after, timer) in ends {
            if let Some(after) = after {
                self.containers.set(id, self.now.saturating_add(after), timer);
            }
        }
    }

    /// A container is gone.
    pub(crate) fn ended(&mut self, now: Duration, id: ContainerId, ended: Ended) {
        self.at(now);
        if !self.containers.is_asked(id) {
            return;
        }
        let stop = self.containers.remove(id);
        let reason = match (&stop, &ended) {
            (Some(Cause::Terminated(reason)), _) => reason.clone(),
            (Some(Cause::TimedOut), _) => TIMED_OUT.to_string(),
            (Some(Cause::Reclaimed), _) => RECLAIMED.to_string(),
            (Some(Cause::HostLost), _) | (None, Ended::HostLost) => self.host_lost(id),
            (None, Ended::NotStarted(_)) => TASK_FAILED_TO_START.to_string(),
            (None, Ended::Exited(_) | Ended::OutOfMemory) => ESSENTIAL_EXITED.to_string(),
        };
        let ended = if stop == Some(Cause::HostLost) { Ended::HostLost } else { ended };
        let (exit_code, container_reason) = ended.seen();
        let told_to_end = matches!(stop, Some(Cause::Terminated(_) | Cause::TimedOut));
        let Some(record) = self.records.get_mut(&id.job) else { return };
        let again =
            !told_to_end && id.attempt < record.spec.attempts.into() && is_retried(exit_code, &reason);
        let worker = &mut record.workers[id.index as usize];
        worker.exit_code = exit_code;
        worker.reason = reason;
        worker.container_reason = container_reason;
        if exit_code == Some(0) && !told_to_end {
            self.change(id.job, id.index, JobState::Succeeded);
        } else if again {
            self.change(id.job, id.index, JobState::Runnable);
            self.queue.push_front((id.job, id.index));
        } else {
            self.change(id.job, id.index, JobState::Failed);
        }
    }

    /// The jobs that have changed since this was last asked; those of them that are not known any more are to be forgotten.
    pub(crate) fn take_changed(&mut self) -> impl Iterator<Item = (u64, Option<&Record>)> {
        mem::take(&mut self.changed).into_iter().map(|number| (number, self.records.get(&number)))
    }

    /// The job of this number.
    pub(crate) fn record(&self, number: u64) -> Option<&Record> {
        self.records.get(&number)
    }

    /// Takes note of the time, and forgets what is old.
    pub(super) fn at(&mut self, now: Duration) {
        self.now = self.now.max(now);
        while self.forgotten_at.first().is_some_and(|(time, _)| *time <= self.now) {
            let Some((_, number)) = self.forgotten_at.pop_first() else { return };
            if let Some(record) = self.records.remove(&number) {
                self.numbers.remove(&record.id);
            }
            self.changed.insert(number);
        }
    }

    pub(super) fn insert(&mut self, record: Record) {
        self.changed.insert(record.number);
        self.numbers.insert(record.id.clone(), record.number);
        self.records.insert(record.number, record);
    }

    pub(super) fn terminate_worker(&mut self, job: u64, index: u32, reason: &str) {
        if self.records[&job].workers[index as usize].state.is_terminal() {
            return;
        }
        match self.containers.of_worker(job, index) {
            Some(id) if self.containers.is_asked(id) => {
                return self.containers.stop(self.now, id, Cause::Terminated(reason.to_string()));
            }
            Some(id) => drop(self.containers.remove(id)),
            None => {}
        }
        self.fail(job, index, reason);
    }

    /// New jobs get their workers, and those a place in the queue.
    fn accept(&mut self) {
        while let Some(number) = self.submitted.pop_front() {
            let Some(record) = self.records.get_mut(&number) else { continue };
            record.accepted = true;
            let too_large =
                self.capacity.is_some_and(|capacity| u64::from(record.spec.milli_vcpus) > capacity);
            for index in 0..record.spec.workers {
                let starts = record.rules.ever_starts(record.chance(number), index);
                let worker = &mut record.workers[index as usize];
                if worker.state != JobState::Submitted {
                    continue;
                }
                worker.reason = match (too_large, starts) {
                    (true, _) => TOO_LARGE.to_string(),
                    (false, false) => NO_CAPACITY.to_string(),
                    (false, true) => String::new(),
                };
                record.change(self.now, index, JobState::Runnable);
                if starts {
                    self.queue.push_back((number, index));
                }
            }
        }
    }

    /// Whether the queue would move now.
    fn moves(&self) -> bool {
        self.queue.front().is_some_and(|first| self.waiting(first).is_none_or(|record| self.fits(record)))
    }

    /// The job of a worker that was queued, if that is still there and still waits.
    fn waiting(&self, (number, index): &(u64, u32)) -> Option<&Record> {
        let record = self.records.get(number)?;
        (record.workers[*index as usize].state == JobState::Runnable).then_some(record)
    }

    fn fits(&self, record: &Record) -> bool {
        self.capacity
            .is_none_or(|capacity| self.containers.used() + u64::from(record.spec.milli_vcpus) <= capacity)
    }

    /// Workers get places strictly in their order: one that does not fit holds up all behind it.
    fn place(&mut self) {
        while let Some(&first) = self.queue.front() {
            match self.waiting(&first) {
                Some(record) if !self.fits(record) => return,
                Some(_) => self.launch(first),
                None => {}
            }
            self.queue.pop_front();
        }
    }

    fn launch(&mut self, (job, index): (u64, u32)) {
        let Some(record) = self.records.get_mut(&job) else { return };
        let id = ContainerId { job, index, attempt: record.workers[index as usize].attempts + 1 };
        let too_long = overrides_too_long(record, index, id.attempt);
        let fate = record.rules.fate(record.chance(job), index, id.attempt);
        let worker = &mut record.workers[index as usize];
        if too_long {
            return self.fail(job, index, OVERRIDES_TOO_LONG);
        }
        // What an earlier attempt came to is not said of this one.
        (worker.exit_code, worker.reason, worker.container_reason) = (None, String::new(), String::new());
        let start_at = self.now.saturating_add(fate.start_delay);
        self.containers.place(id, record.spec.milli_vcpus, record.rules.stop_grace, start_at);
        self.change(job, index, JobState::Starting);
    }

    fn ring(&mut self, id: ContainerId, timer: Timer) {
        match timer {
            Timer::Start => self.ask(id),
            Timer::TimeOut => self.containers.stop(self.now, id, Cause::TimedOut),
            Timer::Reclaim => self.containers.stop(self.now, id, Cause::Reclaimed),
            Timer::LoseHost => self.containers.stop(self.now, id, Cause::HostLost),
            Timer::Kill => self.containers.kill(id),
        }
    }

    fn ask(&mut self, id: ContainerId) {
        if let Some(record) = self.records.get_mut(&id.job) {
            record.workers[id.index as usize].attempts = id.attempt;
            self.containers.ask(Container::of(record, id));
        }
    }

    fn change(&mut self, number: u64, index: u32, state: JobState) {
        let Some(record) = self.records.get_mut(&number) else { return };
        self.changed.insert(number);
        if record.change(self.now, index, state) {
            self.forgotten_at.insert((self.now + REMEMBERED, number));
        }
    }

    /// Ends a worker that has no container.
    fn fail(&mut self, job: u64, index: u32, reason: &str) {
        let Some(record) = self.records.get_mut(&job) else { return };
        record.workers[index as usize].reason = reason.to_string();
        self.change(job, index, JobState::Failed);
    }

    /// Everything of this job that had not ended is lost with its hosts.
    fn lose(&mut self, number: u64) {
        let lost = |index| self.host_lost(ContainerId { job: number, index, attempt: 0 });
        let Some(record) = self.records.get(&number) else { return };
        let living =
            (0..record.spec.workers).filter(|index| !record.workers[*index as usize].state.is_terminal());
        let living: Vec<(u32, String)> = living.map(|index| (index, lost(index))).collect();
        for (index, reason) in living {
            self.fail(number, index, &reason);
            if let Some(record) = self.records.get_mut(&number) {
                record.all_ended_by.get_or_insert(reason);
            }
        }
    }

    fn host_lost(&self, id: ContainerId) -> String {
        let host = chance(self.seed, [id.job, id.index.into(), id.attempt.into()]).u64(..);
        format!("Host EC2 (instance i-0{host:016x}) terminated.")
    }
}

/// What `evaluateOnExit` says about an attempt that failed.
fn is_retried(exit_code: Option<i32>, reason: &str) -> bool {
    RETRIED_REASONS.iter().any(|beginning| reason.starts_with(beginning)) || exit_code == Some(RETRIED_EXIT)
}
