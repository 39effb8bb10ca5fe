//! A worker as a process of its own: in a container, or simulated on this machine.

use std::{
    future::Future,
    io::{self, Write},
    sync::Arc,
    task::{Context, Poll},
    thread,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    process::{Pid, PidfdFlags, Signal, getppid, pidfd_open},
};
use tokio::signal::unix::{SignalKind, signal};

use super::{
    assignment::Assignment,
    crew::Crew,
    program::ensure_program,
    work::{End, exit, work},
    worker::{Trouble, Worker},
};
use crate::{
    clock::SystemClock,
    error::Halting,
    event::SlotUse,
    failure::FailureKind,
    function::{Limit, find},
    names::{MANIFEST_VAR, RUN_VAR, WORKER_VAR},
    store::{Dir, Retrying, Store},
    wire::{Hash, Location, StoreLocation},
    worker::{Body, ExtraEnv, Feed, Job, Raw, RunFrame, Slots, Surroundings, run_frame},
};

/// What slots do not inherit: whom they work for, and whatever gives access to the account (AWS SDKs, "Environment
/// variables").
const KEPT_FROM_SLOTS: [&str; 12] = [
    RUN_VAR,
    MANIFEST_VAR,
    WORKER_VAR,
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
];

/// Counts what the kernel killed in this container for want of memory.
const MEMORY_EVENTS: &str = "/sys/fs/cgroup/memory.events";

/// Works as a worker and ends the process. `host` is the process to end with, if it is a number.
#[expect(clippy::exit, reason = "a worker's process must not run the user's `main`")]
pub(crate) fn serve_worker(host: &str) -> ! {
    let code = match host.parse().ok().and_then(Pid::from_raw).map(end_with).transpose() {
        Ok(_) => serve().unwrap_or_else(|reason| {
            let _ = writeln!(io::stderr(), "cloud: this worker ends: {reason}");
            exit::MISFIT
        }),
        Err(error) => {
            let _ = writeln!(io::stderr(), "cloud: this worker cannot watch its host: {error}");
            exit::AGAIN
        }
    };
    std::process::exit(code.into());
}

/// A simulated host that is gone takes its containers with it.
#[expect(clippy::exit, reason = "as if the machine were gone")]
fn end_with(host: Pid) -> io::Result<()> {
    let ended = pidfd_open(host, PidfdFlags::empty())?;
    if getppid() != Some(host) {
        return Err(io::Error::other("it is gone already"));
    }
    thread::Builder::new().name("cloud-host".into()).stack_size(64 << 10).spawn(move || {
        let mut fds = [PollFd::new(&ended, PollFlags::IN)];
        while poll(&mut fds, None).is_err() {}
        std::process::exit(Signal::KILL.as_raw() + 128);
    })?;
    Ok(())
}

fn serve() -> Result<u8, String> {
    let assignment = Assignment::from_variables(|name| std::env::var(name).ok())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime can be started: {error}"))?;
    runtime.block_on(async {
        let store = open(&assignment.location).await?;
        let mut terminated = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let stop = async move {
            let _ = terminated.recv().await;
        };
        let End { code, trouble } = work(store, Arc::new(SystemClock::new()), assignment, fit, stop).await;
        if let Some(trouble) = trouble {
            let _ = writeln!(io::stderr(), "cloud: this worker ends: {trouble}");
        }
        Ok(code)
    })
}

/// Works as a worker within the process that started the run, where the store is too.
pub(crate) async fn work_inside(
    store: Arc<dyn Store>,
    variables: &[(String, String)],
    stop: impl Future<Output = ()>,
) -> u8 {
    let variable =
        |name: &str| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
    match Assignment::from_variables(variable) {
        Ok(assignment) => work(store, Arc::new(SystemClock::new()), assignment, fit, stop).await.code,
        Err(_) => exit::MISFIT,
    }
}

async fn open(location: &Location) -> Result<Arc<dyn Store>, String> {
    match &location.store {
        StoreLocation::Memory => Err("its run is in the memory of another process".into()),
        StoreLocation::Dir(folder) => {
            let dir = Dir::open(folder).await.map_err(|error| format!("`{}`: {error}", folder))?;
            Ok(Arc::new(Retrying::new(dir)))
        }
    }
}

/// Real slots, running the run's program and function.
async fn fit(worker: &Worker) -> Result<WatchedSlots, Trouble> {
    ensure_program(worker).await?;
    let manifest = &worker.manifest;
    let (function, options) = (&manifest.function, &manifest.options);
    if find(function.id, &function.path).is_none() {
        let reason = format!("this program has no function `{}`", function.path);
        return Err(Trouble::misfit(&worker.keys.manifest(), &reason));
    }
    let mut shared = bytes::Bytes::new();
    if let Some(data) = manifest.shared {
        let key = worker.keys.shared();
        let stored = worker.store.get(&key, None).await?;
        shared = stored.ok_or_else(|| Trouble::misfit(&key, "it is not there"))?;
        if Hash::of(&shared) != data.hash {
            return Err(Trouble::misfit(&key, "it is not as it was planned"));
        }
    }
    let frame = RunFrame {
        function: function.id,
        name: function.path.clone(),
        shared: manifest.shared.map(|data| data.codec as u8),
        max_bytes: options.max_bytes,
    };
    let job = Job {
        run_frame: Arc::new(run_frame(&frame, &shared)),
        slots: options.slots as usize,
        timeout: options.timeout,
        retries: options.retries,
        limit: Limit(options.max_bytes as usize),
        chunks_per_slot: options.chunks_per_slot.map(|chunks| chunks as usize),
        surroundings: Surroundings::now(slot_environment(&options.environment)),
        blocking: false,
    };
    Ok(WatchedSlots { slots: Slots::new(job), killed: killed_for_memory() })
}

fn slot_environment(variables: &[(Vec<u8>, Vec<u8>)]) -> ExtraEnv {
    use std::{ffi::OsString, os::unix::ffi::OsStringExt};
    let mut environment: ExtraEnv = KEPT_FROM_SLOTS.iter().map(|name| ((*name).into(), None)).collect();
    for (name, value) in variables {
        environment.insert(OsString::from_vec(name.clone()), Some(OsString::from_vec(value.clone())));
    }
    environment
}

/// Slots whose deaths for want of memory are told from others.
struct WatchedSlots {
    slots: Slots,
    /// Processes that the kernel had killed before.
    killed: u64,
}

impl Crew for WatchedSlots {
    fn poll_next(&mut self, cx: &mut Context<'_>, feed: &mut dyn Feed) -> Poll<Halting<bool>> {
        let next = self.slots.poll_next(cx, feed);
        if let Poll::Ready(Ok(true)) = next
            && let (Raw { body: Body::Failed(failure), .. }, _) = self.slots.current()
            && failure.kind == (FailureKind::Signal { number: Signal::KILL.as_raw() })
        {
            let killed = killed_for_memory();
            if killed > self.killed {
                failure.turn_out_of_memory();
            }
            self.killed = killed;
        }
        next
    }

    fn current(&mut self) -> (&mut Raw, &[u8]) {
        self.slots.current()
    }

    fn used(&self) -> Vec<SlotUse> {
        let mut used = self.slots.slots_used();
        for (seat, used) in used.iter_mut().enumerate() {
            used.peak_memory = self.slots.peak_memory(seat);
        }
        used
    }
}

/// As many as the kernel counts; 0 where it does not.
fn killed_for_memory() -> u64 {
    let events = std::fs::read_to_string(MEMORY_EVENTS).unwrap_or_default();
    let killed = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
    killed.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}
