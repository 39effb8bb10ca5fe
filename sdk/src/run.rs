//! [`Run`]: a run that is under way, and survives whoever started it.

use std::{any::type_name, fmt, future::poll_fn, marker::PhantomData};

use crate::{
    collect::Collect,
    compute::JobState,
    engine::{self, Cloud, Command, Site, on_engine_thread},
    error::{Error, Result},
    failure::FailureKind,
    function::Wire,
    inputs::Nothing,
    map::{Every, Map, Outcomes},
    progress,
    results::Values,
    runner::own_program,
    running::{Form, Running},
    settings::{Asked, Backend, Settings},
    typed::TypedRun,
    wire::RunId,
};

/// A run on the `mock` or `aws` backend whose inputs are stored and whose workers are submitted. It no longer needs the program
/// that started it: another process can [`attach`](Run::attach) to it by its id.
///
/// While a handle is there and taken from, the run is seen to: what was lost with its workers is repaired. A run that
/// nobody attends is carried as far as Batch's own attempts go; attaching takes up where that ended.
///
/// ```
/// # fn main() -> cloud::Result<()> {
/// # pollster::block_on(async {
/// use cloud::{Backend, Run};
///
/// # let folder = std::env::temp_dir().join(format!("cloud-run-doc-{}", std::process::id()));
/// let backend = Backend::mock().at(&folder);
/// let run = cloud::map(|x: u32| x * x, 0..10).on(backend.clone()).start().await?;
/// let id = run.detach();
/// // Later, in this program or another process of it:
/// let squares = Run::<u32>::attach_on(backend, id).await?.results().await?;
/// assert_eq!(squares[9], 81);
/// # std::fs::remove_dir_all(folder).ok();
/// # Ok(())
/// # })
/// # }
/// ```
///
/// # Cancellation
/// Dropping the handle that [`Map::start`] gave cancels the run; [`detach`](Run::detach) does not. Dropping one that was
/// attached leaves the run to itself; [`cancel`](Run::cancel) ends it.
#[must_use = "dropping what `.start()` gave cancels the run; `.detach()` leaves it running"]
pub struct Run<O> {
    id: RunId,
    typed: Box<TypedRun<Nothing>>,
    site: Site,
    output: PhantomData<fn() -> O>,
}

/// Where a run is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct Status {
    /// Its id.
    pub id: RunId,
    /// From `.label(..)`, else the function's name.
    pub label: String,
    /// Where it stands.
    pub state: RunState,
    /// How many chunks it has.
    pub chunks: u64,
    /// How many blocks they were packed into.
    pub blocks: u32,
    /// Blocks that have outcomes.
    pub blocks_done: u32,
    /// How many workers are in which of Batch's states, if Batch still knows.
    pub workers: Vec<(JobState, u32)>,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunState {
    /// Its inputs are stored, and nothing was submitted: [`Run::submit`].
    Prepared,
    /// Its workers are with Batch.
    Running,
    /// Its workers have ended and left chunks undone; whoever attaches repairs it.
    Unattended,
    /// Somebody has asked for its end.
    Cancelling,
    /// Every chunk has its outcome.
    Complete,
    /// It was ended before every chunk had an outcome.
    Cancelled,
    /// Some chunks will never have an outcome.
    Failed {
        /// What kind of trouble.
        kind: FailureKind,
        /// In words.
        reason: String,
    },
}

impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RunState::Prepared => "prepared",
            RunState::Running => "running",
            RunState::Unattended => "unattended",
            RunState::Cancelling => "cancelling",
            RunState::Complete => "complete",
            RunState::Cancelled => "cancelled",
            RunState::Failed { reason, .. } => return write!(f, "failed: {reason}"),
        })
    }
}

impl<O: Wire> Run<O> {
    /// The run's id: enough to find it again.
    #[must_use]
    pub fn id(&self) -> RunId {
        self.id
    }

    /// Goes on with a run that this program has started before, in this process or another, on the backend that
    /// `CLOUD_BACKEND` or `cloud.toml` says.
    ///
    /// # Errors
    /// [`Error::NoRun`], [`Error::OtherOutput`] if its values are of another type, [`Error::OtherProgram`] if another build
    /// has started it: then the bytes of its values may mean something else.
    pub async fn attach(id: RunId) -> Result<Run<O>> {
        Run::open(None, id).await
    }

    /// [`attach`](Run::attach) on this backend.
    ///
    /// # Errors
    /// As for `attach`.
    pub async fn attach_on(backend: impl Into<Backend>, id: RunId) -> Result<Run<O>> {
        Run::open(Some(backend.into()), id).await
    }

    async fn open(backend: Option<Backend>, id: RunId) -> Result<Run<O>> {
        let (site, settings) = site("attach", backend)?;
        let at = site.clone();
        let found = on_engine_thread(move || engine::find(at, id)).await?;
        let manifest = &found.planned.manifest;
        if manifest.function.output != type_name::<O>() {
            let (stored, asked) = (manifest.function.output.clone(), type_name::<O>());
            return Err(Error::OtherOutput { run: id, stored, asked });
        }
        let own = own_program().map_err(|error| Error::Program { reason: error.to_string() })?;
        if manifest.program.hash != own.hash {
            return Err(Error::OtherProgram { run: id });
        }
        let manifest = manifest.clone();
        let cloud = Cloud::attach(found)?;
        let running = Running::attached(
            cloud,
            &manifest,
            settings.backend.name(),
            progress::reporter(settings.progress),
        );
        Ok(Run { id, typed: Box::new(TypedRun::attached(running)), site, output: PhantomData })
    }

    /// Where it is now.
    ///
    /// # Errors
    /// When store or Batch give no answer.
    pub async fn status(&self) -> Result<Status> {
        let (site, id) = (self.site.clone(), self.id);
        on_engine_thread(move || engine::status(site, id)).await
    }

    /// Submits a run that was stored and never submitted, since its client was killed in between. Any other is left as it is.
    pub fn submit(&mut self) {
        if let Some(cloud) = self.typed.cloud() {
            cloud.command(Command::Submit);
        }
    }

    /// All values in the order of the inputs; as for [`map`](crate::map), an error lists every failure.
    pub fn results(self) -> Collect<Nothing, O, Every> {
        Collect::of(self.typed)
    }

    /// All chunks' outcomes in input order, failures beside values.
    pub fn outcomes(self) -> Collect<Nothing, O, Outcomes> {
        Collect::of(self.typed)
    }

    /// Values as they come, those that are there already first.
    pub fn stream(self) -> Values<Nothing, O> {
        Values::of(self.typed)
    }

    /// Ends the run: workers are told to stop, and it is closed. What is done stays, and can be attached to.
    ///
    /// # Errors
    /// When store or Batch give no answer; the run may then go on.
    pub async fn cancel(mut self) -> Result<Status> {
        if let Some(cloud) = self.typed.cloud() {
            cloud.cancel("cancelled").await?;
        }
        self.status().await
    }

    /// Leaves the run to itself, and gives its id.
    pub fn detach(mut self) -> RunId {
        if let Some(cloud) = self.typed.cloud() {
            cloud.detach();
        }
        self.id
    }
}

impl<O> fmt::Debug for Run<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("id", &self.id).finish_non_exhaustive()
    }
}

impl<S: crate::Source, T: Wire, G> Map<S, T, G>
where
    S::Item: Wire,
{
    /// Stores the inputs and submits the run, which then no longer needs this program. For the backends `mock` and `aws`.
    ///
    /// # Cancellation
    /// Until it is submitted, dropping this future leaves no run behind.
    ///
    /// # Errors
    /// [`Error::Unsupported`] on a backend whose runs end with the program; otherwise when it cannot be stored or submitted.
    pub async fn start(self) -> Result<Run<T>> {
        let form = Form { outlives: true, ..Form::default() };
        let (site, _) = site("start", self.plan.asked.backend.clone())?;
        let mut typed = TypedRun::start(self.source, self.plan, form)?;
        poll_fn(|cx| typed.poll_submitted(cx)).await?;
        let mut running = typed.into_running();
        running.announce();
        let mut typed = Box::new(TypedRun::attached(running));
        let id = match typed.cloud() {
            Some(cloud) => cloud.run(),
            None => return Err(Error::Unsupported { option: "start", backend: "local" }),
        };
        Ok(Run { id, typed, site, output: PhantomData })
    }
}

/// The runs that are stored on the backend that `CLOUD_BACKEND` or `cloud.toml` says, oldest first.
///
/// # Errors
/// When the store gives no answer.
pub async fn runs() -> Result<Vec<RunId>> {
    let (site, _) = site("runs", None)?;
    on_engine_thread(move || engine::runs(site)).await
}

/// [`runs`] on this backend.
///
/// # Errors
/// As for `runs`.
pub async fn runs_on(backend: impl Into<Backend>) -> Result<Vec<RunId>> {
    let (site, _) = site("runs", Some(backend.into()))?;
    on_engine_thread(move || engine::runs(site)).await
}

/// Where a run is now, on the backend that `CLOUD_BACKEND` or `cloud.toml` says. Looks only: nothing is repaired, and the
/// program need not be the one that started it.
///
/// # Errors
/// [`Error::NoRun`], or when store or Batch give no answer.
pub async fn status(id: RunId) -> Result<Status> {
    let (site, _) = site("status", None)?;
    on_engine_thread(move || engine::status(site, id)).await
}

/// [`status`] on this backend.
///
/// # Errors
/// As for `status`.
pub async fn status_on(backend: impl Into<Backend>, id: RunId) -> Result<Status> {
    let (site, _) = site("status", Some(backend.into()))?;
    on_engine_thread(move || engine::status(site, id)).await
}

/// Ends a run of whatever program, on the backend that `CLOUD_BACKEND` or `cloud.toml` says; gives where it is then.
///
/// # Errors
/// As for [`Run::cancel`], and [`Error::NoRun`].
pub async fn cancel(id: RunId) -> Result<Status> {
    end(site("cancel", None)?.0, id).await
}

/// [`cancel`] on this backend.
///
/// # Errors
/// As for `cancel`.
pub async fn cancel_on(backend: impl Into<Backend>, id: RunId) -> Result<Status> {
    end(site("cancel", Some(backend.into()))?.0, id).await
}

async fn end(site: Site, id: RunId) -> Result<Status> {
    let at = site.clone();
    let found = on_engine_thread(move || engine::find(at, id)).await?;
    Cloud::attach(found)?.cancel("cancelled").await?;
    on_engine_thread(move || engine::status(site, id)).await
}

/// Where runs of this backend are.
fn site(option: &'static str, backend: Option<Backend>) -> Result<(Site, Settings)> {
    let settings = Settings::resolve(&Asked { backend, slots: None })?;
    match &settings.backend {
        Backend::Mock(mock) => Ok((mock.site()?, settings)),
        other => Err(Error::Unsupported { option, backend: other.name() }),
    }
}
