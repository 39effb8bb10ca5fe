//! [`Faulty`]: a store that fails as networks do.

use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use super::{Created, Page, Pending, Result, Store, StoreError, StoreErrorKind, WriteId};

/// A late write arrives before one of the next so many requests.
const LATE_BY: u64 = 8;

/// A store whose requests go wrong by chance. The same seed gives the same faults to the same requests in the same order.
///
/// Its clones share their faults.
#[derive(Debug, Clone)]
pub struct Faulty<S> {
    store: S,
    odds: Odds,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug)]
struct Shared {
    chance: fastrand::Rng,
    /// Requests so far.
    requests: u64,
    late: Vec<LateWrite>,
    counts: BTreeMap<(Operation, Fault), u64>,
}

#[derive(Debug)]
struct LateWrite {
    /// The number of the request that it arrives before.
    due: u64,
    key: String,
    body: Bytes,
    id: WriteId,
}

/// What was asked of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the store's methods")]
pub enum Operation {
    Create,
    Get,
    Head,
    List,
    Folders,
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// The request never arrived.
    Unsent,
    /// It was done, and nobody heard of it.
    ReplyLost,
    /// A write was given up, and was done later all the same.
    Late,
    /// A write met another; neither was done.
    Conflict,
}

/// How likely each fault is, from 0 to 1, all together at most 1. Reads know only the first two.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Odds {
    /// Of [`Fault::Unsent`].
    pub unsent: f64,
    /// Of [`Fault::ReplyLost`].
    pub reply_lost: f64,
    /// Of [`Fault::Late`].
    pub late: f64,
    /// Of [`Fault::Conflict`].
    pub conflict: f64,
}

impl Odds {
    /// The same chance for each fault.
    #[must_use]
    pub fn each(odds: f64) -> Odds {
        Odds { unsent: odds, reply_lost: odds, late: odds, conflict: odds }
    }

    fn draw(&self, operation: Operation, chance: &mut fastrand::Rng) -> Option<Fault> {
        let mut drawn = chance.f64();
        let faults = [
            (Fault::Unsent, self.unsent),
            (Fault::ReplyLost, self.reply_lost),
            (Fault::Late, self.late),
            (Fault::Conflict, self.conflict),
        ];
        let known = if operation == Operation::Create { 4 } else { 2 };
        for (fault, odds) in &faults[..known] {
            if drawn < *odds {
                return Some(*fault);
            }
            drawn -= odds;
        }
        None
    }
}

impl<S: Store> Faulty<S> {
    /// Asks `store`, with faults.
    pub fn new(store: S, seed: u64, odds: Odds) -> Faulty<S> {
        let chance = fastrand::Rng::with_seed(seed);
        let shared = Shared { chance, requests: 0, late: Vec::new(), counts: BTreeMap::new() };
        Faulty { store, odds, shared: Arc::new(Mutex::new(shared)) }
    }

    /// How often what went wrong.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<(Operation, Fault), u64> {
        self.shared().counts.clone()
    }

    /// Lets every late write arrive that is still under way.
    pub async fn settle(&self) {
        self.deliver(u64::MAX).await;
    }

    /// Begins a request: late writes arrive, and its fault is drawn.
    async fn begin(&self, operation: Operation) -> Option<Fault> {
        let now = {
            let mut shared = self.shared();
            shared.requests += 1;
            shared.requests
        };
        self.deliver(now).await;
        let mut shared = self.shared();
        let fault = self.odds.draw(operation, &mut shared.chance)?;
        *shared.counts.entry((operation, fault)).or_default() += 1;
        Some(fault)
    }

    async fn deliver(&self, now: u64) {
        let due: Vec<LateWrite> = self.shared().late.extract_if(.., |write| write.due <= now).collect();
        for write in due {
            // Whoever sent it has stopped listening.
            let _unheard = self.store.create(&write.key, write.body, write.id).await;
        }
    }

    fn postpone(&self, key: &str, body: Bytes, id: WriteId) {
        let mut shared = self.shared();
        let due = shared.requests + shared.chance.u64(1..=LATE_BY);
        shared.late.push(LateWrite { due, key: key.to_owned(), body, id });
    }

    async fn read<T>(&self, operation: Operation, key: &str, answer: Pending<'_, Result<T>>) -> Result<T> {
        let action = match operation {
            Operation::Create => "created",
            Operation::Get => "read",
            Operation::Head => "looked up",
            Operation::List | Operation::Folders => "listed",
        };
        let fault = self.begin(operation).await;
        if fault == Some(Fault::Unsent) {
            return Err(passing(key, action, "the request did not arrive"));
        }
        let answer = answer.await?;
        if fault == Some(Fault::ReplyLost) {
            return Err(passing(key, action, "the reply was lost"));
        }
        Ok(answer)
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Store> Store for Faulty<S> {
    fn create<'a>(&'a self, key: &'a str, body: Bytes, id: WriteId) -> Pending<'a, Result<Created>> {
        Box::pin(async move {
            match self.begin(Operation::Create).await {
                None => self.store.create(key, body, id).await,
                Some(Fault::Unsent) => Err(passing(key, "created", "the request did not arrive")),
                Some(Fault::ReplyLost) => {
                    let _lost = self.store.create(key, body, id).await?;
                    Err(passing(key, "created", "the reply was lost"))
                }
                Some(Fault::Late) => {
                    self.postpone(key, body, id);
                    Err(passing(key, "created", "the request took too long"))
                }
                Some(Fault::Conflict) => {
                    Err(StoreError::new(StoreErrorKind::Conflict, key, "created", "it met another write"))
                }
            }
        })
    }

    fn get<'a>(&'a self, key: &'a str, range: Option<Range<u64>>) -> Pending<'a, Result<Option<Bytes>>> {
        Box::pin(self.read(Operation::Get, key, self.store.get(key, range)))
    }

    fn head<'a>(&'a self, key: &'a str) -> Pending<'a, Result<Option<WriteId>>> {
        Box::pin(self.read(Operation::Head, key, self.store.head(key)))
    }

    fn list<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>> {
        Box::pin(self.read(Operation::List, prefix, self.store.list(prefix, after)))
    }

    fn folders<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>> {
        Box::pin(self.read(Operation::Folders, prefix, self.store.folders(prefix, after)))
    }
}

fn passing(key: &str, action: &'static str, reason: &str) -> StoreError {
    StoreError::new(StoreErrorKind::Transient, key, action, reason)
}
