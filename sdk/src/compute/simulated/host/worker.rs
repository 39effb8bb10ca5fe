//! One worker's process and its output.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::{
    buffer::spare_capacity,
    event::{PollFd, PollFlags, poll},
    fs::{OFlags, fcntl_setfl},
    io::{Errno, read, retry_on_intr},
    pipe::{PipeFlags, pipe_with},
    process::{
        Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, pidfd_open, waitid,
    },
};

use super::talk::Program;
use crate::{
    compute::simulated::{Container, Ended},
    names::WORKER_VAR,
};

/// More than this of an attempt's output is not kept.
const LOG_BYTES: u64 = 64 << 20;

const READ_BYTES: usize = 64 << 10;

/// A pipe holds no more of these.
const READS_AT_END: usize = 16;

/// A job's program, opened.
#[derive(Debug)]
pub(super) struct Launch {
    file: File,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
}

/// A running worker: the leader of its process group. Dropping it kills it; nobody else reaps it.
#[derive(Debug)]
pub(super) struct Worker {
    pid: Pid,
    ended: OwnedFd,
    output: OwnedFd,
    log: Log,
    reaped: bool,
}

/// Made when there is something to say.
#[derive(Debug)]
struct Log {
    path: PathBuf,
    file: Option<File>,
    room: u64,
}

impl Launch {
    pub(super) fn open(program: Program) -> io::Result<Launch> {
        let Program { path, arguments, environment } = program;
        Ok(Launch { file: File::open(path)?, arguments, environment })
    }

    pub(super) fn start(&self, container: &Container, logs: &Path) -> io::Result<Worker> {
        let (output, far_end) = pipe_with(PipeFlags::CLOEXEC)?;
        fcntl_setfl(&output, OFlags::NONBLOCK)?;
        // Closed on exec, so after the new program is found.
        let mut child = Command::new(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
            .arg0("worker")
            .args(&self.arguments)
            .env_clear()
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .envs(container.environment.iter().map(|(name, value)| (name, value)))
            .env(WORKER_VAR, std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::from(far_end.try_clone()?))
            .stderr(Stdio::from(far_end))
            .process_group(0)
            .spawn()?;
        let pid = Pid::from_raw(child.id() as i32).ok_or(Errno::SRCH)?;
        let ended = pidfd_open(pid, PidfdFlags::empty()).inspect_err(|_| {
            // Out of descriptors: nobody would see its end.
            let _ = child.kill().and_then(|()| child.wait());
        })?;
        let (job, id) = (&container.job.0, container.id);
        let path = logs.join(format!("{job}-{}-{}.log", id.index, id.attempt));
        let log = Log { path, file: None, room: LOG_BYTES };
        Ok(Worker { pid, ended, output, log, reaped: false })
    }
}

impl Worker {
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Keeps what it prints, until it has ended.
    pub(super) fn attend(&mut self) {
        let mut open = true;
        loop {
            let mut fds = vec![PollFd::new(&self.ended, PollFlags::IN)];
            if open {
                fds.push(PollFd::new(&self.output, PollFlags::IN));
            }
            if retry_on_intr(|| poll(&mut fds, None)).is_err() {
                return;
            }
            if fds[0].revents().is_empty() {
                open = self.listen() != Some(0);
                continue;
            }
            // Its children may hold the pipe open and print on: only what is there already is its own.
            for _ in 0..READS_AT_END {
                if self.listen().is_none_or(|length| length == 0) {
                    return;
                }
            }
            return;
        }
    }

    /// Kills what is left of its group, and says how it ended. Waits until it has.
    pub(super) fn reap(&mut self) -> Ended {
        self.reaped = true;
        kill(self.pid);
        let status = retry_on_intr(|| waitid(WaitId::PidFd(self.ended.as_fd()), WaitIdOptions::EXITED));
        let status = status.ok().flatten();
        let code = status.and_then(|status| {
            let signal = || status.terminating_signal().map(|signal| 128 + signal);
            status.exit_status().or_else(signal)
        });
        code.map_or(Ended::HostLost, Ended::Exited)
    }

    /// How much one read gave; `None` if there is nothing at the moment.
    fn listen(&mut self) -> Option<usize> {
        let mut bytes = Vec::with_capacity(READ_BYTES);
        let length = read(&self.output, spare_capacity(&mut bytes)).ok()?;
        self.log.write(&bytes);
        Some(length)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        if !self.reaped {
            self.reap();
        }
    }
}

/// To the process alone; it tells its own children.
pub(super) fn ask_to_stop(pid: Pid) {
    let _ = kill_process(pid, Signal::TERM);
}

/// To all of its group. Slots have groups of their own, and end with their worker.
pub(super) fn kill(pid: Pid) {
    let _ = kill_process_group(pid, Signal::KILL);
}

impl Log {
    /// What cannot be written is lost: a worker does not fail for its log.
    fn write(&mut self, bytes: &[u8]) {
        if bytes.is_empty() || self.room == 0 {
            return;
        }
        let length = bytes.len().min(self.room.try_into().unwrap_or(usize::MAX));
        self.room -= length as u64;
        let opened = || OpenOptions::new().create(true).append(true).open(&self.path).ok();
        if let Some(file) = self.file.take().or_else(opened) {
            let _ = (&file).write_all(&bytes[..length]);
            if self.room == 0 {
                let _ = writeln!(&file, "\ncloud: more than {} MiB; the rest is not kept", LOG_BYTES >> 20);
            }
            self.file = Some(file);
        }
    }
}
