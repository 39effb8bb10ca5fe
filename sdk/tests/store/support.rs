//! What the tests share: blocking on a store, the same test in a process of its own.

use std::{
    any::type_name,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use bytes::Bytes;
use cloud::store::{Created, Dir, Store, WriteId};
use smol::block_on;
use tempfile::TempDir;

/// Names the test that a process is for.
const PART: &str = "CLOUD_TEST_PART";

/// Names the folder of the store that it works on.
const PLACE: &str = "CLOUD_TEST_PLACE";

/// A folder in memory if possible, for tests that need not wait for a disk.
pub(crate) fn quick_folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

pub(crate) fn open(place: &Path) -> Dir {
    block_on(Dir::open(place)).unwrap()
}

pub(crate) fn create(store: &impl Store, key: &str, body: impl Into<Bytes>, id: u128) -> Created {
    block_on(store.create(key, body.into(), WriteId(id))).unwrap()
}

pub(crate) fn read(store: &impl Store, key: &str) -> Option<Bytes> {
    block_on(store.get(key, None)).unwrap()
}

pub(crate) fn keys(store: &impl Store, prefix: &str) -> Vec<String> {
    let page = block_on(store.list(prefix, "")).unwrap();
    assert!(!page.more);
    page.keys
}

/// The store's folder, in a process that was started by [`again`] for this test.
pub(crate) fn place_of<F>(_test: F) -> Option<PathBuf> {
    let part = std::env::var(PART).ok()?;
    (part == name_of::<F>()).then(|| PathBuf::from(std::env::var_os(PLACE).unwrap()))
}

/// This program again, for one test alone.
pub(crate) fn again<F>(_test: F, place: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([name_of::<F>(), "--exact", "--nocapture", "--test-threads=1"]);
    command.env(PART, name_of::<F>()).env(PLACE, place).stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

fn name_of<F>() -> &'static str {
    type_name::<F>().split_once("::").unwrap().1
}
