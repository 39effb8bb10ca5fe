//! Brings outcomes from the store to whoever takes them, in pieces, as fast as they are taken.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::stream::{FuturesOrdered, StreamExt};
use tokio::sync::mpsc;

use super::drive::Planned;
use crate::{
    error::{Error, Result},
    wire::{Block, Keys, Uncounted, Unreadable, outcome::split_header},
};

/// Outcomes are read in pieces of this size.
pub(crate) const PIECE_BYTES: u64 = 4 << 20;

/// First pieces that are read ahead of the one that is being handed over.
const AHEAD: usize = 8;

/// Pieces that wait to be taken.
pub(crate) const PIECES: usize = 4;

/// What is handed over.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// The next bytes of a block's outcomes, by the index of its first chunk. All pieces of a block follow each other.
    Piece { first: u64, bytes: Bytes },
    /// A block that has none, and why.
    Missing { first: u64, chunks: u32, uncounted: Uncounted },
    /// All is delivered, or this is all that will be.
    End(Result<()>),
}

/// What is decided about a block.
#[derive(Debug, Clone)]
pub(crate) enum Decided {
    /// Its outcomes are in the store.
    Done(u32),
    Missing(Uncounted),
}

/// Hands over the outcomes of blocks as they are decided, until no more is. With `in_order`, blocks come in the order of
/// their chunks.
///
/// # Errors
/// When the store gives no answer. Ends without one when nobody takes deliveries any more.
pub(crate) async fn deliver(
    planned: &Planned,
    in_order: bool,
    mut decided: mpsc::UnboundedReceiver<Decided>,
    to: &mpsc::Sender<Delivery>,
) -> Result<()> {
    let keys = Keys::of(planned.manifest.run);
    let blocks: Vec<Block> = planned.manifest.blocks().copied().collect();
    let mut queue = Queue::new(&blocks, in_order);
    let mut reading = FuturesOrdered::new();
    let mut more = true;
    loop {
        while reading.len() < AHEAD
            && let Some(next) = queue.next()
        {
            reading.push_back(begin(planned, &keys, next));
        }
        if reading.is_empty() {
            match decided.recv().await {
                Some(next) => queue.add(next),
                None => return Ok(()),
            }
            continue;
        }
        while more {
            match decided.try_recv() {
                Ok(next) => queue.add(next),
                Err(error) => {
                    more = error != mpsc::error::TryRecvError::Disconnected;
                    break;
                }
            }
        }
        let Some(begun) = reading.next().await else { continue };
        let (next, mut bytes) = begun?;
        let block = match next {
            Decided::Done(block) => block,
            Decided::Missing(missing) => {
                let Block { first, chunks, .. } = blocks[missing.block as usize];
                if to.send(Delivery::Missing { first, chunks, uncounted: missing }).await.is_err() {
                    return Ok(());
                }
                continue;
            }
        };
        let key = keys.out(block);
        let Block { first, chunks, .. } = blocks[block as usize];
        check(&key, &bytes, block, chunks)?;
        for start in (0..).step_by(PIECE_BYTES as usize).skip(1) {
            let last = (bytes.len() as u64) < PIECE_BYTES;
            if to.send(Delivery::Piece { first, bytes }).await.is_err() {
                return Ok(());
            }
            if last {
                break;
            }
            bytes = read(planned, &key, start).await?;
        }
    }
}

/// Reads the first piece of a block that has outcomes.
async fn begin(planned: &Planned, keys: &Keys, next: Decided) -> Result<(Decided, Bytes)> {
    let bytes = match &next {
        Decided::Done(block) => read(planned, &keys.out(*block), 0).await?,
        Decided::Missing(_) => Bytes::new(),
    };
    Ok((next, bytes))
}

/// Whether these are the outcomes of that block, and of all its chunks.
fn check(key: &str, piece: &[u8], block: u32, chunks: u32) -> Result<()> {
    let damaged = |reason| Unreadable::damaged("block of outcomes", reason);
    let header = split_header(piece).and_then(|header| match header {
        Some((header, _)) if (header.block, header.chunks) == (block, chunks) => Ok(()),
        Some((header, _)) => {
            Err(damaged(format!("it is of block {} with {} chunks", header.block, header.chunks)))
        }
        None => Err(damaged("it ends within its header".into())),
    });
    header.map_err(|error| Error::unreadable(key, &error))
}

async fn read(planned: &Planned, key: &str, start: u64) -> Result<Bytes> {
    let piece = planned.site.store.get(key, Some(start..start + PIECE_BYTES)).await?;
    piece.ok_or_else(|| Error::Unreadable { key: key.to_string(), reason: "it is gone".into() })
}

/// Decided blocks, in the order of their delivery.
struct Queue {
    /// Each block's turn, where that is not the order of their arrival.
    turns: Option<Vec<u32>>,
    next: u32,
    ready: BTreeMap<u32, Decided>,
    seen: BTreeSet<u32>,
}

impl Queue {
    fn new(blocks: &[Block], in_order: bool) -> Queue {
        let turns = in_order.then(|| {
            let mut sorted: Vec<(u64, u32)> = blocks.iter().map(|block| block.first).zip(0..).collect();
            sorted.sort_unstable();
            let mut turns = vec![0; sorted.len()];
            for ((_, block), turn) in sorted.into_iter().zip(0..) {
                turns[block as usize] = turn;
            }
            turns
        });
        Queue { turns, next: 0, ready: BTreeMap::new(), seen: BTreeSet::new() }
    }

    fn add(&mut self, decided: Decided) {
        let block = match &decided {
            Decided::Done(block) => *block,
            Decided::Missing(missing) => missing.block,
        };
        let arrival = self.seen.len() as u32;
        // The first word on a block counts; it may be told of again when another client is at work.
        if self.seen.insert(block) {
            let turn = self.turns.as_ref().map_or(arrival, |turns| turns[block as usize]);
            self.ready.insert(turn, decided);
        }
    }

    fn next(&mut self) -> Option<Decided> {
        let decided = self.ready.remove(&self.next)?;
        self.next += 1;
        Some(decided)
    }
}
