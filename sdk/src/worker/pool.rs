//! Slots that stay warm between maps.

use std::{
    ffi::OsString,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustix::process::{Resource, Rlimit, getrlimit};

use super::{process::ExtraEnv, slot::Slot};

/// Everything a process takes from its parent at its start. A slot serves a map only while these are what the map's own
/// new slots would get.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Surroundings {
    environment: Vec<(OsString, OsString)>,
    directory: Option<PathBuf>,
    limits: [Rlimit; 4],
    pub(super) extra_env: ExtraEnv,
}

/// The warm slots; all have the surroundings of the first.
static WARM: Mutex<Warm> = Mutex::new(Warm { owner: None, slots: Vec::new() });

struct Warm {
    /// The process that started them. After a fork they are still that one's.
    owner: Option<u32>,
    slots: Vec<(Arc<Surroundings>, Slot)>,
}

impl Surroundings {
    /// As they are now, with what `.env(..)` adds. Slots that are warm in others are ended: a program that changes its
    /// directory or environment seldom changes it back.
    pub(crate) fn now(extra_env: ExtraEnv) -> Arc<Surroundings> {
        let directory = std::env::current_dir().ok();
        let limits = limits();
        let mut warm = warm();
        if let Some((known, _)) = warm.slots.last() {
            // Compared as they come: this is most of what a warm `cloud::call` costs on this side.
            let unchanged = known.directory == directory
                && known.limits == limits
                && known.extra_env == extra_env
                && same(&known.environment, std::env::vars_os());
            if unchanged {
                return Arc::clone(known);
            }
            warm.slots.clear();
        }
        Arc::new(Surroundings { environment: std::env::vars_os().collect(), directory, limits, extra_env })
    }
}

/// In the same order too, which changes only when variables do.
fn same(known: &[(OsString, OsString)], now: impl Iterator<Item = (OsString, OsString)>) -> bool {
    let mut known = known.iter();
    let all = now.into_iter().all(|variable| known.next() == Some(&variable));
    all && known.next().is_none()
}

/// The resource limits that programs change for their own computations. Each costs a system call at every map.
fn limits() -> [Rlimit; 4] {
    [Resource::As, Resource::Data, Resource::Nofile, Resource::Stack].map(getrlimit)
}

fn warm() -> MutexGuard<'static, Warm> {
    let mut warm = WARM.lock().unwrap_or_else(PoisonError::into_inner);
    let here = std::process::id();
    if warm.owner.replace(here).is_some_and(|owner| owner != here) {
        // Not dropped: that would close nothing of the other process's, but end its slots.
        std::mem::forget(std::mem::take(&mut warm.slots));
    }
    warm
}

/// A warm slot in these surroundings. One that died in the meantime is found out like any other that dies.
pub(super) fn take(surroundings: &Arc<Surroundings>) -> Option<Slot> {
    let mut warm = warm();
    warm.slots.pop_if(|(of, _)| Arc::ptr_eq(of, surroundings)).map(|(_, slot)| slot)
}

/// Keeps a slot for the next map, if it is fit for one and there are not more than `most` already.
pub(super) fn give(surroundings: &Arc<Surroundings>, mut slot: Slot, most: usize) {
    slot.rest();
    if !slot.is_idle() {
        return;
    }
    slot.shrink_parcels();
    let mut warm = warm();
    if warm.slots.len() >= most {
        return;
    }
    let current = warm.slots.last().map_or(surroundings, |(current, _)| current).clone();
    // Two maps at a time have each noted the same surroundings, or one of them has begun in other, newer ones.
    if Arc::ptr_eq(&current, surroundings) || current == *surroundings {
        warm.slots.push((current, slot));
    }
}
