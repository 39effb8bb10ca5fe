//! Which block next? Pure: all that a worker may know is in the [`View`], all chance comes from outside.
//!
//! Home blocks first, in their order, but for those of a home that is behind. Then others': of two homes picked by chance the
//! fuller one, one of its larger blocks, but not the very next one, which is its owner's. After three looks that showed
//! nothing free, everything is listed once, and if there is still nothing, there is nothing to do. A worker never waits for
//! another.

use super::view::View;

/// Looks that show nothing free before everything is listed.
pub(crate) const FRUITLESS_LOOKS: u32 = 3;

/// Claims read after one listing. With many workers at a run's end, nearly all that is claimed is still being worked on; what
/// a sample misses, another worker or the client's repair will find.
pub(crate) const READS: u32 = 16;

/// A thief takes one of the first such share of what is free: they are larger than those behind them.
const STOLEN_SHARE: usize = 3;

/// A home that is so many blocks behind is helped by others, who then begin all blocks about in the order of their chunks.
const BEHIND: u32 = 2;

/// What to do next to get a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Create the claim; if it exists, the block is another's.
    Claim { block: u32, generation: u32 },
    /// List claims from the first block of each home on, one page.
    Look { homes: [usize; 2] },
    /// List all claims, outcomes and notes of leaving.
    ListAll,
    /// Read the claim of a block that has no outcome, to learn whose it is.
    ReadClaim { block: u32, generation: u32 },
    /// Nothing is free.
    Leave,
}

/// One worker's search for blocks.
#[derive(Debug, Clone)]
pub(crate) struct Hunt {
    home: usize,
    /// Home blocks before this one were tried.
    next_home: u32,
    /// A home block was taken by somebody: others probably were too.
    home_visited: bool,
    /// The home that is being stolen from.
    prey: Option<usize>,
    /// Homes that the last look showed, not judged yet.
    looked: Option<[usize; 2]>,
    fruitless: u32,
    listing: Option<Listing>,
    /// A home whose claims were just seen, in passing.
    passed: Option<usize>,
}

/// Everything was listed, for this search.
#[derive(Debug, Clone, Copy)]
struct Listing {
    reads: u32,
    /// Where reading claims begins, so that workers do not all read the same ones.
    start: u32,
}

impl Hunt {
    /// `home` may lie beyond the last: such a worker only steals.
    pub(crate) fn new(home: usize, view: &View) -> Hunt {
        let next_home = view.home(home).start;
        Hunt {
            home,
            next_home,
            home_visited: false,
            prey: None,
            looked: None,
            fruitless: 0,
            listing: None,
            passed: None,
        }
    }

    /// What was learned by listing everything is true for now only.
    pub(crate) fn note_claimed(&mut self) {
        self.fruitless = 0;
        self.listing = None;
    }

    /// A block turned out to be another's.
    pub(crate) fn note_taken(&mut self, block: u32, view: &View) {
        self.home_visited |= view.home(self.home).contains(&block);
    }

    /// Another home, to look at its claims while there is nothing else to do.
    pub(crate) fn pass_by(&mut self, view: &View, mut random: impl FnMut(usize) -> usize) -> Option<usize> {
        let others = view.homes().checked_sub(1).filter(|others| *others > 0 && self.home < view.homes())?;
        let pick = random(others);
        self.passed = Some(if pick >= self.home { pick + 1 } else { pick });
        self.passed
    }

    /// The next block of a home that was passed and is behind this one's: its worker came late, or not at all.
    fn left_behind(&mut self, view: &View) -> Option<u32> {
        let home = view.home(self.passed.take()?);
        let own = self.likely_next(view)? - view.home(self.home).start;
        let block = home.clone().find(|block| view.is_free(*block))?;
        (block - home.start + BEHIND <= own).then_some(block)
    }

    /// The home block that would be claimed next, if nothing changes.
    pub(crate) fn likely_next(&self, view: &View) -> Option<u32> {
        (self.next_home..view.home(self.home).end).find(|block| view.is_free(*block))
    }

    /// The next action, after the view has what the last one showed. `random(n)` is below `n`.
    pub(crate) fn next(&mut self, view: &View, mut random: impl FnMut(usize) -> usize) -> Action {
        if let Some(block) = self.left_behind(view) {
            return Action::Claim { block, generation: 0 };
        }
        if let Some(block) = self.likely_next(view) {
            if std::mem::take(&mut self.home_visited) {
                return Action::Look { homes: [self.home; 2] };
            }
            self.next_home = block + 1;
            return Action::Claim { block, generation: 0 };
        }
        self.next_home = view.home(self.home).end;
        if let Some(listing) = &mut self.listing {
            return listing.next(view);
        }
        if let Some(pair) = self.looked.take() {
            let free = |home: &usize| view.home(*home).filter(|block| view.is_free(*block)).count();
            let fuller = if free(&pair[0]) >= free(&pair[1]) { pair[0] } else { pair[1] };
            if free(&fuller) > 0 {
                self.prey = Some(fuller);
                self.fruitless = 0;
            } else {
                self.fruitless += 1;
            }
        }
        if let Some(prey) = self.prey {
            let free: Vec<u32> = view.home(prey).filter(|block| view.is_free(*block)).collect();
            // The very next one is probably its owner's.
            let later = free.get(1..).filter(|later| !later.is_empty()).unwrap_or(&free);
            if !later.is_empty() {
                let block = later[random(later.len().div_ceil(STOLEN_SHARE))];
                return Action::Claim { block, generation: 0 };
            }
            self.prey = None;
        }
        let others = view.homes().saturating_sub(usize::from(self.home < view.homes()));
        if others == 0 || self.fruitless >= FRUITLESS_LOOKS {
            self.listing = Some(Listing { reads: 0, start: random(view.blocks().len().max(1)) as u32 });
            return Action::ListAll;
        }
        // Two of the others, the same one twice if there is only one.
        let skip_own = |pick: usize| if pick >= self.home { pick + 1 } else { pick };
        let first = random(others);
        let second = if others == 1 { first } else { (first + 1 + random(others - 1)) % others };
        let homes = [skip_own(first), skip_own(second)];
        self.looked = Some(homes);
        Action::Look { homes }
    }
}

impl Listing {
    /// What is free, what may be free, or nothing.
    fn next(&mut self, view: &View) -> Action {
        let mut unread = None;
        for block in view.blocks().skip(self.start as usize).chain(0..self.start) {
            let known = view.get(block);
            match known.generation {
                _ if known.done || known.mine => {}
                None => return Action::Claim { block, generation: 0 },
                Some(generation) if view.is_orphan(block) => {
                    return Action::Claim { block, generation: generation + 1 };
                }
                Some(generation) if known.owner.is_none() => {
                    unread = unread.or(Some(Action::ReadClaim { block, generation }));
                }
                Some(_) => {}
            }
        }
        // Only those who leave something behind say so: where nobody did, nothing is to be inherited.
        match unread {
            Some(action) if view.anyone_left() && self.reads < READS => {
                self.reads += 1;
                action
            }
            _ => Action::Leave,
        }
    }
}
