//! The blocks that a worker has in hand: fed to its slots chunk by chunk, gathered from them as outcomes.

use std::{
    collections::{BTreeMap, VecDeque},
    task::{Context, Poll},
};

use bytes::Bytes;

use super::hunter::{Claimed, Poison};
use crate::{
    failure::{FailureKind, Fault},
    function::{Codec, Limit},
    wire::{
        Incarnation,
        block::{Input, split_input},
        outcome::{Body, Frame, OutcomeHeader, push_frame, push_header},
    },
    worker::{self, Feed, Raw},
};

/// All blocks that are claimed and not finished.
#[derive(Debug, Default)]
pub(crate) struct Hand {
    /// Blocks with chunks that no slot has yet, in the order of their claims.
    queue: VecDeque<Giving>,
    /// Which chunks the slots were given, in that order.
    given: VecDeque<Stretch>,
    /// Outcomes of blocks that are not complete.
    open: BTreeMap<u32, Gathering>,
    next_sequence: usize,
    outstanding: usize,
    /// No further block will come.
    pub(crate) over: bool,
    /// A block's bytes do not read as chunks.
    pub(crate) unreadable: Option<String>,
}

#[derive(Debug)]
struct Giving {
    number: u32,
    rest: Bytes,
    next: u32,
    chunks: u32,
    alone: Option<Alone>,
}

/// A block whose chunks run one at a time, each noted before.
#[derive(Debug)]
struct Alone {
    poison: Poison,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// The next chunk may not begin before it is noted.
    Unnoted,
    Noted,
    /// Its outcome is awaited.
    Given,
}

/// Chunks of one block that were given one after the other.
#[derive(Debug)]
struct Stretch {
    sequence: usize,
    block: u32,
    chunk: u32,
    chunks: usize,
    /// Not answered yet.
    owed: usize,
}

#[derive(Debug)]
struct Gathering {
    first: u64,
    generation: u32,
    chunks: u32,
    /// Chunks whose frames are in `object`: all before this one.
    next: u32,
    object: Vec<u8>,
    /// Frames of chunks that finished before earlier ones.
    early: BTreeMap<u32, Vec<u8>>,
}

/// A block whose chunks all have outcomes.
#[derive(Debug)]
pub(crate) struct Complete {
    pub(crate) number: u32,
    pub(crate) object: Bytes,
}

/// A chunk that may run once it is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ToNote {
    pub(crate) block: u32,
    pub(crate) generation: u32,
    pub(crate) chunk: u32,
}

impl Hand {
    pub(crate) fn take(&mut self, claimed: Claimed, incarnation: Incarnation) {
        let Claimed { number, generation, block, inputs, poison } = claimed;
        let mut object = Vec::new();
        push_header(&mut object, &OutcomeHeader { block: number, chunks: block.chunks, incarnation });
        let gathering = Gathering {
            first: block.first,
            generation,
            chunks: block.chunks,
            next: 0,
            object,
            early: BTreeMap::new(),
        };
        self.open.insert(number, gathering);
        let alone = poison.map(|poison| Alone { poison, step: Step::Unnoted });
        self.queue.push_back(Giving { number, rest: inputs, next: 0, chunks: block.chunks, alone });
    }

    /// Chunks that no slot has yet.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.iter().map(|giving| (giving.chunks - giving.next) as usize).sum()
    }

    /// Chunks that slots have and not answered.
    pub(crate) fn outstanding(&self) -> usize {
        self.outstanding
    }

    /// What is not given out yet never will be.
    pub(crate) fn stop(&mut self) {
        self.queue.clear();
        self.over = true;
    }

    /// The chunk that must be noted before anything goes on, if there is one and no other chunk is running.
    pub(crate) fn to_note(&self) -> Option<ToNote> {
        let giving = self.queue.front()?;
        let alone = giving.alone.as_ref()?;
        let due = alone.step == Step::Unnoted && self.outstanding == 0 && giving.next < giving.chunks;
        if !due || alone.poison.lost.contains(&giving.next) {
            return None;
        }
        let generation = self.open.get(&giving.number)?.generation;
        Some(ToNote { block: giving.number, generation, chunk: giving.next })
    }

    pub(crate) fn noted(&mut self) {
        if let Some(alone) = self.queue.front_mut().and_then(|giving| giving.alone.as_mut()) {
            alone.step = Step::Noted;
        }
    }

    /// Books what became of a chunk; gives the block if it was the last one's. The second is the chunk's index in the run.
    pub(crate) fn book(&mut self, raw: &mut Raw, value: &[u8]) -> (Option<Complete>, u64) {
        self.outstanding -= 1;
        let at = self.given.partition_point(|stretch| stretch.sequence <= raw.index) - 1;
        let stretch = &mut self.given[at];
        let (number, chunk) = (stretch.block, stretch.chunk + (raw.index - stretch.sequence) as u32);
        stretch.owed -= 1;
        while self.given.front().is_some_and(|stretch| stretch.owed == 0) && self.given.len() > 1 {
            self.given.pop_front();
        }
        if let Some(alone) = self.queue.front_mut().and_then(|giving| giving.alone.as_mut()) {
            alone.step = Step::Unnoted;
        }
        let Some(gathering) = self.open.get_mut(&number) else { return (None, 0) };
        let index = gathering.first + u64::from(chunk);
        let body = match raw.body.take() {
            worker::Body::Value(codec) => Body::Value(codec, value),
            worker::Body::Failed(failure) => Body::Failed(failure.renumbered(index as usize)),
        };
        let frame = Frame {
            slot: raw.slot.map(|slot| slot as u16),
            attempt: raw.attempt.min(u32::from(u16::MAX)) as u16,
            elapsed_nanos: raw.elapsed,
            body,
        };
        if !gathering.add(chunk, &frame) {
            return (None, index);
        }
        let object = self.open.remove(&number).map(|gathering| gathering.object.into());
        (object.map(|object| Complete { number, object }), index)
    }
}

impl Gathering {
    /// Adds a chunk's frame in its place; true if all are there.
    fn add(&mut self, chunk: u32, frame: &Frame<'_>) -> bool {
        if chunk != self.next {
            let mut bytes = Vec::new();
            push_frame(&mut bytes, frame);
            self.early.insert(chunk, bytes);
            return false;
        }
        push_frame(&mut self.object, frame);
        self.next += 1;
        while let Some(bytes) = self.early.remove(&self.next) {
            self.object.extend(bytes);
            self.next += 1;
        }
        self.next == self.chunks
    }
}

impl Feed for Hand {
    fn poll_encode(
        &mut self,
        _: &mut Context<'_>,
        _: Limit,
        out: &mut Vec<u8>,
    ) -> Poll<Option<Result<Codec, Fault>>> {
        while let Some(giving) = self.queue.front_mut() {
            if giving.next == giving.chunks {
                self.queue.pop_front();
                continue;
            }
            let mut lost = None;
            if let Some(alone) = &mut giving.alone {
                if alone.poison.lost.contains(&giving.next) {
                    let reason = &alone.poison.reason;
                    lost = Some(Fault::new(
                        FailureKind::Lost,
                        format!("two workers died while they ran it; of the last one it is known: {reason}"),
                    ));
                } else if alone.step == Step::Noted {
                    alone.step = Step::Given;
                } else {
                    return Poll::Pending;
                }
            }
            let (input, left) = match split_input(&giving.rest) {
                Ok(Some((input, rest))) => (input, rest.len()),
                wrong => {
                    let reason =
                        wrong.err().map_or("it has too few chunks".into(), |error| error.to_string());
                    self.unreadable = Some(format!("block {}: {reason}", giving.number));
                    self.stop();
                    return Poll::Ready(None);
                }
            };
            let given = match (lost, input) {
                (Some(fault), _) | (None, Input::Refused(fault)) => Err(fault),
                (None, Input::Value(codec, bytes)) => {
                    out.extend_from_slice(bytes);
                    Ok(codec)
                }
            };
            let (block, chunk) = (giving.number, giving.next);
            giving.next += 1;
            giving.rest = giving.rest.slice(giving.rest.len() - left..);
            self.outstanding += 1;
            match self.given.back_mut() {
                Some(last) if last.block == block && last.chunk + last.chunks as u32 == chunk => {
                    last.chunks += 1;
                    last.owed += 1;
                }
                _ => self.given.push_back(Stretch {
                    sequence: self.next_sequence,
                    block,
                    chunk,
                    chunks: 1,
                    owed: 1,
                }),
            }
            self.next_sequence += 1;
            return Poll::Ready(Some(given));
        }
        if self.over { Poll::Ready(None) } else { Poll::Pending }
    }
}
