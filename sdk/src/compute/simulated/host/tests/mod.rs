//! With real processes: hosts are this test program started again, workers are shells.

mod deaths;
mod lives;

use std::{
    fs,
    path::Path,
    thread::sleep,
    time::{Duration, Instant},
};

use pollster::block_on;
use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use super::{Hosted, Program};
use crate::compute::{Child, Compute, ComputeErrorKind, Job, JobId, JobSpec, JobState, simulated::Rules};

const SOON: Duration = Duration::from_secs(20);

/// A folder, which goes with what it holds.
struct Scene {
    folder: tempfile::TempDir,
    rules: Rules,
}

impl Scene {
    fn new() -> Scene {
        let rules = Rules {
            shortest_timeout: Duration::ZERO,
            stop_grace: Duration::from_millis(300),
            ..Rules::default()
        };
        Scene { folder: tempfile::tempdir().unwrap(), rules }
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A client whose workers run this script; `$HERE` is the folder.
    fn client(&self, script: &str) -> Hosted {
        let mut program = Program::at("/bin/sh".into());
        program.arguments = vec!["-c".into(), script.into()];
        program.environment.push(("HERE".into(), self.path().into()));
        Hosted::new(self.path(), self.rules.clone(), program).unwrap()
    }

    /// A file that a script has written in one go.
    fn note(&self, name: &str) -> String {
        let path = self.path().join(name);
        let read = || fs::read_to_string(&path).ok().filter(|text| text.ends_with('\n'));
        assert!(within(SOON, || read().is_some()), "{name} is not there");
        read().unwrap().trim_end().to_string()
    }

    fn process(&self, name: &str) -> Process {
        Process(Pid::from_raw(self.note(name).parse().unwrap()).unwrap())
    }
}

impl Drop for Scene {
    /// A worker may be writing yet.
    fn drop(&mut self) {
        within(SOON, || fs::remove_dir_all(self.path()).is_ok() || !self.path().exists());
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process(Pid);

impl Process {
    /// Dead, or a zombie that somebody will reap.
    fn is_gone(self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.as_raw_pid()));
        let zombie = stat.is_ok_and(|stat| stat.rsplit(')').next().unwrap().starts_with(" Z"));
        zombie || test_kill_process(self.0).is_err()
    }

    fn ends(self) -> bool {
        within(SOON, || self.is_gone())
    }

    fn kill(self) {
        kill_process(self.0, Signal::KILL).unwrap();
    }
}

fn spec(workers: u32) -> JobSpec {
    JobSpec {
        name: "run-r1".to_string(),
        workers,
        environment: vec![("CLOUD_RUN".to_string(), "here".to_string())],
        milli_vcpus: 1000,
        memory: 2048,
        attempts: 1,
        attempt_timeout: Duration::from_secs(60),
    }
}

fn submit(client: &Hosted, spec: &JobSpec) -> JobId {
    block_on(client.submit(spec)).unwrap()
}

fn job(client: &Hosted, id: &JobId) -> Job {
    block_on(client.describe(std::slice::from_ref(id))).unwrap().remove(0)
}

/// The job as it ends.
fn end(client: &Hosted, id: &JobId) -> Job {
    assert!(within(SOON, || job(client, id).state.is_terminal()), "{:?}", job(client, id));
    job(client, id)
}

fn children(client: &Hosted, id: &JobId, state: JobState) -> Vec<Child> {
    block_on(client.children(id, state)).unwrap()
}

fn within(time: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() > time {
            return false;
        }
        sleep(Duration::from_millis(2));
    }
    true
}
