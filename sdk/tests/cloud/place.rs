//! Where a test's runs are, and what is to be seen there from outside.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use cloud::{Backend, Mock, Run, RunId, RunState, Status, Wire};
use tempfile::TempDir;

use crate::support::{is_gone, within};

/// Nothing takes this long unless it hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A folder of the test's own. When it goes, its Batch goes too, with all that still runs.
pub(crate) struct Place(TempDir);

impl Place {
    /// In memory if possible: nobody need wait for a disk.
    pub(crate) fn new() -> Place {
        Place(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap())
    }

    pub(crate) fn mock(&self) -> Mock {
        Backend::mock().at(self.path())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The file of a stored object.
    pub(crate) fn object(&self, key: &str) -> PathBuf {
        self.path().join(format!("{key}="))
    }

    pub(crate) async fn attach<T: Wire>(&self, id: RunId) -> cloud::Result<Run<T>> {
        Run::attach_on(self.mock(), id).await
    }

    /// Where a run is, by a look that leaves it alone.
    pub(crate) async fn status<T: Wire>(&self, id: RunId) -> Status {
        let run = self.attach::<T>(id).await.unwrap();
        let status = run.status().await.unwrap();
        run.detach();
        status
    }

    /// Waits until a run is in such a state.
    pub(crate) async fn reaches<T: Wire>(&self, id: RunId, wanted: impl Fn(&RunState) -> bool) -> Status {
        let begun = std::time::Instant::now();
        loop {
            let status = self.status::<T>(id).await;
            if wanted(&status.state) {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it stays {status:?}");
            smol::Timer::after(Duration::from_millis(20)).await;
        }
    }
}

/// The process of this slot and that of its worker.
pub(crate) fn processes() -> (u32, u32) {
    (std::process::id(), std::os::unix::process::parent_id())
}

pub(crate) fn assert_gone(processes: &[u32]) {
    assert!(!processes.is_empty());
    let gone = within(Duration::from_secs(10), || processes.iter().all(|process| is_gone(*process)));
    assert!(gone, "of {processes:?} some live on");
}

pub(crate) fn double(x: u32) -> u32 {
    x * 2
}

pub(crate) fn doubles(chunks: u32) -> Vec<u32> {
    (0..chunks).map(double).collect()
}

/// Sleeps for as many milliseconds.
pub(crate) fn nap(millis: u64) -> u64 {
    std::thread::sleep(Duration::from_millis(millis));
    millis
}
