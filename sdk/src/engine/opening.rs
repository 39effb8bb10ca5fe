//! Takes pieces of outcome objects apart, into one chunk after the other.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use bytes::Bytes;

use crate::{
    error::{Error, Result},
    event::SlotUse,
    failure::Fault,
    function::Codec,
    wire::{
        Incarnation, Uncounted, Unreadable,
        outcome::{self, FRAME_HEADER, frame_bytes, split_frame, split_header},
    },
    worker::{Body, Raw},
};

/// The block that is being taken apart.
#[derive(Debug)]
pub(crate) struct Opening {
    current: Raw,
    /// Where the current chunk's value is in `bytes`.
    value: Range<usize>,
    bytes: Bytes,
    at: usize,
    /// The beginning of a frame whose end is in a later piece.
    partial: Vec<u8>,
    next: u64,
    left: u32,
    /// First chunk of the block whose pieces are coming.
    block: Option<u64>,
    missing: Option<Uncounted>,
    /// Workers are numbered as their outcomes come.
    workers: BTreeMap<Incarnation, usize>,
    worker: usize,
    slots_per_worker: usize,
    used: Vec<SlotUse>,
    value_bytes: u64,
}

impl Opening {
    pub(crate) fn new(slots_per_worker: u32) -> Opening {
        Opening {
            current: Raw { index: 0, slot: None, attempt: 0, elapsed: 0, body: Body::Value(Codec::Postcard) },
            value: 0..0,
            bytes: Bytes::new(),
            at: 0,
            partial: Vec::new(),
            next: 0,
            left: 0,
            block: None,
            missing: None,
            workers: BTreeMap::new(),
            worker: 0,
            slots_per_worker: slots_per_worker.max(1) as usize,
            used: Vec::new(),
            value_bytes: 0,
        }
    }

    /// The next piece of the block that begins with chunk `first`.
    ///
    /// # Errors
    /// When it is not a block of outcomes, or damaged.
    pub(crate) fn add(&mut self, first: u64, piece: Bytes) -> Result<()> {
        if self.block == Some(first) {
            self.partial.extend_from_slice(&self.bytes[self.at..]);
            self.at = 0;
            if self.partial.is_empty() {
                self.bytes = piece;
            } else {
                self.partial.extend_from_slice(&piece);
                let whole = frame_bytes(&self.partial).is_some_and(|bytes| bytes <= self.partial.len());
                self.bytes = if whole { std::mem::take(&mut self.partial).into() } else { Bytes::new() };
            }
            return Ok(());
        }
        self.finish()?;
        let damaged = |error: &Unreadable| unreadable(first, error);
        let header = split_header(&piece).map_err(|error| damaged(&error))?;
        let Some((header, rest)) = header else {
            return Err(damaged(&Unreadable::damaged("block of outcomes", "it ends within its header")));
        };
        let workers = self.workers.len();
        self.worker = *self.workers.entry(header.incarnation).or_insert(workers);
        self.at = piece.len() - rest.len();
        self.bytes = piece;
        self.next = first;
        self.left = header.chunks;
        self.block = Some(first);
        Ok(())
    }

    /// A block without outcomes, and why.
    ///
    /// # Errors
    /// When the block before it is damaged.
    pub(crate) fn add_missing(&mut self, first: u64, chunks: u32, uncounted: Uncounted) -> Result<()> {
        self.finish()?;
        self.next = first;
        self.left = chunks;
        self.missing = Some(uncounted);
        Ok(())
    }

    /// No further piece of the current block will come.
    ///
    /// # Errors
    /// When it has too few bytes for its chunks, or too many.
    pub(crate) fn finish(&mut self) -> Result<()> {
        let Some(first) = self.block.take() else { return Ok(()) };
        let what = "block of outcomes";
        if self.left > 0 {
            return Err(unreadable(first, &Unreadable::damaged(what, "it ends before its last chunk")));
        }
        if self.at < self.bytes.len() || !self.partial.is_empty() {
            return Err(unreadable(first, &Unreadable::damaged(what, "it goes on after its last chunk")));
        }
        Ok(())
    }

    /// Makes the next chunk the current one; false if a further piece is needed.
    ///
    /// # Errors
    /// When the block is damaged.
    pub(crate) fn next(&mut self) -> Result<bool> {
        if self.left == 0 {
            self.missing = None;
            return Ok(false);
        }
        let index = self.next as usize;
        if let Some(Uncounted { kind, reason, .. }) = &self.missing {
            let failure = Fault::new(kind.clone(), reason.clone()).of(index, 0, None, Vec::new());
            self.current = Raw { index, slot: None, attempt: 0, elapsed: 0, body: Body::Failed(failure) };
        } else {
            let frame = split_frame(&self.bytes[self.at..]).map_err(|error| unreadable(self.next, &error))?;
            let Some((frame, rest)) = frame else { return Ok(false) };
            let end = self.bytes.len() - rest.len();
            self.value = self.at + FRAME_HEADER..end;
            self.at = end;
            let slot = frame.slot.map(|slot| self.worker * self.slots_per_worker + usize::from(slot));
            let body = match frame.body {
                outcome::Body::Value(codec, _) => {
                    self.value_bytes += self.value.len() as u64;
                    Body::Value(codec)
                }
                outcome::Body::Failed(failure) => Body::Failed(failure.in_slot(slot)),
            };
            let (attempt, elapsed) = (u32::from(frame.attempt), frame.elapsed_nanos);
            if let Some(slot) = slot {
                if self.used.len() <= slot {
                    self.used.resize(slot + 1, SlotUse::default());
                }
                self.used[slot].chunks += 1;
                self.used[slot].busy += Duration::from_nanos(elapsed);
            }
            self.current = Raw { index, slot, attempt, elapsed, body };
        }
        self.next += 1;
        self.left -= 1;
        Ok(true)
    }

    /// The current chunk, and its value's bytes.
    pub(crate) fn current(&mut self) -> (&mut Raw, &[u8]) {
        let value = match self.current.body {
            Body::Value(_) => &self.bytes[self.value.clone()],
            Body::Failed(_) => &[],
        };
        (&mut self.current, value)
    }

    /// Bytes of all values so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.value_bytes
    }

    /// What is known from the outcomes alone.
    pub(crate) fn slots_used(&self) -> Vec<SlotUse> {
        self.used.clone()
    }
}

fn unreadable(first: u64, error: &Unreadable) -> Error {
    Error::unreadable(&format!("outcomes from chunk {first} on"), error)
}
