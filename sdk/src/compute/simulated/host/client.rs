//! The client's side: every call on a connection of its own, and a host started if there is none.

use std::{
    fs::OpenOptions,
    io::{self, Read},
    os::unix::{fs::OpenOptionsExt, net::UnixStream, process::CommandExt},
    path::Path,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde::de::DeserializeOwned;

use super::{
    folder::Folder,
    talk::{GREETING, Program, Request, Submit, be_patient, hear_answer, say},
};
use crate::{
    compute::{
        Child, Compute, ComputeError, ComputeErrorKind, Job, JobId, JobSpec, JobState, Pace, Result,
        TERMINATED_AT_ONCE, simulated::Rules,
    },
    names::BATCH_HOST_VAR,
    store::Pending,
};

/// A host that is not there by then never will be: it takes milliseconds.
const START_WITHIN: Duration = Duration::from_secs(20);

/// A simulated Batch in a process of its own, which lives as long as its jobs.
#[derive(Debug, Clone)]
pub(crate) struct Hosted {
    folder: Folder,
    rules: Rules,
    program: Program,
}

impl Hosted {
    /// The one of this folder, which is made if need be. Its workers run `program`.
    pub(crate) fn new(folder: &Path, rules: Rules, program: Program) -> io::Result<Hosted> {
        let folder = Folder::new(folder)?;
        folder.create()?;
        Ok(Hosted { folder, rules, program })
    }

    fn call<T: DeserializeOwned + Send + 'static>(&self, request: Request) -> Pending<'static, Result<T>> {
        let folder = self.folder.clone();
        Box::pin(blocking::unblock(move || call(&folder, &request)))
    }
}

impl Compute for Hosted {
    /// A host on this machine answers within a fraction of a millisecond, and knows at once what it was told.
    fn pace(&self) -> Pace {
        Pace {
            shortest: Duration::from_millis(5),
            longest: Duration::from_millis(500),
            shows_within: Duration::from_secs(1),
        }
    }

    fn submit<'a>(&'a self, spec: &'a JobSpec) -> Pending<'a, Result<JobId>> {
        let (spec, rules, program) = (spec.clone(), self.rules.clone(), self.program.clone());
        self.call(Request::Submit(Box::new(Submit { spec, rules, program })))
    }

    fn find<'a>(&'a self, name: &'a str) -> Pending<'a, Result<Vec<Job>>> {
        self.call(Request::Find { name: name.to_string() })
    }

    fn describe<'a>(&'a self, jobs: &'a [JobId]) -> Pending<'a, Result<Vec<Job>>> {
        self.call(Request::Describe { jobs: jobs.to_vec() })
    }

    fn children<'a>(&'a self, job: &'a JobId, state: JobState) -> Pending<'a, Result<Vec<Child>>> {
        self.call(Request::Children { job: job.clone(), state })
    }

    fn terminate<'a>(&'a self, jobs: &'a [JobId], reason: &'a str) -> Pending<'a, Result<()>> {
        Box::pin(async move {
            for jobs in jobs.chunks(TERMINATED_AT_ONCE) {
                self.call::<()>(Request::Terminate { jobs: jobs.to_vec(), reason: reason.to_string() })
                    .await?;
            }
            Ok(())
        })
    }
}

fn call<T: DeserializeOwned>(folder: &Folder, request: &Request) -> Result<T> {
    let error = |kind, error: io::Error| ComputeError {
        kind,
        call: request.name().to_string(),
        reason: format!("simulated batch in `{}`: {error}", folder.path().display()),
    };
    let once = || {
        let stream = connect(folder).map_err(|reason| match reason.kind() {
            io::ErrorKind::PermissionDenied => error(ComputeErrorKind::Denied, reason),
            _ => error(ComputeErrorKind::Refused, reason),
        })?;
        let answer = say(&stream, request).and_then(|()| hear_answer::<Result<T>>(&stream));
        answer.unwrap_or_else(|reason| Err(error(ComputeErrorKind::Unknown, reason)))
    };
    let answer = once();
    let died = matches!(&answer, Err(error) if error.kind == ComputeErrorKind::Unknown);
    // Whatever else a dead host was asked, the next one can be asked again.
    if died && !matches!(request, Request::Submit(_)) { once() } else { answer }
}

/// A connection to a host that will answer.
fn connect(folder: &Folder) -> io::Result<UnixStream> {
    let begun = Instant::now();
    let mut pause = Duration::ZERO;
    loop {
        match greeted(folder) {
            Ok(Some(stream)) => return Ok(stream),
            // It is about to end.
            Ok(None) => {}
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound
                | io::ErrorKind::ConnectionRefused
                | io::ErrorKind::ConnectionReset => {}
                _ => return Err(error),
            },
        }
        if begun.elapsed() > START_WITHIN {
            let reason = format!("the host does not start, see `{}`", folder.host_log().display());
            return Err(io::Error::other(reason));
        }
        // The first time there is none. Later, another is just starting or just ending.
        thread::sleep(pause);
        pause = Duration::from_millis(2);
        start_host(folder)?;
    }
}

fn greeted(folder: &Folder) -> io::Result<Option<UnixStream>> {
    let mut stream = folder.connect()?;
    be_patient(&stream)?;
    let mut greeting = Vec::new();
    (&mut stream).take(GREETING.len() as u64).read_to_end(&mut greeting)?;
    match &greeting[..] {
        [] => Ok(None),
        greeting if greeting == GREETING => Ok(Some(stream)),
        _ => Err(io::Error::other("its host is of another version of `cloud`; it ends after its last job")),
    }
}

/// Starts a host, and returns when it listens, or has found that another holds the lock.
fn start_host(folder: &Folder) -> io::Result<()> {
    folder.create()?;
    let log = OpenOptions::new().create(true).append(true).mode(0o600).open(folder.host_log())?;
    let (mut ready, far_end) = io::pipe()?;
    let mut host = Command::new("/proc/self/exe")
        .arg0(std::env::args_os().next().unwrap_or_else(|| "batch".into()))
        .env(BATCH_HOST_VAR, folder.path())
        // Where a container's program is started too; and no folder is kept from being removed.
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::from(far_end))
        .stderr(Stdio::from(log))
        .spawn()?;
    ready.read_to_end(&mut Vec::new())?;
    // It outlives this process, or is reaped.
    thread::Builder::new().name("cloud-batch".into()).stack_size(128 << 10).spawn(move || host.wait())?;
    Ok(())
}
