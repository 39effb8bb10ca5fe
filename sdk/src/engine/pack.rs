//! Packs chunks into blocks, and blocks into part objects, while the input is still producing.
//!
//! Blocks shrink towards the end: each is a fixed share of what is left (factoring; Hummel, Schonberg and Flynn, "Factoring: a
//! method for scheduling parallel loops", CACM 35(8), 1992), down to single chunks. So there are few of them, and still all
//! workers end at about the same time, whatever chunks take. Where nobody knows how many chunks will come, a window of the
//! latest ones is kept back, uncut, so that the end can be cut finely when it turns out to be the end.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    compute::MAX_WORKERS,
    failure::Fault,
    function::Codec,
    wire::{Block, Hash, Home, block::push_input},
};

/// A part is closed when it has this many bytes: large enough that requests cost little, small enough that a few of them fit
/// into memory while they are on their way. A chunk that is larger has a part of its own.
const PART_BYTES: usize = 16 << 20;

/// A worker holds a whole block, and reads one ahead. Only a single chunk may be larger.
const BLOCK_BYTES: u64 = 16 << 20;

/// Of an input without a known end, so much is kept back: this many bytes, or chunks.
const WINDOW_BYTES: u64 = 8 << 20;
const WINDOW_CHUNKS: usize = 1 << 18;

/// A block is this small a share of what one worker would still have to do. With 16, all ends within a fifteenth of what
/// single chunks would take, even if one chunk takes a hundred times the median (`sim/balance.rs`); with 8, its neighbours in
/// the block wait so long behind it that it is a tenth.
const SHARE: u64 = 16;

/// Each block costs two writes and two reads, and up to a kilobyte of the client's memory. With thousands of workers blocks are
/// made larger, to stay near this many.
const MOST_BLOCKS: u64 = 1 << 16;

/// With a known chunk time: no more puts than this a second, of all workers together (about; each block has two), since S3
/// takes 3,500 a second for a prefix (S3 user guide, "Optimizing performance") and a run is not alone.
const BLOCKS_A_SECOND: f64 = 500.0;

/// With a known chunk time: a worker that dies loses hardly more work than this.
const BLOCK_TIME: Duration = Duration::from_secs(60);

/// How often a block's share is halved on the way to single chunks, roughly; for the estimate of their number.
const HALVINGS: u64 = 8;

/// A part that is to be stored.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) number: u32,
    pub(crate) body: Bytes,
}

/// How chunks were cut.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) chunks: u64,
    pub(crate) homes: Vec<Home>,
}

/// The planner: takes chunks one by one, gives parts and, at the end, the layout.
#[derive(Debug)]
pub(crate) struct Packer {
    workers: u64,
    /// Chunks in a block, at least and at most.
    least: usize,
    most: usize,
    /// How many chunks there will be, if the input knows.
    expected: Option<u64>,
    chunks: u64,
    blocks: Vec<Block>,
    /// The open part: blocks that are cut, then the window.
    part: Vec<u8>,
    number: u32,
    /// Where the window begins in the part.
    cut: usize,
    /// Where each of the window's chunks ends in the part.
    ends: std::collections::VecDeque<usize>,
    /// Chunks before the window.
    before: u64,
    bytes_before: u64,
}

impl Packer {
    /// For so many workers, from 1 to [`MAX_WORKERS`].
    pub(crate) fn new(workers: u32, expected: Option<u64>) -> Packer {
        Packer {
            workers: u64::from(workers.clamp(1, MAX_WORKERS)),
            least: 1,
            most: usize::MAX,
            expected,
            chunks: 0,
            blocks: Vec::new(),
            part: Vec::new(),
            number: 0,
            cut: 0,
            ends: std::collections::VecDeque::new(),
            before: 0,
            bytes_before: 0,
        }
    }

    /// For chunks that take about so long, if that is known.
    pub(crate) fn chunk_time(mut self, time: Option<Duration>) -> Packer {
        if let Some(time) = time {
            let time = time.as_secs_f64().max(1e-9);
            self.least = (self.workers as f64 / BLOCKS_A_SECOND / time) as usize;
            self.most = ((BLOCK_TIME.as_secs_f64() / time) as usize).max(1);
            self.least = self.least.clamp(1, self.most);
        }
        self
    }

    pub(crate) fn chunks(&self) -> u64 {
        self.chunks
    }

    /// Adds a chunk by letting `encode` append its input, if there is one; gives a part that is full by then.
    pub(crate) fn push(
        &mut self,
        encode: impl FnOnce(&mut Vec<u8>) -> Option<Result<Codec, Fault>>,
    ) -> Option<Part> {
        if !push_input(&mut self.part, encode) {
            return None;
        }
        self.ends.push_back(self.part.len());
        self.chunks += 1;
        if self.expected.is_some_and(|expected| self.chunks > expected) {
            // It said how many, and was wrong.
            self.expected = None;
        }
        while let Some(chunks) = self.due() {
            self.cut(chunks);
        }
        (self.cut >= PART_BYTES).then(|| self.close_part())
    }

    /// Cuts what is left; gives the last parts and the layout.
    pub(crate) fn finish(mut self) -> (Vec<Part>, Layout) {
        let mut parts = Vec::new();
        while !self.ends.is_empty() {
            let left = self.ends.len() as u64;
            let chunks = self.within_block_bytes(self.block_of(left).min(self.ends.len())).unwrap_or(1);
            self.cut(chunks);
            if self.cut >= PART_BYTES {
                parts.push(self.close_part());
            }
        }
        if self.cut > 0 {
            parts.push(self.close_part());
        }
        let homes = (self.workers as usize).min(self.blocks.len());
        let mut layout = Layout { chunks: self.chunks, homes: vec![Home::default(); homes] };
        // In turns, so that every home has large blocks first and small ones last.
        for (turn, block) in self.blocks.into_iter().enumerate() {
            layout.homes[turn % homes].blocks.push(block);
        }
        (parts, layout)
    }

    /// How many of the window's first chunks can be cut off already.
    fn due(&self) -> Option<usize> {
        let window = self.ends.len();
        match self.expected {
            Some(expected) => {
                let wanted = self.block_of(expected - self.before);
                match self.within_block_bytes(wanted) {
                    Some(chunks) if chunks < wanted => Some(chunks),
                    _ => (window >= wanted).then_some(wanted),
                }
            }
            None => {
                let bytes = (self.part.len() - self.cut) as u64;
                if bytes <= WINDOW_BYTES && window <= WINDOW_CHUNKS {
                    return None;
                }
                // As if as much were still to come as has been: then blocks grow with the input, and stay few.
                let wanted = self.block_of(self.before.max(window as u64));
                let by_bytes = self.share_of(self.bytes_before.max(WINDOW_BYTES)) as u64;
                let chunks = self.chunks_within(by_bytes).min(wanted).max(1);
                Some(self.within_block_bytes(chunks).unwrap_or(chunks))
            }
        }
    }

    /// The chunks of the next block, of so many that are left.
    fn block_of(&self, left: u64) -> usize {
        self.share_of(left).clamp(self.least, self.most)
    }

    /// A block's share of what is left, in chunks (or bytes).
    fn share_of(&self, left: u64) -> usize {
        let share = (MOST_BLOCKS / HALVINGS / self.workers).clamp(1, SHARE);
        (left / (share * self.workers)).max(1) as usize
    }

    /// How many of the window's first chunks, at most `wanted`, are not too many bytes for a block; at least one. `None` if
    /// the window has fewer than `wanted`, and those are not too many.
    fn within_block_bytes(&self, wanted: usize) -> Option<usize> {
        let within = self.chunks_within(BLOCK_BYTES);
        if within < wanted.min(self.ends.len()) {
            return Some(within.max(1));
        }
        (self.ends.len() >= wanted).then_some(wanted)
    }

    /// How many of the window's first chunks have at most so many bytes.
    fn chunks_within(&self, bytes: u64) -> usize {
        self.ends.partition_point(|end| (end - self.cut) as u64 <= bytes)
    }

    fn cut(&mut self, chunks: usize) {
        let start = self.cut;
        let end = self.ends[chunks - 1];
        self.ends.drain(..chunks);
        self.blocks.push(Block {
            first: self.before,
            chunks: chunks as u32,
            part: self.number,
            start: start as u64,
            bytes: (end - start) as u64,
            hash: Hash::of(&self.part[start..end]),
        });
        self.cut = end;
        self.before += chunks as u64;
        self.bytes_before += (end - start) as u64;
    }

    fn close_part(&mut self) -> Part {
        let rest = self.part.split_off(self.cut);
        let body = std::mem::replace(&mut self.part, rest);
        for end in &mut self.ends {
            *end -= self.cut;
        }
        self.cut = 0;
        self.number += 1;
        Part { number: self.number - 1, body: body.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pack(workers: u32, expected: Option<u64>, sizes: impl Iterator<Item = usize>) -> (Vec<Part>, Layout) {
        let mut packer = Packer::new(workers, expected);
        let mut parts = Vec::new();
        for size in sizes {
            parts.extend(packer.push(|out| {
                out.resize(out.len() + size, 7);
                Some(Ok(Codec::Postcard))
            }));
        }
        let (last, layout) = packer.finish();
        parts.extend(last);
        (parts, layout)
    }

    fn blocks(layout: &Layout) -> Vec<Block> {
        let mut blocks: Vec<Block> = layout.homes.iter().flat_map(|home| home.blocks.clone()).collect();
        blocks.sort_by_key(|block| block.first);
        blocks
    }

    /// Every chunk is in exactly one block, and every block's bytes are where it says, with that hash.
    fn check((parts, layout): &(Vec<Part>, Layout)) -> Vec<Block> {
        let blocks = blocks(layout);
        let mut next = 0;
        for block in &blocks {
            assert_eq!(block.first, next);
            next += u64::from(block.chunks);
            let part = &parts[block.part as usize];
            assert_eq!(part.number, block.part);
            let range = block.range();
            let bytes = &part.body[range.start as usize..range.end as usize];
            assert_eq!(Hash::of(bytes), block.hash);
            assert!(block.chunks == 1 || block.bytes <= BLOCK_BYTES);
        }
        assert_eq!(next, layout.chunks);
        blocks
    }

    #[test]
    fn blocks_cover_all_chunks_whatever_is_known_of_their_number() {
        for chunks in [0, 1, 2, 7, 8, 9, 1000] {
            for workers in [1, 3, 8, 5000] {
                for expected in [None, Some(chunks), Some(chunks / 2), Some(chunks * 2)] {
                    let packed = pack(workers, expected, (0..chunks).map(|n| n as usize % 50));
                    let blocks = check(&packed);
                    assert_eq!(packed.1.homes.len(), (workers as usize).min(blocks.len()));
                    assert!(packed.1.homes.iter().all(|home| !home.blocks.is_empty()));
                }
            }
        }
    }

    #[test]
    fn blocks_taper_to_single_chunks_and_are_few() {
        for expected in [None, Some(1_000_000)] {
            let blocks = check(&pack(8, expected, std::iter::repeat_n(3, 1_000_000)));
            assert!(blocks.len() < 1500, "{}", blocks.len());
            assert!(blocks[blocks.len() - 64..].iter().all(|block| block.chunks == 1));
        }
    }

    #[test]
    fn a_known_chunk_time_bounds_blocks_both_ways() {
        let pack = |time: Duration, expected: Option<u64>| {
            let mut packer = Packer::new(1000, expected).chunk_time(Some(time));
            for _ in 0..100_000 {
                assert!(packer.push(|_| Some(Ok(Codec::Postcard))).is_none());
            }
            packer.finish().1
        };
        for expected in [None, Some(100_000)] {
            let slow = blocks(&pack(Duration::from_secs(20), expected));
            assert!(slow.iter().all(|block| block.chunks <= 3));
            // 1,000 workers at 500 blocks a second: each has one for two seconds.
            let quick = blocks(&pack(Duration::from_millis(100), expected));
            assert!(quick[..quick.len() - 1].iter().all(|block| block.chunks >= 20));
        }
    }

    #[test]
    fn a_large_chunk_has_a_part_of_its_own_size() {
        let packed = pack(2, Some(3), [10, PART_BYTES * 5, 10].into_iter());
        check(&packed);
        assert!(packed.0.iter().any(|part| part.body.len() > PART_BYTES * 5));
    }

    #[test]
    fn an_endless_input_keeps_a_bounded_window() {
        let mut packer = Packer::new(4, None);
        let mut most = 0;
        for _ in 0..100_000 {
            let _ = packer.push(|out| {
                out.resize(out.len() + 1000, 7);
                Some(Ok(Codec::Postcard))
            });
            most = most.max(packer.part.capacity());
        }
        assert!(most < 4 * PART_BYTES, "{most}");
        assert!(packer.blocks.len() < 400, "{}", packer.blocks.len());
    }

    #[test]
    fn thousands_of_workers_do_not_make_millions_of_blocks() {
        let blocks = check(&pack(10_000, Some(1_000_000), std::iter::repeat_n(3, 1_000_000)));
        assert!(blocks.len() < 2 * MOST_BLOCKS as usize, "{}", blocks.len());
    }
}
