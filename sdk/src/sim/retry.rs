//! Sends calls to the store again, as the first rule of the protocol has it.

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;

use super::sabotage::Sabotage;
use crate::{
    clock::Clock,
    store::{Created, Page, Pending, Result, Store, StoreErrorKind, WriteId},
};

/// Fewer than in the product, so that giving up is also met.
const TRIES: u32 = 4;

#[derive(Debug)]
pub(super) struct Again<S> {
    pub(super) store: S,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sabotage: Option<Sabotage>,
}

impl<S: Store> Again<S> {
    async fn ask<'a, T>(&'a self, call: impl Fn() -> Pending<'a, Result<T>>) -> Result<T> {
        let mut tries = 1;
        loop {
            match call().await {
                Err(error) if error.kind.is_passing() && tries < TRIES => self.pause(&mut tries).await,
                answer => return answer,
            }
        }
    }

    async fn pause(&self, tries: &mut u32) {
        let chance = (self.clock.random() % 1000) as u32;
        self.clock.sleep(Duration::from_micros(100) * chance * *tries).await;
        *tries += 1;
    }
}

impl<S: Store> Store for Again<S> {
    fn create<'a>(&'a self, key: &'a str, body: Bytes, id: WriteId) -> Pending<'a, Result<Created>> {
        Box::pin(async move {
            let mut tries = 1;
            let mut ambiguous = false;
            loop {
                match self.store.create(key, body.clone(), id).await {
                    Ok(Created::Exists) if ambiguous && self.sabotage != Some(Sabotage::SkipWriteId) => {
                        return Ok(match self.head(key).await {
                            Ok(Some(found)) if found == id => Created::Yes,
                            Ok(Some(_)) => Created::Exists,
                            Ok(None) | Err(_) => Created::Unknown,
                        });
                    }
                    Err(error) if error.kind.is_passing() => {
                        ambiguous |= error.kind == StoreErrorKind::Transient;
                        if tries == TRIES {
                            return if ambiguous { Ok(Created::Unknown) } else { Err(error) };
                        }
                        self.pause(&mut tries).await;
                    }
                    answer => return answer,
                }
            }
        })
    }

    fn get<'a>(&'a self, key: &'a str, range: Option<Range<u64>>) -> Pending<'a, Result<Option<Bytes>>> {
        Box::pin(self.ask(move || self.store.get(key, range.clone())))
    }

    fn head<'a>(&'a self, key: &'a str) -> Pending<'a, Result<Option<WriteId>>> {
        Box::pin(self.ask(move || self.store.head(key)))
    }

    fn list<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>> {
        Box::pin(self.ask(move || self.store.list(prefix, after)))
    }

    fn folders<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>> {
        Box::pin(self.ask(move || self.store.folders(prefix, after)))
    }
}
