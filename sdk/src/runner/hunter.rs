//! Gets blocks: does what `decide.rs` says, in the store, until a block is claimed and its inputs are here.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    decide::{Action, Hunt},
    view::View,
    worker::{Trouble, Worker},
};
use crate::{
    compute::RETRIED_REASONS,
    store::Created,
    wire::{Block, Claim, Hash, Incarnation, Leaver, Left, Stored},
};

/// So much [`suspicion`] makes a chunk the one to blame.
const PROVEN: u32 = 3;

/// A look whether the run goes on is good for so long: it costs as much time as a claim.
const FRESH: Duration = Duration::from_secs(5);

/// A block that is this worker's, with its inputs.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) number: u32,
    pub(crate) generation: u32,
    pub(crate) block: Block,
    pub(crate) inputs: Bytes,
    /// Its former owner died: its chunks run one at a time. Chunks that two of its owners died with come with what is
    /// known of those deaths.
    pub(crate) poison: Option<Poison>,
}

/// What is known of a block whose owners died.
#[derive(Debug, Default)]
pub(crate) struct Poison {
    /// Chunks, counted within the block, that are not to be run again.
    pub(crate) lost: Vec<u32>,
    /// What is known of the last death.
    pub(crate) reason: String,
}

/// One worker's way to blocks. Owns its knowledge, so that it can be awaited beside everything else.
#[derive(Debug)]
pub(crate) struct Hunter {
    worker: Arc<Worker>,
    blocks: Vec<Block>,
    view: View,
    hunt: Hunt,
    /// The inputs of a block that will probably be next.
    ahead: Option<(u32, Bytes)>,
    /// When it was last seen that the run goes on.
    looked: Duration,
    /// When another home was last looked at in passing.
    passed: Duration,
}

impl Hunter {
    pub(crate) fn new(worker: Arc<Worker>, number: u32) -> Hunter {
        let mut view = View::new(worker.manifest.home_ranges());
        for (block, generation, owner) in &worker.inherited {
            view.note_owner(*block, *generation, *owner);
            view.note_left(*owner);
        }
        let hunt = Hunt::new(number as usize, &view);
        let blocks = worker.manifest.blocks().copied().collect();
        // A worker looks when it arrives.
        let looked = worker.clock.now();
        Hunter { worker, blocks, view, hunt, ahead: None, looked, passed: looked }
    }

    /// The next block, claimed and read; `None` when nothing is free, or the run is over.
    ///
    /// # Errors
    /// When the store gives no answer, or inputs are not what was planned.
    pub(crate) async fn next(&mut self) -> Result<Option<Claimed>, Trouble> {
        loop {
            let clock = &self.worker.clock;
            match self.hunt.next(&self.view, |below| (clock.random() % below as u64) as usize) {
                Action::Claim { block, generation } => {
                    let now = clock.now();
                    if now.saturating_sub(self.looked) > FRESH {
                        if self.worker.is_over().await? {
                            return Ok(None);
                        }
                        self.looked = now;
                    }
                    if self.claim(block, generation).await? {
                        self.hunt.note_claimed();
                        return self.open(block, generation).await;
                    }
                }
                Action::Look { homes } => {
                    let both = if homes[0] == homes[1] { &homes[..1] } else { &homes[..] };
                    for home in both {
                        let start = self.view.home(*home).start;
                        self.list_claims(&self.worker.keys.before_claims_of(start), false).await?;
                    }
                }
                Action::ListAll => {
                    // Many workers come here at the same time: at the end.
                    self.worker.clock.sleep(self.worker.jitter()).await;
                    self.list_all().await?;
                    // It was taken for dead: what it holds is others' already, and so is what it would take.
                    if self.view.has_left(self.worker.incarnation) {
                        return Ok(None);
                    }
                }
                Action::ReadClaim { block, generation } => {
                    if let Some(owner) = self.owner(block, generation).await? {
                        self.view.note_owner(block, generation, owner);
                    }
                }
                Action::Leave => return Ok(None),
            }
        }
    }

    /// Reads the inputs of the block that is probably next, without claiming it: bytes cost little, a claim that is not
    /// worked on costs time.
    ///
    /// # Errors
    /// As for `next`.
    pub(crate) async fn read_ahead(&mut self) -> Result<(), Trouble> {
        let Some(block) = self.hunt.likely_next(&self.view) else { return Ok(()) };
        if self.ahead.as_ref().is_none_or(|(ahead, _)| *ahead != block) {
            self.ahead = Some((block, self.read(block).await?));
        }
        let clock = Arc::clone(&self.worker.clock);
        if clock.now().saturating_sub(self.passed) > FRESH
            && let Some(home) =
                self.hunt.pass_by(&self.view, |below| (clock.random() % below as u64) as usize)
        {
            self.passed = clock.now();
            let start = self.view.home(home).start;
            self.list_claims(&self.worker.keys.before_claims_of(start), false).await?;
        }
        Ok(())
    }

    async fn claim(&mut self, block: u32, generation: u32) -> Result<bool, Trouble> {
        let claim = Claim { incarnation: self.worker.incarnation, origin: self.worker.origin.clone() };
        let key = self.worker.keys.claim(block, generation);
        // Unknown counts as ours: the block is then perhaps run twice, but never by nobody.
        let ours = self.worker.create(&key, claim.to_object()).await? != Created::Exists;
        if ours {
            self.view.note_mine(block);
            self.view.note_owner(block, generation, self.worker.incarnation);
            self.worker.hold(block);
        } else {
            self.view.note_claim(block, generation);
            self.hunt.note_taken(block, &self.view);
        }
        Ok(ours)
    }

    async fn open(&mut self, number: u32, generation: u32) -> Result<Option<Claimed>, Trouble> {
        let inputs = match self.ahead.take_if(|(ahead, _)| *ahead == number) {
            Some((_, inputs)) => inputs,
            None => self.read(number).await?,
        };
        let poison = if generation == 0 { None } else { self.poison(number, generation).await? };
        Ok(Some(Claimed { number, generation, block: self.blocks[number as usize], inputs, poison }))
    }

    async fn read(&self, number: u32) -> Result<Bytes, Trouble> {
        let block = self.blocks[number as usize];
        let key = self.worker.keys.part(block.part);
        let inputs = self.worker.store.get(&key, Some(block.range())).await?;
        let inputs = inputs.ok_or_else(|| Trouble::misfit(&key, "it is not there"))?;
        if Hash::of(&inputs) != block.hash {
            return Err(Trouble::misfit(&key, &format!("block {number} is not as it was planned")));
        }
        Ok(inputs)
    }

    /// Whether an owner before this generation died with it, and over which chunks. A chunk is lost when it was the last one
    /// begun in two generations that died, or in three whose machines were lost: that may be chance.
    async fn poison(&self, block: u32, generation: u32) -> Result<Option<Poison>, Trouble> {
        let mut last_begun = BTreeMap::new();
        for key in self.worker.list(&self.worker.keys.all_trying(block), "").await? {
            if let Some((generation, chunk)) = self.worker.keys.parse_trying(block, &key) {
                // In key order, so the last chunk of a generation stays.
                last_begun.insert(generation, chunk);
            }
        }
        let mut suspicions = BTreeMap::<u32, u32>::new();
        let mut poison = None;
        for earlier in 0..generation {
            let Some(owner) = self.owner(block, earlier).await? else { continue };
            let Some(left) = self.left(owner).await?.filter(|left| suspicion(left) > 0) else { continue };
            if let Some(chunk) = last_begun.get(&earlier) {
                *suspicions.entry(*chunk).or_default() += suspicion(&left);
            }
            poison = Some(Poison { lost: Vec::new(), reason: left.reason });
        }
        let proven = suspicions.into_iter().filter(|(_, suspicion)| *suspicion >= PROVEN);
        let lost = proven.map(|(chunk, _)| chunk).collect();
        Ok(poison.map(|poison| Poison { lost, ..poison }))
    }

    async fn owner(&self, block: u32, generation: u32) -> Result<Option<Incarnation>, Trouble> {
        let claim: Option<Claim> = self.worker.read(&self.worker.keys.claim(block, generation)).await?;
        Ok(claim.map(|claim| claim.incarnation))
    }

    async fn left(&self, incarnation: Incarnation) -> Result<Option<Left>, Trouble> {
        self.worker.read(&self.worker.keys.left(incarnation)).await
    }

    /// Notes claims after a key: one page, or all.
    async fn list_claims(&mut self, after: &str, all: bool) -> Result<(), Trouble> {
        let prefix = self.worker.keys.claims();
        let keys = if all {
            self.worker.list(&prefix, after).await?
        } else {
            self.worker.store.list(&prefix, after).await?.keys
        };
        for key in keys {
            if let Some((block, generation)) = self.worker.keys.parse_claim(&key) {
                self.view.note_claim(block, generation);
            }
        }
        Ok(())
    }

    async fn list_all(&mut self) -> Result<(), Trouble> {
        // Notes of leaving first: who leaves after this list is seen by the next worker that lists.
        for key in self.worker.list(&self.worker.keys.all_left(), "").await? {
            if let Some(incarnation) = self.worker.keys.parse_left(&key) {
                self.view.note_left(incarnation);
            }
        }
        self.list_claims("", true).await?;
        for key in self.worker.list(&self.worker.keys.outs(), "").await? {
            if let Some(block) = self.worker.keys.parse_out(&key) {
                self.view.note_done(block);
            }
        }
        Ok(())
    }
}

/// How much a worker's end speaks against what it ran: nothing if it could still say that it leaves; less if Batch starts it
/// again, or names a loss for which it does so: hardly ever is a chunk to blame for those.
fn suspicion(left: &Left) -> u32 {
    match left.by {
        Leaver::Itself => 0,
        Leaver::Successor => 1,
        Leaver::Client if RETRIED_REASONS.iter().any(|loss| left.reason.contains(loss)) => 1,
        Leaver::Client => 2,
    }
}
