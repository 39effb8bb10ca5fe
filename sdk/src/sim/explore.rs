//! Two workers, two blocks, one death, one lost reply: every order in which things can happen.
//!
//! The deciding is the product's own (`Hunt` over `View`); what is decided is done here, one call a step, as `hunter.rs` does
//! it. A state that was seen is not gone through again; one that leads back to itself would be a loop without an end.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::{
    runner::{Action, Hunt, View},
    wire::Incarnation,
};

/// Who is who: 0 and 1 are explored, 2 is the next attempt of the one that died, 3 repairs what is left at the end.
type Who = usize;
const SUCCESSOR: Who = 2;
const REPAIRER: Who = 3;

#[derive(Debug, Clone)]
struct Worker {
    view: View,
    hunt: Hunt,
    doing: Doing,
    held: BTreeSet<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Doing {
    NotBorn,
    Deciding,
    /// The next calls of an action that takes several.
    Looking(Vec<Look>),
    Claiming(u32, u32),
    Reading(u32, u32),
    Publishing(u32),
    Leaving,
    /// In good order.
    Ended,
    Dead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Lefts,
    Claims,
    Outs,
}

/// What goes wrong with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    DiesBefore,
    DiesAfter,
    /// It was not applied, and nobody can say.
    UnknownUnsent,
    /// It was applied, and nobody can say.
    UnknownSent,
}

#[derive(Debug, Clone)]
struct World {
    homes: Vec<std::ops::Range<u32>>,
    claims: BTreeMap<(u32, u32), Who>,
    outs: BTreeSet<u32>,
    lefts: BTreeSet<Who>,
    workers: Vec<Worker>,
    deaths: u32,
    lost_replies: u32,
}

fn incarnation(who: Who) -> Incarnation {
    Incarnation::new(0, who as u128)
}

impl World {
    fn new(homes: &[std::ops::Range<u32>]) -> World {
        let worker = |home| {
            let view = View::new(homes.to_vec());
            let hunt = Hunt::new(home, &view);
            Worker { view, hunt, doing: Doing::Deciding, held: BTreeSet::new() }
        };
        let mut workers: Vec<Worker> = [0, 1, 0, 0].map(worker).into();
        workers[SUCCESSOR].doing = Doing::NotBorn;
        workers[REPAIRER].doing = Doing::NotBorn;
        World {
            homes: homes.to_vec(),
            claims: BTreeMap::new(),
            outs: BTreeSet::new(),
            lefts: BTreeSet::new(),
            workers,
            deaths: 0,
            lost_replies: 0,
        }
    }

    fn key(&self) -> (u64, u64) {
        let text = format!("{self:?}");
        let mut hashes = [0, 1].map(|salt| {
            let mut hasher = DefaultHasher::new();
            salt.hash(&mut hasher);
            hasher
        });
        hashes.iter_mut().for_each(|hasher| text.hash(hasher));
        (hashes[0].finish(), hashes[1].finish())
    }

    fn lives(&self, who: Who) -> bool {
        !matches!(self.workers[who].doing, Doing::NotBorn | Doing::Ended | Doing::Dead)
    }

    /// All that can happen next.
    fn next(&self) -> Vec<World> {
        let mut next = Vec::new();
        for who in (0..self.workers.len()).filter(|who| self.lives(*who)) {
            // Chance decides between two at most here.
            for chance in 0..2 {
                next.extend(self.after(who, chance, Trouble::None));
                if self.deaths == 0 && who < SUCCESSOR {
                    next.extend(self.after(who, chance, Trouble::DiesBefore));
                    next.extend(self.after(who, chance, Trouble::DiesAfter));
                }
                if self.lost_replies == 0 && who < SUCCESSOR {
                    next.extend(self.after(who, chance, Trouble::UnknownUnsent));
                    next.extend(self.after(who, chance, Trouble::UnknownSent));
                }
            }
        }
        // The next attempt of the one that died says so, and works.
        if let Some(dead) = self.workers.iter().position(|worker| worker.doing == Doing::Dead)
            && self.workers[SUCCESSOR].doing == Doing::NotBorn
        {
            let mut world = self.clone();
            world.lefts.insert(dead);
            world.workers[SUCCESSOR].hunt = Hunt::new(dead, &world.workers[SUCCESSOR].view);
            world.workers[SUCCESSOR].doing = Doing::Deciding;
            world.settle(SUCCESSOR, 0);
            next.push(world);
        }
        next
    }

    /// One step of a worker; `None` if this trouble cannot befall it there.
    fn after(&self, who: Who, chance: usize, trouble: Trouble) -> Option<World> {
        let mut world = self.clone();
        let doing = world.workers[who].doing.clone();
        let writes = matches!(doing, Doing::Claiming(..) | Doing::Publishing(_) | Doing::Leaving);
        let unknown = matches!(trouble, Trouble::UnknownUnsent | Trouble::UnknownSent);
        if unknown && !writes || doing == Doing::Deciding && trouble != Trouble::None {
            return None;
        }
        world.deaths += u32::from(matches!(trouble, Trouble::DiesBefore | Trouble::DiesAfter));
        world.lost_replies += u32::from(unknown);
        let applied = !matches!(trouble, Trouble::DiesBefore | Trouble::UnknownUnsent);
        world.step(who, doing, chance, applied, unknown);
        if matches!(trouble, Trouble::DiesBefore | Trouble::DiesAfter) {
            world.workers[who].doing = Doing::Dead;
        }
        world.settle(who, chance);
        Some(world)
    }

    /// What others cannot see needs no step of its own, and what one knew that is gone makes no difference.
    fn settle(&mut self, who: Who, chance: usize) {
        if self.workers[who].doing == Doing::Deciding {
            self.decide(who, chance);
        }
        if !self.lives(who) {
            let view = View::new(self.homes.clone());
            let hunt = Hunt::new(0, &view);
            let doing = self.workers[who].doing.clone();
            self.workers[who] = Worker { view, hunt, doing, held: BTreeSet::new() };
        }
    }

    fn step(&mut self, who: Who, doing: Doing, chance: usize, applied: bool, unknown: bool) {
        match doing {
            Doing::Deciding => self.decide(who, chance),
            Doing::Looking(mut looks) => {
                if !looks.is_empty() {
                    self.look(who, looks.remove(0));
                }
                let taken_for_dead = self.workers[who].view.has_left(incarnation(who));
                self.workers[who].doing = match looks.is_empty() {
                    true if taken_for_dead => Doing::Leaving,
                    true => Doing::Deciding,
                    false => Doing::Looking(looks),
                };
            }
            Doing::Reading(block, generation) => {
                let owner = self.claims[&(block, generation)];
                self.workers[who].view.note_owner(block, generation, incarnation(owner));
                self.workers[who].doing = Doing::Deciding;
            }
            Doing::Claiming(block, generation) => {
                let free = !self.claims.contains_key(&(block, generation));
                if applied && free {
                    self.claim(who, block, generation);
                }
                // Unknown counts as own.
                let own = free && applied || unknown;
                let worker = &mut self.workers[who];
                if own {
                    worker.view.note_mine(block);
                    worker.view.note_owner(block, generation, incarnation(who));
                    worker.hunt.note_claimed();
                    worker.held.insert(block);
                    worker.doing = Doing::Publishing(block);
                } else {
                    worker.view.note_claim(block, generation);
                    worker.hunt.note_taken(block, &worker.view);
                    worker.doing = Doing::Deciding;
                }
            }
            Doing::Publishing(block) => {
                if applied {
                    self.outs.insert(block);
                }
                if !unknown {
                    self.workers[who].held.remove(&block);
                }
                self.workers[who].doing = Doing::Deciding;
            }
            Doing::Leaving => {
                if applied {
                    self.lefts.insert(who);
                }
                self.workers[who].doing = Doing::Ended;
            }
            Doing::NotBorn | Doing::Ended | Doing::Dead => {}
        }
    }

    fn claim(&mut self, who: Who, block: u32, generation: u32) {
        if let Some(before) = generation.checked_sub(1) {
            let owner = self.claims.get(&(block, before));
            assert!(
                owner.is_some_and(|owner| self.lefts.contains(owner)),
                "its owner is still there: {self:?}"
            );
        }
        self.claims.insert((block, generation), who);
    }

    fn decide(&mut self, who: Who, chance: usize) {
        let worker = &mut self.workers[who];
        worker.doing = match worker.hunt.next(&worker.view, |below| chance % below) {
            Action::Claim { block, generation } => Doing::Claiming(block, generation),
            Action::Look { .. } => Doing::Looking(vec![Look::Claims]),
            Action::ListAll => Doing::Looking(vec![Look::Lefts, Look::Claims, Look::Outs]),
            Action::ReadClaim { block, generation } => Doing::Reading(block, generation),
            Action::Leave if worker.held.is_empty() => Doing::Ended,
            Action::Leave => Doing::Leaving,
        };
    }

    fn look(&mut self, who: Who, look: Look) {
        let view = &mut self.workers[who].view;
        match look {
            Look::Lefts => self.lefts.iter().for_each(|left| view.note_left(incarnation(*left))),
            Look::Claims => {
                self.claims.keys().for_each(|(block, generation)| view.note_claim(*block, *generation));
            }
            Look::Outs => self.outs.iter().for_each(|block| view.note_done(*block)),
        }
    }

    /// Nothing happens any more: what is undone can be repaired, and needs to be only after a death or a lost reply.
    fn check_end(&self) {
        let blocks = 0..self.homes.last().map_or(0, |home| home.end);
        let undone: Vec<u32> =
            (blocks.start..blocks.end).filter(|block| !self.outs.contains(block)).collect();
        assert!(
            undone.is_empty() || self.deaths + self.lost_replies > 0,
            "{undone:?} is lost for no reason: {self:?}"
        );
        let mut world = self.clone();
        // A client finds them all ended, and says so.
        world.lefts.extend(0..REPAIRER);
        world.workers[REPAIRER].doing = Doing::Deciding;
        for _ in 0..100 {
            if world.lives(REPAIRER) {
                let doing = world.workers[REPAIRER].doing.clone();
                world.step(REPAIRER, doing, 0, true, false);
            }
        }
        assert!(!world.lives(REPAIRER), "a repairer does not come to its end: {self:?}");
        assert!(
            (blocks.start..blocks.end).all(|block| world.outs.contains(&block)),
            "a block cannot be repaired: {world:?}"
        );
    }
}

/// Goes through all that can follow; gives the number of different states.
fn explore(start: &World) -> usize {
    // False while it is on the way here.
    let mut seen: BTreeMap<(u64, u64), bool> = BTreeMap::new();
    let key = start.key();
    seen.insert(key, false);
    let mut way = vec![(key, start.next())];
    while let Some((key, left)) = way.last_mut() {
        let Some(world) = left.pop() else {
            seen.insert(*key, true);
            way.pop();
            continue;
        };
        let key = world.key();
        match seen.get(&key) {
            Some(true) => continue,
            Some(false) => panic!("it goes round in circles: {world:?}"),
            None => {}
        }
        let next = world.next();
        if next.is_empty() {
            world.check_end();
        }
        seen.insert(key, false);
        way.push((key, next));
    }
    seen.len()
}

#[test]
fn no_block_of_two_homes_is_lost_in_any_order_of_events() {
    assert!(explore(&World::new(&[0..1, 1..2])) > 10_000);
}

#[test]
fn no_block_of_one_home_is_lost_in_any_order_of_events() {
    assert!(explore(&World::new(&vec![0..2; 1])) > 10_000);
}
