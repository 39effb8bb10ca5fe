//! Does what [`State`] orders, and tells it what came of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_util::{
    future::{Either, select, try_join},
    stream::{FuturesUnordered, TryStreamExt},
};
use tokio::sync::mpsc;

use super::{
    deliver::Decided,
    orders::{Ending, News, Order, Owned},
    site::Site,
    state::State,
};
use crate::{
    compute::{DESCRIBED_AT_ONCE, JobSpec, JobState},
    error::Error,
    names::{MANIFEST_VAR, RUN_VAR},
    wire::{
        Cancelled, Claim, Closed, Hash, Incarnation, Intent, Keys, Leaver, Left, Location, Manifest, Stored,
        Submitted,
    },
};

/// From a worker's own deadline to Batch's.
const DEADLINE_MARGIN: Duration = Duration::from_secs(120);

/// Small objects that are read or written at a time.
const AT_ONCE: usize = 8;

/// A run whose manifest is stored.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) site: Site,
    pub(crate) manifest: Arc<Manifest>,
    pub(crate) hash: Hash,
}

/// What the client's owner asks for while a run is driven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Command {
    Cancel(String),
    /// Submit a run that was planned and never submitted.
    Submit,
    /// Go away, and leave the run to itself.
    Detach,
}

/// Where a run is, as its driver sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) round: u32,
    pub(crate) submitted: bool,
}

/// One run's driver.
pub(crate) struct Driver<'a> {
    planned: &'a Planned,
    keys: Keys,
    state: State,
    commands: mpsc::UnboundedReceiver<Command>,
    /// Where the run is, whenever that changes.
    progress: mpsc::UnboundedSender<Progress>,
    told: Progress,
    /// Blocks, as it is decided what becomes of them.
    decided: mpsc::UnboundedSender<Decided>,
    /// Claims never change once they are made.
    claims: BTreeMap<String, Claim>,
    detached: bool,
}

impl<'a> Driver<'a> {
    pub(crate) fn new(
        planned: &'a Planned,
        state: State,
        commands: mpsc::UnboundedReceiver<Command>,
        progress: mpsc::UnboundedSender<Progress>,
        decided: mpsc::UnboundedSender<Decided>,
    ) -> Driver<'a> {
        let keys = Keys::of(planned.manifest.run);
        Driver {
            planned,
            keys,
            state,
            commands,
            progress,
            told: Progress::default(),
            decided,
            claims: BTreeMap::new(),
            detached: false,
        }
    }

    /// Follows orders until the run is closed; false if its owner went away before.
    ///
    /// # Errors
    /// When store or compute give no answer; the run itself goes on.
    pub(crate) async fn drive(mut self, first: Order) -> Result<bool, Error> {
        let mut order = first;
        let mut closed: Option<Closed> = None;
        loop {
            self.tell();
            match &order {
                Order::End => {
                    // The closing note has the last word; what was told before is not told again.
                    for decided in closed.iter().flat_map(|closed| decided(self.planned, closed)) {
                        let _ = self.decided.send(decided);
                    }
                    return Ok(true);
                }
                Order::Close(closing) => closed = Some(closing.clone()),
                _ => {}
            }
            let news = match order {
                Order::Wait(time) => self.wait(time).await,
                order => self.execute(order).await?,
            };
            while let Ok(command) = self.commands.try_recv() {
                self.obey(command);
            }
            if self.detached {
                return Ok(false);
            }
            if let News::ReadClosed(theirs) = &news {
                closed.clone_from(theirs);
            }
            order = self.state.advance(news, self.planned.site.clock.now());
            if self.state.ending().is_none_or(|ending| *ending == Ending::Complete) {
                for block in self.state.take_done() {
                    // Nobody listens when only the end of the run is of interest.
                    let _ = self.decided.send(Decided::Done(block));
                }
            }
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Cancel(reason) => self.state.cancel(reason),
            // It is already.
            Command::Submit => {}
            Command::Detach => self.detached = true,
        }
    }

    fn tell(&mut self) {
        let progress = Progress { round: self.state.round(), submitted: self.state.is_submitted() };
        if self.told != progress {
            self.told = progress;
            // Nobody listens who only waits for the end.
            let _ = self.progress.send(progress);
        }
    }

    /// Waits, but not when there is something to obey.
    async fn wait(&mut self, time: Duration) -> News {
        let command = {
            let command = std::pin::pin!(self.commands.recv());
            match select(command, self.planned.site.clock.sleep(time)).await {
                Either::Left((Some(command), _)) => Some(command),
                // Nobody can give commands any more: that is no reason to look more often.
                Either::Left((None, sleep)) => {
                    sleep.await;
                    None
                }
                Either::Right(_) => None,
            }
        };
        if let Some(command) = command {
            self.obey(command);
        }
        News::Waited
    }

    async fn execute(&mut self, order: Order) -> Result<News, Error> {
        let site = &self.planned.site;
        let wall = site.clock.wall();
        Ok(match order {
            Order::Intend { round, attempt, workers } => {
                let intent = Intent { workers, at: wall };
                News::Intended(site.create(&self.keys.intent(round, attempt), intent.to_object()).await?)
            }
            Order::Submit { round, workers } => {
                News::Submitted(site.compute.submit(&self.spec(round, workers)).await)
            }
            Order::Find { names } => {
                let mut found = Vec::new();
                for name in &names {
                    found.extend(site.ask(async || site.compute.find(name).await).await?);
                }
                News::Found(found)
            }
            Order::NoteSubmitted { round, submitted } => {
                News::NotedSubmitted(site.create(&self.keys.submitted(round), submitted.to_object()).await?)
            }
            Order::ReadSubmitted { round } => {
                News::ReadSubmitted(site.read::<Submitted>(&self.keys.submitted(round)).await?)
            }
            Order::Reload => News::Reloaded(site.rounds(&self.keys).await?),
            Order::Describe { jobs } => {
                let mut described = Vec::new();
                for jobs in jobs.chunks(DESCRIBED_AT_ONCE) {
                    described.extend(site.ask(async || site.compute.describe(jobs).await).await?);
                }
                News::Described(described)
            }
            Order::ReadFailed { job } => {
                News::Failed(site.ask(async || site.compute.children(&job, JobState::Failed).await).await?)
            }
            Order::ReadClaims { blocks } => News::Claims(self.read_claims(&blocks).await?),
            Order::Bury { dead } => {
                let notes = dead.into_iter().map(|(incarnation, reason)| {
                    let key = self.keys.left(incarnation);
                    let left = Left { by: Leaver::Client, reason };
                    async move { site.create(&key, left.to_object()).await }
                });
                at_once(notes).await?;
                News::Buried
            }
            Order::List { from } => {
                let after = from.checked_sub(1).map_or_else(String::new, |before| self.keys.out(before));
                let keys = site.list(&self.keys.outs(), &after).await?;
                News::Listed(keys.iter().filter_map(|key| self.keys.parse_out(key)).collect())
            }
            Order::Look => {
                let (cancelled, closed) = (self.keys.cancelled(), self.keys.closed());
                let closed = async { Ok(site.store.head(&closed).await?) };
                let (cancelled, closed) = try_join(site.read(&cancelled), closed).await?;
                News::Looked(cancelled, closed.is_some())
            }
            Order::NoteCancelled { kind, reason } => {
                let note = Cancelled { at: wall, kind, reason };
                let _ = site.create(&self.keys.cancelled(), note.to_object()).await?;
                News::NotedCancelled
            }
            Order::Terminate { jobs, reason } => {
                if !jobs.is_empty() {
                    let told = site.ask(async || site.compute.terminate(&jobs, &reason).await).await;
                    // Workers of a complete run end by themselves: no reason to keep its values from anybody.
                    if self.state.ending() != Some(&Ending::Complete) {
                        told?;
                    }
                }
                News::Terminated
            }
            Order::Close(closed) => {
                let closed = Closed { at: wall, ..closed };
                News::Closed(site.create(&self.keys.closed(), closed.to_object()).await?)
            }
            Order::ReadClosed => News::ReadClosed(site.read(&self.keys.closed()).await?),
            Order::Wait(_) | Order::End => News::Waited,
        })
    }

    fn spec(&self, round: u32, workers: u32) -> JobSpec {
        let Planned { site, manifest, hash } = self.planned;
        let options = &manifest.options;
        let location = Location { store: site.location.clone(), run: manifest.run };
        JobSpec {
            name: format!("{}-r{round}", manifest.run),
            workers,
            environment: vec![
                (RUN_VAR.into(), location.to_string()),
                (MANIFEST_VAR.into(), hash.to_string()),
            ],
            milli_vcpus: options.milli_vcpus,
            memory: options.memory,
            attempts: options.attempts,
            // A worker ends by itself before Batch ends it.
            attempt_timeout: options.worker_deadline.saturating_add(DEADLINE_MARGIN),
        }
    }

    /// Who has the newest claims of these blocks, and which of them are known to have left.
    async fn read_claims(&mut self, blocks: &[u32]) -> Result<Vec<Owned>, Error> {
        let site = &self.planned.site;
        let mut wanted: BTreeSet<u32> = blocks.iter().copied().collect();
        // Most jobs end because all is done, which was not listed yet: then there are no claims to look at.
        for key in site.list(&self.keys.outs(), "").await? {
            self.keys.parse_out(&key).map(|block| wanted.remove(&block));
        }
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut newest: BTreeMap<u32, String> = BTreeMap::new();
        for key in site.list(&self.keys.claims(), "").await? {
            // In key order, so the highest generation of a block stays.
            if let Some((block, _)) = self.keys.parse_claim(&key).filter(|(block, _)| wanted.contains(block))
            {
                newest.insert(block, key);
            }
        }
        let unread =
            newest.values().filter(|key| !self.claims.contains_key(*key)).cloned().map(|key| async move {
                let claim = site.read::<Claim>(&key).await?;
                Ok((key, claim))
            });
        for (key, claim) in at_once(unread).await? {
            self.claims.extend(claim.map(|claim| (key, claim)));
        }
        let left = site.list(&self.keys.all_left(), "").await?;
        let left: BTreeSet<Incarnation> = left.iter().filter_map(|key| self.keys.parse_left(key)).collect();
        let mut owned = Vec::new();
        for (block, key) in newest {
            let Some(Claim { incarnation, origin }) = self.claims.get(&key).cloned() else { continue };
            let left = if left.contains(&incarnation) {
                let note: Option<Left> = site.read(&self.keys.left(incarnation)).await?;
                note.map(|note| note.reason)
            } else {
                None
            };
            owned.push(Owned { block, incarnation, origin, left });
        }
        Ok(owned)
    }
}

/// What a closed run's blocks came to: outcomes that count, and reasons for those that do not.
pub(super) fn decided(planned: &Planned, closed: &Closed) -> impl Iterator<Item = Decided> {
    let mut missing = closed.uncounted.iter().peekable();
    (0..planned.manifest.block_count()).map(move |block| {
        let next = missing.next_if(|missing| missing.block == block);
        next.map_or(Decided::Done(block), |missing| Decided::Missing(missing.clone()))
    })
}

/// Awaits all of them, a few at a time.
async fn at_once<T, F>(futures: impl Iterator<Item = F>) -> Result<Vec<T>, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    let mut running = FuturesUnordered::new();
    let mut all = Vec::new();
    for future in futures {
        if running.len() == AT_ONCE {
            all.extend(running.try_next().await?);
        }
        running.push(future);
    }
    while let Some(one) = running.try_next().await? {
        all.push(one);
    }
    Ok(all)
}
