//! One run as its client sees it, and what to do next: a pure transition function. `drive.rs` does what it orders.
//!
//! ```text
//! intend -> look -> submit -> note -> [ describe -> (failed -> claims -> bury) -> list -> look -> wait ] -> end
//!    ^                |  lost reply: search by name                 |                                        |
//!    |                +-- not found ---> intend again               |                                        v
//!    +--------------------- repair: the job is over, blocks are not-+  (cancelled) reload sweep terminate (wait list) close
//! ```

mod ending;
mod following;

use std::{collections::BTreeMap, time::Duration};

use super::{
    orders::{Ending, News, Order, Owned, Rounds, Terms},
    poll::Poll,
};
use crate::{
    compute::{ComputeError, ComputeErrorKind, Job, JobId},
    failure::FailureKind,
    store::Created,
    wire::{Cancelled, Submitted},
};

/// How often one round may be submitted when nobody knows whether it was.
const INTENTS: u32 = 3;

/// How often a search by name is repeated while it may still be too early.
const SEARCHES: u32 = 12;

#[derive(Debug)]
pub(crate) struct State {
    terms: Terms,
    done: Vec<bool>,
    done_count: u32,
    /// Blocks that were listed before it is known whether the run goes on.
    listed: Vec<u32>,
    /// Blocks that are done since they were last taken, for whoever delivers them.
    news: Vec<u32>,
    rounds: Vec<Round>,
    /// Rounds in a row that ended without anything new.
    fruitless: u32,
    /// Jobs that are told to end.
    condemned: Vec<JobId>,
    phase: Phase,
    poll: Poll,
    /// Jobs of claims that no known round counts on, and whether Batch has ended them.
    strays: BTreeMap<JobId, bool>,
    /// Claims that wait for what Batch says of such jobs.
    claims: Vec<Owned>,
    cancel: Option<String>,
    ending: Option<Ending>,
}

#[derive(Debug, Default)]
struct Round {
    workers: u32,
    intents: u32,
    /// How often by this client.
    tries: u32,
    job: Option<JobId>,
    /// More jobs than one may carry its name.
    ambiguous: bool,
    /// Batch has ended it, or knows it no more.
    over: bool,
    /// It has brought outcomes.
    fruitful: bool,
    /// When it was last seen that a worker lives, or has done something.
    alive: Duration,
    /// Workers that Batch calls failed.
    failed: BTreeMap<u32, Ended>,
    /// Why the run cannot go on, if it is that bad.
    misfit: Option<String>,
}

/// A worker that Batch calls failed.
#[derive(Debug)]
struct Ended {
    attempts: u32,
    reason: String,
    /// It was not given what the run was planned with.
    misfit: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    /// Stored, and nobody has asked for its submission.
    Prepared,
    Intending,
    Submitting,
    /// Throttled: again later.
    Holding,
    Searching {
        until: Duration,
    },
    Noting {
        job: JobId,
    },
    Following,
    Ending(Step),
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Noting,
    Reloading,
    Sweeping { until: Duration },
    Terminating,
    Awaiting { until: Duration },
    Listing,
    Closing,
}

impl State {
    /// A run whose manifest has just been stored.
    pub(crate) fn planned(terms: Terms) -> State {
        State {
            done: vec![false; terms.blocks as usize],
            done_count: 0,
            listed: Vec::new(),
            news: Vec::new(),
            rounds: Vec::new(),
            fruitless: 0,
            condemned: Vec::new(),
            phase: Phase::Prepared,
            poll: terms.poll.clone(),
            strays: BTreeMap::new(),
            claims: Vec::new(),
            cancel: None,
            ending: None,
            terms,
        }
    }

    /// The first order of a run that is to be submitted now.
    pub(crate) fn submit(&mut self, now: Duration) -> Order {
        if self.terms.blocks == 0 {
            return self.conclude(Ending::Complete);
        }
        self.begin_round(self.terms.workers, now)
    }

    /// The first order for a client that comes to a run which others have begun. `None` if nobody has submitted it.
    pub(crate) fn resume(
        &mut self,
        rounds: Rounds,
        cancelled: Option<Cancelled>,
        now: Duration,
    ) -> Option<Order> {
        self.load(rounds, now);
        if let Some(cancelled) = cancelled {
            return Some(self.follow_to_end(cancelled));
        }
        if self.rounds.is_empty() { None } else { Some(self.follow_last(now)) }
    }

    /// The first order for a run that is to end before it was submitted.
    pub(crate) fn cancel_prepared(&mut self, reason: String) -> Order {
        self.end_early(Ending::Cancelled, reason)
    }

    /// Ends the run at the next occasion.
    pub(crate) fn cancel(&mut self, reason: String) {
        self.cancel = Some(reason);
    }

    pub(crate) fn is_done(&self, block: u32) -> bool {
        self.done.get(block as usize).copied().unwrap_or(false)
    }

    /// Batch has a job for it, or it has come to an end without one.
    pub(crate) fn is_submitted(&self) -> bool {
        let noted = self.rounds.iter().any(|round| round.job.is_some());
        self.ending.is_some() || (noted && !matches!(self.phase, Phase::Noting { .. }))
    }

    /// The blocks that have become done since this was last asked. All of them count.
    pub(crate) fn take_done(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.news)
    }

    pub(crate) fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    pub(crate) fn round(&self) -> u32 {
        self.rounds.len().saturating_sub(1) as u32
    }

    /// What to do after this.
    pub(crate) fn advance(&mut self, news: News, now: Duration) -> Order {
        let order = match (self.phase.clone(), news) {
            (Phase::Ending(step), news) => return self.end(step, news, now),
            (_, News::Reloaded(rounds)) => {
                self.load(rounds, now);
                self.follow_last(now)
            }
            (Phase::Intending, News::Intended(Created::Exists)) => Order::Reload,
            (_, News::Looked(_, true)) => {
                self.phase = Phase::Ending(Step::Closing);
                self.ending.get_or_insert(Ending::Cancelled);
                Order::ReadClosed
            }
            (_, News::Looked(Some(cancelled), false)) => self.follow_to_end(cancelled),
            // Whoever ends the run reads the intents after saying so: one of the two sees the other.
            (Phase::Intending, News::Intended(_)) | (Phase::Holding, News::Waited) => {
                self.phase = Phase::Intending;
                Order::Look
            }
            (Phase::Intending, News::Looked(None, false)) => {
                self.phase = Phase::Submitting;
                self.submit_order()
            }
            (Phase::Submitting, News::Submitted(answer)) => self.submitted(answer, now),
            (Phase::Searching { .. }, News::Waited) => Order::Look,
            (Phase::Searching { .. }, News::Looked(None, false)) => {
                Order::Find { names: vec![self.name(self.round())] }
            }
            (Phase::Searching { until }, News::Found(jobs)) => self.found(&jobs, until, now),
            (Phase::Noting { job }, News::NotedSubmitted(Created::Exists)) => {
                self.last().ambiguous = true;
                self.phase = Phase::Noting { job };
                Order::ReadSubmitted { round: self.round() }
            }
            (Phase::Noting { job }, News::NotedSubmitted(_)) => self.follow(job, now),
            (Phase::Noting { job: ours }, News::ReadSubmitted(submitted)) => {
                let theirs = submitted.map_or(ours.clone(), |submitted| JobId(submitted.job));
                let next = self.follow(theirs.clone(), now);
                if theirs == ours {
                    next
                } else {
                    Order::Terminate {
                        jobs: vec![ours],
                        reason: "another client had submitted the run".into(),
                    }
                }
            }
            (Phase::Following, news) => self.following(news, now),
            (phase, news) => unreachable!("{news:?} while {phase:?}: each order has one answer"),
        };
        match self.cancel.take() {
            Some(reason) if !matches!(self.phase, Phase::Ending(_) | Phase::Over) => {
                self.end_early(Ending::Cancelled, reason)
            }
            _ => order,
        }
    }

    fn begin_round(&mut self, workers: u32, now: Duration) -> Order {
        self.rounds.push(Round { workers, alive: now, ..Round::default() });
        self.intend()
    }

    fn intend(&mut self) -> Order {
        self.phase = Phase::Intending;
        let (round, workers) = (self.round(), self.last().workers);
        let attempt = self.last().intents;
        self.last().intents += 1;
        self.last().tries += 1;
        Order::Intend { round, attempt, workers }
    }

    fn submit_order(&mut self) -> Order {
        Order::Submit { round: self.round(), workers: self.last().workers }
    }

    fn submitted(&mut self, answer: Result<JobId, ComputeError>, now: Duration) -> Order {
        match answer {
            Ok(job) => self.note(job),
            Err(error) => match error.kind {
                ComputeErrorKind::Throttled => {
                    self.phase = Phase::Holding;
                    Order::Wait(self.poll.next(false))
                }
                ComputeErrorKind::Unknown => {
                    self.last().ambiguous = true;
                    self.search(now)
                }
                ComputeErrorKind::Refused | ComputeErrorKind::Denied => {
                    let reason = error.to_string();
                    self.conclude(Ending::Hopeless { kind: FailureKind::Misconfigured, reason })
                }
            },
        }
    }

    fn search(&mut self, now: Duration) -> Order {
        self.phase = Phase::Searching { until: now + self.terms.shows_within };
        Order::Find { names: vec![self.name(self.round())] }
    }

    fn found(&mut self, jobs: &[Job], until: Duration, now: Duration) -> Order {
        if let Some(oldest) = jobs.first() {
            self.note(oldest.id.clone())
        } else if now < until {
            Order::Wait(self.terms.shows_within / SEARCHES)
        } else if self.last().tries < INTENTS {
            self.intend()
        } else {
            let reason = "AWS Batch gave no answer to SubmitJob, and no job of that name has shown up".into();
            self.conclude(Ending::Hopeless { kind: FailureKind::NoCapacity, reason })
        }
    }

    fn note(&mut self, job: JobId) -> Order {
        let submitted = Submitted { job: job.0.clone(), workers: self.last().workers };
        // Known from here on, so that whatever happens it can be terminated.
        self.last().job = Some(job.clone());
        self.phase = Phase::Noting { job };
        Order::NoteSubmitted { round: self.round(), submitted }
    }

    fn follow(&mut self, job: JobId, now: Duration) -> Order {
        self.last().job = Some(job.clone());
        self.last().alive = now;
        self.phase = Phase::Following;
        self.poll.reset();
        Order::Describe { jobs: vec![job] }
    }

    fn load(&mut self, rounds: Rounds, now: Duration) {
        self.rounds = rounds
            .0
            .into_values()
            .map(|(intents, submitted)| Round {
                workers: submitted.as_ref().map_or(self.terms.workers, |submitted| submitted.workers),
                intents,
                // Who intended twice does not know how often it was submitted.
                ambiguous: intents > 1 || submitted.is_none(),
                job: submitted.map(|submitted| JobId(submitted.job)),
                alive: now,
                ..Round::default()
            })
            .collect();
        // A round is begun only when the one before has ended.
        let earlier = self.rounds.len().saturating_sub(1);
        for round in &mut self.rounds[..earlier] {
            round.over = true;
        }
    }

    fn follow_last(&mut self, now: Duration) -> Order {
        match self.last().job.clone() {
            Some(job) => self.follow(job, now),
            None => self.search(now),
        }
    }

    fn name(&self, round: u32) -> String {
        format!("{}-r{round}", self.terms.run)
    }

    fn last(&mut self) -> &mut Round {
        self.rounds.last_mut().expect("called only in phases that a round has led to")
    }
}
