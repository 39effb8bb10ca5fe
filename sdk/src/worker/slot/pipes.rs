//! Bytes to and from one slot, and the events that tell of them.

use std::{
    io::{self, IoSlice},
    os::fd::OwnedFd,
    sync::Arc,
    task::{Context, Poll},
};

use async_io::Async;
use rustix::{
    buffer::spare_capacity,
    event::{PollFd, PollFlags},
    io::{Errno, read, writev},
};

use super::Slot;
use crate::worker::{batch::Frame, frame::Record, process::Started};

/// Bytes read from one slot before the others have their turn.
const READ_AT_ONCE: usize = 256 << 10;

/// The slot's descriptors with the reactor. Made when an executor first waits for this slot: a program that only blocks
/// never starts the reactor's thread.
#[derive(Debug)]
pub(super) struct Bells {
    results: Async<Arc<OwnedFd>>,
    ended: Async<Arc<OwnedFd>>,
    requests: Async<Arc<OwnedFd>>,
}

impl Bells {
    fn new(started: &Started) -> io::Result<Bells> {
        Ok(Bells {
            results: Async::new_nonblocking(Arc::clone(&started.results))?,
            ended: Async::new_nonblocking(Arc::clone(started.process.ended()))?,
            requests: Async::new_nonblocking(Arc::clone(&started.requests))?,
        })
    }
}

impl Slot {
    /// Writes until the pipe is full; true if anything went.
    pub(in crate::worker) fn write(&mut self) -> io::Result<bool> {
        let mut any = false;
        while self.has_unsent() {
            // A run's frame and its first chunks go together, or the slot would be woken twice.
            let unsent = |at: usize| self.frames.get(self.unsent + at).map_or(&[][..], Frame::bytes);
            let pair = [IoSlice::new(&unsent(0)[self.sent_bytes..]), IoSlice::new(unsent(1))];
            match writev(&self.started.requests, &pair) {
                Ok(count) => {
                    any = true;
                    self.sent_bytes += count;
                    while let Some(frame) = self.frames.get(self.unsent)
                        && self.sent_bytes >= frame.bytes().len()
                    {
                        self.sent_bytes -= frame.bytes().len();
                        self.unsent += 1;
                    }
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(any)
    }

    /// Reads what is there, up to a bound; true if anything came.
    pub(in crate::worker) fn read(&mut self) -> io::Result<bool> {
        // Whole results are taken before more is read, so this moves less than one result.
        self.inbox.drain(..self.parsed);
        self.parsed = 0;
        let before = self.inbox.len();
        while self.inbox.len() - before < READ_AT_ONCE {
            self.inbox.reserve(self.worth_reading());
            let room = self.inbox.capacity() - self.inbox.len();
            match read(&self.started.results, spare_capacity(&mut self.inbox)) {
                // A pipe gives all it has, so less than asked for means that it is empty.
                Ok(count) if count < room => break,
                Ok(_) => {}
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(self.inbox.len() > before)
    }

    /// The rest of a large result in one piece, else as much as a pipe usually holds.
    fn worth_reading(&self) -> usize {
        const USUAL: usize = 64 << 10;
        let whole = if self.greeted { Record::length_in_pipe(&self.inbox) } else { None };
        whole.map_or(USUAL, |whole| whole.saturating_sub(self.inbox.len()).max(USUAL))
    }

    /// What to wait for: results, death, and room in the pipe if something is unsent.
    pub(in crate::worker) fn events<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        fds.push(PollFd::new(&self.started.results, PollFlags::IN));
        fds.push(PollFd::new(self.started.process.ended(), PollFlags::IN));
        if self.has_unsent() {
            fds.push(PollFd::new(&self.started.requests, PollFlags::OUT));
        }
    }

    /// Acts on what [`events`](Slot::events) asked for, in its order; true if anything moved.
    pub(in crate::worker) fn exchange(&mut self, ready: &mut impl Iterator<Item = bool>) -> io::Result<bool> {
        let mut next = || ready.next().unwrap_or(false);
        let (readable, ended) = (next(), next());
        let writable = self.has_unsent() && next();
        if ended {
            self.exit = self.started.process.exit();
        }
        let mut moved = self.exit.is_some();
        if moved {
            // All it ever wrote is in the pipe by now.
            while self.read()? {}
        } else if readable {
            moved |= self.read()?;
        }
        if writable {
            moved |= self.write()?;
        }
        Ok(moved)
    }

    /// Asks to be woken for any of the same.
    pub(in crate::worker) fn wake_on_events(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let bells = match &mut self.bells {
            Some(bells) => bells,
            none => none.insert(Bells::new(&self.started)?),
        };
        let results = bells.results.poll_readable(cx);
        let ended = bells.ended.poll_readable(cx);
        let room =
            if self.unsent < self.frames.len() { bells.requests.poll_writable(cx) } else { Poll::Pending };
        for ready in [results, ended, room] {
            if let Poll::Ready(ready) = ready {
                ready?;
                // Perhaps stale, perhaps news since the last look: look again either way.
                cx.waker().wake_by_ref();
            }
        }
        Ok(())
    }
}
