//! A worker without a Batch: started as a container would be, so that its exit code can be seen.

use std::{
    fmt::Write,
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use cloud::store::{Created, Dir, Store, WriteId};
use sha2::{Digest, Sha256};
use smol::block_on;

use crate::place::{Place, within};

/// Bytes in front of an object in its file.
pub(crate) const DIR_HEADER: usize = 32;

/// A worker's process; it is killed when this is dropped.
pub(crate) struct Bare(Child);

impl Bare {
    /// For the only run of this place, as it is now; of this job, which Batch calls so.
    pub(crate) fn start(place: &Place, job: &str, attempt: u32) -> Bare {
        let manifest = fs::read(place.object("manifest")).unwrap();
        Bare::told(place, job, attempt, &hash_of(&manifest[DIR_HEADER..]))
    }

    /// The same, told of this manifest.
    pub(crate) fn told(place: &Place, job: &str, attempt: u32, manifest: &str) -> Bare {
        let run = format!("dir:{}#{}", place.mock().display(), place.run().unwrap());
        let log = fs::File::options().append(true).create(true).open(place.0.join("bare.log")).unwrap();
        let child = Command::new(std::env::current_exe().unwrap())
            .env("CLOUD_WORKER", "container")
            .env("CLOUD_RUN", run)
            .env("CLOUD_MANIFEST", manifest)
            .env("AWS_BATCH_JOB_ID", job)
            .env("AWS_BATCH_JOB_ATTEMPT", attempt.to_string())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Bare(child)
    }

    pub(crate) fn pid(&self) -> i32 {
        self.0.id() as i32
    }

    /// Its exit code; it must not take longer.
    pub(crate) fn code_within(&mut self, time: Duration) -> Option<i32> {
        assert!(within(time, || self.0.try_wait().unwrap().is_some()), "the worker goes on");
        self.0.wait().unwrap().code()
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn hash_of(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// Writes an object of the run whose contents nobody looks at.
pub(crate) fn put(place: &Place, key: &str) {
    let store = block_on(Dir::open(place.mock())).unwrap();
    let key = format!("runs/{}/{key}", place.run().unwrap());
    assert_eq!(block_on(store.create(&key, Bytes::new(), WriteId(1))).unwrap(), Created::Yes);
}
