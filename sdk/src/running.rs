//! A map under way: the engine chosen for it, its input, its order, its events. Everything above gives it a form.

use std::{
    os::unix::ffi::OsStringExt,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    engine::{Cloud, Request, Start},
    error::{Error, Halting, Result},
    event::{Event, Reporter},
    failure::Failure,
    function::{Shared, remote_of},
    log::Log,
    map::Plan,
    names::{REORDER_BYTES, SLOT_VAR},
    progress,
    reorder::Reorder,
    runner::random_id,
    settings::{Backend, Settings, usable_cores},
    wire::{Function, Manifest, Options, RunId},
    worker::{Feed, Inline, Job, Raw, RunFrame, Slots, Surroundings, is_initialised, is_slot, run_frame},
};

/// How outcomes are taken.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Form {
    /// In input order.
    pub(crate) ordered: bool,
    /// By a thread that blocks: a poll then always gives an outcome, and no reactor is woken on the way.
    pub(crate) blocking: bool,
    /// It is to go on without this program.
    pub(crate) outlives: bool,
}

/// Gives finished chunks one by one, until all are out, the run fails, or `fail_fast` applies. Knows no types of the user's:
/// it is compiled once, not for every map of a program.
pub(crate) struct Running {
    engine: Engine,
    order: Option<Reorder>,
    log: Log,
    fail_fast: bool,
    over: bool,
    /// Backend and slots of a run whose start is not told yet.
    untold: Option<(&'static str, usize)>,
}

enum Engine {
    Slots(Box<Slots>),
    Inline(Box<Inline>),
    Cloud(Box<Cloud>),
}

impl Running {
    /// Checks everything that can be wrong before anything is started, then chooses the engine. `chunks` is how many there
    /// will be, if the input knows.
    pub(crate) fn start(plan: Plan, form: Form, chunks: Option<usize>) -> Result<Running> {
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
        if form.outlives && !matches!(settings.backend, Backend::Mock(_)) {
            return Err(Error::Unsupported { option: "start", backend: settings.backend.name() });
        }
        let timeout = plan.timeout.or(remote.and_then(|remote| remote.timeout));
        let retries = plan.retries.or(remote.and_then(|remote| remote.retries)).unwrap_or(0);
        let label = plan.label.or(remote.and_then(|remote| remote.name).map(Into::into));
        let shared = plan.shared.transpose()?;
        let (engine, slots) = match &settings.backend {
            Backend::Inline => {
                if !plan.extra_env.is_empty() {
                    return Err(Error::Unsupported { option: "env", backend: "inline" });
                }
                let ignored = [
                    ("timeout", plan.timeout.is_some()),
                    ("slots", plan.asked.slots.is_some_and(|slots| slots > 1)),
                    ("chunks_per_slot", plan.chunks_per_slot.is_some()),
                    ("chunk_time", plan.chunk_time.is_some()),
                ];
                // A map inside a chunk has been told about once.
                for (option, _) in ignored.iter().filter(|(_, set)| *set && !is_slot()) {
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
                if plan.chunk_time.is_some() {
                    let message = "`.chunk_time(..)` has no effect on the `local` backend";
                    reporter.report(&Event::Warning { message });
                }
                let slots = settings.slots.unwrap_or_else(usable_cores);
                let (codec, bytes) = shared.unzip();
                let frame = RunFrame {
                    function: plan.entry.id,
                    name: plan.entry.name.to_string(),
                    shared: codec.map(|codec| codec as u8),
                    max_bytes: limit.0 as u64,
                };
                let job = Job {
                    run_frame: Arc::new(run_frame(&frame, &bytes.unwrap_or_default())),
                    slots,
                    timeout,
                    retries,
                    limit,
                    chunks_per_slot: plan.chunks_per_slot,
                    surroundings: Surroundings::now(plan.extra_env),
                    blocking: form.blocking,
                };
                (Engine::Slots(Box::new(Slots::new(job))), slots)
            }
            Backend::Mock(mock) => {
                if !is_initialised() {
                    return Err(Error::NotInitialised);
                }
                let workers = mock.workers(settings.slots);
                let environment = plan.extra_env.into_iter().filter_map(|(name, value)| Some((name, value?)));
                let options = Options {
                    slots: 1,
                    timeout,
                    retries,
                    max_bytes: limit.0 as u64,
                    chunks_per_slot: plan.chunks_per_slot.map(|chunks| chunks as u64),
                    environment: environment
                        .map(|(name, value)| (name.into_vec(), value.into_vec()))
                        .collect(),
                    ..mock.options()
                };
                let function = Function {
                    id: plan.entry.id,
                    path: plan.entry.name.to_string(),
                    output: plan.output.to_string(),
                };
                let site = mock.site()?;
                let run = RunId::new(site.clock.wall(), random_id(&*site.clock));
                let shown = label.clone().unwrap_or_else(|| plan.entry.name.to_string());
                let shared = shared.map(|(codec, bytes)| (codec, bytes.into()));
                let start = Start {
                    request: Box::new(move |program| Request {
                        run,
                        label: shown,
                        function,
                        program,
                        shared,
                        options,
                    }),
                    site,
                    run,
                    workers,
                    slots_per_worker: 1,
                    chunks,
                    chunk_time: plan.chunk_time,
                    limit,
                    blocking: form.blocking,
                };
                (Engine::Cloud(Box::new(Cloud::launch(start)?)), workers as usize)
            }
        };
        let label = label.unwrap_or_else(|| plan.entry.name.to_string());
        let mut log = Log::new(reporter, chunks, label);
        log.begin(settings.backend.name(), slots);
        Ok(Running {
            engine,
            order: form.ordered.then(Reorder::default),
            log,
            fail_fast: plan.fail_fast,
            over: false,
            untold: None,
        })
    }

    /// A run that is stored already, and under way or over.
    pub(crate) fn attached(
        cloud: Cloud,
        manifest: &Manifest,
        backend: &'static str,
        reporter: Box<dyn Reporter>,
    ) -> Running {
        let chunks = Some(manifest.chunks as usize);
        let slots = manifest.homes.len() * manifest.options.slots as usize;
        Running {
            engine: Engine::Cloud(Box::new(cloud)),
            order: None,
            log: Log::new(reporter, chunks, manifest.label.clone()),
            fail_fast: false,
            over: false,
            untold: Some((backend, slots)),
        }
    }

    /// Its outcomes will be taken, so from here on it is told of.
    pub(crate) fn announce(&mut self) {
        if let Some((backend, slots)) = self.untold.take() {
            self.log.begin(backend, slots);
        }
        if let Engine::Cloud(cloud) = &self.engine {
            self.log.follow(cloud);
        }
    }

    /// In input order from here on; before the first outcome.
    pub(crate) fn order(&mut self) {
        self.order = Some(Reorder::default());
    }

    /// The cloud run that it is, if it is one.
    pub(crate) fn cloud(&mut self) -> Option<&mut Cloud> {
        match &mut self.engine {
            Engine::Cloud(cloud) => Some(cloud),
            Engine::Slots(_) | Engine::Inline(_) => None,
        }
    }

    /// How many outcomes there will be, when the input knows.
    pub(crate) fn expected(&self) -> Option<usize> {
        self.log.chunks
    }

    /// After the last chunk, a failure under `fail_fast`, or an error.
    #[inline]
    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// Goes on to the next finished chunk; false after the last.
    ///
    /// # Errors
    /// When the run cannot go on; nothing more comes then.
    #[inline]
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>, input: &mut dyn Feed) -> Poll<Halting<bool>> {
        if self.over {
            return Poll::Ready(Ok(false));
        }
        let next = if self.order.is_some() {
            self.poll_in_order(cx, input)
        } else {
            self.engine.poll_next(cx, input, false)
        };
        match next {
            Poll::Ready(Ok(true)) => {}
            Poll::Ready(Ok(false)) => self.finish(),
            Poll::Ready(Err(_)) => self.over = true,
            Poll::Pending => self.log.look(),
        }
        match &mut self.engine {
            Engine::Slots(slots) => {
                if let Some(message) = slots.take_notice() {
                    self.log.warn(&message);
                }
            }
            Engine::Cloud(cloud) => self.log.follow(cloud),
            Engine::Inline(_) => {}
        }
        next
    }

    fn poll_in_order(&mut self, cx: &mut Context<'_>, input: &mut dyn Feed) -> Poll<Halting<bool>> {
        loop {
            let Some(order) = &mut self.order else { return self.engine.poll_next(cx, input, true) };
            let shown = order.show_next();
            self.engine.stall(order.bytes() > REORDER_BYTES);
            if shown {
                return Poll::Ready(Ok(true));
            }
            match self.engine.poll_next(cx, input, true) {
                Poll::Ready(Ok(true)) => {}
                other => return other,
            }
            let (raw, bytes) = self.engine.current();
            if order.takes(raw.index) {
                return Poll::Ready(Ok(true));
            }
            order.hold(raw, bytes);
        }
    }

    /// The chunk that the last poll gave, and its value's bytes.
    #[inline]
    pub(crate) fn current(&mut self) -> (&mut Raw, &[u8]) {
        match self.order.as_mut().and_then(Reorder::shown) {
            Some(shown) => shown,
            None => self.engine.current(),
        }
    }

    /// Notes what became of that chunk, once its value is decoded.
    #[inline]
    pub(crate) fn note(&mut self, elapsed: Duration, failure: Option<&Failure>) {
        self.log.note(elapsed, failure);
        if self.fail_fast && failure.is_some() {
            self.finish();
        }
    }

    fn finish(&mut self) {
        self.over = true;
        let (slots, traffic) = match &self.engine {
            Engine::Slots(slots) => (slots.slots_used(), slots.traffic()),
            Engine::Inline(inline) => (Vec::new(), inline.traffic()),
            Engine::Cloud(cloud) => (cloud.slots_used(), cloud.traffic()),
        };
        self.log.finish(slots, traffic);
    }
}

impl Engine {
    #[inline]
    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        input: &mut dyn Feed,
        in_order: bool,
    ) -> Poll<Halting<bool>> {
        match self {
            Engine::Slots(slots) => slots.poll_next(cx, input),
            Engine::Inline(inline) => inline.poll_next(cx, input).map(Ok),
            Engine::Cloud(cloud) => cloud.poll_next(cx, input, in_order),
        }
    }

    #[inline]
    fn current(&mut self) -> (&mut Raw, &[u8]) {
        match self {
            Engine::Slots(slots) => slots.current(),
            Engine::Inline(inline) => inline.current(),
            Engine::Cloud(cloud) => cloud.current(),
        }
    }

    fn stall(&mut self, stalled: bool) {
        if let Engine::Slots(slots) = self {
            slots.stall(stalled);
        }
    }
}

/// Says once a process that maps inside chunks run inline.
fn nested_note(reporter: &mut dyn Reporter) {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let message = "a `map` inside a chunk runs inline, on the chunk's own slot";
        reporter.report(&Event::Warning { message });
    });
}
