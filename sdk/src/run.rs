//! A map under way: the engine chosen for it, its input, its order, its events. Everything above gives it a form.

use std::{
    collections::BTreeMap,
    marker::PhantomData,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use crate::{
    error::{Error, Result},
    event::{Event, Reporter, SlotUse, Summary},
    failure::{FailureKind, Fault, Outcome},
    function::{Codec, EncodeError, Encoder, Limit, Shared, Wire, decode, remote_of},
    inputs::Source,
    map::Plan,
    names::{REORDER_BYTES, SLOT_VAR},
    progress,
    settings::{Backend, Settings},
    worker::{
        Body, Feed, Inline, Job, Raw, RunFrame, Slots, Surroundings, is_initialised, is_slot, run_frame,
    },
};

/// How often progress is reported at most.
const REPORT_EVERY: Duration = Duration::from_millis(100);

/// How many outcomes pass before the clock is looked at.
const OUTCOMES_PER_LOOK: usize = 256;

/// What a held result costs beside its bytes.
const HELD_OVERHEAD: usize = 64;

/// How outcomes are taken.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Form {
    /// In input order.
    pub(crate) ordered: bool,
    /// By a thread that blocks: a poll then always gives an outcome, and no reactor is woken on the way.
    pub(crate) blocking: bool,
}

/// Gives outcomes one by one, until all are out, the run fails, or `fail_fast` applies.
pub(crate) struct Run<S, T> {
    engine: Engine,
    input: Input<S>,
    order: Option<Reorder>,
    log: Log,
    fail_fast: bool,
    over: bool,
    output: PhantomData<fn() -> T>,
}

enum Engine {
    Slots(Box<Slots>),
    Inline(Box<Inline>),
}

impl<S: Source, T: Wire> Run<S, T>
where
    S::Item: Wire,
{
    /// Checks everything that can be wrong before anything is started, then chooses the engine.
    pub(crate) fn start(source: S, plan: Plan, form: Form) -> Result<Run<S, T>> {
        let limit = plan.limit()?;
        let mut settings = Settings::resolve(&plan.asked)?;
        let remote = remote_of(plan.entry.function)?;
        let mut reporter = plan.reporter.unwrap_or_else(|| progress::reporter(settings.progress));
        if is_slot() {
            if settings.backend != Backend::Inline {
                nested_note(&mut *reporter);
            }
            settings.backend = Backend::Inline;
        }
        let timeout = plan.timeout.or(remote.and_then(|remote| remote.timeout));
        let retries = plan.retries.or(remote.and_then(|remote| remote.retries)).unwrap_or(0);
        let label = plan.label.or(remote.and_then(|remote| remote.name).map(Into::into));
        let shared = plan.shared.transpose()?;
        let input = Input { source, encoder: Encoder::default() };
        let (engine, slots) = match settings.backend {
            Backend::Inline => {
                if !plan.extra_env.is_empty() {
                    return Err(Error::Unsupported { option: "env", backend: "inline" });
                }
                let ignored = [
                    ("timeout", timeout.is_some()),
                    ("slots", plan.asked.slots.is_some_and(|slots| slots > 1)),
                    ("chunks_per_slot", plan.chunks_per_slot.is_some()),
                ];
                for (option, _) in ignored.iter().filter(|(_, set)| *set) {
                    let message = format!("`.{option}(..)` has no effect on the `inline` backend");
                    reporter.report(&Event::Warning { message: &message });
                }
                let shared = shared.map_or_else(Shared::default, |(codec, bytes)| Shared::new(codec, bytes));
                (Engine::Inline(Box::new(Inline::new(plan.entry.run, shared, retries, limit))), 1)
            }
            Backend::Local => {
                if !is_initialised() {
                    let slot = std::env::var_os(SLOT_VAR).is_some();
                    return Err(if slot { Error::SlotWithoutInit } else { Error::NotInitialised });
                }
                let (codec, bytes) = shared.unzip();
                let frame = RunFrame {
                    function: plan.entry.id,
                    name: plan.entry.name.to_string(),
                    shared: codec.map(|codec| codec as u8),
                    max_bytes: limit.0 as u64,
                };
                let job = Job {
                    run_frame: Arc::new(run_frame(&frame, &bytes.unwrap_or_default())),
                    slots: settings.slots,
                    timeout,
                    retries,
                    limit,
                    chunks_per_slot: plan.chunks_per_slot,
                    surroundings: Surroundings::now(plan.extra_env),
                    blocking: form.blocking,
                };
                (Engine::Slots(Box::new(Slots::new(job))), settings.slots)
            }
        };
        let mut log = Log {
            reporter,
            started: Instant::now(),
            reported: Instant::now(),
            chunks: input.source.remaining(),
            summary: Summary {
                label: label.unwrap_or_else(|| plan.entry.name.to_string()),
                ..Summary::default()
            },
        };
        log.begin(settings.backend.name(), slots);
        let order = form.ordered.then(Reorder::default);
        Ok(Run { engine, input, order, log, fail_fast: plan.fail_fast, over: false, output: PhantomData })
    }

    /// How many outcomes there will be, when the input knows.
    pub(crate) fn expected(&self) -> Option<usize> {
        self.log.chunks
    }

    /// The next outcome; `None` after the last.
    ///
    /// # Errors
    /// When the run cannot go on; nothing more comes then.
    pub(crate) fn poll_outcome(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Outcome<T>>>> {
        if self.over {
            return Poll::Ready(Ok(None));
        }
        let next = match self.poll_in_order(cx) {
            Poll::Ready(next) => next,
            Poll::Pending => {
                self.log.look();
                return Poll::Pending;
            }
        };
        match next {
            Ok(Some(outcome)) => {
                self.log.note(&outcome);
                if self.fail_fast && outcome.result.is_err() {
                    self.finish();
                }
                Poll::Ready(Ok(Some(outcome)))
            }
            Ok(None) => {
                self.finish();
                Poll::Ready(Ok(None))
            }
            Err(error) => {
                self.over = true;
                Poll::Ready(Err(error))
            }
        }
    }

    #[inline]
    fn poll_in_order(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Outcome<T>>>> {
        loop {
            if let Some((mut raw, bytes)) = self.order.as_mut().and_then(Reorder::pop) {
                self.stall();
                return Poll::Ready(Ok(Some(outcome(&mut raw, &bytes))));
            }
            let any = match &mut self.engine {
                Engine::Slots(slots) => slots.poll_next(cx, &mut self.input),
                Engine::Inline(inline) => inline.poll_next(cx, &mut self.input).map(Ok),
            };
            match any {
                Poll::Ready(Ok(true)) => {}
                Poll::Ready(Ok(false)) => return Poll::Ready(Ok(None)),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
            let (raw, bytes) = match &mut self.engine {
                Engine::Slots(slots) => slots.current(),
                Engine::Inline(inline) => inline.current(),
            };
            match &mut self.order {
                Some(order) if raw.index != order.next => {
                    order.hold(raw, bytes);
                    self.stall();
                }
                order => {
                    if let Some(order) = order {
                        order.next += 1;
                    }
                    return Poll::Ready(Ok(Some(outcome(raw, bytes))));
                }
            }
        }
    }

    fn stall(&mut self) {
        if let (Engine::Slots(slots), Some(order)) = (&mut self.engine, &self.order) {
            slots.stall(order.bytes > REORDER_BYTES);
        }
    }

    fn finish(&mut self) {
        self.over = true;
        let (slots, traffic) = match &self.engine {
            Engine::Slots(slots) => (slots.slots_used(), slots.traffic()),
            Engine::Inline(inline) => (Vec::new(), inline.traffic()),
        };
        self.log.finish(slots, traffic);
    }
}

#[inline]
fn outcome<T: Wire>(raw: &mut Raw, bytes: &[u8]) -> Outcome<T> {
    let Raw { index, slot, attempt, elapsed, .. } = *raw;
    let elapsed = Duration::from_nanos(elapsed);
    let result = match raw.body.take() {
        Body::Value(codec, _) => decode(codec, bytes).map_err(|reason| {
            let message = format!("`{}`: {reason}", std::any::type_name::<T>());
            Fault::new(FailureKind::UndecodableResult, message).of(index, attempt, slot, Vec::new())
        }),
        Body::Failed(failure) => Err(failure),
    };
    Outcome { index, slot, attempt, elapsed, result }
}

/// Says once a process that maps inside chunks run inline.
fn nested_note(reporter: &mut dyn Reporter) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let message = "a `map` inside a chunk runs inline, on the chunk's own slot";
        reporter.report(&Event::Warning { message });
    });
}

/// The input as the engine takes it: encoded.
struct Input<S> {
    source: S,
    encoder: Encoder,
}

impl<S: Source> Feed for Input<S>
where
    S::Item: Wire,
{
    #[inline]
    fn poll_encode(
        &mut self,
        cx: &mut Context<'_>,
        limit: Limit,
        out: &mut Vec<u8>,
    ) -> Poll<Option<std::result::Result<Codec, Fault>>> {
        let item = match self.source.poll_next(cx) {
            Poll::Ready(Some(item)) => item,
            Poll::Ready(None) => return Poll::Ready(None),
            Poll::Pending => return Poll::Pending,
        };
        let encoded = self.encoder.encode(&item, limit, out);
        let type_name = std::any::type_name::<S::Item>();
        Poll::Ready(Some(encoded.map_err(|error| match error {
            EncodeError::TooLarge => Fault::new(
                FailureKind::InputTooLarge { limit: limit.0 as u64 },
                format!("`{type_name}` takes more than {} bytes", limit.0),
            ),
            EncodeError::Refused(reason) => {
                Fault::new(FailureKind::UnencodableInput, format!("`{type_name}`: {reason}"))
            }
        })))
    }
}

/// Finished chunks that wait for one before them. Held encoded, so that what they cost is known.
#[derive(Default)]
struct Reorder {
    next: usize,
    held: BTreeMap<usize, (Raw, Vec<u8>)>,
    bytes: usize,
}

impl Reorder {
    fn hold(&mut self, raw: &mut Raw, bytes: &[u8]) {
        self.bytes += bytes.len() + HELD_OVERHEAD;
        let held = Raw { body: raw.body.take(), ..*raw };
        self.held.insert(raw.index, (held, bytes.to_vec()));
    }

    fn pop(&mut self) -> Option<(Raw, Vec<u8>)> {
        let held = self.held.remove(&self.next)?;
        self.next += 1;
        self.bytes -= held.1.len() + HELD_OVERHEAD;
        Some(held)
    }
}

/// The run's events, and the counts they carry.
struct Log {
    reporter: Box<dyn Reporter>,
    started: Instant,
    reported: Instant,
    chunks: Option<usize>,
    summary: Summary,
}

impl Log {
    fn begin(&mut self, backend: &'static str, slots: usize) {
        let chunks = self.chunks;
        self.reporter.report(&Event::Started { label: &self.summary.label, backend, chunks, slots });
    }

    #[inline]
    fn note<T>(&mut self, outcome: &Outcome<T>) {
        self.summary.chunks += 1;
        if let Err(failure) = &outcome.result {
            self.summary.failed += 1;
            self.reporter.report(&Event::ChunkFailed { failure });
        }
        if self.summary.chunks.is_multiple_of(OUTCOMES_PER_LOOK) || outcome.elapsed > REPORT_EVERY / 10 {
            self.look();
        }
    }

    fn look(&mut self) {
        if self.reported.elapsed() >= REPORT_EVERY {
            self.reported = Instant::now();
            let Summary { chunks: done, failed, .. } = self.summary;
            self.reporter.report(&Event::Progress { done, failed, chunks: self.chunks });
        }
    }

    fn finish(&mut self, slots: Vec<SlotUse>, (bytes_in, bytes_back): (u64, u64)) {
        self.summary.elapsed = self.started.elapsed();
        self.summary.slots = slots;
        self.summary.bytes_in = bytes_in;
        self.summary.bytes_back = bytes_back;
        self.reporter.report(&Event::Finished { summary: &self.summary });
    }
}
