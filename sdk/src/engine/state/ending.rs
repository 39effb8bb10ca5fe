//! The end of a run: said, swept, terminated, awaited, closed.

use std::{collections::BTreeSet, time::Duration};

use super::{Phase, SEARCHES, State, Step};
use crate::{
    compute::{Job, JobId},
    engine::orders::{Ending, News, Order},
    failure::FailureKind,
    store::Created,
    wire::{Cancelled, Closed, Uncounted},
};

/// How long a cancelled run's workers are waited for. They have 30 s (Fargate, EC2) from SIGTERM to SIGKILL.
const END_WITHIN: Duration = Duration::from_secs(60);

impl State {
    pub(super) fn conclude(&mut self, ending: Ending) -> Order {
        let cancel = self.cancel.take().filter(|_| ending != Ending::Complete);
        match (cancel, ending) {
            (Some(reason), _) => self.end_early(Ending::Cancelled, reason),
            (None, Ending::Hopeless { kind, reason }) => {
                let said = reason.clone();
                self.end_early(Ending::Hopeless { kind, reason }, said)
            }
            (None, ending) => {
                self.ending = Some(ending);
                self.reload()
            }
        }
    }

    /// Nothing is listed for the last time before everybody can know that the run is to end. So what a client lists and
    /// delivers before it knows is in that last list.
    pub(super) fn end_early(&mut self, ending: Ending, reason: String) -> Order {
        let kind = match &ending {
            Ending::Hopeless { kind, .. } => kind.clone(),
            Ending::Complete | Ending::Cancelled => FailureKind::Cancelled,
        };
        self.ending = Some(ending);
        self.phase = Phase::Ending(Step::Noting);
        Order::NoteCancelled { kind, reason }
    }

    /// Another client has said that the run is to end.
    pub(super) fn follow_to_end(&mut self, Cancelled { kind, reason, .. }: Cancelled) -> Order {
        self.ending = Some(match kind {
            FailureKind::Cancelled => Ending::Cancelled,
            kind => Ending::Hopeless { kind, reason },
        });
        self.reload()
    }

    /// Another client may have begun rounds meanwhile.
    pub(super) fn reload(&mut self) -> Order {
        self.phase = Phase::Ending(Step::Reloading);
        Order::Reload
    }

    /// Jobs that nobody knows of carry the run's names.
    pub(super) fn sweep(&mut self, until: Duration) -> Order {
        self.phase = Phase::Ending(Step::Sweeping { until });
        let names: Vec<String> = (0..self.rounds.len() as u32).map(|round| self.name(round)).collect();
        if names.is_empty() { self.terminate(&[]) } else { Order::Find { names } }
    }

    pub(super) fn terminate(&mut self, found: &[Job]) -> Order {
        self.phase = Phase::Ending(Step::Terminating);
        let known = self.rounds.iter().filter(|round| !round.over).filter_map(|round| round.job.clone());
        let strays = found.iter().filter(|job| !job.state.is_terminal()).map(|job| job.id.clone());
        let jobs: BTreeSet<JobId> = known.chain(strays).collect();
        let reason = match &self.ending {
            Some(Ending::Complete) => "every chunk has its outcome".into(),
            Some(Ending::Hopeless { reason, .. }) => reason.chars().take(200).collect(),
            Some(Ending::Cancelled) | None => "cancelled".to_string(),
        };
        self.condemned = jobs.into_iter().collect();
        Order::Terminate { jobs: self.condemned.clone(), reason }
    }

    pub(super) fn end(&mut self, step: Step, news: News, now: Duration) -> Order {
        match (step, news) {
            (Step::Noting, News::NotedCancelled) => self.reload(),
            (Step::Reloading, News::Reloaded(rounds)) => {
                let known: Vec<Option<JobId>> = self.rounds.iter().map(|round| round.job.clone()).collect();
                self.load(rounds, now);
                // One that was submitted and not noted yet.
                for (round, job) in self.rounds.iter_mut().zip(known) {
                    round.job = round.job.take().or(job);
                }
                self.sweep(now + self.terms.shows_within)
            }
            (Step::Sweeping { until }, News::Waited) => self.sweep(until),
            (Step::Sweeping { until }, News::Found(jobs)) => {
                // It may have been submitted, and not show up yet.
                let hidden = (0..).zip(&self.rounds).any(|(number, round)| {
                    let name = self.name(number);
                    round.job.is_none() && !jobs.iter().any(|job| job.name == name)
                });
                if hidden && now < until && self.ending != Some(Ending::Complete) {
                    return Order::Wait(self.terms.shows_within / SEARCHES);
                }
                self.terminate(&jobs)
            }
            (Step::Terminating, News::Terminated) => {
                if self.ending == Some(Ending::Complete) {
                    return self.close();
                }
                self.phase = Phase::Ending(Step::Awaiting { until: now + END_WITHIN });
                self.poll.reset();
                Order::Describe { jobs: self.condemned.clone() }
            }
            (Step::Awaiting { .. }, News::Waited) => Order::Describe { jobs: self.condemned.clone() },
            (Step::Awaiting { until }, News::Described(jobs)) => {
                if now < until && jobs.iter().any(|job| !job.state.is_terminal()) {
                    Order::Wait(self.poll.next(false))
                } else {
                    self.phase = Phase::Ending(Step::Listing);
                    self.list()
                }
            }
            (Step::Listing, News::Listed(blocks)) => {
                let _ = self.note_done(blocks);
                self.close()
            }
            (Step::Closing, News::Closed(Created::Exists)) => Order::ReadClosed,
            (Step::Closing, News::Closed(_) | News::ReadClosed(_)) => {
                self.phase = Phase::Over;
                Order::End
            }
            (step, news) => unreachable!("{news:?} while ending, {step:?}: each order has one answer"),
        }
    }

    pub(super) fn close(&mut self) -> Order {
        self.phase = Phase::Ending(Step::Closing);
        let (kind, reason) = match &self.ending {
            Some(Ending::Hopeless { kind, reason }) => (kind.clone(), reason.clone()),
            _ => (FailureKind::Cancelled, "the run was cancelled".to_string()),
        };
        let missing = (0..self.terms.blocks).filter(|block| !self.is_done(*block));
        let uncounted =
            missing.map(|block| Uncounted { block, kind: kind.clone(), reason: reason.clone() }).collect();
        let cancelled = self.ending == Some(Ending::Cancelled);
        Order::Close(Closed { at: 0, uncounted, cancelled })
    }
}
