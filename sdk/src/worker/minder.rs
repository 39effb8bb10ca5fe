//! Looks after one slot process on a thread of its own: passes its stderr on, and reaps it. It must not depend on anyone
//! polling a future, or a chunk that prints would block.

use std::{
    collections::VecDeque,
    os::fd::{AsFd, OwnedFd},
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::{
    buffer::spare_capacity,
    event::{PollFd, PollFlags, poll},
    io::{Errno, read, retry_on_intr},
    process::{Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process_group, waitid},
};

use super::{process::Exit, screen};

/// Lines of stderr kept for a failure, and the length each is cut to.
const TAIL_LINES: usize = 20;
const TAIL_LINE_BYTES: usize = 1000;

/// A line longer than this is passed on in pieces.
const LONGEST_LINE: usize = 64 << 10;

/// Reads that empty a pipe, with some to spare. A process that never stops printing is not read for ever by anyone who waits.
const READS_AT_ONCE: usize = 16;

/// One process's stderr and its end.
#[derive(Debug)]
pub(super) struct Minder {
    pid: Pid,
    /// The process that started it. A fork of that one has this value too, but nothing to say here.
    owner: Pid,
    /// Apart from `heard`, so that killing never waits for printing.
    life: Mutex<Life>,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Life {
    reaped: bool,
    exit: Option<Exit>,
}

#[derive(Debug)]
struct Heard {
    stderr: OwnedFd,
    line: Vec<u8>,
    tail: Tail,
}

/// What one read gave.
struct Got {
    /// To be printed, without the lock: the client's own stderr may be slow.
    text: Vec<u8>,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    More,
    Empty,
    /// No process can write to it any more.
    Closed,
}

impl Minder {
    pub(super) fn new(pid: Pid, stderr: OwnedFd) -> Minder {
        let heard = Heard { stderr, line: Vec::new(), tail: Tail::default() };
        Minder { pid, owner: getpid(), life: Mutex::default(), heard: Mutex::new(heard) }
    }

    /// The process's largest resident memory, KiB; 0 once it is dead.
    pub(super) fn peak_memory(&self) -> u64 {
        let life = self.life.lock().unwrap_or_else(PoisonError::into_inner);
        if life.reaped {
            return 0;
        }
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid.as_raw_nonzero()));
        let status = status.unwrap_or_default();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
    }

    /// Kills the process group; never once the process is reaped: until then its number cannot be anyone else's.
    pub(super) fn kill(&self) {
        let life = lock(&self.life);
        if !life.reaped && self.owner == getpid() {
            let _ = kill_process_group(self.pid, Signal::KILL);
        }
    }

    /// How it ended, once it is reaped.
    pub(super) fn exit(&self) -> Option<Exit> {
        lock(&self.life).exit
    }

    pub(super) fn pass_prints_on(&self) {
        self.catch_up();
        let unfinished = lock(&self.heard).take_line();
        screen::write(&unfinished);
    }

    pub(super) fn take_last_lines(&self) -> Vec<String> {
        self.catch_up();
        let (end, tail) = {
            let mut heard = lock(&self.heard);
            (heard.end_line(), heard.tail.take())
        };
        screen::write(&end);
        tail
    }

    /// The thread's work, until the process is dead and reaped.
    pub(super) fn attend(&self, ended: &OwnedFd) {
        let Ok(stderr) = lock(&self.heard).stderr.try_clone() else { return };
        let mut state = State::Empty;
        loop {
            let mut fds = vec![PollFd::new(ended, PollFlags::IN)];
            if state != State::Closed {
                fds.push(PollFd::new(&stderr, PollFlags::IN));
            }
            if let Err(error) = poll(&mut fds, None)
                && error != Errno::INTR
            {
                return;
            }
            if fds[0].revents().is_empty() {
                state = self.listen();
                continue;
            }
            // Its children go with it: nothing of a run is left running.
            self.kill();
            self.catch_up();
            let end = lock(&self.heard).end_line();
            screen::write(&end);
            let mut life = lock(&self.life);
            let reaped = retry_on_intr(|| waitid(WaitId::PidFd(ended.as_fd()), WaitIdOptions::EXITED));
            life.exit = Some(reaped.ok().flatten().map_or(Exit::Unknown, |status| Exit::of(&status)));
            life.reaped = true;
            return;
        }
    }

    fn catch_up(&self) {
        for _ in 0..READS_AT_ONCE {
            if self.listen() != State::More {
                return;
            }
        }
    }

    /// One read, and what it gave printed.
    fn listen(&self) -> State {
        let Got { text, state } = lock(&self.heard).read();
        screen::write(&text);
        state
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Heard {
    fn read(&mut self) -> Got {
        self.line.reserve(LONGEST_LINE);
        let before = self.line.len();
        let state = match read(&self.stderr, spare_capacity(&mut self.line)) {
            Ok(0) => State::Closed,
            Ok(_) | Err(Errno::INTR) => State::More,
            Err(_) => State::Empty,
        };
        let newline = self.line[before..].iter().rposition(|byte| *byte == b'\n');
        let text = match newline {
            Some(newline) => self.take(before + newline + 1),
            None if self.line.len() > LONGEST_LINE => self.end_line(),
            None => Vec::new(),
        };
        Got { text, state }
    }

    fn end_line(&mut self) -> Vec<u8> {
        if !self.line.is_empty() {
            self.line.push(b'\n');
        }
        self.take_line()
    }

    fn take_line(&mut self) -> Vec<u8> {
        self.take(self.line.len())
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let text: Vec<u8> = self.line.drain(..length).collect();
        if !text.is_empty() {
            for line in text.strip_suffix(b"\n").unwrap_or(&text).split(|byte| *byte == b'\n') {
                self.tail.push(line);
            }
        }
        text
    }
}

#[derive(Debug, Default)]
struct Tail(VecDeque<String>);

impl Tail {
    fn push(&mut self, line: &[u8]) {
        if self.0.len() == TAIL_LINES {
            self.0.pop_front();
        }
        self.0.push_back(String::from_utf8_lossy(&line[..line.len().min(TAIL_LINE_BYTES)]).into_owned());
    }

    fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.0).into()
    }
}
