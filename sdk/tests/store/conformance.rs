//! One suite, every store.

use std::time::Duration;

use cloud::{
    store::{Dir, Faulty, Memory, Odds, Retrying, Store},
    testing::store_conforms,
};
use smol::block_on;

use crate::support::quick_folder;

#[test]
fn memory_conforms() {
    let store = Memory::new();
    block_on(store_conforms(|| store.clone()));
}

#[test]
fn dir_conforms() {
    let folder = tempfile::tempdir().unwrap();
    // Handles of their own, as in several processes.
    block_on(store_conforms(|| block_on(Dir::open(folder.path())).unwrap()));
}

#[test]
fn retrying_conforms_over_memory() {
    let store = Retrying::new(Memory::new());
    block_on(store_conforms(|| store.clone()));
}

#[test]
fn retrying_conforms_over_dir() {
    let folder = tempfile::tempdir().unwrap();
    let store = Retrying::new(block_on(Dir::open(folder.path())).unwrap());
    block_on(store_conforms(|| store.clone()));
}

#[test]
fn retrying_conforms_over_a_memory_with_faults() {
    for seed in 0..6 {
        let store = Memory::new();
        block_on(store_conforms(|| patient(Faulty::new(store.clone(), seed, Odds::each(0.1)))));
    }
}

#[test]
fn retrying_conforms_over_a_dir_with_faults() {
    for seed in 0..4 {
        let folder = quick_folder();
        let store = block_on(Dir::open(folder.path())).unwrap();
        block_on(store_conforms(|| patient(Faulty::new(store.clone(), seed, Odds::each(0.1)))));
    }
}

/// So many attempts that none of the suite's requests is ever given up.
fn patient<S: Store>(store: S) -> Retrying<S> {
    Retrying::new(store).attempts(64).pauses(Duration::from_micros(1), Duration::from_micros(100))
}
