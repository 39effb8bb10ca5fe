//! Bytes, time and wakers: everything a run waits for.

use std::{future::Future, pin::Pin, task::Context, time::Duration};

use async_io::Timer;
use rustix::{
    event::{PollFd, Timespec, poll},
    io::Errno,
};

use super::{Input, Seat, Slots};
use crate::{
    error::Halting,
    names::{FEED_AHEAD, HELLO_WITHIN},
};

/// Larger batches go back to the allocator.
const KEPT_BATCH: usize = 8 << 20;

/// What a look at the clocks gave.
pub(super) enum Look {
    Changed,
    /// Nothing yet; look again after this long, if ever.
    Again(Option<Duration>),
}

impl Slots {
    /// Moves bytes both ways, waiting up to `patience` for the first; true if anything moved.
    pub(super) fn exchange(&mut self, patience: Duration) -> Halting<bool> {
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(3 * self.slots.len());
        for seated in self.slots.iter().filter_map(Seat::busy) {
            seated.slot.events(&mut fds);
        }
        let patience =
            Timespec { tv_sec: patience.as_secs() as i64, tv_nsec: i64::from(patience.subsec_nanos()) };
        match poll(&mut fds, Some(&patience)) {
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
    pub(super) fn reclaim(&mut self, turn: usize) {
        let Some(seated) = &mut self.slots[turn].slot else { return };
        while let Some(batch) = seated.slot.reclaim() {
            if batch.capacity() <= KEPT_BATCH && self.spare.len() <= 2 * self.job.slots {
                self.spare.push(batch);
            }
        }
    }

    /// Looks at everything that time decides: slots that never say hello, chunks past their timeout, chunks stuck behind a
    /// slow one while another slot has nothing to do.
    pub(super) fn check_clocks(&mut self) -> Halting<Look> {
        let input_waits = self.input != Input::Open || self.stalled;
        let hungry = self.waiting.is_empty()
            && input_waits
            && (self.slots.len() < self.job.slots || self.slots.iter().any(|seat| seat.in_hand() == 0));
        let mut changed = false;
        let mut next_look: Option<Duration> = None;
        let mut look_in =
            |after: Duration| next_look = Some(next_look.map_or(after, |before| before.min(after)));
        for turn in 0..self.slots.len() {
            let Some(seated) = self.slots[turn].slot.as_mut().filter(|seated| seated.slot.in_hand() > 0)
            else {
                continue;
            };
            if !seated.slot.greeted() {
                match HELLO_WITHIN.checked_sub(seated.since.elapsed()) {
                    Some(left) => look_in(left),
                    None => {
                        return Err(
                            self.unusable(turn, &format!("it has not said hello within {HELLO_WITHIN:?}"))
                        );
                    }
                }
                continue;
            }
            // A chunk may begin any moment, so one that has not begun counts as begun now.
            let ran = seated.slot.ran_for().unwrap_or_default();
            if let Some(limit) = self.job.timeout.filter(|_| seated.timed_out.is_none()) {
                match limit.checked_sub(ran) {
                    Some(left) if left > Duration::ZERO => look_in(left),
                    _ => {
                        seated.timed_out = Some(seated.slot.running());
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

    pub(super) fn wake_on_events(&mut self, cx: &mut Context<'_>, next_look: Duration) -> Halting<()> {
        for turn in 0..self.slots.len() {
            if let Some(seated) = self.slots[turn].slot.as_mut().filter(|seated| seated.slot.in_hand() > 0) {
                seated.slot.wake_on_events(cx).map_err(|error| self.unusable(turn, &error))?;
            }
        }
        self.timer = Some(Timer::after(next_look));
        if let Some(timer) = &mut self.timer
            && Pin::new(timer).poll(cx).is_ready()
        {
            cx.waker().wake_by_ref();
        }
        Ok(())
    }
}
