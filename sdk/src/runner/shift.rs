//! A worker at work: gets blocks, feeds slots, publishes outcomes, all beside each other in one future.

use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};

use super::{
    crew::Crew,
    hand::{Complete, Hand},
    hunter::{Claimed, Hunter},
    pace::Pace,
    timeline::{Finished, Timeline},
    worker::{Trouble, Worker},
};
use crate::{
    store::{Created, StoreError},
    wire::{Leaver, Left, Stored, Trying, WorkerRecord},
    worker::Body,
};

/// How often a worker looks whether its run was ended by a client.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// How long a worker that is to stop waits for chunks that are running. After SIGTERM it has 30 s in all (Fargate and EC2,
/// unless a definition says otherwise); what is not done by then is another's.
const GRACE: Duration = Duration::from_secs(20);

/// Outcomes of blocks that are being written while further blocks run.
const PUBLISHING: usize = 4;

/// Chunks booked between two looks at everything else.
const BOOKED_PER_LOOK: usize = 256;

type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The hunter, and what it found.
type Errand<T> = Task<(Box<Hunter>, Result<T, Trouble>)>;

/// Why a shift ended in good order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ShiftEnd {
    /// Nothing was left to do.
    Done,
    /// It was told to stop.
    Stopped,
    /// It has worked as long as it may.
    Deadline,
    /// A client ended the run.
    RunIsOver,
}

impl ShiftEnd {
    fn reason(self) -> &'static str {
        match self {
            ShiftEnd::Done => "nothing was left to do",
            ShiftEnd::Stopped => "it was told to stop",
            ShiftEnd::Deadline => "it has worked as long as it may",
            ShiftEnd::RunIsOver => "the run was ended",
        }
    }
}

pub(crate) struct Shift<C> {
    worker: Arc<Worker>,
    crew: C,
    /// The crew has nothing more to do.
    crew_rests: bool,
    hand: Hand,
    hunting: Hunting,
    publishing: FuturesUnordered<Task<Result<(u32, Created), StoreError>>>,
    noting: Option<Task<Result<Created, StoreError>>>,
    leaving: Option<Task<Result<Created, StoreError>>>,
    look: Task<Result<bool, StoreError>>,
    deadline: Task<()>,
    end: Option<ShiftEnd>,
    /// Ready when a worker that is to stop waits no longer.
    grace: Option<Task<()>>,
    pace: Pace,
    timeline: Timeline,
    /// Processor time of each slot when it was last asked for.
    processor: Vec<Duration>,
    homes: std::ops::Range<u32>,
    started: (Duration, u64),
    record: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    blocks: u32,
    stolen: u32,
    duplicates: u32,
    bytes_in: u64,
    bytes_out: u64,
}

/// What the hunter is doing. It comes back from each errand.
enum Hunting {
    Resting(Box<Hunter>),
    ReadingAhead(Errand<()>),
    Claiming(Errand<Option<Claimed>>),
    Over,
}

impl<C: Crew> Shift<C> {
    pub(crate) fn new(worker: Arc<Worker>, crew: C, number: u32) -> Shift<C> {
        let now = worker.clock.now();
        let hunter = Box::new(Hunter::new(Arc::clone(&worker), number));
        let homes = worker.manifest.home_ranges().get(number as usize).cloned().unwrap_or(0..0);
        Shift {
            hunting: Hunting::Resting(hunter),
            look: look_later(&worker),
            deadline: worker.clock.sleep(worker.manifest.options.worker_deadline),
            started: (now, worker.clock.wall()),
            pace: Pace::default(),
            crew,
            crew_rests: false,
            hand: Hand::default(),
            publishing: FuturesUnordered::new(),
            noting: None,
            leaving: None,
            end: None,
            grace: None,
            timeline: Timeline::default(),
            processor: Vec::new(),
            homes,
            record: Counts::default(),
            worker,
        }
    }

    /// Works to the end, then says so.
    ///
    /// # Errors
    /// When it cannot go on.
    pub(crate) async fn run(mut self, stop: impl Future<Output = ()>) -> Result<ShiftEnd, Trouble> {
        let mut stop = pin!(stop);
        let end = poll_fn(|cx| self.poll(cx, stop.as_mut())).await?;
        self.say_goodbye(end).await?;
        Ok(end)
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut stop: Pin<&mut impl Future<Output = ()>>,
    ) -> Poll<Result<ShiftEnd, Trouble>> {
        loop {
            if self.end.is_none() {
                if stop.as_mut().poll(cx).is_ready() {
                    self.stop(ShiftEnd::Stopped);
                } else if self.deadline.as_mut().poll(cx).is_ready() {
                    self.stop(ShiftEnd::Deadline);
                }
            }
            if let Poll::Ready(over) = self.look.as_mut().poll(cx) {
                if over? {
                    // Nobody waits for what is still running.
                    return Poll::Ready(Ok(ShiftEnd::RunIsOver));
                }
                self.look = look_later(&self.worker);
                continue;
            }
            let mut moved = self.poll_hunt(cx)?;
            moved |= self.poll_note(cx)?;
            moved |= self.poll_crew(cx)?;
            moved |= self.poll_publishing(cx)?;
            if let Some(leaving) = &mut self.leaving
                && let Poll::Ready(left) = leaving.as_mut().poll(cx)
            {
                self.leaving = None;
                let _ = left?;
            }
            if let Some(reason) = self.hand.unreadable.take() {
                return Poll::Ready(Err(Trouble::misfit(&self.worker.keys.manifest(), &reason)));
            }
            let patient = self.grace.as_mut().is_none_or(|grace| grace.as_mut().poll(cx).is_pending());
            if let Some(end) = self.end.filter(|_| !patient) {
                return Poll::Ready(Ok(end));
            }
            if self.crew_rests && self.publishing.is_empty() && self.leaving.is_none() {
                return Poll::Ready(Ok(self.end.unwrap_or(ShiftEnd::Done)));
            }
            if !moved {
                return Poll::Pending;
            }
        }
    }

    /// No further chunk is begun, and others are told so at once: what is running may not come to its end.
    fn stop(&mut self, end: ShiftEnd) {
        self.end = Some(end);
        self.grace = Some(self.worker.clock.sleep(GRACE));
        self.hand.stop();
        self.hunting = Hunting::Over;
        self.noting = None;
        let worker = Arc::clone(&self.worker);
        let left = Left { by: Leaver::Itself, reason: end.reason().into() };
        self.leaving = Some(Box::pin(async move {
            worker.create(&worker.keys.left(worker.incarnation), left.to_object()).await
        }));
    }

    fn poll_hunt(&mut self, cx: &mut Context<'_>) -> Result<bool, Trouble> {
        match std::mem::replace(&mut self.hunting, Hunting::Over) {
            Hunting::Resting(mut hunter) => {
                let now = self.worker.clock.now();
                let room = self.publishing.len() < PUBLISHING;
                let slots = self.worker.manifest.options.slots as usize;
                if !room || !self.pace.wants_block(self.hand.waiting(), self.hand.outstanding(), slots, now) {
                    self.hunting = Hunting::Resting(hunter);
                    return Ok(false);
                }
                self.pace.begin_hunt(now);
                self.hunting = Hunting::Claiming(Box::pin(async move {
                    let claimed = hunter.next().await;
                    (hunter, claimed)
                }));
                Ok(true)
            }
            Hunting::Claiming(mut task) => match task.as_mut().poll(cx) {
                Poll::Ready((mut hunter, claimed)) => {
                    let Some(claimed) = claimed? else {
                        self.hand.over = true;
                        return Ok(true);
                    };
                    self.pace.end_hunt(self.worker.clock.now());
                    self.record.bytes_in += claimed.inputs.len() as u64;
                    self.hand.take(claimed, self.worker.incarnation);
                    self.hunting = Hunting::ReadingAhead(Box::pin(async move {
                        let read = hunter.read_ahead().await;
                        (hunter, read)
                    }));
                    Ok(true)
                }
                Poll::Pending => {
                    self.hunting = Hunting::Claiming(task);
                    Ok(false)
                }
            },
            Hunting::ReadingAhead(mut task) => match task.as_mut().poll(cx) {
                Poll::Ready((hunter, read)) => {
                    read?;
                    self.hunting = Hunting::Resting(hunter);
                    Ok(true)
                }
                Poll::Pending => {
                    self.hunting = Hunting::ReadingAhead(task);
                    Ok(false)
                }
            },
            Hunting::Over => Ok(false),
        }
    }

    /// Chunks that workers died with are noted one by one before they run.
    fn poll_note(&mut self, cx: &mut Context<'_>) -> Result<bool, Trouble> {
        if self.noting.is_none()
            && let Some(chunk) = self.hand.to_note()
        {
            let worker = Arc::clone(&self.worker);
            let key = worker.keys.trying(chunk.block, chunk.generation, chunk.chunk);
            let note = Trying { incarnation: worker.incarnation };
            self.noting = Some(Box::pin(async move { worker.create(&key, note.to_object()).await }));
        }
        let Some(noting) = &mut self.noting else { return Ok(false) };
        let Poll::Ready(noted) = noting.as_mut().poll(cx) else { return Ok(false) };
        self.noting = None;
        let _ = noted?;
        self.hand.noted();
        Ok(true)
    }

    fn poll_crew(&mut self, cx: &mut Context<'_>) -> Result<bool, Trouble> {
        for booked in 0..BOOKED_PER_LOOK {
            if self.crew_rests {
                return Ok(booked > 0);
            }
            match self.crew.poll_next(cx, &mut self.hand) {
                Poll::Ready(Ok(true)) => self.book(),
                Poll::Ready(Ok(false)) => {
                    self.crew_rests = true;
                    return Ok(true);
                }
                Poll::Ready(Err(error)) => return Err(Trouble::Slots(error)),
                Poll::Pending => return Ok(booked > 0),
            }
        }
        Ok(true)
    }

    fn book(&mut self) {
        let (raw, value) = self.crew.current();
        let elapsed = Duration::from_nanos(raw.elapsed);
        let slot = raw.slot;
        let failed = matches!(raw.body, Body::Failed(_));
        let (complete, chunk) = self.hand.book(raw, value);
        let now = self.worker.clock.now();
        self.pace.learn(elapsed, now);
        if let Some(slot) = slot {
            let (processor, peak_memory) = self.used(slot, elapsed);
            self.timeline.note(&Finished {
                chunk,
                slot: slot as u32,
                end: now - self.started.0,
                elapsed,
                processor,
                peak_memory,
                failed,
            });
        }
        if let Some(Complete { number, object }) = complete {
            self.record.bytes_out += object.len() as u64;
            let worker = Arc::clone(&self.worker);
            self.publishing.push(Box::pin(async move {
                let key = worker.keys.out(number);
                worker.create(&key, object).await.map(|created| (number, created))
            }));
        }
    }

    /// Processor time of a slot since the last call, and its peak memory. Asking costs more than a quick chunk.
    fn used(&mut self, slot: usize, elapsed: Duration) -> (Duration, u64) {
        const WORTH_ASKING: Duration = Duration::from_millis(5);
        if elapsed < WORTH_ASKING {
            return (Duration::ZERO, 0);
        }
        let used = self.crew.used();
        let Some(now) = used.get(slot) else { return (Duration::ZERO, 0) };
        if self.processor.len() < used.len() {
            self.processor.resize(used.len(), Duration::ZERO);
        }
        let before = std::mem::replace(&mut self.processor[slot], now.processor);
        (now.processor.saturating_sub(before), now.peak_memory)
    }

    fn poll_publishing(&mut self, cx: &mut Context<'_>) -> Result<bool, Trouble> {
        let mut moved = false;
        while let Poll::Ready(Some(published)) = self.publishing.poll_next_unpin(cx) {
            moved = true;
            match published? {
                (number, Created::Yes) => {
                    self.worker.release(number);
                    self.record.blocks += 1;
                    self.record.stolen += u32::from(!self.homes.contains(&number));
                }
                (number, Created::Exists) => {
                    self.worker.release(number);
                    self.record.duplicates += 1;
                }
                // Still held, so it is left for others when this worker ends; they may do it twice.
                (_, Created::Unknown) => {}
            }
        }
        Ok(moved)
    }

    /// The record, and a note of leaving if anything claimed here has no outcome.
    async fn say_goodbye(self, end: ShiftEnd) -> Result<(), Trouble> {
        let Shift { worker, crew, timeline, started, record, .. } = self;
        if end == ShiftEnd::Done && worker.holds_any() {
            let left = Left { by: Leaver::Itself, reason: end.reason().into() };
            let _ = worker.create(&worker.keys.left(worker.incarnation), left.to_object()).await?;
        }
        let used = crew.used();
        let record = WorkerRecord {
            incarnation: worker.incarnation,
            origin: worker.origin.clone(),
            started: started.1,
            first_chunk: timeline.first(),
            ended: (worker.clock.now() - started.0).as_micros() as u64,
            slots: used.len() as u32,
            timeline: timeline.finish(),
            blocks: record.blocks,
            stolen: record.stolen,
            duplicates: record.duplicates,
            bytes_in: record.bytes_in,
            bytes_out: record.bytes_out,
            processor: used.iter().map(|slot| slot.processor.as_micros() as u64).sum(),
            reason: end.reason().into(),
        };
        let _ = worker.create(&worker.keys.worker(worker.incarnation), record.to_object()).await?;
        Ok(())
    }
}

fn look_later(worker: &Arc<Worker>) -> Task<Result<bool, StoreError>> {
    let worker = Arc::clone(worker);
    Box::pin(async move {
        worker.clock.sleep(LOOK_EVERY).await;
        worker.is_over().await
    })
}
