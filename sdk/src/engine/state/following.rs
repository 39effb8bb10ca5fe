//! While Batch has a job for the run: what Batch says, what the store says, and what follows.

use std::{collections::BTreeMap, time::Duration};

use super::{Ended, Round, State};
use crate::{
    compute::{Child, Job, JobId, JobState},
    engine::orders::{Ending, News, Order, Owned},
    failure::FailureKind,
    runner::exit,
    wire::Origin,
};

/// Rounds that bring something new do not use up the repairs, since a chunk that kills its workers costs three of them; but there
/// is an end to that too.
const ROUNDS_A_REPAIR: u32 = 10;

impl State {
    pub(super) fn following(&mut self, news: News, now: Duration) -> Order {
        match news {
            // A job too many was terminated.
            News::Terminated | News::Waited => {
                Order::Describe { jobs: self.last().job.clone().into_iter().collect() }
            }
            News::Described(jobs) if !self.claims.is_empty() => {
                for (id, over) in &mut self.strays {
                    *over |= jobs.iter().find(|job| job.id == *id).is_none_or(|job| job.state.is_terminal());
                }
                let owned = std::mem::take(&mut self.claims);
                self.bury(owned)
            }
            News::Described(jobs) => self.described(&jobs, now),
            News::Failed(children) => {
                self.note_failed(children);
                self.read_claims()
            }
            News::Claims(owned) => self.claimed(owned),
            News::Buried => self.list(),
            News::Listed(blocks) => {
                self.listed = blocks;
                Order::Look
            }
            // What was listed before is among what counts, whoever ends the run from here on.
            News::Looked(None, false) => {
                let blocks = std::mem::take(&mut self.listed);
                let news = self.note_done(blocks);
                self.listed(news, now)
            }
            news => unreachable!("{news:?} while following: each order has one answer"),
        }
    }

    pub(super) fn described(&mut self, jobs: &[Job], now: Duration) -> Order {
        let shows_within = self.terms.shows_within;
        let round = self.last();
        let Some(id) = round.job.clone() else { return self.list() };
        let Some(job) = jobs.iter().find(|job| job.id == id) else {
            // One that has just been submitted may not show yet.
            round.over = now.saturating_sub(round.alive) >= shows_within;
            return if round.over { self.read_claims() } else { self.list() };
        };
        let count = |state: JobState| -> u32 {
            job.workers.iter().filter(|(of, _)| *of == state).map(|(_, count)| count).sum()
        };
        let failed = count(JobState::Failed) as usize;
        round.over = job.state.is_terminal();
        if [JobState::Starting, JobState::Running].map(count) != [0; 2] {
            round.alive = now;
        }
        let unread =
            failed > round.failed.len() || (job.state == JobState::Failed && round.failed.is_empty());
        if unread {
            Order::ReadFailed { job: id }
        } else if self.last().over {
            self.read_claims()
        } else {
            self.list()
        }
    }

    pub(super) fn note_failed(&mut self, children: Vec<Child>) {
        let round = self.last();
        for child in children {
            let mut reason = child.reason;
            if !child.container_reason.is_empty() {
                reason = format!("{reason} ({})", child.container_reason);
            }
            if let Some(code) = child.exit_code {
                reason = format!("{reason}, exit code {code}");
            }
            let never =
                ["CannotPullContainer", "ResourceInitialization", "MISCONFIGURATION", "Container Overrides"];
            let misfit = child.exit_code == Some(exit::MISFIT.into());
            if misfit || never.iter().any(|text| reason.contains(text)) {
                round.misfit = Some(format!("worker {}: {reason}", child.index));
            }
            round.failed.insert(child.index, Ended { attempts: child.attempts, reason, misfit });
        }
    }

    pub(super) fn read_claims(&mut self) -> Order {
        Order::ReadClaims { blocks: (0..self.terms.blocks).filter(|block| !self.is_done(*block)).collect() }
    }

    /// Jobs that no known round counts on may be another client's, of a later round: Batch says whether they live.
    pub(super) fn claimed(&mut self, owned: Vec<Owned>) -> Order {
        for Owned { origin, left, .. } in &owned {
            let is_known = |round: &Round| round.job.as_ref().is_some_and(|id| id.0 == origin.job);
            if left.is_none() && !self.rounds.iter().any(is_known) {
                self.strays.entry(JobId(origin.job.clone())).or_default();
            }
        }
        let unsure: Vec<JobId> =
            self.strays.iter().filter(|(_, over)| !**over).map(|(id, _)| id.clone()).collect();
        // Without a claim, what Batch would say concerns nobody.
        if unsure.is_empty() || owned.is_empty() {
            return self.bury(owned);
        }
        self.claims = owned;
        Order::Describe { jobs: unsure }
    }

    /// Owners that Batch calls ended, and who have not said so themselves.
    pub(super) fn bury(&mut self, owned: Vec<Owned>) -> Order {
        let mut dead = BTreeMap::new();
        for owned in owned {
            let Origin { job, index, attempt } = &owned.origin;
            let round =
                self.rounds.iter_mut().find(|round| round.job.as_ref().is_some_and(|id| id.0 == *job));
            let reason = match round {
                Some(round) => match round.failed.get(index) {
                    Some(ended) if ended.misfit && owned.left.is_some() => {
                        round.misfit = owned.left.clone();
                        None
                    }
                    Some(ended) if ended.attempts >= *attempt => Some(ended.reason.clone()),
                    _ => round.over.then(|| "its job has ended".to_string()),
                },
                None => {
                    let over = self.strays.get(&JobId(job.clone())).copied().unwrap_or(false);
                    over.then(|| "its job has ended, which was not the run's".into())
                }
            };
            if let Some(reason) = reason.filter(|_| owned.left.is_none()) {
                dead.insert(owned.incarnation, format!("worker {index}: {reason}"));
            }
        }
        if dead.is_empty() { self.list() } else { Order::Bury { dead: dead.into_iter().collect() } }
    }

    pub(super) fn list(&self) -> Order {
        let from = self.done.iter().position(|done| !done).unwrap_or(self.done.len());
        Order::List { from: from as u32 }
    }

    pub(super) fn note_done(&mut self, blocks: Vec<u32>) -> bool {
        let before = self.done_count;
        for block in blocks {
            if let Some(done) = self.done.get_mut(block as usize)
                && !std::mem::replace(done, true)
            {
                self.done_count += 1;
                self.news.push(block);
            }
        }
        self.done_count > before
    }

    pub(super) fn listed(&mut self, news: bool, now: Duration) -> Order {
        if self.done_count == self.terms.blocks {
            return self.conclude(Ending::Complete);
        }
        let rounds = self.rounds.len() as u32;
        let before = self.fruitless;
        let terms = self.terms.clone();
        let missing = terms.blocks - self.done_count;
        let round = self.last();
        if news {
            round.alive = now;
            round.fruitful = true;
        }
        if round.over {
            let fruitless = if round.fruitful { 0 } else { before + 1 };
            let hopeless = |kind, reason| Ending::Hopeless { kind, reason };
            let ending = if let Some(misfit) = round.misfit.clone() {
                hopeless(FailureKind::Misconfigured, misfit)
            } else if fruitless > terms.repairs || rounds > terms.repairs * ROUNDS_A_REPAIR {
                let last = round.failed.values().next_back().map(|ended| ended.reason.clone());
                let last = last.unwrap_or_else(|| "its workers ended, and left it undone".into());
                hopeless(FailureKind::Lost, format!("{last} (after {rounds} rounds of workers)"))
            } else {
                self.fruitless = fruitless;
                return self.begin_round(missing.min(terms.workers), now);
            };
            return self.conclude(ending);
        }
        // Also when some have come and gone: those that wait for capacity keep the job from its end.
        if now.saturating_sub(round.alive) > terms.start_within {
            let reason = format!("no worker was there for {:?}", terms.start_within);
            return self.conclude(Ending::Hopeless { kind: FailureKind::NoCapacity, reason });
        }
        Order::Wait(self.poll.next(news))
    }
}
