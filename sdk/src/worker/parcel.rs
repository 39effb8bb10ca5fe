//! Bodies too large for a pipe, which would carry them in a hundred small pieces with both ends awake for each. They go
//! through the page's file instead, one at a time each way: written whole, told of through the pipe, read whole. What finds its
//! place taken goes through the pipe after all, so nobody ever waits here.

use std::io;

use rustix::{
    buffer::spare_capacity,
    fs::{FallocateFlags, fallocate},
    io::{Errno, pread, pwrite},
    process::{Resource, getrlimit},
};

use super::descriptors::Page;

/// Bodies from this size on: half a pipe.
pub(super) const PARCEL_BYTES: usize = 128 << 10;

/// Memory that a place keeps when it is empty.
const KEPT: u64 = 8 << 20;

/// Where in the page's file a direction has its place. No body is longer than 4 GiB.
#[derive(Debug, Clone, Copy)]
pub(super) enum Place {
    Inputs,
    Results,
}

impl Place {
    fn offset(self) -> u64 {
        match self {
            Place::Inputs => 1 << 33,
            Place::Results => 1 << 34,
        }
    }
}

/// Puts a body there; false if it cannot be had, for want of memory say.
pub(super) fn put(page: &Page, place: Place, body: &[u8]) -> bool {
    // The limit on file sizes counts for memory files too, and going over it is a deadly signal.
    if getrlimit(Resource::Fsize).current.is_some() {
        return false;
    }
    let mut written = 0;
    while written < body.len() {
        match pwrite(page.file(), &body[written..], place.offset() + written as u64) {
            Ok(0) => return false,
            Ok(count) => written += count,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}

/// Takes a body of this length out into an empty buffer.
pub(super) fn take(page: &Page, place: Place, length: usize, body: &mut Vec<u8>) -> io::Result<()> {
    body.clear();
    body.reserve(length);
    while body.len() < length {
        let offset = place.offset() + body.len() as u64;
        match pread(page.file(), spare_capacity(body), offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => {}
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    body.truncate(length);
    Ok(())
}

/// Gives the memory of an empty place back, beyond what is worth keeping.
pub(super) fn shrink(page: &Page, place: Place) {
    // Where the file system cannot punch holes the memory stays until the slot ends.
    let _ = fallocate(
        page.file(),
        FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
        place.offset() + KEPT,
        (1 << 32) - KEPT,
    );
}
