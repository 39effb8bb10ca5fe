//! Where workers run: AWS Batch, in the few calls that a run needs, or a simulation of it.

pub(crate) mod simulated;

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::store::Pending;

/// `Result` with [`ComputeError`].
pub type Result<T, E = ComputeError> = std::result::Result<T, E>;

/// Most jobs that one call describes (AWS Batch, DescribeJobs).
pub const DESCRIBED_AT_ONCE: usize = 100;

/// Most workers of one job (AWS Batch, array size).
pub const MAX_WORKERS: u32 = 10_000;

/// Most jobs that one call terminates (AWS Batch, TerminateJobs).
pub(crate) const TERMINATED_AT_ONCE: usize = 50;

/// A worker's attempt that Batch ended for one of these reasons is followed by another, if any is left. What follows the
/// words differs from case to case.
pub(crate) const RETRIED_REASONS: [&str; 3] =
    ["Host EC2", "Your Spot Task was interrupted", "Task failed to start"];

/// So is one that ended with this exit code: it stopped for no fault of its own. Any other end is the last.
pub(crate) const RETRIED_EXIT: i32 = 75;

/// The name that Batch gave a job. A worker's own is `parent:index` in an array.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct JobId(pub String);

/// What is submitted: so many workers, all alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobSpec {
    /// `<run>-r<round>`; at most 128 characters of `[A-Za-z0-9_-]`.
    pub name: String,
    /// From 1 to [`MAX_WORKERS`]. Two or more become an array.
    pub workers: u32,
    /// Beside what Batch itself adds.
    pub environment: Vec<(String, String)>,
    /// A worker's virtual processors, in thousandths.
    pub milli_vcpus: u32,
    /// A worker's memory, in MiB.
    pub memory: u32,
    /// How often a worker may be started, from 1 to 10, if it is lost by no fault of its own.
    pub attempts: u8,
    /// How long one attempt may take; at least a minute.
    pub attempt_timeout: Duration,
}

/// The states of AWS Batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum JobState {
    /// Accepted.
    Submitted,
    /// Waits for others; an array's parent is in it as long as any of its children lives.
    Pending,
    /// Waits for capacity, perhaps for ever.
    Runnable,
    /// Placed: the image is pulled.
    Starting,
    /// The container is up.
    Running,
    /// Ended with exit code 0.
    Succeeded,
    /// Ended otherwise; of an array: all ended, and not all with 0.
    Failed,
}

impl JobState {
    /// Nothing will happen to it any more.
    #[must_use]
    pub fn is_terminal(self) -> bool {
        matches!(self, JobState::Succeeded | JobState::Failed)
    }
}

/// A submitted job as Batch shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its id.
    pub id: JobId,
    /// As submitted.
    pub name: String,
    /// Of a job with one worker: that worker's.
    pub state: JobState,
    /// Milliseconds since 1970, by Batch's clock.
    pub created: u64,
    /// How many workers are in which state. May lag behind; only `state` tells that all is over.
    pub workers: Vec<(JobState, u32)>,
    /// What Batch says about the state, if anything.
    pub reason: String,
}

/// One worker of a job as Batch shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Child {
    /// From 0; 0 for a job with one worker.
    pub index: u32,
    /// Where it is.
    pub state: JobState,
    /// How often it was started.
    pub attempts: u32,
    /// The exit code of the last attempt; `None` when it never started, or its host was lost.
    pub exit_code: Option<i32>,
    /// Batch's `statusReason`.
    pub reason: String,
    /// Batch's `container.reason`: out of memory, image not found.
    pub container_reason: String,
}

/// How closely Batch can be followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// The shortest wait between two looks at a run.
    pub shortest: Duration,
    /// The longest.
    pub longest: Duration,
    /// How long a submitted job may take to show up by its name.
    pub shows_within: Duration,
}

/// AWS Batch, as far as a run needs it. No call is sent twice by an implementation of `submit`; the others may be.
pub trait Compute: Send + Sync + fmt::Debug {
    /// How closely it can be followed.
    fn pace(&self) -> Pace;

    /// Submits a job.
    ///
    /// # Errors
    /// [`ComputeErrorKind::Unknown`]: it may have been submitted or not. Any other kind: it was not.
    fn submit<'a>(&'a self, spec: &'a JobSpec) -> Pending<'a, Result<JobId>>;

    /// All jobs of exactly this name that Batch still knows, oldest first.
    ///
    /// # Errors
    /// When that could not be found out.
    fn find<'a>(&'a self, name: &'a str) -> Pending<'a, Result<Vec<Job>>>;

    /// These jobs, at most [`DESCRIBED_AT_ONCE`]. One that Batch does not know (any more) is left out.
    ///
    /// # Errors
    /// When that could not be found out.
    fn describe<'a>(&'a self, jobs: &'a [JobId]) -> Pending<'a, Result<Vec<Job>>>;

    /// The workers of a job that are in this state.
    ///
    /// # Errors
    /// When that could not be found out.
    fn children<'a>(&'a self, job: &'a JobId, state: JobState) -> Pending<'a, Result<Vec<Child>>>;

    /// Ends these jobs and all their workers; SIGTERM first. One that has ended already is none of its business.
    ///
    /// # Errors
    /// When not all could be told to end.
    fn terminate<'a>(&'a self, jobs: &'a [JobId], reason: &'a str) -> Pending<'a, Result<()>>;
}

/// Why Batch did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{call}: {reason}")]
pub struct ComputeError {
    /// What kind of trouble.
    pub kind: ComputeErrorKind,
    /// The call: `SubmitJob`, `DescribeJobs`..
    pub call: String,
    /// In Batch's words.
    pub reason: String,
}

/// What a program can do about a [`ComputeError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ComputeErrorKind {
    /// Too many calls (HTTP 429). Nothing was done; later it will be.
    Throttled,
    /// No reply, or one that says nothing: it may have been done or not.
    Unknown,
    /// The request is not one that Batch takes: too large, no such queue.
    Refused,
    /// No permission.
    Denied,
}
