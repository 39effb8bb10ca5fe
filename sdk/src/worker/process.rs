//! A slot's process as its parent sees it: started, listened to, killed with all its children, reaped.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::{Command, Stdio},
    sync::Arc,
    thread,
};

use rustix::{
    fs::{OFlags, fcntl_setfl},
    io::{Errno, retry_on_intr},
    pipe::{PipeFlags, fcntl_setpipe_size, pipe_with},
    process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitIdStatus, pidfd_open, waitid},
};

use super::{descriptors::Page, minder::Minder};
use crate::{
    failure::{FailureKind, Fault},
    names::{PIPE_BYTES, SLOT_VAR},
};

/// What a slot's environment has beside its parent's, or (`None`) has not.
pub(crate) type ExtraEnv = BTreeMap<OsString, Option<OsString>>;

/// A running slot process. Dropping it kills its process group; a thread of its own reaps it.
#[derive(Debug)]
pub(super) struct Process {
    ended: Arc<OwnedFd>,
    minder: Arc<Minder>,
}

/// The parent's ends of a new slot.
#[derive(Debug)]
pub(super) struct Started {
    pub(super) process: Process,
    pub(super) requests: Arc<OwnedFd>,
    /// The slot's own end of `requests`, held open here too: a write can then never meet a broken pipe, whose signal
    /// would kill a client that has reset SIGPIPE. Death is told by the process descriptor instead.
    pub(super) _requests_far_end: OwnedFd,
    pub(super) results: Arc<OwnedFd>,
    pub(super) page: Page,
    pub(super) nonce: u64,
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    Code(i32),
    Signal(i32),
    /// Somebody else reaped it: the program ignores SIGCHLD, or waits for all children.
    Unknown,
}

impl Process {
    /// Starts this same program as a slot, by `posix_spawn` (std's way as long as nothing must run between fork and
    /// exec), so that a client of many gigabytes starts one as fast as a small one.
    pub(super) fn start(extra_env: &ExtraEnv) -> io::Result<Started> {
        let page = Page::create()?;
        let (requests_far_end, requests) = pipe()?;
        let (results, results_far_end) = pipe()?;
        let (stderr, stderr_far_end) = pipe()?;
        for fd in [&requests, &results, &stderr] {
            fcntl_setfl(fd, OFlags::NONBLOCK)?;
        }
        let nonce = nonce()?;
        let mut command = Command::new("/proc/self/exe");
        for (name, value) in extra_env {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let child = command
            .arg0(std::env::args_os().next().unwrap_or_else(|| "slot".into()))
            .env(SLOT_VAR, Ticket { parent: std::process::id(), nonce, page: page.number() }.to_string())
            .stdin(Stdio::from(requests_far_end.try_clone()?))
            .stdout(Stdio::from(results_far_end))
            .stderr(Stdio::from(stderr_far_end))
            .process_group(0)
            .spawn()?;
        page.keep_to_self()?;
        let pid = Pid::from_raw(child.id() as i32).ok_or(Errno::SRCH)?;
        let ended = Arc::new(pidfd_open(pid, PidfdFlags::empty())?);
        let minder = Arc::new(Minder::new(pid, stderr));
        let process = Process { ended: Arc::clone(&ended), minder: Arc::clone(&minder) };
        thread::Builder::new()
            .name("cloud-slot".into())
            .stack_size(128 << 10)
            .spawn(move || minder.attend(&ended))?;
        Ok(Started {
            process,
            requests: Arc::new(requests),
            _requests_far_end: requests_far_end,
            results: Arc::new(results),
            page,
            nonce,
        })
    }

    /// Readable from the moment that the process is dead.
    pub(super) fn ended(&self) -> &Arc<OwnedFd> {
        &self.ended
    }

    /// How it ended, once it has.
    pub(super) fn exit(&self) -> Option<Exit> {
        // WNOWAIT: the minder reaps it when it has read its last words.
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match retry_on_intr(|| waitid(WaitId::PidFd(self.ended.as_fd()), options)) {
            Ok(status) => status.map(|status| Exit::of(&status)),
            Err(_) => self.minder.exit().or(Some(Exit::Unknown)),
        }
    }

    /// Its largest resident memory, KiB; 0 if unknown.
    pub(super) fn peak_memory(&self) -> u64 {
        self.minder.peak_memory()
    }

    /// Kills the process and what it started in its process group.
    pub(super) fn kill(&self) {
        self.minder.kill();
    }

    /// Passes on what it has printed so far, an unfinished line too.
    pub(super) fn pass_prints_on(&self) {
        self.minder.pass_prints_on();
    }

    /// The last lines it wrote to stderr, and forgets them. For a process that is dead or unusable: its last line is ended.
    pub(super) fn take_last_lines(&self) -> Vec<String> {
        self.minder.take_last_lines()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Exit {
    pub(super) fn of(status: &WaitIdStatus) -> Exit {
        match (status.exit_status(), status.terminating_signal()) {
            (Some(code), _) => Exit::Code(code),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::Unknown,
        }
    }

    /// What this end means for the chunk that ran.
    pub(super) fn fault(self, last_lines: &[String]) -> Fault {
        let overflowed = last_lines.iter().any(|line| line.contains("has overflowed its stack"));
        match self {
            Exit::Code(code) => Fault::new(
                FailureKind::Exit { code },
                format!("user code ended the slot's process with exit code {code}"),
            ),
            Exit::Signal(_) if overflowed => Fault::new(
                FailureKind::StackOverflow,
                "the function's stack ran out (8 MiB unless `ulimit -s` differs)",
            ),
            Exit::Signal(number) if number == Signal::ABORT.as_raw() => {
                Fault::new(FailureKind::Abort, "user code aborted the slot's process")
            }
            Exit::Signal(number) => {
                let name = match Signal::from_named_raw(number) {
                    Some(Signal::SEGV) => "SIGSEGV, a bad memory access".to_string(),
                    Some(Signal::KILL) => "SIGKILL, perhaps by the kernel for want of memory".to_string(),
                    Some(Signal::BUS) => "SIGBUS, a bad memory access".to_string(),
                    Some(Signal::ILL) => "SIGILL, an illegal instruction".to_string(),
                    Some(Signal::FPE) => "SIGFPE, an arithmetic error".to_string(),
                    Some(Signal::TERM) => "SIGTERM".to_string(),
                    _ => format!("signal {number}"),
                };
                Fault::new(FailureKind::Signal { number }, format!("the slot's process was ended by {name}"))
            }
            Exit::Unknown => Fault::new(
                FailureKind::Signal { number: 0 },
                "the slot's process ended; how is unknown, since this program reaps or ignores its children itself",
            ),
        }
    }
}

/// How a slot learns who started it: the value of [`SLOT_VAR`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    pub(super) parent: u32,
    pub(super) nonce: u64,
    pub(super) page: i32,
}

impl std::fmt::Display for Ticket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.parent, self.nonce, self.page)
    }
}

impl std::str::FromStr for Ticket {
    type Err = io::Error;

    fn from_str(text: &str) -> io::Result<Ticket> {
        let mut parts = text.split(':');
        let mut next = || parts.next().ok_or_else(|| io::Error::other("a part is missing"));
        Ok(Ticket {
            parent: next()?.parse().map_err(io::Error::other)?,
            nonce: next()?.parse().map_err(io::Error::other)?,
            page: next()?.parse().map_err(io::Error::other)?,
        })
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC)?;
    // A user who is over the limit for pipe memory gets the small pipe: slower, not wrong.
    let _ = fcntl_setpipe_size(&writer, PIPE_BYTES);
    Ok((reader, writer))
}

fn nonce() -> io::Result<u64> {
    let mut bytes = [0; 8];
    rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())?;
    Ok(u64::from_le_bytes(bytes))
}
