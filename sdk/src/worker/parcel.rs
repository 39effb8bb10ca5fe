//! Bodies too large for a pipe, which would carry them in a hundred small pieces with both ends awake for each. They go
//! through the page's file instead: written whole, told of through the pipe, read where they lie. Each direction has two
//! places that take turns, so that one can be filled while the other is read. What finds its place taken goes through the
//! pipe after all, so nobody ever waits here.

use std::io;

use rustix::{
    fs::{FallocateFlags, fallocate},
    io::{Errno, pwrite},
    process::{Resource, getrlimit},
};

use super::descriptors::{Page, View};

/// Bodies from this size on: half a pipe.
pub(super) const PARCEL_BYTES: usize = 128 << 10;

/// Memory that a place keeps when it is empty.
const KEPT: u64 = 8 << 20;

/// Places of each direction.
const PLACES: usize = 2;

/// Room for one body: none is longer than 4 GiB.
const PLACE_BYTES: u64 = 1 << 32;

#[derive(Debug, Clone, Copy)]
pub(super) enum Direction {
    Inputs,
    Results,
}

impl Direction {
    /// Where in the page's file a place begins.
    fn offset(self, place: usize) -> u64 {
        let first = match self {
            Direction::Inputs => 1 << 33,
            Direction::Results => 1 << 34,
        };
        first + place as u64 * PLACE_BYTES
    }
}

/// The end that parcels leave from.
#[derive(Debug)]
pub(super) struct Outlet {
    direction: Direction,
    /// Parcels put so far.
    put: u64,
}

impl Outlet {
    pub(super) fn new(direction: Direction) -> Outlet {
        Outlet { direction, put: 0 }
    }

    /// Puts a body into the next place; false if it is too small to bother, or the place cannot be had.
    pub(super) fn put(&mut self, page: &Page, body: &[u8]) -> bool {
        let lying = self.put - page.taken(self.direction);
        let put = body.len() >= PARCEL_BYTES
            && lying < PLACES as u64
            // The limit on file sizes counts for memory files too, and going over it is a deadly signal.
            && getrlimit(Resource::Fsize).current.is_none()
            && write_whole(page, self.direction.offset(self.put as usize % PLACES), body);
        self.put += u64::from(put);
        put
    }
}

/// False for want of memory, say.
fn write_whole(page: &Page, offset: u64, body: &[u8]) -> bool {
    let mut written = 0;
    while written < body.len() {
        match pwrite(page.file(), &body[written..], offset + written as u64) {
            Ok(0) => return false,
            Ok(count) => written += count,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}

/// The end that parcels arrive at. Its places stay mapped: fresh mappings would cost as much as copying.
#[derive(Debug)]
pub(super) struct Inlet {
    direction: Direction,
    /// Parcels opened so far.
    opened: u64,
    views: [Option<View>; PLACES],
    /// The length of the parcel that was opened last, until it is handed back.
    open: Option<usize>,
}

impl Inlet {
    pub(super) fn new(direction: Direction) -> Inlet {
        Inlet { direction, opened: 0, views: [const { None }; PLACES], open: None }
    }

    /// Opens the next parcel, which was told of and has this length, in place of the one before.
    pub(super) fn open(&mut self, page: &Page, length: usize) -> io::Result<&[u8]> {
        self.hand_back(page);
        let place = self.opened as usize % PLACES;
        if self.views[place].as_ref().is_none_or(|view| view.length() < length) {
            self.views[place] = None;
            self.views[place] = Some(View::of(page, self.direction.offset(place), length)?);
        }
        self.opened += 1;
        self.open = Some(length);
        Ok(self.body())
    }

    /// The parcel that is open.
    pub(super) fn body(&self) -> &[u8] {
        let place = (self.opened as usize).wrapping_sub(1) % PLACES;
        match (self.open, &self.views[place]) {
            (Some(length), Some(view)) => view.bytes(length),
            _ => &[],
        }
    }

    /// Done with the parcel that is open, if any: its place may be filled again.
    pub(super) fn hand_back(&mut self, page: &Page) {
        if self.open.take().is_some() {
            page.count_taken(self.direction);
        }
    }
}

/// Gives the memory of empty places back, beyond what is worth keeping.
pub(super) fn shrink(page: &Page, direction: Direction) {
    for place in 0..PLACES {
        // Where the file system cannot punch holes the memory stays until the slot ends.
        let _ = fallocate(
            page.file(),
            FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
            direction.offset(place) + KEPT,
            PLACE_BYTES - KEPT,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_places_take_turns_and_a_third_body_finds_none() {
        let page = Page::create().unwrap();
        let (mut outlet, mut inlet) = (Outlet::new(Direction::Inputs), Inlet::new(Direction::Inputs));
        let body = |n: usize| vec![n as u8; PARCEL_BYTES + 5_000 * n];
        for n in 0..6 {
            assert!(outlet.put(&page, &body(2 * n)));
            assert!(outlet.put(&page, &body(2 * n + 1)));
            assert!(!outlet.put(&page, &body(0)), "both places are taken");
            for n in [2 * n, 2 * n + 1] {
                assert!(inlet.open(&page, body(n).len()).unwrap() == body(n));
            }
            inlet.hand_back(&page);
            assert!(inlet.body().is_empty());
        }
    }

    #[test]
    fn a_place_is_taken_until_it_is_handed_back() {
        let page = Page::create().unwrap();
        let (mut outlet, mut inlet) = (Outlet::new(Direction::Results), Inlet::new(Direction::Results));
        let body = vec![7; PARCEL_BYTES];
        assert!(outlet.put(&page, &body) && outlet.put(&page, &body));
        assert!(inlet.open(&page, body.len()).is_ok());
        assert!(!outlet.put(&page, &body));
        inlet.hand_back(&page);
        assert!(outlet.put(&page, &body));
    }

    #[test]
    fn small_bodies_and_lengths_that_were_never_written_are_refused() {
        let page = Page::create().unwrap();
        assert!(!Outlet::new(Direction::Inputs).put(&page, &[0; PARCEL_BYTES - 1]));
        assert!(Inlet::new(Direction::Inputs).open(&page, PARCEL_BYTES).is_err());
    }
}
