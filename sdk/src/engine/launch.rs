//! From packed inputs to a closed run: everything a client does, without the user's types, in two futures that need
//! nothing but a [`Site`].

use std::{future::poll_fn, pin::pin, sync::Arc, task};

use bytes::Bytes;
use futures_util::{
    future::{Either, select, try_join},
    stream::{FuturesUnordered, StreamExt},
};
use tokio::sync::{mpsc, oneshot};

use super::{
    deliver::{Delivery, deliver},
    drive::{Command, Driver, Planned, Progress},
    orders::{Order, Rounds, Terms},
    pack::{Layout, Part},
    poll::Poll,
    site::Site,
    state::State,
};
use crate::{
    error::{Error, Result},
    store::{Created, Pending},
    wire::{
        Cancelled, Closed, Codec, Function, Hash, Keys, Manifest, Options, Program, RunId, SharedData,
        Stored, Unreadable,
    },
};

/// Parts that are being stored at a time.
const STORING: usize = 3;

/// What is to be run, but for its inputs.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) run: RunId,
    pub(crate) label: String,
    pub(crate) function: Function,
    pub(crate) program: Program,
    pub(crate) shared: Option<(Codec, Bytes)>,
    pub(crate) options: Options,
}

/// The inputs as they are packed; the layout is the last.
#[derive(Debug)]
pub(crate) enum Packed {
    Part(Part),
    Layout(Layout),
}

/// How a client and its run talk.
#[derive(Debug)]
pub(crate) struct Wires {
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) progress: mpsc::UnboundedSender<Progress>,
    /// Whether outcomes are wanted in order; nothing is delivered before it is known that they are wanted at all.
    pub(crate) wanted: oneshot::Receiver<bool>,
    pub(crate) deliveries: mpsc::Sender<Delivery>,
}

/// A run as a client finds it.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) planned: Planned,
    pub(crate) rounds: Rounds,
    pub(crate) cancelled: Option<Cancelled>,
    pub(crate) closed: Option<Closed>,
}

/// Stores the inputs as they come, then the manifest: from there on the run exists. `None` if the inputs broke off.
///
/// # Errors
/// When the store gives no answer; then there is no run.
pub(crate) async fn plan(
    site: Site,
    request: Request,
    packed: &mut mpsc::Receiver<Packed>,
) -> Result<Option<Planned>> {
    let keys = Keys::of(request.run);
    let mut shared = None;
    if let Some((codec, bytes)) = request.shared {
        shared = Some(SharedData { codec, hash: Hash::of(&bytes) });
        let _ = site.create(&keys.shared(), bytes).await?;
    }
    let mut storing: FuturesUnordered<Pending<'_, Result<Created>>> = FuturesUnordered::new();
    let layout = loop {
        // Parts are on their way to the store while the input makes the next one.
        let next = poll_fn(|cx| {
            if storing.len() < STORING
                && let task::Poll::Ready(next) = packed.poll_recv(cx)
            {
                return task::Poll::Ready(Ok(Some(next)));
            }
            match storing.poll_next_unpin(cx) {
                task::Poll::Ready(Some(stored)) => task::Poll::Ready(stored.map(|_| None)),
                task::Poll::Ready(None) | task::Poll::Pending => task::Poll::Pending,
            }
        });
        match next.await? {
            Some(Some(Packed::Part(part))) => {
                let (site, key) = (&site, keys.part(part.number));
                storing.push(Box::pin(async move { site.create(&key, part.body).await }));
            }
            Some(Some(Packed::Layout(layout))) => break layout,
            Some(None) => return Ok(None),
            None => {}
        }
    };
    while storing.next().await.transpose()?.is_some() {}
    drop(storing);
    let manifest = Manifest {
        run: request.run,
        label: request.label,
        function: request.function,
        program: request.program,
        shared,
        chunks: layout.chunks,
        homes: layout.homes,
        options: request.options,
    };
    // Readers refuse what makes no sense; so it is not written in the first place.
    manifest
        .check()
        .map_err(|reason| Error::unreadable(&keys.manifest(), &Unreadable::damaged("manifest", reason)))?;
    let object = manifest.to_object();
    let hash = Hash::of(&object);
    let _ = site.create(&keys.manifest(), object).await?;
    Ok(Some(Planned { site, manifest: Arc::new(manifest), hash }))
}

/// Reads what there is of a run.
///
/// # Errors
/// [`Error::NoRun`] if it has no manifest.
pub(crate) async fn find(site: Site, run: RunId) -> Result<Found> {
    let keys = Keys::of(run);
    let key = keys.manifest();
    let object = site.store.get(&key, None).await?.ok_or(Error::NoRun { run })?;
    let manifest = Manifest::from_object(&object).map_err(|error| Error::unreadable(&key, &error))?;
    let rounds = site.rounds(&keys).await?;
    let cancelled = site.read(&keys.cancelled()).await?;
    let closed = site.read(&keys.closed()).await?;
    let planned = Planned { site, manifest: Arc::new(manifest), hash: Hash::of(&object) };
    Ok(Found { planned, rounds, cancelled, closed })
}

/// Submits a run that has just been planned, and sees to it until it is closed, or its owner goes away.
///
/// # Errors
/// When store or compute give no answer. The run itself goes on.
pub(crate) async fn submit(planned: &Planned, wires: Wires) -> Result<()> {
    let mut state = State::planned(terms(planned));
    let first = state.submit(planned.site.clock.now());
    drive(planned, state, first, wires).await
}

/// Goes on with a run that another client has begun; one that was never submitted waits for [`Command::Submit`].
///
/// # Errors
/// As for [`submit`].
pub(crate) async fn resume(found: Found, mut wires: Wires) -> Result<()> {
    let Found { planned, rounds, cancelled, closed } = found;
    if let Some(closed) = closed {
        return deliver_closed(&planned, &closed, wires).await;
    }
    let mut state = State::planned(terms(&planned));
    let now = planned.site.clock.now();
    let first = match state.resume(rounds, cancelled, now) {
        Some(order) => order,
        None => match asked(&planned, &mut wires).await? {
            Some(Command::Submit) => state.submit(planned.site.clock.now()),
            Some(Command::Cancel(reason)) => state.cancel_prepared(reason),
            Some(Command::Detach) | None => return Ok(()),
        },
    };
    drive(&planned, state, first, wires).await
}

/// What is to become of a run that was never submitted.
///
/// # Errors
/// [`Error::Prepared`] if its outcomes are wanted: nothing would ever come.
async fn asked(planned: &Planned, wires: &mut Wires) -> Result<Option<Command>> {
    match select(pin!(wires.commands.recv()), &mut wires.wanted).await {
        Either::Left((command, _)) => return Ok(command),
        Either::Right((Ok(_), _)) => return Err(Error::Prepared { run: planned.manifest.run }),
        // Nobody wants outcomes; that is asked again later, and a receiver answers only once.
        Either::Right((Err(_), _)) => wires.wanted = oneshot::channel().1,
    }
    Ok(wires.commands.recv().await)
}

async fn drive(planned: &Planned, state: State, first: Order, wires: Wires) -> Result<()> {
    let (decide, decided) = mpsc::unbounded_channel();
    let Wires { commands, progress, wanted, deliveries } = wires;
    let driving = Driver::new(planned, state, commands, progress, decide).drive(first);
    let delivering = async {
        match wanted.await {
            Ok(in_order) => deliver(planned, in_order, decided, &deliveries).await,
            Err(_) => Ok(()),
        }
    };
    try_join(driving, delivering).await.map(drop)
}

/// Outcomes that count, and reasons for those that do not: what came too late is not looked at.
async fn deliver_closed(planned: &Planned, closed: &Closed, wires: Wires) -> Result<()> {
    let (decide, decided) = mpsc::unbounded_channel();
    for next in super::drive::decided(planned, closed) {
        // The other end is right here.
        let _ = decide.send(next);
    }
    drop(decide);
    let _ = wires.progress.send(Progress { submitted: true, round: 0 });
    match wires.wanted.await {
        Ok(in_order) => deliver(planned, in_order, decided, &wires.deliveries).await,
        Err(_) => Ok(()),
    }
}

fn terms(planned: &Planned) -> Terms {
    let Planned { site, manifest, .. } = planned;
    let pace = site.compute.pace();
    Terms {
        run: manifest.run,
        blocks: manifest.block_count(),
        workers: manifest.homes.len() as u32,
        repairs: manifest.options.repairs,
        start_within: manifest.options.start_within,
        shows_within: pace.shows_within,
        poll: Poll::new(pace.shortest, pace.longest),
    }
}
