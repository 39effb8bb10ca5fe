//! The slots of one run: feeds chunks, takes results, retries, restarts, blames. The only owner of what is where.
//!
//! A chunk is in exactly one place: not yet pulled from the input, in `waiting`, in hand of one slot, or handed out.
//! Whoever polls does all the work here, so the input needs no `Send`; between polls only the slots work.

use std::{
    collections::VecDeque,
    fmt::Display,
    future::Future,
    ops::Range,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use async_io::Timer;
use rustix::{
    event::{PollFd, Timespec, poll},
    io::Errno,
};

use super::{
    pace::Pace,
    pool::{self, Surroundings},
    slot::{Arrived, ArrivedContent, Batch, Place, Slot, Waiting},
};
use crate::{
    error::{Error, Result},
    event::SlotUse,
    failure::{FailureKind, Fault},
    function::{Codec, Limit},
    names::{FEED_AHEAD, HELLO_WITHIN, STILLBORN_SLOTS},
};

/// Waiting for an answer on the pipe itself, before handing over to the reactor's thread: a reactor doubles the latency of
/// a call, since two threads must be woken in place of one.
const IN_PLACE: Duration = Duration::from_micros(50);

/// A frame is sent when it has this many bytes: a quarter of a pipe.
const FRAME_BYTES: usize = 64 << 10;

/// Larger batches go back to the allocator.
const KEPT_BATCH: usize = 8 << 20;

/// The input, encoded chunk by chunk.
pub(crate) trait Feed {
    /// Appends the next chunk's input. A fault takes the chunk's place: it is not sent.
    fn poll_encode(&mut self, cx: &mut Context<'_>, limit: Limit, out: &mut Vec<u8>) -> Poll<Option<Result<Codec, Fault>>>;
}

/// What the slots need to know of a run.
pub(crate) struct Job {
    /// The first frame to every slot.
    pub(crate) run_frame: Arc<Vec<u8>>,
    pub(crate) slots: usize,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: u32,
    pub(crate) limit: Limit,
    pub(crate) chunks_per_slot: Option<usize>,
    pub(crate) surroundings: Surroundings,
}

/// One finished chunk; a value's bytes are at [`Slots::bytes`] until the next poll.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) index: usize,
    pub(crate) slot: Option<usize>,
    pub(crate) attempt: u32,
    pub(crate) elapsed: Duration,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) enum Body {
    Value(Codec, Range<usize>),
    Fault(Fault, Vec<String>),
}

pub(crate) struct Slots {
    job: Job,
    slots: Vec<Seat>,
    waiting: VecDeque<Waiting>,
    next_index: usize,
    input: Input,
    /// No fresh input for now: the consumer holds results back for a straggler.
    stalled: bool,
    pace: Pace,
    /// Batches whose buffers can be used again.
    spare: Vec<Batch>,
    faults: VecDeque<Raw>,
    /// The seat whose results are being taken.
    turn: usize,
    stillborn: u32,
    timer: Option<Timer>,
    bytes_sent: u64,
    bytes_back: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    Open,
    /// A stream that has nothing at the moment.
    Pending,
    Ended,
}

/// A slot's number in the run; the process in it may change.
#[derive(Default)]
struct Seat {
    slot: Option<Seated>,
    used: SlotUse,
}

struct Seated {
    slot: Slot,
    since: Instant,
    /// Processor time before this run.
    processor_before: Duration,
    timed_out: bool,
}

impl Slots {
    pub(crate) fn new(job: Job) -> Slots {
        Slots {
            job,
            slots: Vec::new(),
            waiting: VecDeque::new(),
            next_index: 0,
            input: Input::Open,
            stalled: false,
            pace: Pace::default(),
            spare: Vec::new(),
            faults: VecDeque::new(),
            turn: 0,
            stillborn: 0,
            timer: None,
            bytes_sent: 0,
            bytes_back: 0,
        }
    }

    /// Stops or resumes pulling fresh input. Retries go on, so the chunk that is waited for is never held up.
    pub(crate) fn stall(&mut self, stalled: bool) {
        self.stalled = stalled;
    }

    /// The bytes of the value handed out last.
    pub(crate) fn bytes(&self, raw: &Raw) -> &[u8] {
        match (&raw.body, raw.slot.and_then(|seat| self.slots[seat].slot.as_ref())) {
            (Body::Value(_, range), Some(seated)) => seated.slot.bytes(range.clone()),
            _ => &[],
        }
    }

    pub(crate) fn slots_used(&self) -> Vec<SlotUse> {
        self.slots.iter().map(|seat| SlotUse { processor: seat.used.processor + seat.processor_now(), ..seat.used }).collect()
    }

    /// Bytes of encoded inputs sent and of encoded results received.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        (self.bytes_sent, self.bytes_back)
    }

    /// The next finished chunk; `None` when all are.
    ///
    /// # Errors
    /// When the run cannot go on: a slot cannot be started or is not ours.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed) -> Poll<Option<Result<Raw>>> {
        self.poll_step(cx, feed).map(Result::transpose)
    }

    fn poll_step(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed) -> Poll<Result<Option<Raw>>> {
        let mut patience = IN_PLACE;
        loop {
            if let Some(raw) = self.take_finished()? {
                // Before the consumer takes its time with this one, its slot gets more to do.
                if let Some(seat) = raw.slot {
                    self.refill(cx, feed, seat)?;
                }
                return Poll::Ready(Ok(Some(raw)));
            }
            self.feed_all(cx, feed)?;
            if !self.faults.is_empty() {
                continue;
            }
            if self.input == Input::Ended && self.waiting.is_empty() && self.slots.iter().all(|seat| seat.in_hand() == 0) {
                return Poll::Ready(Ok(None));
            }
            if self.exchange(patience)? {
                continue;
            }
            if self.check_clocks()? {
                continue;
            }
            if patience > Duration::ZERO {
                patience = Duration::ZERO;
                continue;
            }
            self.wake_on_events(cx)?;
            return Poll::Pending;
        }
    }

    /// The next result that is here already.
    fn take_finished(&mut self) -> Result<Option<Raw>> {
        if let Some(raw) = self.faults.pop_front() {
            return Ok(Some(raw));
        }
        for _ in 0..self.slots.len() {
            let turn = self.turn;
            if let Some(seated) = &mut self.slots[turn].slot {
                match seated.slot.next() {
                    Ok(Some(arrived)) => {
                        if let Some(raw) = self.book(turn, arrived) {
                            return Ok(Some(raw));
                        }
                        continue;
                    }
                    Ok(None) => {
                        if seated.slot.exit().is_some() {
                            self.bury(turn)?;
                        }
                        if let Some(raw) = self.faults.pop_front() {
                            return Ok(Some(raw));
                        }
                    }
                    Err(reason) => return Err(self.unusable(turn, &reason)),
                }
            }
            self.turn = (turn + 1) % self.slots.len();
        }
        Ok(None)
    }

    /// Books a result: a value is handed out, a fault perhaps tried again.
    fn book(&mut self, turn: usize, arrived: Arrived) -> Option<Raw> {
        let Arrived { place, elapsed, content } = arrived;
        self.stillborn = 0;
        self.pace.learn(elapsed);
        let seat = &mut self.slots[turn];
        seat.used.chunks += 1;
        seat.used.busy += elapsed;
        match content {
            ArrivedContent::Value(codec, range) => {
                self.bytes_back += range.len() as u64;
                Some(Raw {
                    index: place.index,
                    slot: Some(turn),
                    attempt: place.attempt,
                    elapsed,
                    body: Body::Value(codec, range),
                })
            }
            ArrivedContent::Fault(fault) => {
                let again = seat.slot.as_ref().and_then(|seated| seated.slot.last_answered());
                self.fail(turn, place, elapsed, fault, again, Vec::new())
            }
        }
    }

    /// Another attempt if the fault and the run's retries allow it, else the chunk's outcome.
    fn fail(
        &mut self,
        turn: usize,
        place: Place,
        elapsed: Duration,
        fault: Fault,
        again: Option<Waiting>,
        last_lines: Vec<String>,
    ) -> Option<Raw> {
        if fault.kind.is_retryable()
            && place.attempt <= self.job.retries
            && let Some(mut chunk) = again
        {
            chunk.place.attempt += 1;
            self.waiting.push_back(chunk);
            return None;
        }
        Some(Raw {
            index: place.index,
            slot: Some(turn),
            attempt: place.attempt,
            elapsed,
            body: Body::Fault(fault, last_lines),
        })
    }

    /// A slot is dead and its last results are taken: the chunk that ran is to blame, the rest goes to others.
    fn bury(&mut self, turn: usize) -> Result<()> {
        let seat = &mut self.slots[turn];
        seat.used.processor += seat.processor_now();
        seat.used.restarts += 1;
        let Some(mut seated) = seat.slot.take() else { return Ok(()) };
        let wreck = seated.slot.wreck();
        // In front of everything else: these were begun, or about to be, before what waits.
        for chunk in wreck.others.into_iter().rev() {
            self.waiting.push_front(chunk);
        }
        match wreck.culprit {
            Some(chunk) => {
                self.stillborn = 0;
                let elapsed = seated.slot.ran_for().unwrap_or_default();
                let fault = match self.job.timeout {
                    Some(limit) if seated.timed_out => Fault::new(
                        FailureKind::Timeout { limit },
                        format!("it was still running after {limit:?} and its slot was killed"),
                    ),
                    _ => wreck.exit.fault(&wreck.last_lines),
                };
                let raw = self.fail(turn, chunk.place, elapsed, fault, Some(chunk), wreck.last_lines);
                self.faults.extend(raw);
            }
            None => {
                self.stillborn += 1;
                if self.stillborn >= STILLBORN_SLOTS {
                    let reason = format!(
                        "{STILLBORN_SLOTS} slots in a row ended before they began a chunk; the last: {}",
                        wreck.exit.fault(&wreck.last_lines).message
                    );
                    return Err(Error::Slot { slot: turn, reason, stderr: wreck.last_lines });
                }
            }
        }
        Ok(())
    }

    /// Gives every slot about a millisecond of work, in turns, starting slots as long as there are chunks for them.
    fn feed_all(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed) -> Result<()> {
        if self.input == Input::Pending {
            self.input = Input::Open;
        }
        loop {
            let mut fed = false;
            for seat in 0..self.slots.len() {
                self.retire_if_worn(seat);
                fed |= self.feed(cx, feed, seat)?;
            }
            if !fed {
                let idle = self.slots.iter().any(|seat| seat.in_hand() == 0);
                if idle || self.slots.len() == self.job.slots {
                    return Ok(());
                }
                self.slots.push(Seat::default());
            }
        }
    }

    /// Keeps a slot supplied while its results are taken one by one.
    fn refill(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed, seat: usize) -> Result<()> {
        if self.input != Input::Pending && self.slots[seat].in_hand() <= self.pace.in_hand() / 2 {
            self.feed(cx, feed, seat)?;
        }
        Ok(())
    }

    /// Sends one batch to a slot that has room for it; true if there was one.
    fn feed(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed, seat: usize) -> Result<bool> {
        let (in_hand, left) = match &self.slots[seat].slot {
            Some(seated) => {
                if seated.slot.exit().is_some() || seated.slot.has_unsent() {
                    return Ok(false);
                }
                (seated.slot.in_hand(), self.job.chunks_per_slot.map(|most| most.saturating_sub(seated.slot.served())))
            }
            None => (0, self.job.chunks_per_slot),
        };
        let target = self.pace.in_hand();
        // In quarters, so that slots fill up side by side when there is little left.
        let room = target.saturating_sub(in_hand).min(target.div_ceil(4)).min(left.unwrap_or(usize::MAX));
        if room == 0 {
            return Ok(false);
        }
        let Some(batch) = self.fill(cx, feed, room) else { return Ok(false) };
        self.bytes_sent += batch.input_bytes() as u64;
        self.seat(seat)?;
        if let Some(seated) = &mut self.slots[seat].slot {
            seated.slot.send(batch).map_err(|error| self.unusable(seat, &error))?;
        }
        Ok(true)
    }

    /// Encodes up to `room` chunks: one that waits, or fresh ones.
    fn fill(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed, room: usize) -> Option<Batch> {
        let spare = self.spare.pop().unwrap_or_default();
        if let Some(chunk) = self.waiting.pop_front() {
            let mut batch = spare.reused(chunk.place);
            let added: std::result::Result<(), Fault> = batch.add(|out| {
                out.extend_from_slice(&chunk.input);
                Ok(chunk.codec)
            });
            return added.ok().map(|()| batch);
        }
        let mut batch = spare.reused(Place { index: self.next_index, attempt: 1 });
        while !self.stalled && self.input == Input::Open && batch.chunks() < room && batch.bytes() < FRAME_BYTES {
            let limit = self.job.limit;
            let mut state = Input::Open;
            let added = batch.add(|out| match feed.poll_encode(cx, limit, out) {
                Poll::Ready(Some(Ok(codec))) => Ok(codec),
                Poll::Ready(Some(Err(fault))) => Err(Some(fault)),
                Poll::Ready(None) => {
                    state = Input::Ended;
                    Err(None)
                }
                Poll::Pending => {
                    state = Input::Pending;
                    Err(None)
                }
            });
            self.input = state;
            match added {
                Ok(()) => self.next_index += 1,
                Err(None) => break,
                Err(Some(fault)) => {
                    let index = self.next_index;
                    self.next_index += 1;
                    self.faults.push_back(Raw {
                        index,
                        slot: None,
                        attempt: 0,
                        elapsed: Duration::ZERO,
                        body: Body::Fault(fault, Vec::new()),
                    });
                    // A batch is of consecutive chunks, so this one ends here.
                    if batch.chunks() > 0 {
                        break;
                    }
                    batch = batch.reused(Place { index: self.next_index, attempt: 1 });
                }
            }
        }
        if batch.chunks() == 0 {
            self.spare.push(batch);
            return None;
        }
        Some(batch)
    }

    /// Puts a process into a seat that has none: a warm one if there is, else a new one.
    fn seat(&mut self, seat: usize) -> Result<()> {
        if self.slots[seat].slot.is_some() {
            return Ok(());
        }
        // A worn-out process is ended, so such a run shares none with others.
        let warm = if self.job.chunks_per_slot.is_none() { pool::take(&self.job.surroundings) } else { None };
        let mut slot = match warm {
            Some(slot) => slot,
            None => Slot::start(&self.job.surroundings.extra_env).map_err(|error| Error::Slot {
                slot: seat,
                reason: format!("its process cannot be started: {error}"),
                stderr: Vec::new(),
            })?,
        };
        slot.begin_run(Arc::clone(&self.job.run_frame));
        let processor_before = slot.processor_time();
        self.slots[seat].slot = Some(Seated { slot, since: Instant::now(), processor_before, timed_out: false });
        Ok(())
    }

    /// Ends a process that has served its number of chunks.
    fn retire_if_worn(&mut self, seat: usize) {
        let seat = &mut self.slots[seat];
        let Some(seated) = &seat.slot else { return };
        if self.job.chunks_per_slot.is_some_and(|most| seated.slot.in_hand() == 0 && seated.slot.served() >= most) {
            seat.used.processor += seat.processor_now();
            seat.used.restarts += 1;
            seat.slot = None;
        }
    }

    /// Moves bytes both ways, waiting up to `patience` for the first; true if anything moved.
    fn exchange(&mut self, patience: Duration) -> Result<bool> {
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(3 * self.slots.len());
        for seated in self.slots.iter().filter_map(Seat::busy) {
            seated.slot.events(&mut fds);
        }
        let timeout = Timespec { tv_sec: 0, tv_nsec: patience.as_nanos() as i64 };
        match poll(&mut fds, Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => return Ok(false),
            Ok(_) => {}
            Err(error) => return Err(self.unusable(0, &error)),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        let mut ready = ready.into_iter();
        let mut moved = false;
        for turn in 0..self.slots.len() {
            if self.slots[turn].busy().is_none() {
                continue;
            }
            if let Some(seated) = &mut self.slots[turn].slot {
                moved |= seated.slot.exchange(&mut ready).map_err(|error| self.unusable(turn, &error))?;
            }
            self.reclaim(turn);
        }
        Ok(moved)
    }

    /// Buffers of answered batches are used again.
    fn reclaim(&mut self, turn: usize) {
        let Some(seated) = &mut self.slots[turn].slot else { return };
        while let Some(batch) = seated.slot.reclaim() {
            if batch.capacity() <= KEPT_BATCH && self.spare.len() <= 2 * self.job.slots {
                self.spare.push(batch);
            }
        }
    }

    /// Looks at everything that time decides: slots that never say hello, chunks past their timeout, chunks stuck behind a
    /// slow one while another slot has nothing to do. True if anything changed. Sets the timer for the next look.
    fn check_clocks(&mut self) -> Result<bool> {
        let input_waits = self.input != Input::Open || self.stalled;
        let hungry = self.waiting.is_empty()
            && input_waits
            && (self.slots.len() < self.job.slots || self.slots.iter().any(|seat| seat.in_hand() == 0));
        let mut changed = false;
        let mut next_look: Option<Duration> = None;
        let mut look_in = |after: Duration| next_look = Some(next_look.map_or(after, |before| before.min(after)));
        for turn in 0..self.slots.len() {
            let Some(seated) = self.slots[turn].slot.as_mut().filter(|seated| seated.slot.in_hand() > 0) else { continue };
            if !seated.slot.greeted() {
                match HELLO_WITHIN.checked_sub(seated.since.elapsed()) {
                    Some(left) => look_in(left),
                    None => return Err(self.unusable(turn, &format!("it has not said hello within {HELLO_WITHIN:?}"))),
                }
                continue;
            }
            // A chunk may begin any moment, so one that has not begun counts as begun now.
            let ran = seated.slot.ran_for().unwrap_or_default();
            if let Some(limit) = self.job.timeout.filter(|_| !seated.timed_out) {
                match limit.checked_sub(ran) {
                    Some(left) if left > Duration::ZERO => look_in(left),
                    _ => {
                        seated.timed_out = true;
                        seated.slot.kill();
                    }
                }
            }
            if hungry && seated.slot.in_hand() > 1 {
                match FEED_AHEAD.checked_sub(ran) {
                    Some(left) if left > Duration::ZERO => look_in(left),
                    _ => {
                        let back = seated.slot.take_back();
                        changed |= !back.is_empty();
                        self.waiting.extend(back);
                    }
                }
            }
        }
        self.timer = next_look.map(Timer::after);
        Ok(changed)
    }

    fn wake_on_events(&mut self, cx: &mut Context<'_>) -> Result<()> {
        for turn in 0..self.slots.len() {
            if let Some(seated) = self.slots[turn].busy() {
                seated.slot.wake_on_events(cx).map_err(|error| self.unusable(turn, &error))?;
            }
        }
        if let Some(timer) = &mut self.timer
            && Pin::new(timer).poll(cx).is_ready()
        {
            cx.waker().wake_by_ref();
        }
        Ok(())
    }

    fn unusable(&self, turn: usize, reason: &dyn Display) -> Error {
        let stderr = self.slots[turn].slot.as_ref().map(|seated| seated.slot.take_last_lines());
        Error::Slot { slot: turn, reason: reason.to_string(), stderr: stderr.unwrap_or_default() }
    }
}

impl Drop for Slots {
    /// Ends the run. A slot that still works on it is killed, since nothing else stops user code; the others stay warm.
    fn drop(&mut self) {
        for seat in &mut self.slots {
            if let Some(Seated { slot, .. }) = seat.slot.take()
                && self.job.chunks_per_slot.is_none()
            {
                pool::give(&self.job.surroundings, slot);
            }
        }
    }
}

impl Seat {
    fn in_hand(&self) -> usize {
        self.slot.as_ref().map_or(0, |seated| seated.slot.in_hand())
    }

    fn busy(&self) -> Option<&Seated> {
        self.slot.as_ref().filter(|seated| seated.slot.in_hand() > 0)
    }

    fn processor_now(&self) -> Duration {
        self.slot.as_ref().map_or(Duration::ZERO, |seated| {
            seated.slot.processor_time().saturating_sub(seated.processor_before)
        })
    }
}
