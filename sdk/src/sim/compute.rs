//! The simulated Batch behind a network: each call is an effect.

use std::{fmt, sync::Arc, time::Duration};

use super::{
    effect::{Answers, Op},
    world::{Inner, Pid, World},
};
use crate::{
    compute::{
        Child, Compute, ComputeError, ComputeErrorKind, Job, JobId, JobSpec, JobState, Pace, Result,
        simulated::Rules,
    },
    store::Pending,
};

/// How closely Batch is followed here; a find shows a job within half of `shows_within`.
pub(super) const PACE: Pace = Pace {
    shortest: Duration::from_secs(2),
    longest: Duration::from_secs(20),
    shows_within: Duration::from_secs(60),
};

/// Batch as one client sees it.
#[derive(Debug)]
pub(super) struct SimCompute {
    pub(super) world: Arc<World>,
    pub(super) pid: Pid,
}

fn answers<T>(call: &str) -> Answers<Result<T>> {
    let error = |kind| Err(ComputeError { kind, call: call.to_string(), reason: "simulated".to_string() });
    Answers {
        lost: error(ComputeErrorKind::Unknown),
        conflict: None,
        throttled: Some(error(ComputeErrorKind::Throttled)),
    }
}

impl SimCompute {
    async fn ask<T: Send + 'static>(
        &self,
        op: Op,
        what: impl fmt::Display,
        apply: impl Fn(&mut Inner) -> Result<T> + Clone + Send + 'static,
    ) -> Result<T> {
        self.world.call(self.pid, op, what, apply, answers(&format!("{op:?}"))).await
    }
}

impl Compute for SimCompute {
    fn pace(&self) -> Pace {
        PACE
    }

    fn submit<'a>(&'a self, spec: &'a JobSpec) -> Pending<'a, Result<JobId>> {
        Box::pin(async move {
            let pid = self.pid;
            self.world.lock().note_submit(pid, spec);
            let own = spec.clone();
            let name = format!("{} x {}", spec.name, spec.workers);
            let result = self.ask(Op::Submit, name, move |inner| inner.submit(&own)).await;
            self.world.lock().note_submit_answer(spec, &result);
            result
        })
    }

    fn find<'a>(&'a self, name: &'a str) -> Pending<'a, Result<Vec<Job>>> {
        let own = name.to_string();
        let find = move |inner: &mut Inner| {
            let mut jobs = inner.batch.find(inner.batch_now(), &own)?;
            jobs.retain(|job| inner.shown_at.get(&job.id.0).is_none_or(|at| *at <= inner.now));
            Ok(jobs)
        };
        Box::pin(self.ask(Op::Find, name, find))
    }

    fn describe<'a>(&'a self, jobs: &'a [JobId]) -> Pending<'a, Result<Vec<Job>>> {
        let jobs = jobs.to_vec();
        let describe = move |inner: &mut Inner| inner.batch.describe(inner.batch_now(), &jobs);
        Box::pin(self.ask(Op::Describe, "", describe))
    }

    fn children<'a>(&'a self, job: &'a JobId, state: JobState) -> Pending<'a, Result<Vec<Child>>> {
        let id = job.clone();
        let children = move |inner: &mut Inner| inner.batch.children(inner.batch_now(), &id, state);
        Box::pin(self.ask(Op::Children, &job.0, children))
    }

    fn terminate<'a>(&'a self, jobs: &'a [JobId], reason: &'a str) -> Pending<'a, Result<()>> {
        let (jobs, reason) = (jobs.to_vec(), reason.to_string());
        let what = reason.clone();
        let terminate = move |inner: &mut Inner| {
            inner.log(format_args!("  {} jobs are to end", jobs.len()));
            let ended = inner.batch.terminate(inner.batch_now(), &jobs, &reason);
            inner.pump();
            ended
        };
        Box::pin(self.ask(Op::Terminate, what, terminate))
    }
}

impl Inner {
    fn submit(&mut self, spec: &JobSpec) -> Result<JobId> {
        let mut rules = self.plan.rules.clone();
        if self.is_calm() {
            rules = Rules { seed: rules.seed, start_delay: rules.start_delay, ..Rules::default() };
        }
        let id = self.batch.submit(self.batch_now(), spec, rules)?;
        self.log(format_args!("  job {} is submitted", id.0));
        let shown = self.now + (PACE.shows_within / 2).mul_f64(self.plan.find_lag * self.rng.f64());
        self.shown_at.insert(id.0.clone(), shown);
        self.audit.note_job(self.now, &id, spec);
        self.pump();
        Ok(id)
    }
}
