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
    thread::sched_yield,
};

use super::{
    pace::Pace,
    pool::{self, Surroundings},
    slot::{Arrived, ArrivedContent, Batch, Place, Slot, Waiting},
};
use crate::{
    error::{Error, Result},
    event::SlotUse,
    failure::{Failure, FailureKind, Fault},
    function::{Codec, Limit},
    names::{FEED_AHEAD, HELLO_WITHIN, SPIN, STILLBORN_SLOTS},
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
    pub(crate) surroundings: Arc<Surroundings>,
    /// The caller blocks in each poll until there is an outcome, and has no waker. Its input is never pending.
    pub(crate) blocking: bool,
}

/// One finished chunk, its value still encoded.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(crate) index: usize,
    pub(crate) slot: Option<usize>,
    pub(crate) attempt: u32,
    /// Nanoseconds.
    pub(crate) elapsed: u64,
    pub(crate) body: Body,
}

#[derive(Debug)]
pub(crate) enum Body {
    Value(Codec, Range<usize>),
    Failed(Failure),
}

impl Body {
    /// The body; what is left behind is an empty value.
    #[inline]
    pub(crate) fn take(&mut self) -> Body {
        std::mem::replace(self, Body::Value(Codec::Postcard, 0..0))
    }
}

pub(crate) struct Slots {
    job: Job,
    /// The chunk that the last poll gave. Kept in place and read there: handing it up by value through every layer costs
    /// more than all else that is done for a no-op chunk.
    current: Raw,
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

/// What a look at the clocks gave.
enum Look {
    Changed,
    /// Nothing yet; look again after this long, if ever.
    Again(Option<Duration>),
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
    busy_nanos: u64,
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
            current: Raw { index: 0, slot: None, attempt: 0, elapsed: 0, body: Body::Value(Codec::Postcard, 0..0) },
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

    /// The chunk that the last poll gave, and its value's bytes.
    #[inline]
    pub(crate) fn current(&mut self) -> (&mut Raw, &[u8]) {
        let raw = &mut self.current;
        let bytes = match (&raw.body, raw.slot.and_then(|seat| self.slots[seat].slot.as_ref())) {
            (Body::Value(_, range), Some(seated)) => seated.slot.bytes(range.clone()),
            _ => &[],
        };
        (raw, bytes)
    }

    pub(crate) fn slots_used(&self) -> Vec<SlotUse> {
        self.slots.iter().map(|seat| SlotUse {
            processor: seat.used.processor + seat.processor_now(),
            busy: Duration::from_nanos(seat.busy_nanos),
            ..seat.used
        }).collect()
    }

    /// Bytes of encoded inputs sent and of encoded results received.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        (self.bytes_sent, self.bytes_back)
    }

    /// Goes on to the next finished chunk, which is then the current one; false when all are done.
    ///
    /// # Errors
    /// When the run cannot go on: a slot cannot be started or is not ours.
    #[inline]
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed) -> Poll<Result<bool>> {
        match self.take_finished() {
            Ok(true) => Poll::Ready(self.hand_out(cx, feed)),
            Ok(false) => self.work(cx, feed),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Before the consumer takes its time with a chunk, the chunk's slot gets more to do.
    #[inline]
    fn hand_out(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed) -> Result<bool> {
        if let Some(seat) = self.current.slot
            && self.input != Input::Pending
            && self.slots[seat].in_hand() <= self.pace.in_hand() / 2
        {
            self.feed(cx, feed, seat)?;
        }
        Ok(true)
    }

    /// Feeds, waits and looks at the clocks until something is finished.
    #[inline(never)]
    fn work(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed) -> Poll<Result<bool>> {
        let mut waited = false;
        let mut spin_until = None;
        loop {
            if self.take_finished()? {
                return Poll::Ready(self.hand_out(cx, feed));
            }
            self.feed_all(cx, feed)?;
            if !self.faults.is_empty() {
                continue;
            }
            if self.input == Input::Ended && self.waiting.is_empty() && self.slots.iter().all(|seat| seat.in_hand() == 0) {
                return Poll::Ready(Ok(false));
            }
            let next_look = match self.check_clocks()? {
                Look::Changed => continue,
                Look::Again(after) => after,
            };
            if self.exchange(Some(Duration::ZERO))? {
                spin_until = None;
                continue;
            }
            let now = Instant::now();
            if now < *spin_until.get_or_insert(now + SPIN) {
                sched_yield();
            } else if self.job.blocking {
                self.exchange(next_look)?;
            } else if waited {
                self.wake_on_events(cx, next_look)?;
                return Poll::Pending;
            } else {
                waited = true;
                self.exchange(Some(IN_PLACE))?;
            }
        }
    }

    /// Makes the next result that is here already the current one.
    fn take_finished(&mut self) -> Result<bool> {
        if let Some(raw) = self.faults.pop_front() {
            self.current = raw;
            return Ok(true);
        }
        for _ in 0..self.slots.len() {
            let turn = self.turn;
            while let Some(seated) = &mut self.slots[turn].slot {
                match seated.slot.next() {
                    Ok(Some(arrived)) => {
                        if self.book(turn, arrived) {
                            return Ok(true);
                        }
                    }
                    Ok(None) => {
                        if seated.slot.exit().is_some() {
                            self.bury(turn)?;
                            if let Some(raw) = self.faults.pop_front() {
                                self.current = raw;
                                return Ok(true);
                            }
                        }
                        break;
                    }
                    Err(reason) => return Err(self.unusable(turn, &reason)),
                }
            }
            self.turn = if turn + 1 < self.slots.len() { turn + 1 } else { 0 };
        }
        Ok(false)
    }

    /// Books a result: a value becomes the current chunk, a fault perhaps another attempt (then false).
    #[inline]
    fn book(&mut self, turn: usize, arrived: Arrived) -> bool {
        let Arrived { place, elapsed, content } = arrived;
        self.stillborn = 0;
        self.pace.learn(elapsed);
        let seat = &mut self.slots[turn];
        seat.used.chunks += 1;
        seat.busy_nanos += elapsed;
        match content {
            ArrivedContent::Value(codec, range) => {
                self.bytes_back += range.len() as u64;
                self.current.index = place.index;
                self.current.slot = Some(turn);
                self.current.attempt = place.attempt;
                self.current.elapsed = elapsed;
                self.current.body = Body::Value(codec, range);
                true
            }
            ArrivedContent::Fault(fault) => {
                let again = seat.slot.as_ref().and_then(|seated| seated.slot.last_answered());
                match self.fail(turn, place, elapsed, fault, again, Vec::new()) {
                    Some(raw) => {
                        self.current = raw;
                        true
                    }
                    None => false,
                }
            }
        }
    }

    /// Another attempt if the fault and the run's retries allow it, else the chunk's outcome.
    fn fail(
        &mut self,
        turn: usize,
        place: Place,
        elapsed: u64,
        fault: Fault,
        again: Option<Waiting>,
        last_lines: Vec<String>,
    ) -> Option<Raw> {
        if fault.is_retryable()
            && place.attempt <= self.job.retries
            && let Some(mut chunk) = again
        {
            chunk.place.attempt += 1;
            self.waiting.push_back(chunk);
            return None;
        }
        let failure = fault.of(place.index, place.attempt, Some(turn), last_lines);
        let Place { index, attempt } = place;
        Some(Raw { index, slot: Some(turn), attempt, elapsed, body: Body::Failed(failure) })
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
                let elapsed = seated.slot.ran_for().unwrap_or_default().as_nanos() as u64;
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
            // It may have been dead for long; that says nothing about this run.
            None if seated.slot.was_warm() && !seated.slot.has_begun() => {}
            None => {
                self.stillborn += 1;
                if self.stillborn >= STILLBORN_SLOTS {
                    let reason = format!(
                        "{STILLBORN_SLOTS} slots in a row ended outside any chunk and without a result; the last: {}",
                        wreck.exit.fault(&wreck.last_lines).message()
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
                        elapsed: 0,
                        body: Body::Failed(fault.of(index, 0, None, Vec::new())),
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

    /// Moves bytes both ways, waiting up to `patience` (for ever, if `None`) for the first; true if anything moved.
    fn exchange(&mut self, patience: Option<Duration>) -> Result<bool> {
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(3 * self.slots.len());
        for seated in self.slots.iter().filter_map(Seat::busy) {
            seated.slot.events(&mut fds);
        }
        let patience = patience.map(|patience| Timespec {
            tv_sec: patience.as_secs() as i64,
            tv_nsec: i64::from(patience.subsec_nanos()),
        });
        match poll(&mut fds, patience.as_ref()) {
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
    /// slow one while another slot has nothing to do.
    fn check_clocks(&mut self) -> Result<Look> {
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
        Ok(if changed { Look::Changed } else { Look::Again(next_look) })
    }

    fn wake_on_events(&mut self, cx: &mut Context<'_>, next_look: Option<Duration>) -> Result<()> {
        for turn in 0..self.slots.len() {
            if let Some(seated) = self.slots[turn].slot.as_mut().filter(|seated| seated.slot.in_hand() > 0) {
                seated.slot.wake_on_events(cx).map_err(|error| self.unusable(turn, &error))?;
            }
        }
        self.timer = next_look.map(Timer::after);
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
