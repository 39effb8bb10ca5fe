//! One worker process: who it is, what it was told, and its way to the store.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;

use crate::{
    clock::Clock,
    error::Error,
    store::{Created, Store, StoreError, StoreErrorKind, WriteId},
    wire::{Incarnation, Keys, Manifest, Origin, Stored, Unreadable},
};

/// How far apart workers are spread that would otherwise list everything at the same moment.
const JITTER: Duration = Duration::from_millis(100);

/// Why a worker cannot go on.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The store gave no answer, for longer than it is asked.
    Store(StoreError),
    /// An object is not what the run was planned with. Never computed on, never tried again.
    Misfit { key: String, reason: String },
    /// The slots cannot be used.
    Slots(Box<Error>),
}

impl Trouble {
    pub(crate) fn misfit(key: &str, reason: &str) -> Trouble {
        Trouble::Misfit { key: key.to_string(), reason: reason.to_string() }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Store(error) => error.fmt(f),
            Trouble::Misfit { key, reason } => write!(f, "`{key}` does not fit: {reason}"),
            Trouble::Slots(error) => error.fmt(f),
        }
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Trouble {
        match error.kind {
            // No attempt will find it whole.
            StoreErrorKind::Damaged => Trouble::misfit(&error.key, &error.reason),
            _ => Trouble::Store(error),
        }
    }
}

/// What all parts of a worker share.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) keys: Keys,
    pub(crate) manifest: Manifest,
    pub(crate) incarnation: Incarnation,
    pub(crate) origin: Origin,
    /// Claims of those who were here before and died: block, generation, owner.
    pub(super) inherited: Vec<(u32, u32, Incarnation)>,
    /// Blocks that are claimed and have no outcome yet.
    held: Mutex<BTreeSet<u32>>,
}

impl Worker {
    pub(crate) fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        manifest: Manifest,
        origin: Origin,
    ) -> Worker {
        let incarnation = Incarnation::new(clock.wall(), random_id(&*clock));
        let keys = Keys::of(manifest.run);
        Worker {
            store,
            clock,
            keys,
            manifest,
            incarnation,
            origin,
            inherited: Vec::new(),
            held: Mutex::default(),
        }
    }

    pub(crate) fn hold(&self, block: u32) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(block);
    }

    pub(crate) fn release(&self, block: u32) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).remove(&block);
    }

    pub(crate) fn holds_any(&self) -> bool {
        !self.held.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub(crate) fn jitter(&self) -> Duration {
        JITTER.mul_f64(self.clock.share())
    }

    pub(crate) async fn create(&self, key: &str, body: Bytes) -> Result<Created, StoreError> {
        self.store.create(key, body, WriteId(random_id(&*self.clock))).await
    }

    /// Reads a small object; `None` if there is none.
    pub(crate) async fn read<T: Stored>(&self, key: &str) -> Result<Option<T>, Trouble> {
        let Some(object) = self.store.get(key, None).await? else { return Ok(None) };
        let unreadable = |error: Unreadable| Trouble::misfit(key, &error.to_string());
        T::from_object(&object).map(Some).map_err(unreadable)
    }

    /// All keys that begin with `prefix` and come after `after`.
    pub(crate) async fn list(&self, prefix: &str, after: &str) -> Result<Vec<String>, StoreError> {
        list_all(&*self.store, prefix, after).await
    }

    /// Whether a client has ended the run.
    pub(crate) async fn is_over(&self) -> Result<bool, StoreError> {
        let (cancelled, closed) = (self.keys.cancelled(), self.keys.closed());
        let (cancelled, closed) =
            futures_util::future::try_join(self.store.head(&cancelled), self.store.head(&closed)).await?;
        Ok(cancelled.is_some() || closed.is_some())
    }
}

pub(crate) fn random_id(clock: &dyn Clock) -> u128 {
    u128::from(clock.random()) << 64 | u128::from(clock.random())
}

/// All pages of a list.
pub(crate) async fn list_all(
    store: &dyn Store,
    prefix: &str,
    after: &str,
) -> Result<Vec<String>, StoreError> {
    let mut page = store.list(prefix, after).await?;
    let mut keys = page.keys;
    while page.more {
        let Some(last) = keys.last().cloned() else { break };
        page = store.list(prefix, &last).await?;
        keys.append(&mut page.keys);
    }
    Ok(keys)
}
