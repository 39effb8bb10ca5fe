//! [`Error`]: why a run as a whole could not go on.

use std::{fmt, path::PathBuf};

use crate::{
    compute::ComputeError,
    failure::Failure,
    store::StoreError,
    wire::{RunId, Unreadable},
};

/// `Result` with [`Error`], for `main` and everything else.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The same a pointer wide, for what is called once a chunk.
pub(crate) type Halting<T> = std::result::Result<T, Box<Error>>;

/// Why a run as a whole could not go on. What went wrong in a single chunk is a [`Failure`].
///
/// `Debug` prints the same text as `Display`, since that is what a `main` that returns `Err` shows.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Some chunks failed. Every failure is here, in input order; with `.fail_fast()` those known when it stopped.
    #[error("{}", Listed(.0))]
    Failed(Vec<Failure>),

    /// `cloud::init()` has not run in this process. Nothing was started.
    #[error("`cloud::init` has not run in this process, so no slot could be started; nothing was sent")]
    NotInitialised,

    /// A process that was started as a slot reached a `map` before `cloud::init()`. It refuses, so nothing recurses.
    #[error("this process was started as a slot, but `main` reached a `map` before `cloud::init`")]
    SlotWithoutInit,

    /// A setting has a value that is not allowed.
    #[error("{origin} is `{value}`, expected {expected}")]
    Setting {
        /// The setting and where it came from: "`CLOUD_SLOTS` (environment)", "`slots` (cloud.toml, line 2)".
        origin: String,
        /// The value as given.
        value: String,
        /// What is allowed.
        expected: String,
    },

    /// The settings file could not be read.
    #[error("`{}` cannot be used: {reason}", path.display())]
    SettingsFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// An option was set that this backend cannot honour.
    #[error("`.{option}(..)` has no meaning on the `{backend}` backend")]
    Unsupported {
        /// The option's name.
        option: &'static str,
        /// The backend's name.
        backend: &'static str,
    },

    /// The shared data of `map_with` could not be encoded, or not be read back.
    #[error("the shared data `{type_name}` cannot be sent: {reason}")]
    Shared {
        /// The type.
        type_name: &'static str,
        /// What serde said.
        reason: String,
    },

    /// A slot could not be started, or said something that is not ours.
    #[error("slot {slot} could not be used: {reason}{}", StderrTail(stderr))]
    Slot {
        /// The slot's number.
        slot: usize,
        /// What happened.
        reason: String,
        /// What it wrote to stderr, oldest line first.
        stderr: Vec<String>,
    },

    /// A slot's process could not be started at all, and no other slot is there to go on with.
    #[error("slot {slot} cannot be started: {reason}")]
    SlotStart {
        /// The slot's number.
        slot: usize,
        /// What the system said.
        reason: String,
    },

    /// The store could not do what it was asked. A run that was submitted goes on without this client.
    #[error(transparent)]
    Store(#[from] StoreError),

    /// AWS Batch, or its simulation, could not do what it was asked. A run that was submitted goes on without this client.
    #[error(transparent)]
    Compute(#[from] ComputeError),

    /// Nobody can say whether an object was written.
    #[error("`{key}` was written or not: the store gave no answer")]
    Unanswered {
        /// The object's key.
        key: String,
    },

    /// A stored object is not what it should be.
    #[error("`{key}` cannot be read: {reason}")]
    Unreadable {
        /// The object's key.
        key: String,
        /// What is wrong with it: damaged, or of a newer version.
        reason: String,
    },

    /// This program cannot follow runs any more, or not at all. A run that was submitted goes on without it.
    #[error("runs cannot be followed from here: {reason}")]
    Following {
        /// What is in the way.
        reason: String,
    },

    /// A run's values are not of the type that was asked for.
    #[error("run `{run}` gives values of type `{stored}`, not `{asked}`")]
    OtherOutput {
        /// The run.
        run: RunId,
        /// What it gives.
        stored: String,
        /// What was asked for.
        asked: &'static str,
    },

    /// A run was started by another program, or another build of this one.
    #[error("run `{run}` was started by another program, or another build of this one")]
    OtherProgram {
        /// The run.
        run: RunId,
    },

    /// The folder of the `mock` backend cannot be used.
    #[error("`{}` cannot be used: {reason}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What is in the way.
        reason: String,
    },

    /// A run was stored and never submitted, since its client was killed in between.
    #[error("run `{run}` was never submitted")]
    Prepared {
        /// The run.
        run: RunId,
    },

    /// This program cannot be handed on to workers.
    #[error("this program cannot be run elsewhere: {reason}")]
    Program {
        /// What is in the way.
        reason: String,
    },

    /// There is no such run in this store.
    #[error("there is no run `{run}`")]
    NoRun {
        /// Its id.
        run: RunId,
    },

    /// This text is no run's name.
    #[error("`{text}` is no run: a run's id is 26 letters and digits")]
    NoRunId {
        /// The text.
        text: String,
    },

    /// Two different functions carry the same `#[cloud::remote(name = ..)]`.
    #[error("two functions are named `{name}`: {first} and {second}")]
    DuplicateName {
        /// The name given twice.
        name: &'static str,
        /// One function's path.
        first: &'static str,
        /// The other's.
        second: &'static str,
    },
}

impl Error {
    pub(crate) fn unreadable(key: &str, error: &Unreadable) -> Error {
        Error::Unreadable { key: key.to_string(), reason: error.to_string() }
    }

    /// What to do about it: a next step in one or two lines.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Error::Failed(_) => Some("`.outcomes()` gives the values of the other chunks too"),
            Error::NotInitialised => Some(
                "write `#[cloud::main]` above `main`, or `cloud::init()` as its first line; \
                 in tests, doctests and benches add the feature `test` of `cloud` to dev-dependencies",
            ),
            Error::SlotWithoutInit => {
                Some("make `cloud::init()` the first line of `main`, outside any condition")
            }
            Error::Unsupported { option: "start" | "attach" | "runs" | "status" | "cancel", .. } => Some(
                "runs that survive their program are on another backend: `.on(Backend::mock())`, or `CLOUD_BACKEND=mock`",
            ),
            Error::Unsupported { .. } => Some("take the option away, or use `.on(Backend::Local)`"),
            Error::Slot { .. } => Some(
                "a slot runs this same program: `#[cloud::main]` or `cloud::init()` must come first in `main`, \
                 before anything is printed or any thread started",
            ),
            Error::SlotStart { .. } => Some(
                "use fewer `.slots(..)`, or raise the limits on open files and processes (`ulimit -n`, `ulimit -u`); \
                 a slot takes seven descriptors",
            ),
            Error::DuplicateName { .. } => Some("give one of them another `name`"),
            Error::NoRun { .. } | Error::NoRunId { .. } => Some("`cloud::runs()` lists the runs there are"),
            Error::Prepared { .. } => Some("call `.submit()` on the attached run first, or `.cancel()` it"),
            Error::OtherOutput { .. } => Some("attach as `Run::<ThatType>::attach(id)`"),
            Error::OtherProgram { .. } => Some(
                "attach with the build that started it: the bytes of its values may mean something else here",
            ),
            Error::Unanswered { .. } | Error::Following { .. } => {
                Some("if the run was submitted, it goes on: `Run::attach` shows it and goes on with it")
            }
            Error::Setting { .. }
            | Error::SettingsFile { .. }
            | Error::Shared { .. }
            | Error::Store(_)
            | Error::Compute(_)
            | Error::Folder { .. }
            | Error::Program { .. }
            | Error::Unreadable { .. } => None,
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        match self.hint() {
            Some(hint) => write!(f, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}

/// The first failures of a list that may be a million long.
struct Listed<'a>(&'a [Failure]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 5;
        let plural = if self.0.len() == 1 { "chunk" } else { "chunks" };
        write!(f, "{} {plural} failed", self.0.len())?;
        for failure in self.0.iter().take(SHOWN) {
            write!(f, "\n  {failure}")?;
            for line in &failure.stderr {
                write!(f, "\n    | {line}")?;
            }
        }
        if self.0.len() > SHOWN {
            write!(f, "\n  and {} more", self.0.len() - SHOWN)?;
        }
        Ok(())
    }
}

struct StderrTail<'a>(&'a [String]);

impl fmt::Display for StderrTail<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| write!(f, "\n  | {line}"))
    }
}
