//! Slots that do what the plan says.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use super::{
    plan::{Fate, value},
    world::{Pid, World},
};
use crate::{
    clock::Clock,
    error::Halting,
    event::SlotUse,
    failure::{FailureKind, Fault},
    function::{Codec, Limit},
    runner::Crew,
    store::Pending,
    worker::{Body, Feed, Raw},
};

/// The slots of one worker.
pub(super) struct Script {
    world: Arc<World>,
    clock: Arc<dyn Clock>,
    pid: Pid,
    slots: Vec<Option<Running>>,
    used: Vec<SlotUse>,
    begun: usize,
    feed_is_over: bool,
    current: (Raw, Vec<u8>),
}

struct Running {
    sequence: usize,
    index: u64,
    time: Duration,
    fate: Fate,
    end: Pending<'static, ()>,
}

impl Script {
    pub(super) fn new(world: Arc<World>, clock: Arc<dyn Clock>, pid: Pid, slots: u32) -> Script {
        let raw = Raw { index: 0, slot: None, attempt: 0, elapsed: 0, body: Body::Value(Codec::Postcard) };
        Script {
            slots: (0..slots).map(|_| None).collect(),
            used: vec![SlotUse::default(); slots as usize],
            begun: 0,
            feed_is_over: false,
            current: (raw, Vec::new()),
            world,
            clock,
            pid,
        }
    }

    fn begin(&mut self, input: &[u8]) -> Running {
        let index = u64::from_le_bytes(input[..8].try_into().expect("inputs here have eight bytes or more"));
        let mut inner = self.world.lock();
        let chunk = inner.plan.chunks[index as usize];
        inner.note_chunk(self.pid, index);
        let pid = self.pid;
        if chunk.fate == Fate::Poison {
            inner.after(chunk.time, move |inner| inner.kill(pid));
        }
        drop(inner);
        let end = match chunk.fate {
            Fate::Poison => Box::pin(std::future::pending()),
            _ => self.clock.sleep(chunk.time),
        };
        Running { sequence: self.begun, index, time: chunk.time, fate: chunk.fate, end }
    }

    fn finish(&mut self, slot: usize, running: &Running) {
        self.used[slot].chunks += 1;
        self.used[slot].busy += running.time;
        self.used[slot].processor += running.time;
        let (body, bytes) = match running.fate {
            Fate::Fails => {
                let fault = Fault::new(FailureKind::Abort, "as planned");
                (Body::Failed(fault.of(running.sequence, 1, Some(slot), Vec::new())), Vec::new())
            }
            _ => (Body::Value(Codec::Postcard), value(running.index).to_vec()),
        };
        let elapsed = running.time.as_nanos() as u64;
        self.current = (Raw { index: running.sequence, slot: Some(slot), attempt: 1, elapsed, body }, bytes);
    }
}

impl Crew for Script {
    fn poll_next(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed) -> Poll<Halting<bool>> {
        for slot in 0..self.slots.len() {
            if self.slots[slot].is_some() || self.feed_is_over {
                continue;
            }
            let mut input = Vec::new();
            match feed.poll_encode(cx, Limit(1 << 20), &mut input) {
                Poll::Ready(Some(Ok(_))) => {
                    let running = self.begin(&input);
                    self.slots[slot] = Some(running);
                    self.begun += 1;
                }
                Poll::Ready(Some(Err(fault))) => {
                    let body = Body::Failed(fault.of(self.begun, 0, None, Vec::new()));
                    self.current =
                        (Raw { index: self.begun, slot: None, attempt: 0, elapsed: 0, body }, Vec::new());
                    self.begun += 1;
                    return Poll::Ready(Ok(true));
                }
                Poll::Ready(None) => self.feed_is_over = true,
                Poll::Pending => break,
            }
        }
        for slot in 0..self.slots.len() {
            if let Some(running) = &mut self.slots[slot]
                && running.end.as_mut().poll(cx).is_ready()
                && let Some(running) = self.slots[slot].take()
            {
                self.finish(slot, &running);
                return Poll::Ready(Ok(true));
            }
        }
        if self.feed_is_over && self.slots.iter().all(Option::is_none) {
            return Poll::Ready(Ok(false));
        }
        Poll::Pending
    }

    fn current(&mut self) -> (&mut Raw, &[u8]) {
        (&mut self.current.0, &self.current.1)
    }

    fn used(&self) -> Vec<SlotUse> {
        self.used.clone()
    }
}
