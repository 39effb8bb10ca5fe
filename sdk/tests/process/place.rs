//! A folder of the `mock` backend as the tests see it: objects as files, processes by their environment.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write,
    path::{Path, PathBuf},
    thread::sleep,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

/// Names the folder to every process that the test starts, and those to their slots.
pub(crate) const PLACE_VAR: &str = "CLOUD_TEST_PLACE";

/// A temporary folder; whoever still works in it when it is dropped is killed.
pub(crate) struct Scratch {
    folder: TempDir,
}

/// A folder with a mock's store and Batch, and with the notes of those who work in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Place(pub(crate) PathBuf);

/// What a process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Client,
    Host,
    Worker,
    Slot,
}

impl Scratch {
    /// In memory if possible: no test here is about the loss of power.
    pub(crate) fn new() -> Scratch {
        Scratch { folder: tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap() }
    }

    pub(crate) fn place(&self) -> Place {
        let place = Place(self.folder.path().to_path_buf());
        fs::create_dir_all(place.0.join("calls")).unwrap();
        place
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let place = self.place();
        // Whoever is killed may be starting another right now.
        while !place.processes().is_empty() {
            place.processes().into_iter().for_each(|(_, pid)| signal(pid, Signal::KILL));
            sleep(Duration::from_millis(2));
        }
    }
}

impl Place {
    pub(crate) fn mock(&self) -> PathBuf {
        self.0.join("mock")
    }

    /// The file of an object of the only run.
    pub(crate) fn object(&self, key: &str) -> PathBuf {
        let run =
            self.run().map_or_else(|| self.mock().join("none"), |run| self.mock().join("runs").join(run));
        run.join(format!("{key}="))
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.object(key).exists()
    }

    /// The only run.
    pub(crate) fn run(&self) -> Option<String> {
        names(&self.mock().join("runs")).pop()
    }

    /// The last parts of the keys under a folder of the run, without folders.
    pub(crate) fn keys(&self, folder: &str) -> Vec<String> {
        let Some(run) = self.run() else { return Vec::new() };
        let names = names(&self.mock().join("runs").join(run).join(folder));
        names.into_iter().filter_map(|name| name.strip_suffix('=').map(str::to_string)).collect()
    }

    pub(crate) fn count(&self, folder: &str) -> usize {
        self.keys(folder).len()
    }

    /// The jobs that the simulated Batch has written down.
    pub(crate) fn jobs(&self) -> Vec<PathBuf> {
        let folder = self.mock().join("batch/batch/jobs");
        let files = names(&folder).into_iter().map(|name| folder.join(name));
        files.filter(|file| file.extension().is_some_and(|extension| extension == "json")).collect()
    }

    /// The blocks that have outcomes, each with its chunks: a value tells which chunk it is of.
    pub(crate) fn outcomes(&self) -> BTreeMap<String, Vec<u64>> {
        let chunks = |name: &String| chunks_of(&fs::read(self.object(&format!("out/{name}"))).unwrap());
        self.keys("out").into_iter().map(|name| (name.clone(), chunks(&name))).collect()
    }

    /// Adds a line to the notes on a chunk: `begun` or `done`, by a slot and its worker.
    pub(crate) fn note(&self, chunk: u64, what: &str) {
        let file = self.0.join("calls").join(chunk.to_string());
        let worker = rustix::process::getppid().map_or(0, Pid::as_raw_pid);
        let line = format!("{what} {} {worker}\n", std::process::id());
        let mut file = fs::File::options().append(true).create(true).open(file).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }

    /// The notes on a chunk: what, slot, worker.
    pub(crate) fn notes(&self, chunk: u64) -> Vec<(String, i32, i32)> {
        let notes = fs::read_to_string(self.0.join("calls").join(chunk.to_string())).unwrap_or_default();
        let note = |line: &str| {
            let mut words = line.split(' ');
            let what = words.next()?.to_string();
            Some((what, words.next()?.parse().ok()?, words.next()?.parse().ok()?))
        };
        notes.lines().filter_map(note).collect()
    }

    /// How often a chunk was begun.
    pub(crate) fn calls(&self, chunk: u64) -> usize {
        self.notes(chunk).iter().filter(|note| note.0 == "begun").count()
    }

    pub(crate) fn is_done(&self, chunk: u64) -> bool {
        self.notes(chunk).iter().any(|note| note.0 == "done")
    }

    /// The slot that had this chunk last, and its worker.
    pub(crate) fn runner_of(&self, chunk: u64) -> Option<(i32, i32)> {
        self.notes(chunk).last().map(|note| (note.1, note.2))
    }

    pub(crate) fn begun_any(&self) -> bool {
        !names(&self.0.join("calls")).is_empty()
    }

    /// Lets chunks go on that wait for it.
    pub(crate) fn release(&self) {
        fs::write(self.0.join("release"), "").unwrap();
    }

    pub(crate) fn is_released(&self) -> bool {
        self.0.join("release").exists()
    }

    /// All that belong to this folder by their environment.
    pub(crate) fn processes(&self) -> BTreeSet<(Kind, i32)> {
        let own = std::process::id() as i32;
        let pids = names(Path::new("/proc")).into_iter().filter_map(|name| name.parse().ok());
        pids.filter(|pid| *pid != own).filter_map(|pid| Some((self.kind_of(pid)?, pid))).collect()
    }

    /// What the process is, if it belongs to this folder and runs; one that is dead and not reaped has no environment.
    fn kind_of(&self, pid: i32) -> Option<Kind> {
        let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
        let has = |start: &str| {
            environment.split(|byte| *byte == 0).any(|variable| variable.starts_with(start.as_bytes()))
        };
        let place = self.0.to_str().unwrap();
        if has(&format!("CLOUD_RUN=dir:{place}/")) {
            Some(Kind::Worker)
        } else if has(&format!("CLOUD_BATCH_HOST={place}/")) {
            Some(Kind::Host)
        } else if has(&format!("{PLACE_VAR}={place}")) {
            Some(if has("CLOUD_SLOT=") { Kind::Slot } else { Kind::Client })
        } else {
            None
        }
    }

    /// True as soon as nobody is left, false when somebody still is after that time.
    pub(crate) fn is_left_within(&self, time: Duration) -> bool {
        // Each look reads all of `/proc`.
        let begun = Instant::now();
        while !self.processes().is_empty() {
            if begun.elapsed() > time {
                return false;
            }
            sleep(Duration::from_millis(50));
        }
        true
    }

    pub(crate) fn all(&self, kind: Kind) -> Vec<i32> {
        self.processes().into_iter().filter(|(of, _)| *of == kind).map(|(_, pid)| pid).collect()
    }

    /// What was said by everybody, for a test that fails.
    pub(crate) fn story(&self) -> String {
        let mut story = format!("{:?}\n", self.processes());
        let mut folders = vec![self.0.clone()];
        while let Some(folder) = folders.pop() {
            for name in names(&folder) {
                let path = folder.join(name);
                let text = path.parent() == Some(&self.0.join("calls"))
                    || path.extension().is_some_and(|extension| extension == "log");
                if path.is_dir() {
                    folders.push(path);
                } else if text {
                    let said = fs::read(&path).unwrap_or_default();
                    story += &format!("{}:\n{}\n", path.display(), String::from_utf8_lossy(&said));
                } else {
                    story += &format!("{}\n", path.display());
                }
            }
        }
        story
    }
}

/// The chunks of a block of outcomes, whose layout is that of every version: after the header, frames of 21 bytes and a body,
/// whose length is in bytes 13 to 17.
fn chunks_of(file: &[u8]) -> Vec<u64> {
    const DIR_HEADER: usize = 32;
    let length = |at: &[u8]| u32::from_le_bytes(at[..4].try_into().unwrap()) as usize;
    let object = &file[DIR_HEADER..];
    let mut rest = &object[4 + length(object)..];
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        let end = 21 + length(&rest[13..]);
        if rest[0] != 255 {
            let value: u64 = postcard::from_bytes(&rest[21..end]).unwrap();
            chunks.push(crate::client::chunk_of(value));
        }
        rest = &rest[end..];
    }
    chunks
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut names: Vec<String> =
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect();
    names.sort_unstable();
    names
}

/// To a process that may be gone already.
pub(crate) fn signal(pid: i32, signal: Signal) {
    let _ = kill_process(Pid::from_raw(pid).unwrap(), signal);
}

pub(crate) fn runs(pid: i32) -> bool {
    state(&format!("/proc/{pid}/stat")).is_some_and(|state| state != 'Z')
}

/// Whether all threads of a process have come to a stop, or are gone: a signal takes a moment.
pub(crate) fn is_stopped(pid: i32) -> bool {
    let threads = names(Path::new(&format!("/proc/{pid}/task")));
    let states = threads.iter().filter_map(|thread| state(&format!("/proc/{pid}/task/{thread}/stat")));
    states.into_iter().all(|state| matches!(state, 'T' | 'Z' | 'X'))
}

fn state(stat: &str) -> Option<char> {
    fs::read_to_string(stat).ok()?.rsplit_once(") ")?.1.chars().next()
}

/// True as soon as `holds` does, false when it still does not after that time.
pub(crate) fn within(time: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() > time {
            return false;
        }
        sleep(Duration::from_micros(100));
    }
    true
}
