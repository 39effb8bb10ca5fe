//! What a client can ask of the simulated Batch.

use std::time::Duration;

use super::{
    batch::Batch,
    record::Record,
    request::refusal,
    rules::{Rules, chance},
};
use crate::compute::{
    Child, ComputeError, ComputeErrorKind, DESCRIBED_AT_ONCE, Job, JobId, JobSpec, JobState, Result,
    TERMINATED_AT_ONCE,
};

/// Longest reason that a terminated job may be given, in characters.
const REASON_CHARS: usize = 1024;

impl Batch {
    /// Takes a job, or says why not.
    pub(crate) fn submit(&mut self, now: Duration, spec: &JobSpec, rules: Rules) -> Result<JobId> {
        self.throttle.set(rules.throttle);
        self.capacity = rules.capacity;
        self.answer(now, "SubmitJob")?;
        if let Some(reason) = refusal(spec, &rules) {
            return Err(refused("SubmitJob", reason));
        }
        let number = self.submits;
        self.submits += 1;
        let mut random = chance(self.seed, [number, 0, 0]);
        let id = JobId(format!(
            "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
            random.u32(..),
            random.u16(..),
            random.u16(..0x1000),
            random.u16(..0x1000),
            random.u64(..1 << 48)
        ));
        self.insert(Record::new(number, id.clone(), self.now, spec, rules));
        self.submitted.push_back(number);
        Ok(id)
    }

    /// All jobs of that name, oldest first.
    pub(crate) fn find(&mut self, now: Duration, name: &str) -> Result<Vec<Job>> {
        self.answer(now, "ListJobs")?;
        let now = self.now;
        let of_name = self.records.values_mut().filter(|record| record.spec.name == name);
        Ok(of_name.map(|record| record.job(now)).collect())
    }

    /// Those of the jobs that are known.
    pub(crate) fn describe(&mut self, now: Duration, ids: &[JobId]) -> Result<Vec<Job>> {
        self.answer(now, "DescribeJobs")?;
        if ids.len() > DESCRIBED_AT_ONCE {
            let reason = format!("Maximum number of jobs supported is {DESCRIBED_AT_ONCE}");
            return Err(refused("DescribeJobs", reason));
        }
        let now = self.now;
        let describe = |id: &JobId| {
            let (record, index) = self.record_of(id)?;
            match index {
                None => Some(record.job(now)),
                Some(index) => record.worker_job(index),
            }
        };
        Ok(ids.iter().filter_map(describe).collect())
    }

    /// The workers of a job that are in this state.
    pub(crate) fn children(&mut self, now: Duration, job: &JobId, state: JobState) -> Result<Vec<Child>> {
        self.answer(now, "ListJobs")?;
        match self.record_of(job) {
            Some((record, None)) => Ok(record.children(state)),
            _ => Err(refused("ListJobs", format!("Job `{}` does not exist", job.0))),
        }
    }

    /// Ends the jobs, or single workers of arrays.
    pub(crate) fn terminate(&mut self, now: Duration, ids: &[JobId], reason: &str) -> Result<()> {
        self.answer(now, "TerminateJob")?;
        if ids.len() > TERMINATED_AT_ONCE {
            let reason = format!("Maximum number of jobs supported is {TERMINATED_AT_ONCE}");
            return Err(refused("TerminateJob", reason));
        }
        if reason.is_empty() || reason.chars().count() > REASON_CHARS {
            return Err(refused("TerminateJob", format!("reason must be 1 to {REASON_CHARS} characters")));
        }
        for id in ids {
            let Some((record, index)) = self.record_of(id) else { continue };
            let (number, workers) = (record.number, 0..record.spec.workers);
            match index {
                Some(index) if workers.contains(&index) => self.terminate_worker(number, index, reason),
                Some(_) => {}
                None => {
                    record.all_ended_by.get_or_insert_with(|| reason.to_string());
                    workers.for_each(|index| self.terminate_worker(number, index, reason));
                }
            }
        }
        Ok(())
    }

    /// Takes note of the time and of one more call.
    fn answer(&mut self, now: Duration, call: &str) -> Result<()> {
        self.at(now);
        if self.throttle.takes(self.now) {
            return Ok(());
        }
        Err(ComputeError {
            kind: ComputeErrorKind::Throttled,
            call: call.to_string(),
            reason: "TooManyRequestsException: Too Many Requests".to_string(),
        })
    }

    /// The job, and which of its workers is meant if the id names one.
    fn record_of(&mut self, id: &JobId) -> Option<(&mut Record, Option<u32>)> {
        let (job, index) = match id.0.split_once(':') {
            Some((job, index)) => (JobId(job.to_string()), Some(index.parse().ok()?)),
            None => (id.clone(), None),
        };
        let number = self.numbers.get(&job)?;
        let record = self.records.get_mut(number)?;
        Some((record, index))
    }
}

fn refused(call: &str, reason: String) -> ComputeError {
    ComputeError { kind: ComputeErrorKind::Refused, call: call.to_string(), reason }
}
