//! What a host is told about containers, and what it tells.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::record::Record;
use crate::compute::JobId;

/// One attempt of one worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct ContainerId {
    /// The number of its job.
    pub(crate) job: u64,
    /// The worker, from 0.
    pub(crate) index: u32,
    /// From 1.
    pub(crate) attempt: u32,
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.job, self.index, self.attempt)
    }
}

/// What a host is to do. Each container is started once, may be signalled once after that, and may be killed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start it, then say `started`, and `ended` when it has; or only `ended`.
    Start(Container),
    /// SIGTERM.
    Signal(ContainerId),
    /// SIGKILL to all of it.
    Kill(ContainerId),
}

/// What a host must know to start a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) id: ContainerId,
    /// The job it belongs to; of an array, the parent.
    pub(crate) job: JobId,
    /// The job's, and what Batch adds.
    pub(crate) environment: Vec<(String, String)>,
    /// MiB.
    pub(crate) memory: u32,
}

/// What became of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself or by a signal, which counts as 128 and its number.
    Exited(i32),
    /// It used more memory than it had asked for.
    #[cfg_attr(
        not(test),
        expect(dead_code, reason = "hosts on this machine enforce no limit, simulations do")
    )]
    OutOfMemory,
    /// It could not be started: Batch's `container.reason`.
    NotStarted(String),
    /// Its host is gone, and with it every trace.
    HostLost,
}

impl Ended {
    /// `exitCode` and `container.reason`.
    pub(super) fn seen(self) -> (Option<i32>, String) {
        match self {
            Ended::Exited(code) => (Some(code), String::new()),
            Ended::OutOfMemory => {
                (Some(137), "OutOfMemoryError: Container killed due to memory usage".to_string())
            }
            Ended::NotStarted(reason) => (None, reason),
            Ended::HostLost => (None, String::new()),
        }
    }
}

impl Container {
    pub(super) fn of(record: &Record, id: ContainerId) -> Container {
        let mut environment = record.spec.environment.clone();
        let own = |(name, value): (&str, String)| (name.to_string(), value);
        environment.extend(record.own_variables(id.index, id.attempt).map(own));
        Container { id, job: record.id.clone(), environment, memory: record.spec.memory }
    }
}
