//! What became of a chunk: [`Outcome`], and [`Failure`] when it was not a value.

use std::{fmt, ops::Deref, time::Duration};

use serde::{Deserialize, Serialize};

/// What became of one chunk, with where and how long it ran.
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome<T> {
    /// Position of the chunk in the input, from 0.
    pub index: usize,
    /// The slot that ran it, from 0; `None` when no slot ever began it.
    pub slot: Option<usize>,
    /// How often it was begun: 1 unless `.retries(..)` gave it another chance; 0 when never.
    pub attempt: u32,
    /// Wall time of the last attempt inside the slot: decoding, the function, encoding.
    pub elapsed: Duration,
    /// The value, or why there is none.
    pub result: Result<T, Failure>,
}

/// Why a chunk has no value. `Display` is one line for people; the fields of [`FailureReport`], which it derefs to, are
/// for programs.
///
/// A pointer wide, so that carrying `Result<T, Failure>` costs next to nothing for the chunks that have a value.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Failure(Box<FailureReport>);

/// What is known of a failed chunk.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FailureReport {
    /// Position of the chunk in the input, from 0.
    pub chunk: usize,
    /// The attempt that failed last, from 1; 0 when the chunk was never begun.
    pub attempt: u32,
    /// The slot it failed in; `None` when it never reached one.
    pub slot: Option<usize>,
    /// What happened.
    pub kind: FailureKind,
    /// The message in its own words: of the panic, the error, the signal.
    pub message: String,
    /// The last lines that the slot wrote to stderr (stdout goes there too), oldest first. Filled when the
    /// process died or was stopped; a caught panic or `Err` says everything in `message`.
    pub stderr: Vec<String>,
}

/// The kinds of failure a program can act on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum FailureKind {
    /// The function returned `Err` under `try_map`.
    Error {
        /// The error's sources, outermost first, as text.
        chain: Vec<String>,
    },
    /// The function panicked.
    Panic {
        /// `file:line:column`, while the slot's own panic hook is installed.
        location: Option<String>,
        /// The frames below the function, while the slot's own panic hook is installed.
        backtrace: Option<String>,
    },
    /// User code ended the slot's process with this exit code.
    Exit {
        /// The exit code, 0 included: a chunk that exits has no result.
        code: i32,
    },
    /// User code called `abort` (a double panic and `panic = "abort"` do so too).
    Abort,
    /// The function's stack ran out.
    StackOverflow,
    /// The process was ended by a signal, such as 11 (SIGSEGV) or 9 (SIGKILL).
    Signal {
        /// The signal's number.
        number: i32,
    },
    /// The chunk ran longer than `.timeout(..)` and its slot was killed.
    Timeout {
        /// The limit.
        limit: Duration,
    },
    /// The input could not be serialised on the client.
    UnencodableInput,
    /// The input could not be read back in the slot.
    UndecodableInput,
    /// The result could not be serialised in the slot.
    UnencodableResult,
    /// The result could not be read back on the client.
    UndecodableResult,
    /// The encoded input is larger than `.max_result(..)` allows; it was not sent.
    InputTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The encoded result is larger than `.max_result(..)` allows; it was dropped in the slot.
    ResultTooLarge {
        /// The limit in bytes.
        limit: u64,
    },
    /// The slot was killed because its worker had no memory left.
    OutOfMemory,
    /// The workers that ran it were lost, again and again; how is in the message.
    Lost,
    /// No worker could be started for it in time.
    NoCapacity,
    /// What the worker was given is not what the run was planned with: the wrong program, a damaged object.
    Misconfigured,
    /// The run was cancelled before the chunk was done.
    Cancelled,
}

impl FailureKind {
    /// True when another attempt may end differently, so `.retries(..)` applies. A value that cannot be
    /// encoded, decoded or held will not improve.
    pub fn is_retryable(&self) -> bool {
        use FailureKind::{Abort, Error, Exit, OutOfMemory, Panic, Signal, StackOverflow, Timeout};
        matches!(
            self,
            Error { .. }
                | Panic { .. }
                | Exit { .. }
                | Abort
                | StackOverflow
                | OutOfMemory
                | Signal { .. }
                | Timeout { .. }
        )
    }

    fn headline(&self) -> &'static str {
        match self {
            FailureKind::Error { .. } => "returned an error",
            FailureKind::Panic { .. } => "panicked",
            FailureKind::Exit { .. } => "exited",
            FailureKind::Abort => "aborted",
            FailureKind::StackOverflow => "overflowed its stack",
            FailureKind::Signal { .. } => "was killed",
            FailureKind::Timeout { .. } => "ran past its timeout",
            FailureKind::UnencodableInput => "has an input that cannot be encoded",
            FailureKind::UndecodableInput => "has an input that cannot be read back",
            FailureKind::UnencodableResult => "has a result that cannot be encoded",
            FailureKind::UndecodableResult => "has a result that cannot be read back",
            FailureKind::InputTooLarge { .. } => "has an input over the size limit",
            FailureKind::ResultTooLarge { .. } => "has a result over the size limit",
            FailureKind::OutOfMemory => "ran out of memory",
            FailureKind::Lost => "was lost with its workers",
            FailureKind::NoCapacity => "found no worker",
            FailureKind::Misconfigured => "could not be run as planned",
            FailureKind::Cancelled => "was cancelled",
        }
    }
}

impl From<FailureReport> for Failure {
    fn from(report: FailureReport) -> Failure {
        Failure(Box::new(report))
    }
}

impl Failure {
    /// The same failure, of the chunk that is known by this index to whoever asks.
    pub(crate) fn renumbered(mut self, chunk: usize) -> Failure {
        self.0.chunk = chunk;
        self
    }

    /// The same failure, of a slot that has another number where it is told of.
    pub(crate) fn in_slot(mut self, slot: Option<usize>) -> Failure {
        self.0.slot = slot;
        self
    }

    /// What looked like a kill was one for want of memory.
    pub(crate) fn turn_out_of_memory(&mut self) {
        self.0.kind = FailureKind::OutOfMemory;
        self.0.message = "the kernel killed its slot, since the worker had no memory left".into();
    }

    /// Bytes of text it holds, roughly.
    pub(crate) fn text_bytes(&self) -> usize {
        let of_kind = match &self.kind {
            FailureKind::Error { chain } => chain.iter().map(String::len).sum(),
            FailureKind::Panic { backtrace, .. } => backtrace.as_ref().map_or(0, String::len),
            _ => 0,
        };
        of_kind + self.message.len() + self.stderr.iter().map(String::len).sum::<usize>()
    }
}

impl Deref for Failure {
    type Target = FailureReport;

    fn deref(&self) -> &FailureReport {
        &self.0
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chunk {} {}: {}", self.chunk, self.kind.headline(), self.message)?;
        match &self.kind {
            FailureKind::Panic { location: Some(at), .. } => write!(f, " (at {at})")?,
            FailureKind::Error { chain } => {
                for cause in chain {
                    write!(f, ": {cause}")?;
                }
            }
            _ => {}
        }
        if self.attempt > 1 {
            write!(f, " (attempt {})", self.attempt)?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// A failure before it is known whose it is: what a slot reports, or what its end says. Boxed for the same reason as
/// [`Failure`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Fault(Box<(FailureKind, String)>);

impl Fault {
    pub(crate) fn new(kind: FailureKind, message: impl Into<String>) -> Fault {
        Fault(Box::new((kind, message.into())))
    }

    pub(crate) fn is_retryable(&self) -> bool {
        self.0.0.is_retryable()
    }

    pub(crate) fn message(&self) -> &str {
        &self.0.1
    }

    /// The failure of the chunk that it turned out to be.
    pub(crate) fn of(self, chunk: usize, attempt: u32, slot: Option<usize>, stderr: Vec<String>) -> Failure {
        let (kind, message) = *self.0;
        FailureReport { chunk, attempt, slot, kind, message, stderr }.into()
    }
}
