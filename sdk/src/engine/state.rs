//! One run as its client sees it, and what to do next: a pure transition function. `drive.rs` does what it orders.
//!
//! ```text
//! intend -> look -> submit -> note -> [ describe -> (failed -> claims -> bury) -> list -> look -> wait ] -> end
//!    ^                |  lost reply: search by name                 |                                        |
//!    |                +-- not found ---> intend again               |                                        v
//!    +--------------------- repair: the job is over, blocks are not-+  (cancelled) reload sweep terminate (wait list) close
//! ```

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use super::poll::Poll;
use crate::{
    compute::{Child, ComputeError, ComputeErrorKind, Job, JobId, JobState},
    failure::FailureKind,
    store::Created,
    wire::{Cancelled, Closed, Incarnation, Origin, RunId, Submitted, Uncounted},
};

/// How often one round may be submitted when nobody knows whether it was.
const INTENTS: u32 = 3;

/// Rounds that bring something new do not use up the repairs, since a chunk that kills its workers costs three of them; but there
/// is an end to that too.
const ROUNDS_A_REPAIR: u32 = 10;

/// How long a cancelled run's workers are waited for. They have 30 s (Fargate, EC2) from SIGTERM to SIGKILL.
const END_WITHIN: Duration = Duration::from_secs(60);

/// How often a search by name is repeated while it may still be too early.
const SEARCHES: u32 = 12;

/// A worker that is not what the run was planned with ends with this (`runner`).
const MISFIT: i32 = 78;

/// What a client does next. Each is answered by one [`News`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Order {
    /// Note that a job is about to be submitted.
    Intend {
        round: u32,
        attempt: u32,
        workers: u32,
    },
    Submit {
        round: u32,
        workers: u32,
    },
    /// Look for jobs of these names.
    Find {
        names: Vec<String>,
    },
    NoteSubmitted {
        round: u32,
        submitted: Submitted,
    },
    /// Read which job a round counts on: another client was first.
    ReadSubmitted {
        round: u32,
    },
    /// Read the rounds anew: another client is at work.
    Reload,
    Describe {
        jobs: Vec<JobId>,
    },
    ReadFailed {
        job: JobId,
    },
    /// Read who has claimed these blocks.
    ReadClaims {
        blocks: Vec<u32>,
    },
    /// Say for these that they have left, and why.
    Bury {
        dead: Vec<(Incarnation, String)>,
    },
    /// List outcomes from this block on.
    List {
        from: u32,
    },
    /// See whether anybody has ended the run.
    Look,
    Wait(Duration),
    NoteCancelled {
        kind: FailureKind,
        reason: String,
    },
    Terminate {
        jobs: Vec<JobId>,
        reason: String,
    },
    Close(Closed),
    ReadClosed,
    /// All is said and done.
    End,
}

/// What came of an order.
#[derive(Debug)]
pub(crate) enum News {
    Intended(Created),
    Submitted(Result<JobId, ComputeError>),
    Found(Vec<Job>),
    NotedSubmitted(Created),
    ReadSubmitted(Option<Submitted>),
    Reloaded(Rounds),
    Described(Vec<Job>),
    Failed(Vec<Child>),
    Claims(Vec<Owned>),
    Buried,
    Listed(Vec<u32>),
    /// The note that it is to end, and whether it is closed.
    Looked(Option<Cancelled>, bool),
    Waited,
    NotedCancelled,
    Terminated,
    Closed(Created),
    ReadClosed(Option<Closed>),
}

/// An undecided block that somebody has claimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) block: u32,
    pub(crate) incarnation: Incarnation,
    pub(crate) origin: Origin,
    /// It is known to have left, and why.
    pub(crate) left: Option<String>,
}

/// The rounds as stored: for each how often it was intended, and the job it counts on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rounds(pub(crate) BTreeMap<u32, (u32, Option<Submitted>)>);

/// What does not change while a run goes on.
#[derive(Debug, Clone)]
pub(crate) struct Terms {
    pub(crate) run: RunId,
    pub(crate) blocks: u32,
    pub(crate) workers: u32,
    /// Rounds beyond the first.
    pub(crate) repairs: u32,
    pub(crate) start_within: Duration,
    /// How long a submitted job may take to show up in lists.
    pub(crate) shows_within: Duration,
    pub(crate) poll: Poll,
}

/// How a run ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Every block has its outcomes.
    Complete,
    Cancelled,
    /// What is missing will never come.
    Hopeless {
        kind: FailureKind,
        reason: String,
    },
}

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
    /// The last word on how many workers are in which state.
    pub(crate) workers: Vec<(JobState, u32)>,
}

#[derive(Debug, Default)]
struct Round {
    workers: u32,
    intents: u32,
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
            workers: Vec::new(),
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

    pub(crate) fn done(&self) -> u32 {
        self.done_count
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
        } else if self.last().intents < INTENTS {
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

    fn following(&mut self, news: News, now: Duration) -> Order {
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

    fn described(&mut self, jobs: &[Job], now: Duration) -> Order {
        let round = self.last();
        let Some(id) = round.job.clone() else { return self.list() };
        let Some(job) = jobs.iter().find(|job| job.id == id) else {
            round.over = true;
            return self.read_claims();
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
        self.workers = job.workers.clone();
        if unread {
            Order::ReadFailed { job: id }
        } else if self.last().over {
            self.read_claims()
        } else {
            self.list()
        }
    }

    fn note_failed(&mut self, children: Vec<Child>) {
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
            let misfit = child.exit_code == Some(MISFIT);
            if misfit || never.iter().any(|text| reason.contains(text)) {
                round.misfit = Some(format!("worker {}: {reason}", child.index));
            }
            round.failed.insert(child.index, Ended { attempts: child.attempts, reason, misfit });
        }
    }

    fn read_claims(&mut self) -> Order {
        Order::ReadClaims { blocks: (0..self.terms.blocks).filter(|block| !self.is_done(*block)).collect() }
    }

    /// Jobs that no known round counts on may be another client's, of a later round: Batch says whether they live.
    fn claimed(&mut self, owned: Vec<Owned>) -> Order {
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
    fn bury(&mut self, owned: Vec<Owned>) -> Order {
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

    fn list(&self) -> Order {
        let from = self.done.iter().position(|done| !done).unwrap_or(self.done.len());
        Order::List { from: from as u32 }
    }

    fn note_done(&mut self, blocks: Vec<u32>) -> bool {
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

    fn listed(&mut self, news: bool, now: Duration) -> Order {
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

    fn conclude(&mut self, ending: Ending) -> Order {
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
    fn end_early(&mut self, ending: Ending, reason: String) -> Order {
        let kind = match &ending {
            Ending::Hopeless { kind, .. } => kind.clone(),
            Ending::Complete | Ending::Cancelled => FailureKind::Cancelled,
        };
        self.ending = Some(ending);
        self.phase = Phase::Ending(Step::Noting);
        Order::NoteCancelled { kind, reason }
    }

    /// Another client has said that the run is to end.
    fn follow_to_end(&mut self, Cancelled { kind, reason, .. }: Cancelled) -> Order {
        self.ending = Some(match kind {
            FailureKind::Cancelled => Ending::Cancelled,
            kind => Ending::Hopeless { kind, reason },
        });
        self.reload()
    }

    /// Another client may have begun rounds meanwhile.
    fn reload(&mut self) -> Order {
        self.phase = Phase::Ending(Step::Reloading);
        Order::Reload
    }

    /// Jobs that nobody knows of carry the run's names.
    fn sweep(&mut self, until: Duration) -> Order {
        self.phase = Phase::Ending(Step::Sweeping { until });
        let names: Vec<String> = (0..self.rounds.len() as u32).map(|round| self.name(round)).collect();
        if names.is_empty() { self.terminate(&[]) } else { Order::Find { names } }
    }

    fn terminate(&mut self, found: &[Job]) -> Order {
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

    fn end(&mut self, step: Step, news: News, now: Duration) -> Order {
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

    fn close(&mut self) -> Order {
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
