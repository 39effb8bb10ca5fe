//! What clients and the host say to each other: on a connection for each call, the host greets, the client asks and closes
//! its side, the host answers and closes.
//!
//! The greeting makes sure that a request goes only to a host that will answer it, not into the queue of one that is about
//! to end: until it is heard, starting over is safe even for a submit.

use std::{
    ffi::OsString,
    io::{self, Read},
    net::Shutdown,
    os::unix::net::UnixStream,
    path::PathBuf,
    time::Duration,
};

use rustix::{
    io::retry_on_intr,
    net::{SendFlags, send},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::compute::{JobId, JobSpec, JobState, simulated::Rules};

/// Said by the host when it has accepted a connection. The number is that of everything in this file.
pub(super) const GREETING: &[u8; 14] = b"cloud-batch 1\n";

/// Neither side waits longer for the other.
const PATIENCE: Duration = Duration::from_secs(30);

/// No request is larger; Batch would refuse it long before.
const REQUEST_BYTES: u64 = 16 << 20;

/// What a client can ask. The answer is a `Result` of what the call of that name gives.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Request {
    Submit(Box<Submit>),
    Find { name: String },
    Describe { jobs: Vec<JobId> },
    Children { job: JobId, state: JobState },
    Terminate { jobs: Vec<JobId>, reason: String },
}

/// A job, how Batch is to treat it, and what its workers run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Submit {
    pub(super) spec: JobSpec,
    pub(super) rules: Rules,
    pub(super) program: Program,
}

/// What workers run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Program {
    /// The host opens it when the job is submitted, and keeps it open.
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    /// What a worker has beside its container's variables.
    pub(crate) environment: Vec<(OsString, OsString)>,
}

impl Program {
    /// This very one.
    pub(crate) fn own() -> Program {
        Program::at(format!("/proc/{}/exe", std::process::id()).into())
    }

    /// Another, with those of this process's variables that make programs run at all. On AWS nothing else is there either.
    pub(crate) fn at(path: PathBuf) -> Program {
        const INHERITED: [&str; 9] =
            ["HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "RUST_BACKTRACE", "TMPDIR", "TZ", "USER"];
        let inherited = |name: &str| Some((name.into(), std::env::var_os(name)?));
        Program {
            path,
            arguments: Vec::new(),
            environment: INHERITED.into_iter().filter_map(inherited).collect(),
        }
    }
}

impl Request {
    /// What AWS calls it.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Request::Submit(_) => "SubmitJob",
            Request::Find { .. } | Request::Children { .. } => "ListJobs",
            Request::Describe { .. } => "DescribeJobs",
            Request::Terminate { .. } => "TerminateJob",
        }
    }
}

/// Nobody who stops in the middle keeps the other waiting for ever.
pub(super) fn be_patient(stream: &UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))
}

/// Sends a whole message and closes this side.
pub(super) fn say(stream: &UnixStream, message: &impl Serialize) -> io::Result<()> {
    say_bytes(stream, &serde_json::to_vec(message)?)?;
    stream.shutdown(Shutdown::Write)
}

/// Without SIGPIPE: who writes may be a program that has not set it aside.
pub(super) fn say_bytes(stream: &UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let sent = retry_on_intr(|| send(stream, bytes, SendFlags::NOSIGNAL))?;
        bytes = &bytes[sent..];
    }
    Ok(())
}

/// Receives a whole request.
pub(super) fn hear_request(stream: &UnixStream) -> io::Result<Request> {
    let mut bytes = Vec::new();
    stream.take(REQUEST_BYTES).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Receives a whole answer.
pub(super) fn hear_answer<T: DeserializeOwned>(mut stream: &UnixStream) -> io::Result<T> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}
