//! Containers from their placement to their end, and what is to happen to them when.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
    time::Duration,
};

use super::container::{Action, Container, ContainerId};

/// All that live.
#[derive(Debug, Clone, Default)]
pub(super) struct Containers {
    live: BTreeMap<ContainerId, Live>,
    timers: BTreeSet<(Duration, ContainerId, Timer)>,
    /// Thousandths of virtual processors that they have.
    used: u64,
    actions: Vec<Action>,
}

#[derive(Debug, Clone)]
struct Live {
    phase: Phase,
    stop: Option<Cause>,
    milli_vcpus: u32,
    stop_grace: Duration,
    timers: Vec<(Duration, Timer)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nobody was asked to start it yet.
    Placed,
    Asked,
    Up,
}

/// Why a container was told to stop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    Terminated(String),
    TimedOut,
    Reclaimed,
    HostLost,
}

/// What is to happen to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Start,
    TimeOut,
    Reclaim,
    LoseHost,
    Kill,
}

impl Containers {
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    /// A container gets its place, and is started after the delay.
    pub(super) fn place(
        &mut self,
        id: ContainerId,
        milli_vcpus: u32,
        stop_grace: Duration,
        start_at: Duration,
    ) {
        self.used += u64::from(milli_vcpus);
        let live = Live { phase: Phase::Placed, stop: None, milli_vcpus, stop_grace, timers: Vec::new() };
        self.live.insert(id, live);
        self.set(id, start_at, Timer::Start);
    }

    /// The one that this worker has.
    pub(super) fn of_worker(&self, job: u64, index: u32) -> Option<ContainerId> {
        let [first, last] = [0, u32::MAX].map(|attempt| ContainerId { job, index, attempt });
        self.live.range(first..=last).next().map(|(id, _)| *id)
    }

    /// Whether a host was asked to start it, so that it will say how it ended.
    pub(super) fn is_asked(&self, id: ContainerId) -> bool {
        self.live.get(&id).is_some_and(|live| live.phase != Phase::Placed)
    }

    /// Whether it was told to stop.
    pub(super) fn is_stopping(&self, id: ContainerId) -> bool {
        self.live.get(&id).is_some_and(|live| live.stop.is_some())
    }

    /// A host is to start it.
    pub(super) fn ask(&mut self, container: Container) {
        if let Some(live) = self.live.get_mut(&container.id) {
            live.phase = Phase::Asked;
            self.actions.push(Action::Start(container));
        }
    }

    /// Its host has started it; true if that is news.
    pub(super) fn up(&mut self, id: ContainerId) -> bool {
        let Some(live) = self.live.get_mut(&id).filter(|live| live.phase == Phase::Asked) else {
            return false;
        };
        live.phase = Phase::Up;
        true
    }

    /// The first cause decides what is said of the end, unless a client wants it.
    pub(super) fn stop(&mut self, now: Duration, id: ContainerId, cause: Cause) {
        let Some(live) = self.live.get_mut(&id) else { return };
        match (&live.stop, &cause) {
            (None, _) => {}
            (Some(Cause::Terminated(_)), _) => return,
            (Some(_), Cause::Terminated(_)) => return live.stop = Some(cause),
            (Some(_), _) => return,
        }
        let host_lost = cause == Cause::HostLost;
        let kill_at = now.saturating_add(live.stop_grace);
        live.stop = Some(cause);
        self.clear_timers(id);
        if host_lost {
            self.actions.push(Action::Kill(id));
        } else {
            self.actions.push(Action::Signal(id));
            self.set(id, kill_at, Timer::Kill);
        }
    }

    pub(super) fn kill(&mut self, id: ContainerId) {
        self.actions.push(Action::Kill(id));
    }

    /// Its place is free again; what it was told to stop for.
    pub(super) fn remove(&mut self, id: ContainerId) -> Option<Cause> {
        self.clear_timers(id);
        let live = self.live.remove(&id)?;
        self.used -= u64::from(live.milli_vcpus);
        live.stop
    }

    pub(super) fn set(&mut self, id: ContainerId, time: Duration, timer: Timer) {
        if let Some(live) = self.live.get_mut(&id) {
            live.timers.push((time, timer));
            self.timers.insert((time, id, timer));
        }
    }

    fn clear_timers(&mut self, id: ContainerId) {
        let timers = self.live.get_mut(&id).map(|live| mem::take(&mut live.timers));
        for (time, timer) in timers.into_iter().flatten() {
            self.timers.remove(&(time, id, timer));
        }
    }

    pub(super) fn next_time(&self) -> Option<Duration> {
        self.timers.first().map(|(time, ..)| *time)
    }

    /// The next thing that is due.
    pub(super) fn take_due(&mut self, now: Duration) -> Option<(ContainerId, Timer)> {
        self.timers.first().filter(|(time, ..)| *time <= now)?;
        self.timers.pop_first().map(|(_, id, timer)| (id, timer))
    }

    pub(super) fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    pub(super) fn take_actions(&mut self) -> Vec<Action> {
        let mut actions = mem::take(&mut self.actions);
        // One may have ended since it was to be told something.
        actions.retain(|action| match action {
            Action::Start(_) => true,
            Action::Signal(id) | Action::Kill(id) => self.live.contains_key(id),
        });
        actions
    }
}
