//! Slots that stay warm between maps.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use rustix::process::{Resource, Rlimit, getrlimit};

use super::{process::ExtraEnv, slot::Slot};

/// Everything a process takes from its parent at its start. A slot serves a map only while these are what the map's own
/// new slots would get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Surroundings {
    environment: BTreeMap<OsString, OsString>,
    directory: Option<PathBuf>,
    limits: Vec<Rlimit>,
    pub(crate) extra_env: ExtraEnv,
}

static WARM: Mutex<Vec<(Surroundings, Slot)>> = Mutex::new(Vec::new());

impl Surroundings {
    /// As they are now, with what `.env(..)` adds.
    pub(crate) fn now(extra_env: ExtraEnv) -> Surroundings {
        const LIMITS: [Resource; 7] = [
            Resource::As,
            Resource::Core,
            Resource::Cpu,
            Resource::Data,
            Resource::Fsize,
            Resource::Nofile,
            Resource::Stack,
        ];
        Surroundings {
            environment: std::env::vars_os().collect(),
            directory: std::env::current_dir().ok(),
            limits: LIMITS.map(getrlimit).into(),
            extra_env,
        }
    }
}

/// A warm slot for these surroundings.
pub(super) fn take(surroundings: &Surroundings) -> Option<Slot> {
    let mut warm = WARM.lock().unwrap_or_else(PoisonError::into_inner);
    // Those from other surroundings will not be asked for again: a program that changes its directory or environment
    // seldom changes it back.
    warm.retain(|(of, _)| of == surroundings);
    while let Some((_, mut slot)) = warm.pop() {
        if !slot.is_dead() {
            return Some(slot);
        }
    }
    None
}

/// Keeps a slot for the next map, if it is fit for one.
pub(super) fn give(surroundings: &Surroundings, mut slot: Slot) {
    if slot.is_idle() {
        slot.rest();
        WARM.lock().unwrap_or_else(PoisonError::into_inner).push((surroundings.clone(), slot));
    }
}
