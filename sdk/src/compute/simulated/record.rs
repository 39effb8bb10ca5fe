//! One job: its workers and how they are counted.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rules::Rules;
use crate::compute::{Child, Job, JobId, JobSpec, JobState};

const STATES: [JobState; 7] = [
    JobState::Submitted,
    JobState::Pending,
    JobState::Runnable,
    JobState::Starting,
    JobState::Running,
    JobState::Succeeded,
    JobState::Failed,
];

/// A job and everything that became of it; also its form on disk.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// Jobs are numbered as they come.
    pub(super) number: u64,
    pub(super) id: JobId,
    pub(super) spec: JobSpec,
    pub(super) rules: Rules,
    pub(super) created: Duration,
    /// Since when all its workers are terminal.
    pub(super) ended: Option<Duration>,
    /// Batch has looked at it and spawned its workers.
    pub(super) accepted: bool,
    /// What ended all that was left of it, if one thing did: a client, or the loss of every host.
    pub(super) all_ended_by: Option<String>,
    pub(super) workers: Vec<Worker>,
    counts: [u32; STATES.len()],
    summary: Summary,
}

/// One worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Worker {
    pub(super) state: JobState,
    pub(super) attempts: u32,
    pub(super) exit_code: Option<i32>,
    pub(super) reason: String,
    pub(super) container_reason: String,
}

/// The counts as they were when Batch last counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Summary {
    counts: [u32; STATES.len()],
    /// Which of the countings this was, the first being at the job's creation.
    counting: u128,
}

impl Record {
    pub(super) fn new(number: u64, id: JobId, now: Duration, spec: &JobSpec, rules: Rules) -> Record {
        let worker = Worker {
            state: JobState::Submitted,
            attempts: 0,
            exit_code: None,
            reason: String::new(),
            container_reason: String::new(),
        };
        let mut counts = [0; STATES.len()];
        counts[JobState::Submitted as usize] = spec.workers;
        Record {
            number,
            id,
            workers: vec![worker; spec.workers as usize],
            spec: spec.clone(),
            rules,
            created: now,
            ended: None,
            accepted: false,
            all_ended_by: None,
            counts,
            summary: Summary { counts, counting: 0 },
        }
    }

    /// The job's id.
    pub(crate) fn id(&self) -> &JobId {
        &self.id
    }

    /// What its chance is made from, beside the seed: the round that a name ends with (`<run>-r<round>`), so that every run has
    /// the same losses from the same seed, however many jobs were before it. Else the job's number.
    pub(super) fn chance(&self, number: u64) -> u64 {
        self.spec.name.rsplit_once("-r").and_then(|(_, round)| round.parse().ok()).unwrap_or(number)
    }

    /// Whether nothing will happen to it any more.
    pub(crate) fn is_terminal(&self) -> bool {
        self.ended.is_some()
    }

    pub(super) fn is_array(&self) -> bool {
        self.workers.len() > 1
    }

    /// The variables that Batch adds to a container's.
    pub(super) fn own_variables(&self, index: u32, attempt: u32) -> impl Iterator<Item = (&str, String)> {
        let array = [
            ("AWS_BATCH_JOB_ARRAY_INDEX", index.to_string()),
            ("AWS_BATCH_JOB_ARRAY_SIZE", self.workers.len().to_string()),
        ];
        let always = [
            ("AWS_BATCH_JOB_ID", self.worker_id(index).0),
            ("AWS_BATCH_JOB_ATTEMPT", attempt.to_string()),
            ("AWS_BATCH_JQ_NAME", "cloud".to_string()),
            ("AWS_BATCH_CE_NAME", "simulated".to_string()),
        ];
        always.into_iter().chain(array.into_iter().filter(|_| self.is_array()))
    }

    /// `parent:index` in an array.
    pub(super) fn worker_id(&self, index: u32) -> JobId {
        if self.is_array() { JobId(format!("{}:{index}", self.id.0)) } else { self.id.clone() }
    }

    /// Moves a worker; true if the job is terminal by that.
    pub(super) fn change(&mut self, now: Duration, index: u32, state: JobState) -> bool {
        self.count_again(now);
        let worker = &mut self.workers[index as usize];
        self.counts[worker.state as usize] -= 1;
        self.counts[state as usize] += 1;
        worker.state = state;
        let ended = self.ended.is_none() && self.count(|state| !state.is_terminal()) == 0;
        if ended {
            self.ended = Some(now);
        }
        ended
    }

    /// The job as Batch shows it.
    pub(super) fn job(&mut self, now: Duration) -> Job {
        self.count_again(now);
        let (state, reason) = match (&self.workers[..], self.ended) {
            ([worker], _) => (worker.state, worker.reason.clone()),
            (_, None) if !self.accepted => (JobState::Submitted, String::new()),
            (_, None) => (JobState::Pending, String::new()),
            (_, Some(_)) if self.count(|state| state == JobState::Failed) == 0 => {
                (JobState::Succeeded, String::new())
            }
            (_, Some(_)) => {
                let reason = self.all_ended_by.as_deref().unwrap_or("Array Child Job failed");
                (JobState::Failed, reason.to_string())
            }
        };
        let counted = STATES.into_iter().zip(self.summary.counts).filter(|(_, count)| *count > 0);
        self.shown(self.id.clone(), state, counted.collect(), reason)
    }

    /// A worker of an array as Batch shows it to one who asks for it as a job.
    pub(super) fn worker_job(&self, index: u32) -> Option<Job> {
        let worker = self.workers.get(index as usize).filter(|_| self.is_array())?;
        let counted = vec![(worker.state, 1)];
        Some(self.shown(self.worker_id(index), worker.state, counted, worker.reason.clone()))
    }

    fn shown(&self, id: JobId, state: JobState, workers: Vec<(JobState, u32)>, reason: String) -> Job {
        let created = self.created.as_millis() as u64;
        Job { id, name: self.spec.name.clone(), state, created, workers, reason }
    }

    pub(super) fn children(&self, state: JobState) -> Vec<Child> {
        let numbered = (0..).zip(&self.workers).filter(|(_, worker)| worker.state == state);
        let child = |(index, worker): (u32, &Worker)| Child {
            index,
            state,
            attempts: worker.attempts,
            exit_code: worker.exit_code,
            reason: worker.reason.clone(),
            container_reason: worker.container_reason.clone(),
        };
        numbered.map(child).collect()
    }

    fn count(&self, of: impl Fn(JobState) -> bool) -> u32 {
        STATES.into_iter().zip(self.counts).filter(|(state, _)| of(*state)).map(|(_, count)| count).sum()
    }

    /// Batch counts at regular moments, and shows the last counting until the next.
    fn count_again(&mut self, now: Duration) {
        let age = now.saturating_sub(self.created).as_nanos();
        let counting = age.checked_div(self.rules.summary_lag.as_nanos());
        // Nothing changed between the last of those moments and now, or it would have been counted then.
        if counting != Some(self.summary.counting) {
            self.summary = Summary { counts: self.counts, counting: counting.unwrap_or_default() };
        }
    }
}
