//! [`Memory`]: objects in this process.

use std::{
    collections::BTreeMap,
    ops::{Bound, Range},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;

use super::{Created, Page, Pending, Result, Store, WriteId, check};

/// Objects in this process, gone with the last clone of it. Counts what is asked of it.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    objects: BTreeMap<String, (WriteId, Bytes)>,
    requests: Requests,
}

/// How often a [`Memory`] was asked, by kind, in vain or not. In S3 each has its price.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requests {
    /// Creates.
    pub creates: u64,
    /// Reads of whole objects and of ranges.
    pub gets: u64,
    /// Looks at write ids.
    pub heads: u64,
    /// Pages of keys and of folders.
    pub lists: u64,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Memory {
        Memory::default()
    }

    /// What was asked of this store so far, through all its clones.
    #[must_use]
    pub fn requests(&self) -> Requests {
        self.shared().requests
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn create<'a>(&'a self, key: &'a str, body: Bytes, id: WriteId) -> Pending<'a, Result<Created>> {
        Box::pin(async move {
            check::key(key, "created")?;
            let mut shared = self.shared();
            shared.requests.creates += 1;
            if shared.objects.contains_key(key) {
                return Ok(Created::Exists);
            }
            shared.objects.insert(key.to_owned(), (id, body));
            Ok(Created::Yes)
        })
    }

    fn get<'a>(&'a self, key: &'a str, range: Option<Range<u64>>) -> Pending<'a, Result<Option<Bytes>>> {
        Box::pin(async move {
            check::key(key, "read")?;
            check::range(key, range.as_ref())?;
            let mut shared = self.shared();
            shared.requests.gets += 1;
            let Some((_, body)) = shared.objects.get(key) else { return Ok(None) };
            let range = check::within(range, body.len() as u64);
            Ok(Some(body.slice(range.start as usize..range.end as usize)))
        })
    }

    fn head<'a>(&'a self, key: &'a str) -> Pending<'a, Result<Option<WriteId>>> {
        Box::pin(async move {
            check::key(key, "looked up")?;
            let mut shared = self.shared();
            shared.requests.heads += 1;
            Ok(shared.objects.get(key).map(|(id, _)| *id))
        })
    }

    fn list<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>> {
        Box::pin(async move {
            let mut shared = self.shared();
            shared.requests.lists += 1;
            Ok(Page::of(shared.keys(prefix, after).cloned()))
        })
    }

    fn folders<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>> {
        Box::pin(async move {
            check::folder(prefix)?;
            let mut shared = self.shared();
            shared.requests.lists += 1;
            let mut folders: Vec<String> = shared
                .keys(prefix, "")
                .filter_map(|key| key[prefix.len()..].find('/').map(|end| &key[..=prefix.len() + end]))
                .filter(|folder| *folder > after)
                .map(str::to_owned)
                .collect();
            folders.dedup();
            Ok(Page::of(folders.into_iter()))
        })
    }
}

impl Shared {
    /// Those that begin with `prefix` and come after `after`, in order.
    fn keys(&self, prefix: &str, after: &str) -> impl Iterator<Item = &String> {
        let start = if after < prefix { Bound::Included(prefix) } else { Bound::Excluded(after) };
        self.objects
            .range::<str, _>((start, Bound::Unbounded))
            .map(|(key, _)| key)
            .take_while(move |key| key.starts_with(prefix))
    }
}
