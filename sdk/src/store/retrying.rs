//! [`Retrying`]: asks again until there is an answer, and finds out which answers are its own.

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Created, Page, Pending, Result, Store, StoreError, StoreErrorKind, WriteId};
use crate::{
    clock::{Clock, SystemClock},
    names::{STORE_ATTEMPTS, STORE_FIRST_PAUSE, STORE_LONGEST_PAUSE},
};

/// A store that sends again what failed in passing, after pauses of random length that grow.
///
/// A write whose reply was lost meets itself when it is sent again. So a [`Created::Exists`] after such a reply is looked into: if
/// the object carries the write's own id, it is [`Created::Yes`]. When nobody can say any more whether the write was applied, now
/// or later, it is [`Created::Unknown`], never an error: an error means that the write was not applied.
#[derive(Debug, Clone)]
pub struct Retrying<S> {
    store: S,
    clock: Arc<dyn Clock>,
    attempts: u32,
    first_pause: Duration,
    longest_pause: Duration,
}

impl<S: Store> Retrying<S> {
    /// Asks `store`.
    pub fn new(store: S) -> Retrying<S> {
        Retrying::with_clock(store, Arc::new(SystemClock::new()))
    }

    /// The same with pauses and chance of another's.
    pub(crate) fn with_clock(store: S, clock: Arc<dyn Clock>) -> Retrying<S> {
        Retrying {
            store,
            clock,
            attempts: STORE_ATTEMPTS,
            first_pause: STORE_FIRST_PAUSE,
            longest_pause: STORE_LONGEST_PAUSE,
        }
    }

    /// Sends each request at most so often, and at least once.
    #[must_use]
    pub fn attempts(mut self, attempts: u32) -> Retrying<S> {
        self.attempts = attempts;
        self
    }

    /// The first pause is at most `first`, each further one at most twice as long, none longer than `longest`.
    #[must_use]
    pub fn pauses(mut self, first: Duration, longest: Duration) -> Retrying<S> {
        (self.first_pause, self.longest_pause) = (first, longest);
        self
    }

    /// Sends until there is an answer or an error that does not pass; `failed` hears of those that do. Then the last one's.
    async fn send<'a, T>(
        &'a self,
        ask: impl Fn() -> Pending<'a, Result<T>>,
        mut failed: impl FnMut(&StoreError),
    ) -> Result<T> {
        let mut sent = 0;
        loop {
            let answer = ask().await;
            sent += 1;
            match &answer {
                Err(error) if error.kind.is_passing() => failed(error),
                _ => return answer,
            }
            if sent >= self.attempts {
                return answer;
            }
            self.pause(sent).await;
        }
    }

    /// Anything from nothing to the full length: those who failed together do not meet again.
    async fn pause(&self, sent: u32) {
        let doubled = self.first_pause.saturating_mul(2_u32.saturating_pow(sent - 1));
        let most = u64::try_from(doubled.min(self.longest_pause).as_nanos()).unwrap_or(u64::MAX);
        let share = (u128::from(most) * u128::from(self.clock.random())) >> 64;
        self.clock.sleep(Duration::from_nanos(share as u64)).await;
    }

    /// What became of a write that may have been applied: the object says whose it is.
    async fn settle(&self, key: &str, id: WriteId) -> Created {
        match self.head(key).await {
            Ok(Some(found)) if found == id => Created::Yes,
            Ok(Some(_)) => Created::Exists,
            // None so far; the write may still be under way.
            Ok(None) | Err(_) => Created::Unknown,
        }
    }
}

impl<S: Store> Store for Retrying<S> {
    fn create<'a>(&'a self, key: &'a str, body: Bytes, id: WriteId) -> Pending<'a, Result<Created>> {
        Box::pin(async move {
            let mut maybe_applied = false;
            let answer = self
                .send(
                    || self.store.create(key, body.clone(), id),
                    |error| maybe_applied |= error.kind == StoreErrorKind::Transient,
                )
                .await;
            match answer {
                Ok(Created::Yes) => Ok(Created::Yes),
                answer if !maybe_applied => answer,
                // What no store takes, none has applied.
                Err(error) if error.kind == StoreErrorKind::Invalid => Err(error),
                _ => Ok(self.settle(key, id).await),
            }
        })
    }

    fn get<'a>(&'a self, key: &'a str, range: Option<Range<u64>>) -> Pending<'a, Result<Option<Bytes>>> {
        Box::pin(self.send(move || self.store.get(key, range.clone()), |_| {}))
    }

    fn head<'a>(&'a self, key: &'a str) -> Pending<'a, Result<Option<WriteId>>> {
        Box::pin(self.send(move || self.store.head(key), |_| {}))
    }

    fn list<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>> {
        Box::pin(self.send(move || self.store.list(prefix, after), |_| {}))
    }

    fn folders<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>> {
        Box::pin(self.send(move || self.store.folders(prefix, after), |_| {}))
    }
}

#[cfg(test)]
mod tests;
