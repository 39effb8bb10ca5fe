//! What a worker does from its start to its end, but for the slots' insides.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::Arc,
};

use futures_util::{StreamExt, stream};

use super::{
    assignment::Assignment,
    crew::Crew,
    shift::{Shift, ShiftEnd},
    worker::{Trouble, Worker, list_all},
};
use crate::{
    clock::Clock,
    store::{Created, Store},
    wire::{Claim, Hash, Incarnation, Leaver, Left, Manifest, Number, Origin, RoundKey, Stored, Submitted},
};

/// Exit codes of a worker, for `evaluateOnExit` and for people.
pub(crate) mod exit {
    /// Nothing is left to do here, or the run is over.
    pub(crate) const DONE: u8 = 0;
    /// Told to stop, or the store was out of reach: another attempt may do better (`EX_TEMPFAIL`).
    pub(crate) const AGAIN: u8 = crate::compute::RETRIED_EXIT as u8;
    /// Not what the run was planned with: no attempt will do better (`EX_CONFIG`).
    pub(crate) const MISFIT: u8 = 78;
}

/// Claims that are read at a time.
const READ_AT_ONCE: usize = 16;

/// How a worker ended.
#[derive(Debug)]
pub(crate) struct End {
    /// Of the process: one of [`exit`].
    pub(crate) code: u8,
    /// Why it could not go on.
    pub(crate) trouble: Option<Trouble>,
}

impl End {
    fn of(code: u8) -> End {
        End { code, trouble: None }
    }
}

/// Works until there is nothing to do, until `stop` is ready, or until it cannot go on. `fit` gets the
/// slots ready, once it is known which program and function they need.
///
/// # Cancellation
/// Dropping it is a worker's death: nothing is said to anyone.
pub(crate) async fn work<C: Crew>(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    assignment: Assignment,
    fit: impl AsyncFnOnce(&Worker) -> Result<C, Trouble>,
    stop: impl Future<Output = ()>,
) -> End {
    let mut worker = match arrive(store, clock, &assignment).await {
        Ok(Some(worker)) => worker,
        Ok(None) => return End::of(exit::DONE),
        Err(trouble) => return give_up(None, trouble).await,
    };
    // Before anything is written: it may make another program of this process, which begins anew.
    let crew = match fit(&worker).await {
        Ok(crew) => crew,
        Err(trouble) => return give_up(Some(&worker), trouble).await,
    };
    let number = match begin(&mut worker, &assignment).await {
        Ok(Some(number)) => number,
        Ok(None) => return End::of(exit::DONE),
        Err(trouble) => return give_up(Some(&worker), trouble).await,
    };
    let worker = Arc::new(worker);
    match Shift::new(Arc::clone(&worker), crew, number).run(stop).await {
        Ok(ShiftEnd::Done | ShiftEnd::Deadline | ShiftEnd::RunIsOver) => End::of(exit::DONE),
        Ok(ShiftEnd::Stopped) => End::of(exit::AGAIN),
        Err(trouble) => give_up(Some(&worker), trouble).await,
    }
}

/// Reads the manifest. `None` if there is none: then there is no run, and nothing may be written.
async fn arrive(
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    assignment: &Assignment,
) -> Result<Option<Worker>, Trouble> {
    let key = crate::wire::Keys::of(assignment.location.run).manifest();
    let Some(object) = store.get(&key, None).await? else { return Ok(None) };
    if Hash::of(&object) != assignment.manifest {
        return Err(Trouble::misfit(&key, "its hash is not the one this worker was given"));
    }
    let manifest =
        Manifest::from_object(&object).map_err(|error| Trouble::misfit(&key, &error.to_string()))?;
    Ok(Some(Worker::new(store, clock, manifest, assignment.origin.clone())))
}

/// Looks whether there is anything to do for a worker of this job, and finds its number. `None` if not.
async fn begin(worker: &mut Worker, assignment: &Assignment) -> Result<Option<u32>, Trouble> {
    if worker.is_over().await? {
        return Ok(None);
    }
    let alone = match standing(worker).await? {
        Standing::Stray => return Ok(None),
        Standing::Counted { workers } => workers == 1,
        Standing::Unknown => worker.manifest.homes.len() <= 1,
    };
    let number = assignment.number.or(alone.then_some(0));
    if number.is_none() {
        // Nobody can tell whose next attempt it is.
        worker.origin.index = Origin::NO_INDEX;
    } else if worker.origin.attempt > 1 {
        worker.inherited = bury_predecessors(worker).await?;
    }
    match number {
        Some(number) => Ok(Some(number)),
        None => claim_number(worker).await.map(Some),
    }
}

/// What a worker's job is to the run.
enum Standing {
    /// A round counts on it.
    Counted { workers: u32 },
    /// Every round counts on another.
    Stray,
    /// Some round has not said yet.
    Unknown,
}

/// A submit whose reply was lost may have been sent again. The job that a round counts on is noted; the workers of another
/// go home. Before that note is there, a worker cannot know, and works.
async fn standing(worker: &Worker) -> Result<Standing, Trouble> {
    let mut intents = 0;
    let mut submitted = 0;
    for key in worker.list(&worker.keys.rounds(), "").await? {
        match worker.keys.parse_round(&key) {
            Some((_, RoundKey::Submitted)) => {
                let note: Option<Submitted> = worker.read(&key).await?;
                if let Some(Submitted { workers, .. }) = note.filter(|note| note.job == worker.origin.job) {
                    return Ok(Standing::Counted { workers });
                }
                submitted += 1;
            }
            Some((round, RoundKey::Intent(_))) => intents = intents.max(round + 1),
            None => {}
        }
    }
    Ok(if submitted >= intents { Standing::Stray } else { Standing::Unknown })
}

/// Says for earlier attempts of the same child, which did not, that they are gone; gives what they leave behind.
async fn bury_predecessors(worker: &Worker) -> Result<Vec<(u32, u32, Incarnation)>, Trouble> {
    let mut newest = BTreeMap::new();
    for key in worker.list(&worker.keys.claims(), "").await? {
        // In key order, so the highest generation of a block stays.
        if let Some((block, generation)) = worker.keys.parse_claim(&key) {
            newest.insert(block, generation);
        }
    }
    for key in worker.list(&worker.keys.outs(), "").await? {
        if let Some(block) = worker.keys.parse_out(&key) {
            newest.remove(&block);
        }
    }
    let reads = newest.into_iter().map(async |(block, generation)| {
        let claim: Option<Claim> = worker.read(&worker.keys.claim(block, generation)).await?;
        Ok::<_, Trouble>((block, generation, claim))
    });
    let mut reads = stream::iter(reads).buffered(READ_AT_ONCE);
    let mut inherited = Vec::new();
    let mut dead = BTreeSet::new();
    while let Some(read) = reads.next().await {
        let (block, generation, Some(Claim { incarnation, origin })) = read? else { continue };
        let earlier = origin.job == worker.origin.job
            && origin.index == worker.origin.index
            && origin.attempt < worker.origin.attempt;
        if earlier && incarnation != worker.incarnation {
            inherited.push((block, generation, incarnation));
            dead.insert((incarnation, origin.attempt));
        }
    }
    for (incarnation, attempt) in dead {
        let reason = format!("attempt {attempt} of worker {} ended without a word", worker.origin.index);
        let left = Left { by: Leaver::Successor, reason };
        if worker.create(&worker.keys.left(incarnation), left.to_object()).await? == Created::Unknown {
            // Nothing is taken over from one who is not known to have left.
            inherited.retain(|(_, _, owner)| *owner != incarnation);
        }
    }
    Ok(inherited)
}

/// Takes the first number that no other worker has.
async fn claim_number(worker: &Worker) -> Result<u32, Trouble> {
    let note = Number { incarnation: worker.incarnation }.to_object();
    let prefix = worker.keys.number(0);
    let prefix = prefix.trim_end_matches(|c: char| c.is_ascii_digit());
    let mut number = list_all(&*worker.store, prefix, "").await?.len() as u32;
    loop {
        match worker.create(&worker.keys.number(number), note.clone()).await? {
            Created::Exists => number += 1,
            Created::Yes | Created::Unknown => return Ok(number),
        }
    }
}

/// Says why this worker ends, if it can still be said, and gives the exit code.
async fn give_up(worker: Option<&Worker>, trouble: Trouble) -> End {
    if let Some(worker) = worker {
        let left = Left { by: Leaver::Itself, reason: trouble.to_string() };
        // What cannot be written is found out by whoever looks for this worker.
        let _ = worker.create(&worker.keys.left(worker.incarnation), left.to_object()).await;
    }
    let code = match trouble {
        Trouble::Misfit { .. } => exit::MISFIT,
        Trouble::Store(_) | Trouble::Slots(_) => exit::AGAIN,
    };
    End { code, trouble: Some(trouble) }
}
