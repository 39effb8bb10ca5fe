//! Encoded chunks, on their way to a slot and kept until they are answered.

use std::sync::Arc;

use super::frame::{CHUNK_HEADER, HEADER, write_chunk_header};
use crate::function::Codec;

/// Where a chunk stands in the run, wherever its bytes are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) index: usize,
    /// From 1.
    pub(super) attempt: u32,
}

/// A chunk that comes back to its parent unbegun, or for another attempt.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) place: Place,
    pub(super) codec: Codec,
    pub(super) input: Vec<u8>,
}

/// Encoded chunks on their way to one slot. Their indices and attempts are consecutive and alike, so a chunk costs four
/// bytes of bookkeeping. The bytes are kept until every chunk has its result.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) frame: Vec<u8>,
    first: Place,
    /// Where each chunk ends in the frame.
    ends: Vec<u32>,
}

impl Batch {
    /// Empties the batch, to begin with this chunk in the same buffers.
    pub(super) fn reused(mut self, first: Place) -> Batch {
        self.frame.clear();
        self.frame.resize(HEADER, 0);
        self.ends.clear();
        self.first = first;
        self
    }

    /// Adds a chunk by letting `encode` append it; on an error nothing is added.
    pub(super) fn add<E>(&mut self, encode: impl FnOnce(&mut Vec<u8>) -> Result<Codec, E>) -> Result<(), E> {
        let start = self.frame.len();
        self.frame.resize(start + CHUNK_HEADER, 0);
        let codec = encode(&mut self.frame).inspect_err(|_| self.frame.truncate(start))?;
        let length = self.frame.len() - start - CHUNK_HEADER;
        write_chunk_header(&mut self.frame[start..], codec, length);
        self.ends.push(self.frame.len() as u32);
        Ok(())
    }

    pub(super) fn chunks(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.frame.len()
    }

    pub(super) fn input_bytes(&self) -> usize {
        self.frame.len() - HEADER - CHUNK_HEADER * self.ends.len()
    }

    pub(super) fn capacity(&self) -> usize {
        self.frame.capacity()
    }

    pub(super) fn place(&self, position: usize) -> Place {
        Place { index: self.first.index + position, attempt: self.first.attempt }
    }

    pub(super) fn copy(&self, position: usize) -> Waiting {
        let start = if position == 0 { HEADER } else { self.ends[position - 1] as usize };
        let codec = Codec::from_byte(self.frame[start]).unwrap_or(Codec::Postcard);
        let input = self.frame[start + CHUNK_HEADER..self.ends[position] as usize].to_vec();
        Waiting { place: self.place(position), codec, input }
    }
}

/// One frame in the queue to a slot.
#[derive(Debug)]
pub(super) enum Frame {
    Run(Arc<Vec<u8>>),
    Chunks(Sent),
}

impl Frame {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Frame::Run(bytes) => bytes,
            Frame::Chunks(sent) if sent.in_parcel => &sent.batch.frame[..HEADER],
            Frame::Chunks(sent) => &sent.batch.frame,
        }
    }
}

#[derive(Debug)]
pub(super) struct Sent {
    pub(super) batch: Batch,
    /// Number of the batch's first chunk on this slot.
    pub(super) first: u64,
    /// Chunks not taken back.
    pub(super) owed: usize,
    /// Only the header goes through the pipe.
    pub(super) in_parcel: bool,
}

impl Sent {
    /// The number after the last chunk that is not taken back.
    pub(super) fn end(&self) -> u64 {
        self.first + self.owed as u64
    }

    /// The chunk answered next, when `done` were answered so far.
    pub(super) fn next(&self, done: u64) -> Option<u64> {
        let next = (done + 1).max(self.first);
        (next < self.end()).then_some(next)
    }
}
