//! Where a run is: its store, its compute, its clock; and the calls that every part of a client makes.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    clock::Clock,
    compute::{Compute, ComputeError, ComputeErrorKind},
    error::Error,
    runner::{list_all, random_id},
    store::{Created, Store, WriteId},
    wire::{RoundKey, Stored},
};

use super::orders::Rounds;
use crate::wire::{Keys, StoreLocation};

/// Calls to Batch are repeated this often before a client gives up; the run itself goes on.
const CALLS: u32 = 10;
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// One account's store and compute, as a client uses them.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) compute: Arc<dyn Compute>,
    pub(crate) clock: Arc<dyn Clock>,
    /// What workers are told of the store.
    pub(crate) location: StoreLocation,
}

impl Site {
    /// Creates an object that only this client can have reason to create, or finds that another was first.
    ///
    /// # Errors
    /// Also when nobody can say whether it was written.
    pub(crate) async fn create(&self, key: &str, body: Bytes) -> Result<Created, Error> {
        match self.store.create(key, body, WriteId(random_id(&*self.clock))).await? {
            Created::Unknown => Err(Error::Unanswered { key: key.to_string() }),
            created => Ok(created),
        }
    }

    /// Reads a small object; `None` if there is none.
    pub(crate) async fn read<T: Stored>(&self, key: &str) -> Result<Option<T>, Error> {
        let Some(object) = self.store.get(key, None).await? else { return Ok(None) };
        T::from_object(&object).map(Some).map_err(|error| Error::unreadable(key, &error))
    }

    pub(crate) async fn list(&self, prefix: &str, after: &str) -> Result<Vec<String>, Error> {
        Ok(list_all(&*self.store, prefix, after).await?)
    }

    /// The rounds of a run as stored.
    pub(crate) async fn rounds(&self, keys: &Keys) -> Result<Rounds, Error> {
        let mut rounds = Rounds::default();
        for key in self.list(&keys.rounds(), "").await? {
            match keys.parse_round(&key) {
                Some((round, RoundKey::Intent(attempt))) => {
                    let known = rounds.0.entry(round).or_default();
                    known.0 = known.0.max(attempt + 1);
                }
                Some((round, RoundKey::Submitted)) => {
                    rounds.0.entry(round).or_default().1 = self.read(&key).await?;
                }
                None => {}
            }
        }
        Ok(rounds)
    }

    /// Makes a call to Batch that may be repeated, until there is an answer.
    pub(crate) async fn ask<T>(&self, call: impl AsyncFn() -> Result<T, ComputeError>) -> Result<T, Error> {
        let mut pause = FIRST_PAUSE;
        for _ in 1..CALLS {
            match call().await {
                Err(error)
                    if matches!(error.kind, ComputeErrorKind::Throttled | ComputeErrorKind::Unknown) =>
                {
                    // Half of it by chance: clients that were throttled together do not come back together.
                    self.clock.sleep(pause.mul_f64(0.5 + self.clock.share() / 2.0)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                answer => return Ok(answer?),
            }
        }
        Ok(call().await?)
    }
}
