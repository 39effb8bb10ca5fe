//! A cloud run as the rest of the program sees it: takes inputs, gives outcomes, like any other engine. Whoever polls packs
//! inputs and takes outcomes apart; a thread of the library's own talks to store and compute.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll},
    time::Duration,
};

use async_io::Timer;
use futures_util::{
    future::{Either, select},
    stream::StreamExt,
};
use tokio::sync::{mpsc, oneshot};

use super::{
    deliver::{Delivery, PIECES},
    drive::{Command, Progress},
    interrupt::Interrupts,
    launch::{Found, Request, Wires, plan, resume, submit},
    opening::Opening,
    packing::Packing,
    site::Site,
    thread::spawn,
};
use crate::{
    error::{Error, Halting, Result},
    event::SlotUse,
    function::Limit,
    names::REPORT_EVERY,
    runner::{OWN_PROGRAM, own_program},
    wire::{Program, RunId, keys},
    worker::{Feed, Raw},
};

/// How long a dropped run is given to say so. What was said by then is done by Batch without this program.
const CANCEL_WITHIN: Duration = Duration::from_secs(5);

/// One run on the cloud path.
pub(crate) struct Cloud {
    run: RunId,
    packing: Option<Packing>,
    deliveries: mpsc::Receiver<Delivery>,
    commands: mpsc::UnboundedSender<Command>,
    /// Where the run is, as it was last told.
    progress: Progress,
    news: mpsc::UnboundedReceiver<Progress>,
    wanted: Option<oneshot::Sender<bool>>,
    /// Ready when the client's side of the run has ended.
    over: oneshot::Receiver<()>,
    opening: Opening,
    ended: bool,
    /// Dropping it cancels the run.
    cancels: bool,
    blocking: bool,
    /// Wakes whoever waits: who polls also reports progress.
    ticks: Timer,
    /// Of inputs that are all packed.
    bytes_in: u64,
}

/// What a cloud run needs to begin, beside its inputs.
pub(crate) struct Start {
    pub(crate) site: Site,
    /// All but the program, which is this one.
    pub(crate) request: Box<dyn FnOnce(Program) -> Request + Send>,
    pub(crate) run: RunId,
    pub(crate) workers: u32,
    pub(crate) slots_per_worker: u32,
    pub(crate) chunks: Option<usize>,
    /// How long a chunk takes, about, if that is known.
    pub(crate) chunk_time: Option<Duration>,
    pub(crate) limit: Limit,
    pub(crate) blocking: bool,
}

impl Cloud {
    /// Begins to store what is given, and runs it when all is stored.
    pub(crate) fn launch(start: Start) -> Result<Cloud> {
        let Start { site, request, run, workers, slots_per_worker, chunks, chunk_time, limit, blocking } =
            start;
        let (packing, mut packed) = Packing::new(workers, chunks, chunk_time, limit, blocking);
        let work = move |wires: Wires, interrupts: Interrupts| async move {
            let program = ship(&site).await?;
            match plan(site, request(program), &mut packed).await? {
                Some(planned) => {
                    // From here on there is something to cancel; before, a program that is gone leaves no run.
                    interrupts.attend();
                    submit(&planned, wires).await
                }
                None => Ok(()),
            }
        };
        let mut cloud = Cloud::begin(run, slots_per_worker, work)?;
        cloud.packing = Some(packing);
        cloud.blocking = blocking;
        Ok(cloud)
    }

    /// Goes on with a run that is stored.
    pub(crate) fn attach(found: Found) -> Result<Cloud> {
        let (run, slots) = (found.planned.manifest.run, found.planned.manifest.options.slots);
        let mut cloud = Cloud::begin(run, slots, move |wires, _| resume(found, wires))?;
        cloud.cancels = false;
        Ok(cloud)
    }

    fn begin<F>(
        run: RunId,
        slots: u32,
        work: impl FnOnce(Wires, Interrupts) -> F + Send + 'static,
    ) -> Result<Cloud>
    where
        F: Future<Output = Result<()>> + 'static,
    {
        let (commands, commanded) = mpsc::unbounded_channel();
        let (tell, news) = mpsc::unbounded_channel();
        let (wanted, want) = oneshot::channel();
        let (to, deliveries) = mpsc::channel(PIECES);
        let (end, over) = oneshot::channel();
        let wires = Wires { commands: commanded, progress: tell, wanted: want, deliveries: to.clone() };
        let interrupts = Interrupts { run, commands: commands.clone() };
        spawn(move || async move {
            let result = work(wires, interrupts).await;
            // Whoever waits for the end may wait for nothing else.
            let _ = end.send(());
            let _ = to.send(Delivery::End(result)).await;
        })?;
        Ok(Cloud {
            run,
            packing: None,
            deliveries,
            commands,
            progress: Progress::default(),
            news,
            wanted: Some(wanted),
            over,
            opening: Opening::new(slots),
            ended: false,
            cancels: true,
            blocking: false,
            ticks: Timer::interval(REPORT_EVERY),
            bytes_in: 0,
        })
    }

    pub(crate) fn run(&self) -> RunId {
        self.run
    }

    /// Where the run is, as it was last told.
    pub(crate) fn progress(&self) -> &Progress {
        &self.progress
    }

    pub(crate) fn command(&self, command: Command) {
        // Nobody obeys any more when all is over, and nothing is left to obey.
        let _ = self.commands.send(command);
    }

    /// Leaves the run to itself.
    pub(crate) fn detach(&mut self) {
        self.command(Command::Detach);
        self.ended = true;
    }

    /// Bytes of encoded inputs and results so far.
    pub(crate) fn traffic(&self) -> (u64, u64) {
        (self.packing.as_ref().map_or(self.bytes_in, |packing| packing.bytes_in), self.opening.bytes())
    }

    pub(crate) fn slots_used(&self) -> Vec<SlotUse> {
        self.opening.slots_used()
    }

    /// The chunk that the last poll gave, and its value's bytes.
    pub(crate) fn current(&mut self) -> (&mut Raw, &[u8]) {
        self.opening.current()
    }

    /// Goes on to the next finished chunk; false after the last.
    ///
    /// # Errors
    /// When the run cannot be followed any more, or never began.
    pub(crate) fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        feed: &mut dyn Feed,
        in_order: bool,
    ) -> Poll<Halting<bool>> {
        let next = self.poll_chunk(cx, feed, in_order);
        if next.is_pending() && !self.blocking {
            while self.ticks.poll_next_unpin(cx).is_ready() {}
        }
        next
    }

    fn poll_chunk(
        &mut self,
        cx: &mut Context<'_>,
        feed: &mut dyn Feed,
        in_order: bool,
    ) -> Poll<Halting<bool>> {
        if self.poll_packing(cx, feed).is_pending() {
            return Poll::Pending;
        }
        if let Some(wanted) = self.wanted.take() {
            // Without a receiver, the end is on its way.
            let _ = wanted.send(in_order);
        }
        loop {
            if self.opening.next().map_err(Box::new)? {
                return Poll::Ready(Ok(true));
            }
            if self.ended {
                return Poll::Ready(Ok(false));
            }
            self.poll_news(cx);
            let Poll::Ready(delivery) = self.poll_delivery(cx) else { return Poll::Pending };
            match delivery {
                Some(Delivery::Piece { first, bytes }) => self.opening.add(first, bytes).map_err(Box::new)?,
                Some(Delivery::Missing { first, chunks, uncounted }) => {
                    self.opening.add_missing(first, chunks, uncounted).map_err(Box::new)?;
                }
                Some(Delivery::End(result)) => {
                    self.ended = true;
                    result.and_then(|()| self.opening.finish()).map_err(Box::new)?;
                }
                None => return Poll::Ready(Err(self.lost())),
            }
        }
    }

    /// Packs all inputs and waits until Batch has the run.
    ///
    /// # Errors
    /// When it could not be planned or submitted.
    pub(crate) fn poll_submitted(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed) -> Poll<Halting<()>> {
        if self.poll_packing(cx, feed).is_pending() {
            return Poll::Pending;
        }
        if !self.poll_news(cx) || self.progress.submitted {
            return if self.progress.submitted { Poll::Ready(Ok(())) } else { self.poll_refusal(cx) };
        }
        Poll::Pending
    }

    /// A driver that is gone before it submitted has left word.
    fn poll_refusal(&mut self, cx: &mut Context<'_>) -> Poll<Halting<()>> {
        match self.deliveries.poll_recv(cx) {
            Poll::Ready(Some(Delivery::End(Err(error)))) => {
                self.ended = true;
                Poll::Ready(Err(Box::new(error)))
            }
            Poll::Ready(_) => Poll::Ready(Err(self.lost())),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Whoever followed the run is gone without a word, as after a panic: what was delivered by then is not all.
    fn lost(&mut self) -> Box<Error> {
        self.ended = true;
        Box::new(Error::Following {
            reason: format!("the task that followed run `{}` has broken off", self.run),
        })
    }

    fn poll_packing(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed) -> Poll<()> {
        let Some(packing) = &mut self.packing else { return Poll::Ready(()) };
        let packed = packing.poll(cx, feed);
        if packed.is_ready() {
            self.bytes_in = packing.bytes_in;
            self.packing = None;
        }
        packed
    }

    /// Takes what is told of the run; false if nothing more will be.
    fn poll_news(&mut self, cx: &mut Context<'_>) -> bool {
        loop {
            match self.news.poll_recv(cx) {
                Poll::Ready(Some(progress)) => self.progress = progress,
                Poll::Ready(None) => return false,
                Poll::Pending => return true,
            }
        }
    }

    fn poll_delivery(&mut self, cx: &mut Context<'_>) -> Poll<Option<Delivery>> {
        if !self.blocking {
            return self.deliveries.poll_recv(cx);
        }
        // Not for ever: whoever polls also reports progress.
        let next = pin!(self.deliveries.recv());
        match pollster::block_on(select(next, Timer::after(REPORT_EVERY))) {
            Either::Left((delivery, _)) => Poll::Ready(delivery),
            Either::Right(_) => Poll::Pending,
        }
    }

    /// Ends the run, and waits for that.
    ///
    /// # Errors
    /// When store or compute give no answer.
    pub(crate) async fn cancel(&mut self, reason: &str) -> Result<()> {
        self.packing = None;
        self.command(Command::Cancel(reason.to_string()));
        self.wanted = None;
        while let Some(delivery) = self.deliveries.recv().await {
            if let Delivery::End(result) = delivery {
                self.ended = true;
                return result;
            }
        }
        Err(*self.lost())
    }
}

/// Stores this program, if it is not there already.
async fn ship(site: &Site) -> Result<Program> {
    let unreadable = |error: std::io::Error| Error::Program { reason: error.to_string() };
    let program = blocking::unblock(own_program).await.map_err(unreadable)?;
    let key = keys::program(&program.hash);
    if site.store.head(&key).await?.is_none() {
        let bytes = blocking::unblock(|| std::fs::read(OWN_PROGRAM)).await.map_err(unreadable)?;
        let _ = site.create(&key, bytes.into()).await?;
    }
    Ok(program)
}

impl Drop for Cloud {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        self.packing = None;
        self.wanted = None;
        self.deliveries.close();
        if !self.cancels {
            self.command(Command::Detach);
            return;
        }
        self.command(Command::Cancel("it was dropped".into()));
        // What has not begun is not begun; what runs is told to end before the program goes on, and perhaps away.
        let over = pin!(async { drop((&mut self.over).await) });
        pollster::block_on(select(over, Timer::after(CANCEL_WITHIN)));
    }
}
