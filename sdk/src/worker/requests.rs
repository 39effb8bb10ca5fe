//! A slot's end of the request pipe.

use std::{io, os::fd::OwnedFd};

use rustix::{
    buffer::spare_capacity,
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, read},
    thread::sched_yield,
};

use super::{
    descriptors::{Page, monotonic_nanos},
    frame::{HEADER, Header, Kind},
    parcel::{Direction, Inlet},
};
use crate::settings::spin;

/// Buffers above this go back to the allocator between runs.
const KEPT: usize = 8 << 20;

/// Frames from the parent.
pub(super) struct Requests {
    pipe: OwnedFd,
    /// Bytes read; `used` of them are done with.
    inbox: Vec<u8>,
    used: usize,
    /// Large bodies.
    parcels: Inlet,
}

impl Requests {
    pub(super) fn new(pipe: OwnedFd) -> Requests {
        Requests { pipe, inbox: Vec::new(), used: 0, parcels: Inlet::new(Direction::Inputs) }
    }

    /// Whether the next frame is, as far as is known here, still to come.
    pub(super) fn must_wait(&self) -> bool {
        self.inbox.len() - self.used < HEADER
    }

    /// The next frame's header; `None` when the parent has closed the pipe. The body before it is done with.
    pub(super) fn next_header(&mut self, page: &Page) -> io::Result<Option<Header>> {
        self.parcels.hand_back(page);
        if !self.fetch(HEADER)? {
            return Ok(None);
        }
        let header = Header::read(&self.inbox[self.used..])?;
        self.used += HEADER;
        Ok(Some(header))
    }

    /// That frame's body; `None` when the parent has closed the pipe.
    pub(super) fn body(&mut self, header: Header, page: &Page) -> io::Result<Option<&[u8]>> {
        let length = usize::try_from(header.body).map_err(io::Error::other)?;
        if header.kind == Kind::ChunksInParcel {
            return self.parcels.open(page, length).map(Some);
        }
        if !self.fetch(length)? {
            return Ok(None);
        }
        self.used += length;
        Ok(Some(&self.inbox[self.used - length..self.used]))
    }

    /// Reads until `count` unused bytes are here; false when the parent has closed the pipe.
    fn fetch(&mut self, count: usize) -> io::Result<bool> {
        const USUAL: usize = 64 << 10;
        if self.inbox.len() - self.used >= count {
            return Ok(true);
        }
        self.inbox.drain(..self.used);
        self.used = 0;
        if self.inbox.is_empty() && self.inbox.capacity() > KEPT && count <= KEPT {
            self.inbox = Vec::new();
        }
        while self.inbox.len() < count {
            let missing = count - self.inbox.len();
            self.inbox.reserve(missing.max(USUAL));
            self.look();
            match read(&self.pipe, spare_capacity(&mut self.inbox)) {
                Ok(0) => return Ok(false),
                Ok(_) => {}
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Returns when there is something to read, or when it is time to go to sleep over it.
    fn look(&self) {
        let patience = spin().as_nanos() as u64;
        let mut request = [PollFd::new(&self.pipe, PollFlags::IN)];
        let mut give_up = None;
        while patience > 0 && poll(&mut request, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) == Ok(0) {
            let now = monotonic_nanos();
            if now >= *give_up.get_or_insert(now + patience) {
                return;
            }
            sched_yield();
        }
    }
}
