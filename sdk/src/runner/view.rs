//! What a worker knows of a run's blocks. Claims and outcomes are never taken back, so what is known stays true; what is
//! not known may have happened meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use crate::wire::Incarnation;

/// One block as this worker sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Known {
    /// The highest generation that is claimed.
    pub(crate) generation: Option<u32>,
    /// Whose that claim is, once it was read.
    pub(crate) owner: Option<Incarnation>,
    /// It has its outcomes.
    pub(crate) done: bool,
    /// This worker has claimed it once: it does not run a block twice, whatever becomes of the claim.
    pub(crate) mine: bool,
}

/// The blocks by home, and who has left.
#[derive(Debug, Clone)]
pub(crate) struct View {
    homes: Vec<Range<u32>>,
    blocks: Vec<Known>,
    left: BTreeSet<Incarnation>,
    /// Claims of these blocks and generations were read already.
    read: BTreeMap<(u32, u32), Incarnation>,
}

impl View {
    pub(crate) fn new(homes: Vec<Range<u32>>) -> View {
        let blocks = homes.last().map_or(0, |home| home.end);
        View {
            homes,
            blocks: vec![Known::default(); blocks as usize],
            left: BTreeSet::new(),
            read: BTreeMap::new(),
        }
    }

    pub(crate) fn homes(&self) -> usize {
        self.homes.len()
    }

    /// The numbers of a home's blocks; none for a number beyond the last home.
    pub(crate) fn home(&self, home: usize) -> Range<u32> {
        self.homes.get(home).cloned().unwrap_or(0..0)
    }

    pub(crate) fn blocks(&self) -> Range<u32> {
        0..self.blocks.len() as u32
    }

    pub(crate) fn get(&self, block: u32) -> Known {
        self.blocks.get(block as usize).copied().unwrap_or_default()
    }

    /// Nobody is known to have claimed it.
    pub(crate) fn is_free(&self, block: u32) -> bool {
        let known = self.get(block);
        !known.done && known.generation.is_none()
    }

    /// Its owner has left without an outcome: the next generation may be claimed.
    pub(crate) fn is_orphan(&self, block: u32) -> bool {
        let known = self.get(block);
        !known.done && !known.mine && known.owner.is_some_and(|owner| self.left.contains(&owner))
    }

    pub(crate) fn note_claim(&mut self, block: u32, generation: u32) {
        let owner = self.read.get(&(block, generation)).copied();
        let Some(known) = self.blocks.get_mut(block as usize) else { return };
        if known.generation.is_none_or(|before| before < generation) {
            known.generation = Some(generation);
            known.owner = owner;
        }
    }

    pub(crate) fn note_owner(&mut self, block: u32, generation: u32, owner: Incarnation) {
        self.read.insert((block, generation), owner);
        self.note_claim(block, generation);
        if let Some(known) = self.blocks.get_mut(block as usize)
            && known.generation == Some(generation)
        {
            known.owner = Some(owner);
        }
    }

    pub(crate) fn note_mine(&mut self, block: u32) {
        if let Some(known) = self.blocks.get_mut(block as usize) {
            known.mine = true;
        }
    }

    pub(crate) fn note_done(&mut self, block: u32) {
        if let Some(known) = self.blocks.get_mut(block as usize) {
            known.done = true;
        }
    }

    pub(crate) fn has_left(&self, incarnation: Incarnation) -> bool {
        self.left.contains(&incarnation)
    }

    pub(crate) fn anyone_left(&self) -> bool {
        !self.left.is_empty()
    }

    pub(crate) fn note_left(&mut self, incarnation: Incarnation) {
        self.left.insert(incarnation);
    }
}
