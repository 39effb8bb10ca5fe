//! What the tests share: the same test in a process of its own, watching processes, recording events.

use std::{
    any::type_name,
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::sleep,
    time::{Duration, Instant},
};

use cloud::names::{BACKEND_VAR, PROGRESS_VAR, SLOTS_VAR};
use serde_json::Value;

/// Names the test that a rerun is for.
const PART: &str = "CLOUD_TEST_PART";

/// No rerun takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(60);

/// One test in a process of its own: this program run again, for that test alone. For whatever concerns a
/// whole process: its environment, directory, stderr, children, end.
pub(crate) struct Rerun {
    name: &'static str,
    command: Command,
    folder: tempfile::TempDir,
}

impl Rerun {
    /// `None` in that process, where the test plays its part.
    pub(crate) fn of<F>(_test: F) -> Option<Rerun> {
        let (_crate, name) = type_name::<F>().split_once("::").unwrap();
        if std::env::var(PART).is_ok_and(|part| part == name) {
            return None;
        }
        let command = Rerun::command(&std::env::current_exe().unwrap(), name);
        Some(Rerun { name, command, folder: tempfile::tempdir().unwrap() })
    }

    fn command(program: &Path, test: &str) -> Command {
        let mut command = Command::new(program);
        command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
        Rerun::prepared(command, test)
    }

    fn prepared(mut command: Command, test: &str) -> Command {
        command.env(PART, test).stdin(Stdio::null());
        for variable in [BACKEND_VAR, SLOTS_VAR, PROGRESS_VAR] {
            command.env_remove(variable);
        }
        command
    }

    /// By another path to the same program. To be said before all else.
    pub(crate) fn program(mut self, program: &Path) -> Rerun {
        self.command = Rerun::command(program, self.name);
        self
    }

    /// On a terminal of a hundred columns, made by `script` of util-linux; all it says is then on stdout. To
    /// be said before all else.
    pub(crate) fn on_a_terminal(mut self) -> Rerun {
        let program = std::env::current_exe().unwrap();
        let line = format!(
            "stty cols 100; exec '{}' {} --exact --nocapture --test-threads=1",
            program.display(),
            self.name
        );
        let mut command = Command::new("script");
        command.args(["-qec", &line, "/dev/null"]).env("TERM", "xterm");
        self.command = Rerun::prepared(command, self.name);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Rerun {
        self.command.env(name, value);
        self
    }

    pub(crate) fn directory(mut self, directory: &Path) -> Rerun {
        self.command.current_dir(directory);
        self
    }

    pub(crate) fn start(mut self) -> Running {
        let file = |name| fs::File::create(self.folder.path().join(name)).unwrap();
        let child = self.command.stdout(file("stdout")).stderr(file("stderr")).spawn().unwrap();
        Running { child, folder: self.folder }
    }

    /// What it said; it must pass.
    pub(crate) fn output(self) -> Said {
        let (status, said) = self.start().end();
        // A name that matches no test would pass too.
        assert!(
            status.success() && said.stdout.contains("1 passed"),
            "{status}\n{}\n{}",
            said.stdout,
            said.stderr
        );
        said
    }
}

/// Runs `part` in a process of its own; for a test that is nothing but its part.
pub(crate) fn alone<F>(test: F, part: impl FnOnce()) {
    match Rerun::of(test) {
        Some(rerun) => drop(rerun.output()),
        None => part(),
    }
}

pub(crate) struct Running {
    child: Child,
    folder: tempfile::TempDir,
}

pub(crate) struct Said {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Said {
    /// What the process said behind `told: `.
    pub(crate) fn told(&self) -> String {
        self.stdout.lines().find_map(|line| line.split_once("told: ")).unwrap().1.to_string()
    }
}

impl Running {
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn end(mut self) -> (ExitStatus, Said) {
        let mut status = None;
        let ended = within(PATIENCE, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let read =
            |name| String::from_utf8_lossy(&fs::read(self.folder.path().join(name)).unwrap()).into_owned();
        let said = Said { stdout: read("stdout"), stderr: read("stderr") };
        if !ended {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
            panic!("the rerun hangs\n{}\n{}", said.stdout, said.stderr);
        }
        (status.unwrap(), said)
    }
}

/// True as soon as `holds` does, false when it still does not after that time.
pub(crate) fn within(time: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while !holds() {
        if begun.elapsed() > time {
            return false;
        }
        sleep(Duration::from_millis(2));
    }
    true
}

/// True when no such process runs; one that is dead and not yet reaped does not run.
pub(crate) fn is_gone(process: u32) -> bool {
    stat(process).is_none_or(|(state, _)| state == 'Z')
}

/// True as soon as none of them runs, false when one still does after that time.
pub(crate) fn all_gone_within(time: Duration, processes: &[u32]) -> bool {
    assert!(!processes.is_empty());
    within(time, || processes.iter().all(|process| is_gone(*process)))
}

/// All children of this process, dead ones that nobody reaped included.
pub(crate) fn children() -> Vec<u32> {
    let processes =
        fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    processes
        .filter(|process| stat(*process).is_some_and(|(_, parent)| parent == std::process::id()))
        .collect()
}

/// State and parent of a process.
fn stat(process: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before the last parenthesis may hold anything.
    let mut fields = stat.rsplit_once(") ")?.1.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// One at a time: for tests that measure time, and for those that leave little of it to others.
pub(crate) fn my_turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes from chunks, which run in other processes: one byte a visit, a file a topic.
#[derive(Clone, serde::Serialize, serde::Deserialize)]
pub(crate) struct Notes(PathBuf);

impl Notes {
    /// They live as long as the folder.
    pub(crate) fn new() -> (Notes, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        (Notes(folder.path().to_path_buf()), folder)
    }

    pub(crate) fn add(&self, topic: impl ToString) {
        use std::io::Write;
        let mut file =
            fs::File::options().append(true).create(true).open(self.0.join(topic.to_string())).unwrap();
        file.write_all(b".").unwrap();
    }

    pub(crate) fn count(&self, topic: impl ToString) -> usize {
        fs::metadata(self.0.join(topic.to_string())).map_or(0, |file| file.len() as usize)
    }

    /// The topics, where they are processes.
    pub(crate) fn processes(&self) -> Vec<u32> {
        let topics =
            fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        topics.map(|topic| topic.parse().unwrap()).collect()
    }
}

/// A reporter that keeps everything, as JSON.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Vec<Value>>>);

impl cloud::Reporter for Recorder {
    fn report(&mut self, event: &cloud::Event<'_>) {
        self.0.lock().unwrap().push(serde_json::to_value(event).unwrap());
    }
}

impl Recorder {
    pub(crate) fn events(&self) -> Vec<Value> {
        self.0.lock().unwrap().clone()
    }

    /// The events of one kind, such as `started`.
    pub(crate) fn only(&self, kind: &str) -> Vec<Value> {
        self.events().into_iter().filter(|event| event["event"] == kind).collect()
    }
}
