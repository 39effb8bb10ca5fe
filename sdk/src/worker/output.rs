//! A slot's results on their way out: gathered while chunks are quick, never held back while one is slow.

use std::{
    io,
    os::fd::{AsFd, OwnedFd},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    io::{Errno, read, write},
    process::{Pid, PidfdFlags, Signal, getpid, getppid, kill_process_group, pidfd_open},
};

/// Results gathered before they are written anyway.
const GATHERED_BYTES: usize = 64 << 10;

/// How often the guard writes out what a long chunk holds up.
const FLUSH_EVERY: Duration = Duration::from_millis(1);

/// Looks in vain before the guard goes to sleep.
const IDLE_LOOKS: u32 = 4;

/// The writing end of the results pipe.
pub(super) struct Output {
    shared: Arc<Shared>,
}

struct Shared {
    pipe: OwnedFd,
    gathered: Mutex<Vec<u8>>,
    /// The guard sleeps and must be told of gathered results.
    asleep: AtomicBool,
    bell: OwnedFd,
}

impl Output {
    /// Starts the guard thread too: it writes out results that wait behind a long chunk, and ends this process group when
    /// the parent is gone.
    pub(super) fn start(pipe: OwnedFd, parent: Pid) -> io::Result<Output> {
        let parent_ended = pidfd_open(parent, PidfdFlags::empty())?;
        // Only now, when the descriptor cannot come to mean another process.
        if getppid() != Some(parent) {
            return Err(io::Error::other("the parent is gone"));
        }
        let shared = Arc::new(Shared {
            pipe,
            gathered: Mutex::new(Vec::with_capacity(2 * GATHERED_BYTES)),
            asleep: AtomicBool::new(true),
            bell: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
        });
        let guard = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("cloud-guard".into())
            .stack_size(64 << 10)
            .spawn(move || guard.guard(&parent_ended))?;
        Ok(Output { shared })
    }

    /// Adds a whole record. It goes out when enough is gathered, at the next [`flush`](Output::flush), or after a
    /// millisecond by the guard. True if it has waited for the pipe.
    #[inline]
    pub(super) fn push(&self, header: &[u8], body: &[u8]) -> io::Result<bool> {
        let mut gathered = self.shared.gathered();
        gathered.extend_from_slice(header);
        if body.len() >= GATHERED_BYTES {
            self.shared.flush(&mut gathered)?;
            self.shared.write(body)?;
            return Ok(true);
        }
        gathered.extend_from_slice(body);
        let full = gathered.len() >= GATHERED_BYTES;
        if full {
            self.shared.flush(&mut gathered)?;
        }
        Ok(full)
    }

    pub(super) fn flush(&self) -> io::Result<()> {
        self.shared.flush(&mut self.shared.gathered())
    }

    /// Sees to it that what is gathered goes out although user code is about to run.
    #[inline]
    pub(super) fn leave_to_guard(&self) {
        if self.shared.asleep.load(Ordering::SeqCst) && self.shared.asleep.swap(false, Ordering::SeqCst) {
            let _ = write(&self.shared.bell, &1u64.to_ne_bytes());
        }
    }
}

impl Shared {
    fn gathered(&self) -> MutexGuard<'_, Vec<u8>> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn flush(&self, gathered: &mut Vec<u8>) -> io::Result<()> {
        self.write(gathered)?;
        gathered.clear();
        Ok(())
    }

    /// Under the lock, so that records stay whole.
    fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match write(&self.pipe, bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn guard(&self, parent_ended: &OwnedFd) {
        let mut idle_looks = IDLE_LOOKS;
        loop {
            let sleep = idle_looks >= IDLE_LOOKS;
            if sleep {
                self.asleep.store(true, Ordering::SeqCst);
                // What was pushed before that rang no bell. Under the lock, so nothing is pushed unseen.
                if !self.gathered().is_empty() && self.asleep.swap(false, Ordering::SeqCst) {
                    idle_looks = 0;
                    continue;
                }
            }
            let mut fds = [
                PollFd::new(parent_ended, PollFlags::IN),
                PollFd::from_borrowed_fd(self.bell.as_fd(), PollFlags::IN),
            ];
            let tick = Timespec { tv_sec: 0, tv_nsec: FLUSH_EVERY.as_nanos() as i64 };
            // Awake, only time and the parent count; the bell stays unrung.
            let watched = if sleep { &mut fds[..] } else { &mut fds[..1] };
            match poll(watched, if sleep { None } else { Some(&tick) }) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(_) => return,
            }
            if !fds[0].revents().is_empty() {
                // However the parent ended: a slot, and what user code started in it, must not outlive it.
                let _ = kill_process_group(getpid(), Signal::KILL);
            }
            if sleep {
                let _ = read(&self.bell, &mut [0; 8]);
                idle_looks = 0;
                continue;
            }
            let mut gathered = self.gathered();
            idle_looks = if gathered.is_empty() { idle_looks + 1 } else { 0 };
            if self.flush(&mut gathered).is_err() {
                return;
            }
        }
    }
}
