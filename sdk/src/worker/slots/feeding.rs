//! Input on its way to the slots.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Instant,
};

use super::{Input, Seat, Seated, Slots};
use crate::{
    error::{Error, Halting},
    failure::Fault,
    names::FEED_AHEAD,
    worker::{
        batch::{Batch, Place},
        job::{Body, Feed, Raw},
        pool,
        slot::Slot,
    },
};

/// A frame is sent when it has this many bytes: a quarter of a pipe.
const FRAME_BYTES: usize = 64 << 10;

impl Slots {
    /// Gives every slot about a millisecond of work, in turns, starting slots as long as there are chunks for them.
    pub(super) fn feed_all(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed) -> Halting<()> {
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
    pub(super) fn feed(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed, seat: usize) -> Halting<bool> {
        let (in_hand, left) = match &self.slots[seat].slot {
            Some(seated) => {
                if seated.slot.exit().is_some() || seated.slot.has_unsent() {
                    return Ok(false);
                }
                // Nothing goes behind a chunk that is slow already: it would only be taken back.
                if seated.slot.ran_for().is_some_and(|ran| ran >= FEED_AHEAD) {
                    return Ok(false);
                }
                (
                    seated.slot.in_hand(),
                    self.job.chunks_per_slot.map(|most| most.saturating_sub(seated.slot.served())),
                )
            }
            None if self.no_more_slots => return Ok(false),
            None => (0, self.job.chunks_per_slot),
        };
        let target = self.pace.in_hand();
        // In quarters, so that slots fill up side by side when there is little left.
        let room = target.saturating_sub(in_hand).min(target.div_ceil(4)).min(left.unwrap_or(usize::MAX));
        if room == 0 {
            return Ok(false);
        }
        let Some(batch) = self.fill(cx, feed, room) else { return Ok(false) };
        if let Err(error) = self.seat(seat) {
            if self.slots.iter().all(|seat| seat.slot.is_none()) {
                return Err(error);
            }
            // With the slots there are, a run is slower and nothing else.
            let slots = self.slots.iter().filter(|seat| seat.slot.is_some()).count();
            self.notice = Some(format!("{error}; the run goes on with {slots}"));
            self.no_more_slots = true;
            self.waiting.extend((0..batch.chunks()).map(|position| batch.copy(position)));
            return Ok(false);
        }
        self.bytes_sent += batch.input_bytes() as u64;
        if let Some(seated) = &mut self.slots[seat].slot {
            seated.slot.send(batch).map_err(|error| self.unusable(seat, &error))?;
        }
        Ok(true)
    }

    /// Encodes up to `room` chunks: one that waits, or fresh ones.
    pub(super) fn fill(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed, room: usize) -> Option<Batch> {
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
        while !self.stalled
            && self.input == Input::Open
            && batch.chunks() < room
            && batch.bytes() < FRAME_BYTES
        {
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
                    // A batch is of consecutive chunks, so it ends here; and faults are handed out before more is pulled,
                    // or an input of nothing else would pile up.
                    break;
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
    pub(super) fn seat(&mut self, seat: usize) -> Halting<()> {
        if self.slots[seat].slot.is_some() {
            return Ok(());
        }
        // A worn-out process is ended, so such a run shares none with others.
        let warm = if self.job.chunks_per_slot.is_none() { pool::take(&self.job.surroundings) } else { None };
        let mut slot = match warm {
            Some(slot) => slot,
            None => Slot::start(&self.job.surroundings.extra_env)
                .map_err(|error| Error::SlotStart { slot: seat, reason: error.to_string() })?,
        };
        slot.begin_run(Arc::clone(&self.job.run_frame));
        let processor_before = slot.processor_time();
        self.slots[seat].slot =
            Some(Seated { slot, since: Instant::now(), processor_before, timed_out: None });
        Ok(())
    }

    /// Ends a process that has served its number of chunks.
    pub(super) fn retire_if_worn(&mut self, seat: usize) {
        let seat = &mut self.slots[seat];
        let Some(seated) = &seat.slot else { return };
        if self
            .job
            .chunks_per_slot
            .is_some_and(|most| seated.slot.in_hand() == 0 && seated.slot.served() >= most)
        {
            seat.used.processor += seat.processor_now();
            seat.used.restarts += 1;
            seat.slot = None;
        }
    }
}
