//! Ways to break the protocol on purpose, from outside the product's code. Each must be found out.

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    compute::SimCompute,
    effect::Thing,
    store::SimStore,
    world::{Pid, SimClock, World},
};
use crate::{
    compute::{Child, Compute, ComputeErrorKind, Job, JobId, JobSpec, JobState, Pace},
    store::{Created, Page, Pending, Result, Retrying, Store, WriteId},
    wire::{
        Claim, Closed, Keys, Leaver, Left, Stored,
        outcome::{split_frame, split_header},
    },
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sabotage {
    /// The store overwrites.
    IgnoreIfNoneMatch,
    /// A writer whose reply was lost does not look whose object is there.
    SkipWriteId,
    /// Workers do not say that they leave.
    NeverLeft,
    /// A worker says of another, which lives, that it has left.
    LeftForLiving,
    SubmitBeforeManifest,
    /// Workers do not look whether the run was cancelled or closed.
    IgnoreEnd,
    /// Outcomes that came after the run was closed are returned.
    ReturnLate,
    /// A submit without reply is sent again without a search.
    SubmitTwice,
    DropTerminate,
    /// A block's outcomes are published before its last chunk is done.
    PublishEarly,
    /// The next generation is claimed though nobody has left.
    ClaimWithoutLeft,
}

pub(super) const ALL: [Sabotage; 11] = [
    Sabotage::IgnoreIfNoneMatch,
    Sabotage::SkipWriteId,
    Sabotage::NeverLeft,
    Sabotage::LeftForLiving,
    Sabotage::SubmitBeforeManifest,
    Sabotage::IgnoreEnd,
    Sabotage::ReturnLate,
    Sabotage::SubmitTwice,
    Sabotage::DropTerminate,
    Sabotage::PublishEarly,
    Sabotage::ClaimWithoutLeft,
];

/// Fewer than in the product, so that giving up is also met.
const ATTEMPTS: u32 = 4;

pub(super) fn worker_store(world: &Arc<World>, pid: Pid) -> Arc<dyn Store> {
    store(world, pid, true)
}

pub(super) fn client_store(world: &Arc<World>, pid: Pid) -> Arc<dyn Store> {
    store(world, pid, false)
}

fn store(world: &Arc<World>, pid: Pid, of_worker: bool) -> Arc<dyn Store> {
    let sabotage = world.lock().plan.sabotage;
    let clock = Arc::new(SimClock { world: Arc::clone(world), pid });
    let store = SimStore { world: Arc::clone(world), pid };
    let store: Arc<dyn Store> = match sabotage {
        Some(Sabotage::SkipWriteId) => Arc::new(Forgetful(store)),
        _ => Arc::new(store),
    };
    let store = Retrying::with_clock(store, clock).attempts(ATTEMPTS);
    match sabotage {
        None => Arc::new(store),
        Some(what) => Arc::new(Saboteur { store, world: Arc::clone(world), pid, what, of_worker }),
    }
}

pub(super) fn client_compute(world: &Arc<World>, pid: Pid) -> Arc<dyn Compute> {
    let sabotage = world.lock().plan.sabotage;
    let compute = SimCompute { world: Arc::clone(world), pid };
    match sabotage {
        Some(what @ (Sabotage::SubmitTwice | Sabotage::DropTerminate)) => Arc::new(Foreman { compute, what }),
        _ => Arc::new(compute),
    }
}

/// A process that does not keep to the rules of the store.
#[derive(Debug)]
struct Saboteur {
    store: Retrying<Arc<dyn Store>>,
    world: Arc<World>,
    pid: Pid,
    what: Sabotage,
    of_worker: bool,
}

impl Saboteur {
    async fn sabotage(&self, key: &str, body: Bytes, id: WriteId) -> Result<Created> {
        let run = self.world.lock().plan.run;
        let keys = Keys::of(run);
        match (self.what, Thing::of(key)) {
            (Sabotage::NeverLeft, Thing::Left) if self.of_worker => Ok(Created::Yes),
            (Sabotage::PublishEarly, Thing::Out) => self.store.create(key, without_last(&body), id).await,
            (Sabotage::SubmitBeforeManifest, Thing::Manifest) => {
                let (pid, key) = (self.pid, key.to_string());
                self.world.lock().after(Duration::from_secs(5), move |inner| {
                    let _ = inner.create(pid, &key, &body, id);
                });
                Ok(Created::Yes)
            }
            (Sabotage::ClaimWithoutLeft, Thing::Claim) => {
                let created = self.store.create(key, body.clone(), id).await?;
                match keys.parse_claim(key) {
                    Some((block, generation)) if created == Created::Exists => {
                        self.store.create(&keys.claim(block, generation + 1), body, id).await
                    }
                    _ => Ok(created),
                }
            }
            (Sabotage::LeftForLiving, Thing::Claim) => {
                let created = self.store.create(key, body, id).await?;
                if created == Created::Exists
                    && let Some(claim) = self.store.get(key, None).await?
                {
                    let claim = Claim::from_object(&claim).expect("claims are not damaged here");
                    let left = Left { by: Leaver::Successor, reason: "sabotage".into() };
                    let _ = self.store.create(&keys.left(claim.incarnation), left.to_object(), id).await?;
                }
                Ok(created)
            }
            _ => self.store.create(key, body, id).await,
        }
    }
}

/// A block's outcomes but for the last.
fn without_last(body: &Bytes) -> Bytes {
    let Ok(Some((_, mut rest))) = split_header(body) else { return body.clone() };
    let mut last = rest;
    while let Ok(Some((_, after))) = split_frame(rest) {
        last = rest;
        rest = after;
    }
    body.slice(..body.len() - last.len())
}

impl Store for Saboteur {
    fn create<'a>(&'a self, key: &'a str, body: Bytes, id: WriteId) -> Pending<'a, Result<Created>> {
        Box::pin(self.sabotage(key, body, id))
    }

    fn get<'a>(&'a self, key: &'a str, range: Option<Range<u64>>) -> Pending<'a, Result<Option<Bytes>>> {
        Box::pin(async move {
            let body = self.store.get(key, range).await?;
            match (self.what, Thing::of(key), &body) {
                (Sabotage::ReturnLate, Thing::Closed, Some(closed)) => {
                    let mut closed = Closed::from_object(closed).expect("nothing is damaged here");
                    let inner = self.world.lock();
                    let keys = Keys::of(inner.plan.run);
                    closed.uncounted.retain(|block| !inner.objects.contains_key(&keys.out(block.block)));
                    Ok(Some(closed.to_object()))
                }
                _ => Ok(body),
            }
        })
    }

    fn head<'a>(&'a self, key: &'a str) -> Pending<'a, Result<Option<WriteId>>> {
        Box::pin(async move {
            match (self.what, Thing::of(key)) {
                (Sabotage::IgnoreEnd, Thing::Cancelled | Thing::Closed) if self.of_worker => Ok(None),
                _ => self.store.head(key).await,
            }
        })
    }

    fn list<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>> {
        self.store.list(prefix, after)
    }

    fn folders<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>> {
        self.store.folders(prefix, after)
    }
}

/// A store that does not know whose its objects are.
#[derive(Debug)]
struct Forgetful(SimStore);

impl Store for Forgetful {
    fn create<'a>(&'a self, key: &'a str, body: Bytes, id: WriteId) -> Pending<'a, Result<Created>> {
        self.0.create(key, body, id)
    }

    fn get<'a>(&'a self, key: &'a str, range: Option<Range<u64>>) -> Pending<'a, Result<Option<Bytes>>> {
        self.0.get(key, range)
    }

    fn head<'a>(&'a self, key: &'a str) -> Pending<'a, Result<Option<WriteId>>> {
        Box::pin(async move { Ok(self.0.head(key).await?.map(|WriteId(id)| WriteId(!id))) })
    }

    fn list<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>> {
        self.0.list(prefix, after)
    }

    fn folders<'a>(&'a self, prefix: &'a str, after: &'a str) -> Pending<'a, Result<Page>> {
        self.0.folders(prefix, after)
    }
}

/// A client that does not keep to the rules of Batch.
#[derive(Debug)]
struct Foreman {
    compute: SimCompute,
    what: Sabotage,
}

type Answer<'a, T> = Pending<'a, crate::compute::Result<T>>;

impl Compute for Foreman {
    fn pace(&self) -> Pace {
        self.compute.pace()
    }

    fn submit<'a>(&'a self, spec: &'a JobSpec) -> Answer<'a, JobId> {
        Box::pin(async move {
            match self.compute.submit(spec).await {
                Err(error)
                    if self.what == Sabotage::SubmitTwice && error.kind == ComputeErrorKind::Unknown =>
                {
                    self.compute.submit(spec).await
                }
                answer => answer,
            }
        })
    }

    fn find<'a>(&'a self, name: &'a str) -> Answer<'a, Vec<Job>> {
        self.compute.find(name)
    }

    fn describe<'a>(&'a self, jobs: &'a [JobId]) -> Answer<'a, Vec<Job>> {
        self.compute.describe(jobs)
    }

    fn children<'a>(&'a self, job: &'a JobId, state: JobState) -> Answer<'a, Vec<Child>> {
        self.compute.children(job, state)
    }

    fn terminate<'a>(&'a self, jobs: &'a [JobId], reason: &'a str) -> Answer<'a, ()> {
        match self.what {
            Sabotage::DropTerminate => Box::pin(async { Ok(()) }),
            _ => self.compute.terminate(jobs, reason),
        }
    }
}
