//! One slot from its parent's side: what was sent, what came back, what is owed.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    ops::Range,
    os::fd::OwnedFd,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use async_io::Async;
use rustix::{
    buffer::spare_capacity,
    event::{PollFd, PollFlags},
    io::{Errno, read, writev},
};

use super::{
    descriptors::monotonic_nanos,
    frame::{
        CHUNK_HEADER, Content, HEADER, HELLO, Header, Kind, RECORD, Record, check_hello, decode_fault,
        write_chunk_header,
    },
    process::{Exit, ExtraEnv, Process, Started},
};
use crate::{
    failure::Fault,
    function::Codec,
};

/// Bytes read from one slot before the others have their turn.
const READ_AT_ONCE: usize = 256 << 10;

/// Buffers above this go back to the allocator between runs.
const KEPT_BUFFER: usize = 8 << 20;

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
    frame: Vec<u8>,
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

    fn place(&self, position: usize) -> Place {
        Place { index: self.first.index + position, attempt: self.first.attempt }
    }

    fn copy(&self, position: usize) -> Waiting {
        let start = if position == 0 { HEADER } else { self.ends[position - 1] as usize };
        let codec = Codec::from_byte(self.frame[start]).unwrap_or(Codec::Postcard);
        let input = self.frame[start + CHUNK_HEADER..self.ends[position] as usize].to_vec();
        Waiting { place: self.place(position), codec, input }
    }
}

/// One frame in the queue to a slot.
#[derive(Debug)]
enum Frame {
    Run(Arc<Vec<u8>>),
    Chunks(Sent),
}

impl Frame {
    fn bytes(&self) -> &[u8] {
        match self {
            Frame::Run(bytes) => bytes,
            Frame::Chunks(sent) => &sent.batch.frame,
        }
    }
}

#[derive(Debug)]
struct Sent {
    batch: Batch,
    /// Number of the batch's first chunk on this slot.
    first: u64,
    /// Chunks not taken back.
    owed: usize,
}

impl Sent {
    /// The number after the last chunk that is not taken back.
    fn end(&self) -> u64 {
        self.first + self.owed as u64
    }

    /// The chunk answered next, when `done` were answered so far.
    fn next(&self, done: u64) -> Option<u64> {
        let next = (done + 1).max(self.first);
        (next < self.end()).then_some(next)
    }
}

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
    Value(Codec, Range<usize>),
    Fault(Fault),
}

/// What became of a slot's chunks when it died.
#[derive(Debug)]
pub(super) struct Wreck {
    /// The chunk that ran.
    pub(super) culprit: Option<Waiting>,
    /// Those behind it, and those whose results were lost with it.
    pub(super) others: Vec<Waiting>,
    pub(super) last_lines: Vec<String>,
    pub(super) exit: Exit,
}

/// The slot's descriptors with the reactor. Made when an executor first waits for this slot: a program that only blocks
/// never starts the reactor's thread.
#[derive(Debug)]
struct Bells {
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

#[derive(Debug)]
pub(super) struct Slot {
    started: Started,
    bells: Option<Bells>,
    greeted: bool,
    inbox: Vec<u8>,
    parsed: usize,
    frames: VecDeque<Frame>,
    /// Bytes of the first unsent frame that are in the pipe already, and which frame that is.
    unsent: usize,
    sent_bytes: usize,
    /// Numbers: of the last chunk queued, and of the last whose result was taken.
    last_queued: u64,
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

    pub(super) fn processor_time(&self) -> Duration {
        Duration::from_nanos(self.started.page.processor_time())
    }

    /// Fit for the next run: alive, greeted, and nothing under way in either direction.
    pub(super) fn is_idle(&self) -> bool {
        self.greeted && self.in_hand == 0 && self.frames.is_empty() && self.exit.is_none() && self.parsed == self.inbox.len()
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
    }

    pub(super) fn begin_run(&mut self, frame: Arc<Vec<u8>>) {
        self.before_run = self.last_queued;
        self.frames.push_back(Frame::Run(frame));
    }

    /// Queues a batch and sends what the pipe takes.
    pub(super) fn send(&mut self, mut batch: Batch) -> io::Result<()> {
        let chunks = batch.chunks();
        let first = self.last_queued + 1;
        let body = (batch.frame.len() - HEADER) as u64;
        Header { kind: Kind::Chunks, chunks: chunks as u32, first, body }.write(&mut batch.frame);
        self.last_queued += chunks as u64;
        self.in_hand += chunks;
        self.served += chunks;
        self.frames.push_back(Frame::Chunks(Sent { batch, first, owed: chunks }));
        self.write().map(drop)
    }

    pub(super) fn has_unsent(&self) -> bool {
        self.unsent < self.frames.len()
    }

    /// Writes until the pipe is full; true if anything went.
    pub(super) fn write(&mut self) -> io::Result<bool> {
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
    pub(super) fn read(&mut self) -> io::Result<bool> {
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
        let whole = if self.greeted { Record::whole_length(&self.inbox) } else { None };
        whole.map_or(USUAL, |whole| whole.saturating_sub(self.inbox.len()).max(USUAL))
    }

    /// The bytes of a value that arrived last.
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.inbox[range]
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
        if here.len() < RECORD {
            return Ok(None);
        }
        let record = Record::read(here)?;
        if here.len() < RECORD + record.length {
            return Ok(None);
        }
        let body = self.parsed + RECORD..self.parsed + RECORD + record.length;
        let place = self.answered(record.number)?;
        let content = match record.content {
            Content::Value(codec) => ArrivedContent::Value(codec, body.clone()),
            Content::Fault => ArrivedContent::Fault(decode_fault(&self.inbox[body.clone()])),
        };
        self.parsed = body.end;
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
                Some(chunk) if Some(number) == culprit => wreck.culprit = Some(chunk),
                Some(chunk) => wreck.others.push(chunk),
                None => {} // taken back before
            }
        }
        self.in_hand = 0;
        wreck
    }

    /// What to wait for: results, death, and room in the pipe if something is unsent.
    pub(super) fn events<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        fds.push(PollFd::new(&self.started.results, PollFlags::IN));
        fds.push(PollFd::new(self.started.process.ended(), PollFlags::IN));
        if self.has_unsent() {
            fds.push(PollFd::new(&self.started.requests, PollFlags::OUT));
        }
    }

    /// Acts on what [`events`](Slot::events) asked for, in its order; true if anything moved.
    pub(super) fn exchange(&mut self, ready: &mut impl Iterator<Item = bool>) -> io::Result<bool> {
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
    pub(super) fn wake_on_events(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let bells = match &mut self.bells {
            Some(bells) => bells,
            none => none.insert(Bells::new(&self.started)?),
        };
        let results = bells.results.poll_readable(cx);
        let ended = bells.ended.poll_readable(cx);
        let room = if self.unsent < self.frames.len() { bells.requests.poll_writable(cx) } else { Poll::Pending };
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
