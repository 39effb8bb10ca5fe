//! Starts a program in a folder of its own and waits for its end.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// Far more than any of these takes on a busy machine.
const LONGEST: Duration = Duration::from_secs(120);

/// A program about to be started.
pub(crate) struct Program {
    command: Command,
    folder: TempDir,
}

/// How it ended, and what it printed.
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) folder: TempDir,
}

impl Program {
    /// Arguments are separated by blanks.
    pub(crate) fn new(path: &str, arguments: &str) -> Program {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(path);
        command.args(arguments.split_whitespace()).current_dir(&folder).stdin(Stdio::null());
        // Whoever runs the tests may have settings of their own.
        for name in ["CLOUD_BACKEND", "CLOUD_SLOTS", "CLOUD_PROGRESS", "SEEDBENCH_GRID", "SEEDBENCH_NAPS"] {
            command.env_remove(name);
        }
        Program { command, folder }
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Program {
        self.command.env(name, value);
        self
    }

    /// Puts a file into the program's folder, and its path into a variable.
    pub(crate) fn env_file(self, name: &str, content: &[u8]) -> Program {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        self.env(name, path)
    }

    /// With a stdout that nobody reads any more.
    pub(crate) fn run_unread(mut self) -> Ended {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        self.command.stdout(writer);
        self.wait()
    }

    pub(crate) fn run(mut self) -> Ended {
        self.command.stdout(File::create(self.path("stdout")).unwrap());
        self.wait()
    }

    fn wait(mut self) -> Ended {
        // Into a file: a slot that outlived the program would hold a pipe open, and us up.
        self.command.stderr(File::create(self.path("stderr")).unwrap());
        let mut child = self.command.spawn().unwrap();
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > LONGEST {
                child.kill().unwrap();
                panic!("{:?} still ran after {LONGEST:?}", self.command);
            }
            sleep(Duration::from_millis(2));
        };
        let text = |name| fs::read_to_string(self.path(name)).unwrap_or_default();
        Ended { code: status.code(), stdout: text("stdout"), stderr: text("stderr"), folder: self.folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Ended {
    /// The lines of stdout, once the program has ended well.
    pub(crate) fn lines(&self) -> Vec<&str> {
        assert_eq!(self.code, Some(0), "stderr: {}", self.stderr);
        self.stdout.lines().collect()
    }

    /// The lines of stdout as JSON objects.
    pub(crate) fn objects(&self) -> Vec<serde_json::Value> {
        self.lines().into_iter().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Asserts that it ended as a program should whose reader went away: well, and with nothing to say.
    pub(crate) fn assert_quiet(&self) {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""));
    }
}
