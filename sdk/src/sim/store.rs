//! The simulated store: objects in memory, each call an effect.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;

use super::{
    effect::{Answers, Op, Thing},
    sabotage::Sabotage,
    world::{Inner, Object, Pid, World},
};
use crate::store::{Created, PAGE_KEYS, Page, Pending, Result, Store, StoreError, StoreErrorKind, WriteId};

/// The store as one process sees it.
#[derive(Debug)]
pub(super) struct SimStore {
    pub(super) world: Arc<World>,
    pub(super) pid: Pid,
}

fn error(kind: StoreErrorKind, key: &str, action: &'static str) -> StoreError {
    StoreError { kind, key: key.to_string(), action, reason: "simulated".to_string() }
}

fn answers<T>(key: &str, action: &'static str) -> Answers<Result<T>> {
    let lost = Err(error(StoreErrorKind::Transient, key, action));
    Answers { lost, conflict: None, throttled: None }
}

impl SimStore {
    async fn read<T: Send + 'static>(
        &self,
        op: Op,
        key: &str,
        action: &'static str,
        apply: impl Fn(&mut Inner) -> T + Clone + Send + 'static,
    ) -> Result<T> {
        self.world.call(self.pid, op, key, move |inner| Ok(apply(inner)), answers(key, action)).await
    }
}

impl Store for SimStore {
    fn create<'a>(&'a self, key: &'a str, body: Bytes, id: WriteId) -> Pending<'a, Result<Created>> {
        Box::pin(async move {
            let mut answers = answers(key, "created");
            answers.conflict = Some(Err(error(StoreErrorKind::Conflict, key, "created")));
            let (pid, name) = (self.pid, key.to_string());
            self.world.lock().note_create(pid, &name, &body);
            let apply = move |inner: &mut Inner| Ok(inner.create(pid, &name, &body, id));
            self.world.call(pid, Op::Create(Thing::of(key)), key, apply, answers).await
        })
    }

    fn get<'a>(&'a self, key: &'a str, range: Option<Range<u64>>) -> Pending<'a, Result<Option<Bytes>>> {
        Box::pin(async move {
            let name = key.to_string();
            let get = move |inner: &mut Inner| {
                let body = &inner.objects.get(&name)?.body;
                let range = range.clone().unwrap_or(0..u64::MAX);
                let cut = |at: u64| at.min(body.len() as u64) as usize;
                Some(body.slice(cut(range.start)..cut(range.end)))
            };
            self.read(Op::Get(Thing::of(key)), key, "read", get).await
        })
    }

    fn head<'a>(&'a self, key: &'a str) -> Pending<'a, Result<Option<WriteId>>> {
        Box::pin(async move {
            let name = key.to_string();
            let head = move |inner: &mut Inner| inner.objects.get(&name).map(|object| object.id);
            self.read(Op::Head(Thing::of(key)), key, "looked up", head).await
        })
    }

    fn list<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>> {
        Box::pin(async move {
            let (begin, from) = (prefix.to_string(), prefix.max(after).to_string());
            let after = after.to_string();
            let list = move |inner: &mut Inner| {
                let found = inner.objects.range(from.clone()..).map(|(key, _)| key);
                let found = found.skip_while(|key| **key <= after).take_while(|key| key.starts_with(&begin));
                let mut keys: Vec<String> = found.take(PAGE_KEYS + 1).cloned().collect();
                let more = keys.len() > PAGE_KEYS;
                keys.truncate(PAGE_KEYS);
                Page { keys, more }
            };
            self.read(Op::List(Thing::of(prefix)), prefix, "listed", list).await
        })
    }

    fn folders<'a>(&'a self, prefix: &'a str, _: &'a str) -> Pending<'a, Result<Page>> {
        // Nothing that is simulated here looks for folders.
        Box::pin(async move { Err(error(StoreErrorKind::Invalid, prefix, "listed")) })
    }
}

impl Inner {
    /// A write arrives.
    pub(super) fn create(&mut self, pid: Pid, key: &str, body: &Bytes, id: WriteId) -> Created {
        let exists = self.objects.contains_key(key);
        if exists && self.plan.sabotage != Some(Sabotage::IgnoreIfNoneMatch) {
            return Created::Exists;
        }
        let name = self.processes[pid].name.clone();
        self.log(format_args!("  {key} is there, by {name}"));
        self.note_written(pid, key, body, exists);
        let object = Object { body: body.clone(), id, at: self.now };
        self.objects.insert(key.to_string(), object);
        Created::Yes
    }
}
