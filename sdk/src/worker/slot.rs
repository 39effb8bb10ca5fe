//! One slot from its parent's side: what was sent, what came back, what is owed.

mod pipes;

use std::{collections::VecDeque, io, ops::Range, sync::Arc, time::Duration};

use super::{
    batch::{Batch, Frame, Place, Sent, Waiting},
    descriptors::monotonic_nanos,
    frame::{Content, HEADER, HELLO, Header, Kind, RECORD, Record, check_hello, decode_fault},
    parcel::{self, Direction, Inlet, Outlet},
    process::{Exit, ExtraEnv, Process, Started},
};
use crate::{failure::Fault, function::Codec};

use pipes::Bells;

/// Buffers above this go back to the allocator between runs.
const KEPT_BUFFER: usize = 8 << 20;

/// One chunk's result, its body still in the slot's buffer.
#[derive(Debug)]
pub(super) struct Arrived {
    pub(super) place: Place,
    /// Nanoseconds.
    pub(super) elapsed: u64,
    pub(super) content: ArrivedContent,
}

#[derive(Debug)]
pub(super) enum ArrivedContent {
    /// Its bytes are the slot's [`body`](Slot::body).
    Value(Codec),
    Fault(Fault),
}

/// Where the bytes of the result taken last are.
#[derive(Debug)]
enum Body {
    Inbox(Range<usize>),
    Parcel,
}

/// What became of a slot's chunks when it died.
#[derive(Debug)]
pub(super) struct Wreck {
    /// The chunk that ran, and its number.
    pub(super) culprit: Option<(u64, Waiting)>,
    /// Those behind it, and those whose results were lost with it.
    pub(super) others: Vec<Waiting>,
    pub(super) last_lines: Vec<String>,
    pub(super) exit: Exit,
}

#[derive(Debug)]
pub(super) struct Slot {
    started: Started,
    bells: Option<Bells>,
    greeted: bool,
    inbox: Vec<u8>,
    parsed: usize,
    body: Body,
    /// Large bodies in both directions.
    inputs: Outlet,
    results: Inlet,
    /// Since the places were shrunk last, one went through that is larger than what they keep.
    large_parcels: bool,
    frames: VecDeque<Frame>,
    /// The first frame that is not wholly in the pipe, and how much of it is.
    unsent: usize,
    sent_bytes: usize,
    /// Number of the last chunk queued.
    last_queued: u64,
    /// Number of the last chunk whose result was taken.
    last_done: u64,
    /// Number of the last chunk queued by the run before.
    before_run: u64,
    /// The chunk that was running when the rest was taken back, and up to which number.
    taken_back: Option<(u64, u64)>,
    in_hand: usize,
    served: usize,
    exit: Option<Exit>,
}

impl Slot {
    pub(super) fn start(extra_env: &ExtraEnv) -> io::Result<Slot> {
        Ok(Slot {
            started: Process::start(extra_env)?,
            bells: None,
            greeted: false,
            inbox: Vec::new(),
            parsed: 0,
            body: Body::Inbox(0..0),
            inputs: Outlet::new(Direction::Inputs),
            results: Inlet::new(Direction::Results),
            large_parcels: false,
            frames: VecDeque::new(),
            unsent: 0,
            sent_bytes: 0,
            last_queued: 0,
            last_done: 0,
            before_run: 0,
            taken_back: None,
            in_hand: 0,
            served: 0,
            exit: None,
        })
    }

    /// Chunks sent and not answered.
    #[inline]
    pub(super) fn in_hand(&self) -> usize {
        self.in_hand
    }

    /// Chunks ever given to this process.
    pub(super) fn served(&self) -> usize {
        self.served
    }

    pub(super) fn greeted(&self) -> bool {
        self.greeted
    }

    pub(super) fn exit(&self) -> Option<Exit> {
        self.exit
    }

    pub(super) fn kill(&self) {
        self.started.process.kill();
    }

    pub(super) fn take_last_lines(&self) -> Vec<String> {
        self.started.process.take_last_lines()
    }

    /// Passes on what it has printed so far.
    pub(super) fn pass_prints_on(&self) {
        self.started.process.pass_prints_on();
    }

    pub(super) fn processor_time(&self) -> Duration {
        Duration::from_nanos(self.started.page.processor_time())
    }

    /// KiB; 0 if unknown.
    pub(super) fn peak_memory(&self) -> u64 {
        self.started.process.peak_memory()
    }

    /// Fit for the next run: alive, greeted, and nothing under way in either direction.
    pub(super) fn is_idle(&self) -> bool {
        self.greeted
            && self.in_hand == 0
            && self.frames.is_empty()
            && self.exit.is_none()
            && self.parsed == self.inbox.len()
    }

    /// Whether it was alive in this run: it has begun a chunk of it.
    pub(super) fn has_begun(&self) -> bool {
        self.begun_last(self.started.page.claimed()) > self.before_run
    }

    /// Whether it served a run before this one.
    pub(super) fn was_warm(&self) -> bool {
        self.before_run > 0
    }

    /// Frees what a run left behind.
    pub(super) fn rest(&mut self) {
        while self.reclaim().is_some() {}
        if self.inbox.capacity() > KEPT_BUFFER {
            self.inbox = Vec::new();
        }
        self.results.hand_back(&self.started.page);
    }

    /// Gives back the memory of large parcels. Only for an idle slot: what may still lie in a place then was taken back, and
    /// is skipped unread.
    pub(super) fn shrink_parcels(&mut self) {
        if std::mem::take(&mut self.large_parcels) {
            parcel::shrink(&self.started.page, Direction::Inputs);
            parcel::shrink(&self.started.page, Direction::Results);
        }
    }

    pub(super) fn begin_run(&mut self, frame: Arc<Vec<u8>>) {
        self.before_run = self.last_queued;
        self.frames.push_back(Frame::Run(frame));
    }

    /// Queues a batch and sends what the pipe takes.
    pub(super) fn send(&mut self, mut batch: Batch) -> io::Result<()> {
        let chunks = batch.chunks();
        let first = self.last_queued + 1;
        let body = &batch.frame[HEADER..];
        let in_parcel = self.inputs.put(&self.started.page, body);
        self.large_parcels |= in_parcel && body.len() > KEPT_BUFFER;
        let kind = if in_parcel { Kind::ChunksInParcel } else { Kind::Chunks };
        Header { kind, chunks: chunks as u32, first, body: body.len() as u64 }.write(&mut batch.frame);
        self.last_queued += chunks as u64;
        self.in_hand += chunks;
        self.served += chunks;
        self.frames.push_back(Frame::Chunks(Sent { batch, first, owed: chunks, in_parcel }));
        self.write().map(drop)
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.unsent < self.frames.len()
    }

    /// The bytes of the result taken last.
    #[inline]
    pub(super) fn body(&self) -> &[u8] {
        match &self.body {
            Body::Inbox(range) => &self.inbox[range.clone()],
            Body::Parcel => self.results.body(),
        }
    }

    /// The next whole result, or why what came is not one.
    pub(super) fn next(&mut self) -> Result<Option<Arrived>, String> {
        if !self.greeted {
            check_hello(&self.inbox[self.parsed..], self.started.nonce)?;
            if self.inbox.len() - self.parsed < HELLO {
                return Ok(None);
            }
            self.parsed += HELLO;
            self.greeted = true;
        }
        let here = &self.inbox[self.parsed..];
        let Some(length) = Record::length_in_pipe(here).filter(|length| *length <= here.len()) else {
            return Ok(None);
        };
        let record = Record::read(here)?;
        let place = self.answered(record.number)?;
        self.body = if record.in_parcel {
            self.results
                .open(&self.started.page, record.length)
                .map_err(|error| format!("its result cannot be read: {error}"))?;
            self.large_parcels |= record.length > KEPT_BUFFER;
            Body::Parcel
        } else {
            Body::Inbox(self.parsed + RECORD..self.parsed + length)
        };
        self.parsed += length;
        let content = match record.content {
            Content::Value(codec) => ArrivedContent::Value(codec),
            Content::Fault => ArrivedContent::Fault(decode_fault(self.body())),
        };
        Ok(Some(Arrived { place, elapsed: record.elapsed, content }))
    }

    /// Books the result of a chunk. Results come in the order of the chunks, apart from those taken back.
    fn answered(&mut self, number: u32) -> Result<Place, String> {
        loop {
            if let Some(Frame::Chunks(sent)) = self.frames.front()
                && let Some(next) = sent.next(self.last_done)
            {
                if next as u32 != number {
                    return Err(format!("it answered chunk {number} in place of {next}"));
                }
                self.last_done = next;
                self.in_hand -= 1;
                return Ok(sent.batch.place((next - sent.first) as usize));
            }
            if self.unsent == 0 {
                return Err(format!("it answered chunk {number}, which it was not given"));
            }
            self.unsent -= 1;
            self.frames.pop_front();
        }
    }

    /// Takes frames out of the queue that are sent and whose chunks are all answered or taken back, up to one batch.
    pub(super) fn reclaim(&mut self) -> Option<Batch> {
        while self.unsent > 0 {
            let owed = match self.frames.front()? {
                Frame::Run(_) => None,
                Frame::Chunks(sent) => sent.next(self.last_done),
            };
            if owed.is_some() {
                return None;
            }
            self.unsent -= 1;
            if let Some(Frame::Chunks(sent)) = self.frames.pop_front() {
                return Some(sent.batch);
            }
        }
        None
    }

    /// The input of the chunk whose result was taken last, for another attempt. `None` once its batch is reclaimed.
    pub(super) fn last_answered(&self) -> Option<Waiting> {
        self.copy_of(self.last_done)
    }

    fn copy_of(&self, number: u64) -> Option<Waiting> {
        self.frames.iter().find_map(|frame| match frame {
            Frame::Chunks(sent) if (sent.first..sent.end()).contains(&number) => {
                Some(sent.batch.copy((number - sent.first) as usize))
            }
            _ => None,
        })
    }

    /// The number of the chunk begun last.
    pub(super) fn running(&self) -> u64 {
        self.begun_last(self.started.page.claimed())
    }

    /// How long the chunk in user code has been running; `None` between chunks, as far as is known here.
    pub(super) fn ran_for(&self) -> Option<Duration> {
        let since = self.started.page.started()?;
        let ran = Duration::from_nanos(monotonic_nanos().saturating_sub(since));
        (self.begun_last(self.started.page.claimed()) > self.last_done).then_some(ran)
    }

    /// The chunk that was begun last, given what the page says: taking chunks back moves that, too.
    fn begun_last(&self, claimed: u64) -> u64 {
        match self.taken_back {
            Some((running, last)) if claimed == last => running,
            _ => claimed,
        }
    }

    /// Takes back every chunk that is not begun.
    pub(super) fn take_back(&mut self) -> Vec<Waiting> {
        let last = self.last_queued;
        let claimed = self.started.page.take_back(last);
        if claimed >= last {
            return Vec::new();
        }
        let running = self.begun_last(claimed);
        self.taken_back = Some((running, last));
        let back: Vec<_> = (claimed + 1..=last).filter_map(|number| self.copy_of(number)).collect();
        for frame in &mut self.frames {
            if let Frame::Chunks(sent) = frame {
                sent.owed = sent.owed.min((claimed + 1).saturating_sub(sent.first) as usize);
            }
        }
        self.in_hand -= back.len();
        back
    }

    /// What is left of a dead slot, once all that it had written is read.
    pub(super) fn wreck(&mut self) -> Wreck {
        let culprit = self.started.page.started().map(|_| self.begun_last(self.started.page.claimed()));
        let numbers = self.last_done + 1..=self.last_queued;
        let mut wreck = Wreck {
            culprit: None,
            others: Vec::new(),
            last_lines: self.take_last_lines(),
            exit: self.exit.unwrap_or(Exit::Unknown),
        };
        for number in numbers {
            match self.copy_of(number) {
                Some(chunk) if Some(number) == culprit => wreck.culprit = Some((number, chunk)),
                Some(chunk) => wreck.others.push(chunk),
                None => {} // taken back before
            }
        }
        self.in_hand = 0;
        wreck
    }
}
