//! The slots of one run: feeds chunks, takes results, retries, restarts, blames. The only owner of what is where.
//!
//! A chunk is in exactly one place: not yet pulled from the input, in `waiting`, in hand of one slot, or handed out.
//! Whoever polls does all the work here, so the input needs no `Send`; between polls only the slots work.

mod feeding;
mod waiting;

use std::{
    collections::VecDeque,
    fmt::Display,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use async_io::Timer;
use rustix::thread::sched_yield;

use super::{
    batch::{Batch, Place, Waiting},
    job::{Body, Feed, Job, Raw},
    pace::Pace,
    pool,
    slot::{Arrived, ArrivedContent, Slot},
};
use crate::{
    error::{Error, Halting},
    event::SlotUse,
    failure::{FailureKind, Fault},
    function::Codec,
    names::{REPORT_EVERY, STILLBORN_SLOTS},
    settings::spin,
};

use waiting::Look;

/// Waiting for an answer on the pipe itself, before handing over to the reactor's thread: a reactor doubles the latency of
/// a call, since two threads must be woken in place of one.
const IN_PLACE: Duration = Duration::from_micros(50);

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
    /// The system gives no further process.
    no_more_slots: bool,
    notice: Option<String>,
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
    busy_nanos: u64,
}

struct Seated {
    slot: Slot,
    since: Instant,
    /// Processor time before this run.
    processor_before: Duration,
    /// The chunk that ran past its timeout, for which the process was killed.
    timed_out: Option<u64>,
}

impl Slots {
    pub(crate) fn new(job: Job) -> Slots {
        Slots {
            job,
            current: Raw { index: 0, slot: None, attempt: 0, elapsed: 0, body: Body::Value(Codec::Postcard) },
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
            no_more_slots: false,
            notice: None,
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
            (Body::Value(_), Some(seated)) => seated.slot.body(),
            _ => &[],
        };
        (raw, bytes)
    }

    pub(crate) fn slots_used(&self) -> Vec<SlotUse> {
        self.slots
            .iter()
            .map(|seat| SlotUse {
                processor: seat.used.processor + seat.processor_now(),
                busy: Duration::from_nanos(seat.busy_nanos),
                ..seat.used
            })
            .collect()
    }

    /// The largest resident memory of this slot's process, KiB. Not among what is always told: asking costs as much as a call.
    pub(crate) fn peak_memory(&self, seat: usize) -> u64 {
        self.slots[seat].slot.as_ref().map_or(0, |seated| seated.slot.peak_memory())
    }

    /// Something the user should know of, once.
    pub(crate) fn take_notice(&mut self) -> Option<String> {
        self.notice.take()
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
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed) -> Poll<Halting<bool>> {
        match self.take_finished() {
            Ok(true) => Poll::Ready(self.hand_out(cx, feed)),
            Ok(false) => self.work(cx, feed),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Before the consumer takes its time with a chunk, the chunk's slot gets more to do.
    #[inline]
    fn hand_out(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed) -> Halting<bool> {
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
    fn work(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed) -> Poll<Halting<bool>> {
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
            if self.input == Input::Ended
                && self.waiting.is_empty()
                && self.slots.iter().all(|seat| seat.in_hand() == 0)
            {
                return Poll::Ready(Ok(false));
            }
            let next_look = match self.check_clocks()? {
                Look::Changed => continue,
                // Whoever polls also reports progress, however long a chunk takes.
                Look::Again(after) => after.map_or(REPORT_EVERY, |after| after.min(REPORT_EVERY)),
            };
            let now = Instant::now();
            let looking = now < *spin_until.get_or_insert(now + spin());
            let patience = match (looking, self.job.blocking) {
                (false, true) => next_look,
                (false, false) if !waited => IN_PLACE,
                _ => Duration::ZERO,
            };
            if self.exchange(patience)? {
                spin_until = None;
            } else if looking {
                sched_yield();
            } else if self.job.blocking {
                return Poll::Pending;
            } else if waited {
                self.wake_on_events(cx, next_look)?;
                return Poll::Pending;
            } else {
                waited = true;
            }
        }
    }

    /// Makes the next result that is here already the current one.
    fn take_finished(&mut self) -> Halting<bool> {
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
            ArrivedContent::Value(codec) => {
                self.bytes_back += seat.slot.as_ref().map_or(0, |seated| seated.slot.body().len() as u64);
                self.current.index = place.index;
                self.current.slot = Some(turn);
                self.current.attempt = place.attempt;
                self.current.elapsed = elapsed;
                self.current.body = Body::Value(codec);
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
    fn bury(&mut self, turn: usize) -> Halting<()> {
        let seat = &mut self.slots[turn];
        seat.used.processor += seat.processor_now();
        seat.used.restarts += 1;
        self.no_more_slots = false;
        let Some(mut seated) = seat.slot.take() else { return Ok(()) };
        let wreck = seated.slot.wreck();
        // In front of everything else: these were begun, or about to be, before what waits.
        for chunk in wreck.others.into_iter().rev() {
            self.waiting.push_front(chunk);
        }
        match wreck.culprit {
            // The one that was too slow got through at the last moment; this one has just begun.
            Some((number, chunk)) if seated.timed_out.is_some_and(|timed_out| timed_out != number) => {
                self.waiting.push_front(chunk);
            }
            Some((_, chunk)) => {
                self.stillborn = 0;
                let elapsed = seated.slot.ran_for().unwrap_or_default().as_nanos() as u64;
                let fault = match self.job.timeout {
                    Some(limit) if seated.timed_out.is_some() => Fault::new(
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
                    return Err(Box::new(Error::Slot { slot: turn, reason, stderr: wreck.last_lines }));
                }
            }
        }
        Ok(())
    }

    fn unusable(&self, turn: usize, reason: &dyn Display) -> Box<Error> {
        let stderr = self.slots[turn].slot.as_ref().map(|seated| seated.slot.take_last_lines());
        Box::new(Error::Slot { slot: turn, reason: reason.to_string(), stderr: stderr.unwrap_or_default() })
    }
}

impl Drop for Slots {
    /// Ends the run. A slot that still works on it is killed, since nothing else stops user code; the others stay warm.
    fn drop(&mut self) {
        for seat in &mut self.slots {
            let Some(Seated { slot, .. }) = seat.slot.take() else { continue };
            // What its chunks printed comes before whatever the program does next, its end included.
            slot.pass_prints_on();
            if self.job.chunks_per_slot.is_none() {
                pool::give(&self.job.surroundings, slot, self.job.slots);
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
